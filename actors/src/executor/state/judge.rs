//! Owns judging the health of targets: who attests, and when. The owner's executor judges its own target; the next
//! organisation that has executors, in order of name, is the second judge, and any other one is when half of the
//! window is over.

use std::collections::BTreeSet;

use althing_contracts::{
    document::HealthCheck,
    name::{Line, MemberId, OrgId},
    proposal::Proposal,
    quantity::{DurationMs, TimeMs},
    role::Role,
    state::{State, Target},
    transaction::{HealthReport, ProposalId},
};

use super::{ExecutorState, Output, Settled, Settlement};

/// Names one judgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct JudgeKey {
    /// Which proposal.
    pub proposal: ProposalId,
    /// Which stage.
    pub stage: u8,
    /// Index of the step whose target is judged.
    pub step: u16,
}

/// What is to be probed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Probe {
    /// The endpoints of the instances that should run.
    pub endpoints: Vec<Line>,
    /// Whether a deployed service answers on any of the target's endpoints.
    pub serves: bool,
    /// The proposal's own check.
    pub check: Option<HealthCheck>,
}

#[derive(Debug, Clone)]
pub(super) struct Judgement {
    member: MemberId,
}

impl ExecutorState {
    pub(super) fn consider_judgement(
        &mut self,
        now: TimeMs,
        state: &State,
        key: JudgeKey,
        attested: &BTreeSet<OrgId>,
    ) -> Option<Output> {
        if self.judgements.contains_key(&key)
            || attested.contains(&self.config.org)
            || self.is_left_alone(&Settled::Judge(key))
        {
            return None;
        }
        let proposal = state.proposal(key.proposal)?;
        let planned = proposal.plan.steps.get(usize::from(key.step))?;
        let target = state.target(&planned.target)?;
        let member = if planned.owner == self.config.org {
            self.free_member(state, |member| target.record.executors.contains(member))?.clone()
        } else {
            self.second_judge(now, state, proposal, &planned.owner, attested)?
        };
        let probe = probe_of(proposal, target);
        self.judgements.insert(key, Judgement { member });
        Some(Output::Probe { key, probe: Box::new(probe) })
    }

    /// This node's member, when its organisation is the second judge by its place or because time is short.
    fn second_judge(
        &mut self,
        now: TimeMs,
        state: &State,
        proposal: &Proposal,
        owner: &OrgId,
        attested: &BTreeSet<OrgId>,
    ) -> Option<MemberId> {
        let member = self.free_member(state, |_| true)?.clone();
        if attested.iter().any(|org| org != owner) {
            return None;
        }
        if second_organisation(state, owner).as_ref() == Some(&self.config.org) {
            return Some(member);
        }
        let half = half_of_window(proposal)?;
        if half <= now {
            return Some(member);
        }
        self.wake_by(Some(half));
        None
    }

    pub(super) fn probed(&self, key: &JudgeKey, health: HealthReport) -> Vec<Output> {
        let attest =
            |judgement: &Judgement| Output::Attest { member: judgement.member.clone(), key: *key, health };
        self.judgements.get(key).map(attest).into_iter().collect()
    }

    pub(super) fn attested(&mut self, now: TimeMs, key: JudgeKey, answer: Settlement<()>) -> Vec<Output> {
        self.judgements.remove(&key);
        self.settle(now, Settled::Judge(key), answer);
        Vec::new()
    }
}

/// The next organisation after the owner, in order of name and around, that has executors.
fn second_organisation(state: &State, owner: &OrgId) -> Option<OrgId> {
    let executors = state.members().filter(|(_, member)| member.keys.contains_key(&Role::Executor));
    let organisations: BTreeSet<OrgId> =
        executors.map(|(id, _)| id.org()).filter(|org| org != owner).collect();
    let next = organisations.iter().find(|org| *org > owner);
    next.or_else(|| organisations.first()).cloned()
}

/// Half-way between the end of the steps and the time at which the stage fails unjudged.
fn half_of_window(proposal: &Proposal) -> Option<TimeMs> {
    let check = proposal.document.health.as_ref()?;
    let window = check.within_ms.min(proposal.parameters.stage);
    let end = proposal.deadline?;
    Some(TimeMs::new(end.get().saturating_sub(window.get() / 2)))
}

fn probe_of(proposal: &Proposal, target: &Target) -> Probe {
    let serving = target.serving_endpoints();
    Probe {
        endpoints: target.record.endpoints.iter().take(serving).cloned().collect(),
        serves: serving > 0,
        check: proposal.document.health.clone(),
    }
}

impl Probe {
    /// What there is to say without a request; `None` when requests have to be sent.
    pub fn without_requests(&self) -> Option<HealthReport> {
        let reason = match &self.check {
            Some(_) if self.serves => return None,
            Some(_) => "the target serves nothing, there is nothing to probe",
            None => "the proposal has no health check",
        };
        Some(HealthReport {
            healthy: self.check.is_some(),
            samples: 0,
            succeeded: 0,
            latency_p95_ms: DurationMs::ZERO,
            reason: Line::shortened(reason),
        })
    }
}
