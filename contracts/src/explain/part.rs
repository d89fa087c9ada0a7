//! Owns who may do something about a proposal: for each member with the role, the rules are asked on a copy.

use std::collections::{BTreeMap, BTreeSet};

use super::{Barred, Part};
use crate::{
    digest::Digest,
    lifecycle::{self, Cast, Move},
    name::{Line, MemberId},
    proposal::Proposal,
    quantity::{DurationMs, Sequence},
    reject::Reject,
    role::Role,
    stage::Stage,
    state::{Registry, State},
    transaction::{AuditVerdict, Call, HealthReport, ReviewVerdict, StepOutcome, TransactionBody},
};

/// Everything that members can do where a proposal stands.
pub(super) fn of(state: &State, proposal: &Proposal) -> Vec<Part> {
    let desk = Desk { state, proposal };
    lifecycle::possible(proposal).into_iter().flat_map(|call| desk.parts(call)).collect()
}

struct Desk<'a> {
    state: &'a State,
    proposal: &'a Proposal,
}

impl Desk<'_> {
    fn parts(&self, call: &'static str) -> Vec<Part> {
        let roles: &[Role] = match call {
            "revise" | "cancel" => &[Role::Author],
            "review" => &[Role::Reviewer],
            "vote" => &[Role::Voter],
            "veto" | "cosign" => &[Role::Guardian],
            "resume" => &[Role::Executor, Role::Author],
            "attest" => &[Role::Auditor],
            _ => &[Role::Executor],
        };
        roles.iter().map(|role| self.part(call, *role)).collect()
    }

    fn part(&self, call: &'static str, role: Role) -> Part {
        let (mut may, mut may_not) = (Vec::new(), Vec::new());
        for member in self.candidates(call, role) {
            match self.check(&member, role, call) {
                Ok(()) => may.push(member),
                Err(barred) => may_not.push(barred),
            }
        }
        let is_awaited = match call {
            "cosign" => !self.proposal.is_cosigned(),
            "cancel" | "revise" | "veto" | "abort" => false,
            _ => true,
        };
        Part { call, role, is_awaited, may, may_not }
    }

    /// Those of whom it makes sense to ask whether they may: who is near the proposal, or everybody with the role.
    fn candidates(&self, call: &str, role: Role) -> Vec<MemberId> {
        let proposal = self.proposal;
        let with_role = || self.state.members_with(role);
        match call {
            "vote" => proposal.electorate.weights.keys().cloned().collect(),
            "revise" | "resume" if role == Role::Author => vec![proposal.author.clone()],
            "cancel" if with_role().any(|id| *id == proposal.author) => vec![proposal.author.clone()],
            "receipt" => {
                let claims = proposal.execution.steps.iter().filter_map(|progress| progress.claim.as_ref());
                let holders: BTreeSet<_> = claims.map(|claim| claim.executor.clone()).collect();
                holders.into_iter().collect()
            }
            "claim" | "abort" | "resume" => {
                let acts_on = |id: &MemberId| {
                    let mut steps = proposal.plan.steps.iter();
                    steps.any(|step| self.state.registry().is_executor_of(id, &step.target))
                };
                with_role().filter(|id| acts_on(id)).cloned().collect()
            }
            _ => with_role().cloned().collect(),
        }
    }

    /// Whether one of the ways to make the call is taken; when none is, why not.
    fn check(&self, member: &MemberId, role: Role, call: &str) -> Result<(), Barred> {
        let registry = self.state.registry();
        let held = registry.members.get(member).is_some_and(|held| held.keys.contains_key(&role));
        if !held {
            return Err(barred(member, &Reject::NotInRole { member: member.clone(), role }));
        }
        registry.check_not_suspended(member, role).map_err(|reject| barred(member, &reject))?;
        match call {
            // An edit is another document, and which one only its author knows.
            "revise" => return Ok(()),
            // A ballot touches the whole vote, and there may be thousands of voters.
            "vote" => {
                return lifecycle::may_vote(self.proposal, member)
                    .map(drop)
                    .map_err(|why| barred(member, &why));
            }
            _ => {}
        }
        let mut first = None;
        for call in self.ways(call, member) {
            match self.ask(member, role, call) {
                Ok(()) => return Ok(()),
                Err(why) => drop(first.get_or_insert(why)),
            }
        }
        Err(first.unwrap_or_else(|| idle(member)))
    }

    fn ask(&self, member: &MemberId, role: Role, call: Call) -> Result<(), Barred> {
        let registry = self.state.registry();
        let (sequence, not_after) = (Sequence::ZERO, registry.time);
        let body = TransactionBody { sender: member.clone(), role, sequence, not_after, call };
        if lifecycle::is_repeat(self.state, &body) {
            return Err(barred(member, &Reject::AlreadyDone { member: member.clone() }));
        }
        let (mut proposal, mut registry) = (self.proposal.clone(), registry.clone());
        registry.remember_block(registry.height, Digest::ZERO);
        let mut cast = Cast { proposal: &mut proposal, registry: &mut registry, events: &mut Vec::new() };
        let motion = Move::Call { sender: member, role, call: &body.call };
        lifecycle::step(&mut cast, motion).map_err(|why| barred(member, &why))
    }

    /// The calls that would be it, the likeliest first.
    fn ways(&self, call: &str, member: &MemberId) -> Vec<Call> {
        let Proposal { id: proposal, revision, plan_hash, .. } = *self.proposal;
        let reason = || Line::shortened("asked in advance");
        match call {
            "cancel" => vec![Call::Cancel { proposal, reason: reason() }],
            "review" => {
                let verdict = ReviewVerdict::Approve;
                vec![Call::Review { proposal, revision, plan_hash, verdict, reason: reason() }]
            }
            "veto" => vec![Call::Veto { proposal, reason: reason() }],
            "cosign" => vec![Call::Cosign { proposal, revision, plan_hash }],
            "resume" => vec![Call::Resume { proposal }],
            "abort" => vec![Call::Abort { proposal, reason: reason() }],
            "attest" => {
                // The next block knows the digest of this one.
                let (height, block) = (self.state.height(), Digest::ZERO);
                vec![Call::Attest { proposal, verdict: AuditVerdict::Sound, height, block }]
            }
            "claim" => self.steps_of(member).map(|step| Call::Claim { proposal, step }).collect(),
            "receipt" => self.receipts(member),
            "attest-health" => self.judgements(),
            _ => Vec::new(),
        }
    }

    /// The steps that are due, those on the member's own targets.
    fn steps_of<'a>(&'a self, member: &'a MemberId) -> impl Iterator<Item = u16> + 'a {
        let Proposal { plan, execution, stage, .. } = self.proposal;
        let steps = (0..=u16::MAX).zip(plan.steps.iter().zip(&execution.steps));
        let due = steps.filter(move |(_, (planned, progress))| match stage {
            Stage::RollingBack => progress.needs_undo(),
            _ => planned.stage == execution.stage && progress.outcome.is_none(),
        });
        let own = |registry: &Registry, target| registry.is_executor_of(member, target);
        due.filter(move |(_, (planned, _))| own(self.state.registry(), &planned.target)).map(|(step, _)| step)
    }

    fn receipts(&self, member: &MemberId) -> Vec<Call> {
        let proposal = self.proposal.id;
        let steps = (0..=u16::MAX).zip(&self.proposal.execution.steps);
        let held = steps.filter_map(|(step, progress)| {
            let claim = progress.claim.as_ref().filter(|claim| claim.executor == *member)?;
            let reported = if claim.undo { &progress.undo_outcome } else { &progress.outcome };
            let (outcome, evidence) = (StepOutcome::Done, Digest::ZERO);
            let receipt = Call::Receipt { proposal, step, fence: claim.fence, outcome, evidence };
            reported.is_none().then_some(receipt)
        });
        held.collect()
    }

    fn judgements(&self) -> Vec<Call> {
        let (proposal, stage) = (self.proposal.id, self.proposal.execution.stage);
        let steps: BTreeMap<_, _> = lifecycle::judged_steps(self.proposal, stage);
        let judge = |(step, _)| Call::AttestHealth { proposal, stage, step, health: any_judgement() };
        steps.into_values().map(judge).collect()
    }
}

/// A judgement that no figures contradict.
fn any_judgement() -> HealthReport {
    HealthReport {
        healthy: false,
        samples: 0,
        succeeded: 0,
        latency_p95_ms: DurationMs::new(0),
        reason: Line::shortened("asked in advance"),
    }
}

fn barred(member: &MemberId, why: &Reject) -> Barred {
    let (code, why) = match why {
        Reject::AlreadyDone { .. } => ("done", "has done it".to_owned()),
        why => (why.code(), why.to_string()),
    };
    Barred { member: member.clone(), code, why }
}

fn idle(member: &MemberId) -> Barred {
    Barred { member: member.clone(), code: "nothing-due", why: "nothing is due from this member".to_owned() }
}
