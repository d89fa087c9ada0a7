//! Owns how an execution is shown: steps by targets with claims, receipts and health, and why it went back.

use std::collections::BTreeMap;

use althing_contracts::{
    document::Action,
    name::OrgId,
    proposal::{Proposal, StepClaim, StepProgress},
    quantity::TimeMs,
    transaction::{HealthReport, StepOutcome},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::document;

/// What executors did about a proposal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ExecutionView {
    /// Which proposal.
    pub proposal: String,
    /// Its title.
    pub title: String,
    /// Where the proposal stands.
    pub stage: String,
    /// Index of the stage of steps that is carried out or judged; the number of stages stands for the whole.
    pub stage_index: u8,
    /// When the ledger acts by itself, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    /// Steps in order.
    pub steps: Vec<StepView>,
    /// Failed executions resumed so far.
    pub retries: u8,
    /// Why it is rolled back, once it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollback_cause: Option<String>,
}

/// One step and how far it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StepView {
    /// Index of the step.
    pub step: u16,
    /// Index of its stage; 0 is the canary.
    pub stage: u8,
    /// The stage's name.
    pub stage_name: String,
    /// Where.
    pub target: String,
    /// Whose executors act.
    pub owner: String,
    /// What.
    #[schema(value_type = document::Action)]
    pub action: Action,
    /// `waiting`, `claimed`, `done`, `failed`, `undone` or `undo-failed`.
    pub state: String,
    /// The claim in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claim: Option<ClaimView>,
    /// Why it failed, once it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureView>,
    /// Judgements of the target in the current stage.
    pub health: Vec<HealthView>,
}

/// Who holds a step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClaimView {
    /// Who.
    pub executor: String,
    /// The fencing token.
    pub fence: u64,
    /// Until when nobody else may take it.
    pub until_ms: u64,
    /// Whether it is the undo that is claimed.
    pub undo: bool,
}

/// Why a step failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FailureView {
    /// The cause.
    pub reason: String,
    /// Whether trying again can help.
    pub retryable: bool,
}

/// One organisation's judgement of a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HealthView {
    /// Whose.
    pub org: String,
    /// The verdict.
    pub healthy: bool,
    /// Requests sent.
    pub samples: u32,
    /// Requests answered 2xx.
    pub succeeded: u32,
    /// 95th percentile of the latency.
    pub latency_p95_ms: u64,
    /// What was wrong; empty when healthy.
    pub reason: String,
}

impl ExecutionView {
    /// Shows the execution of a proposal.
    pub fn new(proposal: &Proposal) -> Self {
        let progress = |index: u16| proposal.execution.steps.get(usize::from(index));
        let planned = super::plan::steps(&proposal.plan, &proposal.document);
        let steps = planned.into_iter().map(|planned| StepView {
            state: progress(planned.step).map_or("waiting", state_of).to_owned(),
            claim: progress(planned.step).and_then(|progress| progress.claim.as_ref()).map(ClaimView::from),
            failure: progress(planned.step).and_then(failure_of),
            health: proposal.execution.health.get(&planned.step).map(judgements).unwrap_or_default(),
            step: planned.step,
            stage: planned.stage,
            stage_name: planned.stage_name,
            target: planned.target,
            owner: planned.owner,
            action: planned.after,
        });
        Self {
            proposal: proposal.id.to_string(),
            title: proposal.document.title.to_string(),
            stage: proposal.stage.to_string(),
            stage_index: proposal.execution.stage,
            deadline_ms: proposal.deadline.map(TimeMs::get),
            steps: steps.collect(),
            retries: proposal.execution.retries,
            rollback_cause: proposal.execution.rollback_cause.as_ref().map(ToString::to_string),
        }
    }
}

fn state_of(progress: &StepProgress) -> &'static str {
    match (&progress.undo_outcome, &progress.outcome, &progress.claim) {
        (Some(StepOutcome::Done), ..) => "undone",
        (Some(StepOutcome::Failed { .. }), ..) => "undo-failed",
        (None, Some(StepOutcome::Done), _) => "done",
        (None, Some(StepOutcome::Failed { .. }), _) => "failed",
        (None, None, Some(_)) => "claimed",
        (None, None, None) => "waiting",
    }
}

fn failure_of(progress: &StepProgress) -> Option<FailureView> {
    match progress.undo_outcome.as_ref().or(progress.outcome.as_ref())? {
        StepOutcome::Done => None,
        StepOutcome::Failed { reason, retryable } => {
            Some(FailureView { reason: reason.to_string(), retryable: *retryable })
        }
    }
}

fn judgements(by_org: &BTreeMap<OrgId, HealthReport>) -> Vec<HealthView> {
    by_org.iter().map(|(org, report)| HealthView::new(org, report)).collect()
}

impl HealthView {
    fn new(org: &OrgId, report: &HealthReport) -> Self {
        Self {
            org: org.to_string(),
            healthy: report.healthy,
            samples: report.samples,
            succeeded: report.succeeded,
            latency_p95_ms: report.latency_p95_ms.get(),
            reason: report.reason.to_string(),
        }
    }
}

impl From<&StepClaim> for ClaimView {
    fn from(claim: &StepClaim) -> Self {
        Self {
            executor: claim.executor.to_string(),
            fence: claim.fence.get(),
            until_ms: claim.until.get(),
            undo: claim.undo,
        }
    }
}
