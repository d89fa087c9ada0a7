//! Owns how a proposal is shown: one line of a list, and the whole.

use althing_contracts::{
    document::ProposalDocument, name::MemberId, proposal::Proposal, quantity::TimeMs, state::State,
    transaction::AuditVerdict,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    document,
    execution::ExecutionView,
    plan::{FindingView, PlanView},
    vote::VoteView,
};

/// A proposal in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProposalSummary {
    /// Its name; any prefix of 6 or more digits that no other proposal shares stands for it.
    pub id: String,
    /// One line that names the change.
    pub title: String,
    /// Who opened it.
    pub author: String,
    /// Which edition is current.
    pub revision: u32,
    /// Its class: `routine`, `standard`, `high` or `constitutional`.
    pub track: String,
    /// Where it stands, for example `voting` or `rollout`.
    pub stage: String,
    /// Which rollout stage, when it is in one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rollout: Option<u8>,
    /// Since when.
    pub stage_since_ms: u64,
    /// When the ledger acts on it by itself, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
    /// End of the timelock, once queued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eta_ms: Option<u64>,
    /// Hash of the plan, bound to reviews and ballots.
    pub plan_hash: String,
    /// Whether nothing can follow.
    pub ended: bool,
}

/// A whole proposal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ProposalView {
    /// Where it stands.
    #[serde(flatten)]
    pub summary: ProposalSummary,
    /// Height of the block that took the current revision.
    pub submitted_at: u64,
    /// Version of the constitution pinned at submission.
    pub constitution: u32,
    /// The change.
    #[schema(value_type = document::ProposalDocument)]
    pub document: ProposalDocument,
    /// What it does, step by step.
    pub plan: PlanView,
    /// Broken hard rules; not empty exactly when the rules refused it.
    pub findings: Vec<FindingView>,
    /// Sign-offs of the current revision.
    pub reviews: Vec<ReviewView>,
    /// Guardians who have signed the decision.
    pub cosigned_by: Vec<String>,
    /// The vote.
    pub vote: VoteView,
    /// The execution.
    pub execution: ExecutionView,
    /// What auditors found.
    pub attestations: Vec<AttestationView>,
    /// What may be asked for as it stands.
    pub allowed: Vec<String>,
}

/// A sign-off.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReviewView {
    /// Who.
    pub reviewer: String,
    /// `approve` or `refuse`.
    pub verdict: String,
}

/// An auditor's finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttestationView {
    /// Who.
    pub auditor: String,
    /// Whether everything holds.
    pub sound: bool,
    /// What does not hold; absent when sound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finding: Option<String>,
}

impl From<(&MemberId, &AuditVerdict)> for AttestationView {
    fn from((auditor, verdict): (&MemberId, &AuditVerdict)) -> Self {
        Self {
            auditor: auditor.to_string(),
            sound: *verdict == AuditVerdict::Sound,
            finding: finding_of(verdict),
        }
    }
}

impl ProposalSummary {
    /// Shows a proposal in one line.
    pub fn new(proposal: &Proposal) -> Self {
        let rollout = match proposal.stage {
            althing_contracts::stage::Stage::Rollout(index) => Some(index),
            _ => None,
        };
        Self {
            id: proposal.id.to_string(),
            title: proposal.document.title.to_string(),
            author: proposal.author.to_string(),
            revision: proposal.revision.get(),
            track: super::kebab(&proposal.track),
            stage: proposal.stage.name().to_owned(),
            rollout,
            stage_since_ms: proposal.stage_since.get(),
            deadline_ms: proposal.deadline.map(TimeMs::get),
            eta_ms: proposal.eta.map(TimeMs::get),
            plan_hash: proposal.plan_hash.to_string(),
            ended: proposal.stage.is_terminal(),
        }
    }
}

impl ProposalView {
    /// Shows a proposal of `state`.
    pub fn new(state: &State, proposal: &Proposal) -> Self {
        let reviews = proposal.reviews.iter().map(|(reviewer, verdict)| ReviewView {
            reviewer: reviewer.to_string(),
            verdict: super::kebab(verdict),
        });
        let attestations = proposal.attestations.iter().map(AttestationView::from);
        Self {
            summary: ProposalSummary::new(proposal),
            submitted_at: proposal.submitted_at.get(),
            constitution: proposal.constitution,
            document: ProposalDocument::clone(&proposal.document),
            plan: PlanView::new(state, &proposal.plan, &proposal.document),
            findings: proposal.findings.iter().map(FindingView::from).collect(),
            reviews: reviews.collect(),
            cosigned_by: proposal.cosigned_by.iter().map(ToString::to_string).collect(),
            vote: VoteView::new(proposal),
            execution: ExecutionView::new(proposal),
            attestations: attestations.collect(),
            allowed: state.allowed_moves(proposal.id).into_iter().map(str::to_owned).collect(),
        }
    }
}

fn finding_of(verdict: &AuditVerdict) -> Option<String> {
    match verdict {
        AuditVerdict::Sound => None,
        AuditVerdict::Unsound { finding } => Some(finding.to_string()),
    }
}
