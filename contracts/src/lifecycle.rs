//! Owns the table of moves: one arm a transition, and a last arm that refuses and names what is possible.
//!
//! An arm only calls a helper, and a helper does not branch on the stage it was called in. Helpers check
//! everything before they change anything, so that a refusal leaves the proposal as it was.

use crate::{
    event::Event,
    expiry::Expiring,
    name::{Line, MemberId},
    proposal::Proposal,
    reject::Reject,
    role::Role,
    stage::Stage,
    state::Registry,
    transaction::Call,
};

mod audit;
mod ballot;
pub(crate) mod batch;
pub(crate) mod emergency;
mod enact;
mod execution;
mod gate;
mod queue;
mod repeat;
mod review;
mod rollback;
mod submission;
#[cfg(test)]
pub(crate) mod tests;
mod work;

pub(crate) use ballot::may_vote;
pub(crate) use execution::{are_targets_free, is_held};
pub(crate) use gate::{judged, judged_steps};
pub(crate) use queue::overtaken;
pub(crate) use repeat::{has_voted, is_repeat};
pub(crate) use review::organisations as reviewing_organisations;
pub(crate) use submission::submit;
pub(crate) use work::orders;

/// What moves a proposal.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Move<'a> {
    /// A member's call.
    Call {
        /// Who.
        sender: &'a MemberId,
        /// In which role.
        role: Role,
        /// What is asked.
        call: &'a Call,
    },
    /// Its deadline passed.
    Deadline,
    /// What it was planned against, or what it was to be decided by, is another.
    Overtaken(&'static str),
    /// Everything that it waited for is carried out.
    Released,
    /// An emergency keeps a target on which it is being carried out.
    Stopped(&'a str),
}

/// A proposal on the stage, with everything around it.
pub(crate) struct Cast<'a> {
    pub(crate) proposal: &'a mut Proposal,
    pub(crate) registry: &'a mut Registry,
    pub(crate) events: &'a mut Vec<Event>,
}

/// Carries one transition out.
///
/// # Errors
/// Refuses what the stage does not allow, and what the helper of the transition refuses.
pub(crate) fn step(cast: &mut Cast<'_>, motion: Move<'_>) -> Result<(), Reject> {
    use Stage::{
        Auditing, Canary, Confirming, Failed, Queued, Review, RollingBack, Rollout, Verifying, Voting,
    };
    let stage = cast.proposal.stage;
    let Move::Call { sender, role, call } = motion else { return by_itself(cast, motion) };
    match (stage, call) {
        (Review, Call::Revise { replaces, document, plan_hash, .. }) => {
            submission::revise(cast, sender, *replaces, document, *plan_hash)
        }
        (Review | Voting | Confirming, Call::Cancel { reason, .. }) => {
            submission::cancel(cast, sender, reason)
        }
        (Review, Call::Review { revision, plan_hash, verdict, reason, .. }) => {
            review::review(cast, sender, (*revision, *plan_hash), *verdict, reason)
        }
        (Voting, Call::Vote { revision, plan_hash, choice, .. }) => {
            ballot::vote(cast, sender, (*revision, *plan_hash), *choice)
        }
        (Confirming, Call::Vote { revision, plan_hash, choice, .. }) => {
            ballot::vote_while_confirming(cast, sender, (*revision, *plan_hash), *choice)
        }
        (Queued, Call::Veto { reason, .. }) => queue::veto(cast, sender, reason),
        (Queued, Call::Cosign { revision, plan_hash, .. }) => {
            queue::cosign(cast, sender, (*revision, *plan_hash))
        }
        (Queued, Call::Claim { step, .. }) => execution::start(cast, sender, *step),
        (Canary | Rollout(_), Call::Claim { step, .. }) => execution::claim(cast, sender, *step),
        (Canary | Rollout(_), Call::Receipt { step, fence, outcome, evidence, .. }) => {
            execution::receipt(cast, sender, (*step, *fence), outcome, *evidence)
        }
        (Canary | Rollout(_) | Verifying, Call::AttestHealth { stage, step, health, .. }) => {
            gate::attest(cast, sender, (*stage, *step), health)
        }
        (Canary | Rollout(_) | Verifying, Call::Abort { reason, .. }) => {
            rollback::abort(cast, sender, reason)
        }
        (RollingBack, Call::Claim { step, .. }) => rollback::claim(cast, sender, *step),
        (RollingBack, Call::Receipt { step, fence, outcome, evidence, .. }) => {
            rollback::receipt(cast, sender, (*step, *fence), outcome, *evidence)
        }
        (Failed, Call::Resume { .. }) => execution::resume(cast, sender, role),
        (Auditing, Call::Attest { verdict, height, block, .. }) => {
            audit::attest(cast, sender, verdict, *height, *block)
        }
        (stage, call) => Err(Reject::IllegalMove { stage, input: name_of(call), allowed: allowed(stage) }),
    }
}

/// What happens without a member.
fn by_itself(cast: &mut Cast<'_>, motion: Move<'_>) -> Result<(), Reject> {
    use Stage::{
        Auditing, Canary, Confirming, Failed, Queued, Review, RollingBack, Rollout, Verifying, Voting,
    };
    match (cast.proposal.stage, motion) {
        (Review, Move::Deadline) => review::expire(cast),
        (Voting, Move::Deadline) => ballot::close(cast),
        (Confirming, Move::Deadline) => ballot::confirm(cast),
        (Queued, Move::Deadline) => queue::fall_due(cast),
        (Queued, Move::Released) => queue::release(cast),
        (Review | Voting | Confirming | Queued, Move::Overtaken(cause)) => queue::supersede(cast, cause),
        (Canary | Rollout(_) | Verifying, Move::Deadline) => rollback::time_out(cast),
        (Canary | Rollout(_) | Verifying, Move::Stopped(cause)) => rollback::halt(cast, cause),
        (RollingBack, Move::Deadline) => rollback::give_up(cast),
        (Failed, Move::Deadline) => audit::open(cast, "its time for another attempt ran out"),
        (Auditing, Move::Deadline) => audit::overdue(cast),
        (stage, _) => Err(Reject::IllegalMove { stage, input: "timer", allowed: allowed(stage) }),
    }
}

/// What may be asked in a stage.
pub(crate) fn allowed(stage: Stage) -> Vec<&'static str> {
    match stage {
        Stage::Review => vec!["revise", "review", "cancel"],
        Stage::Voting | Stage::Confirming => vec!["vote", "cancel"],
        Stage::Queued => vec!["veto", "cosign", "claim"],
        Stage::Canary | Stage::Rollout(_) => vec!["claim", "receipt", "attest-health", "abort"],
        Stage::Verifying => vec!["attest-health", "abort"],
        Stage::RollingBack => vec!["claim", "receipt"],
        Stage::Failed => vec!["resume"],
        Stage::Auditing => vec!["attest"],
        Stage::Submitted
        | Stage::RolledBack
        | Stage::RollbackFailed
        | Stage::Executed
        | Stage::Closed
        | Stage::Disputed
        | Stage::Rejected
        | Stage::Defeated
        | Stage::Vetoed
        | Stage::Superseded
        | Stage::Expired
        | Stage::Cancelled => Vec::new(),
    }
}

/// What may be asked of a proposal: what its stage allows, as far as its plan and its track have it.
pub(crate) fn possible(proposal: &Proposal) -> Vec<&'static str> {
    let has = |call: &&str| match *call {
        "claim" => !proposal.plan.steps.is_empty(),
        "cosign" => proposal.parameters.cosign.is_some(),
        "cancel" => proposal.judges().is_none(),
        _ => true,
    };
    allowed(proposal.stage).into_iter().filter(has).collect()
}

/// The name of a call in messages and in the API.
pub(crate) const fn name_of(call: &Call) -> &'static str {
    match call {
        Call::Submit { .. } => "submit",
        Call::Revise { .. } => "revise",
        Call::Cancel { .. } => "cancel",
        Call::Review { .. } => "review",
        Call::Vote { .. } => "vote",
        Call::Veto { .. } => "veto",
        Call::Cosign { .. } => "cosign",
        Call::Claim { .. } => "claim",
        Call::Receipt { .. } => "receipt",
        Call::AttestHealth { .. } => "attest-health",
        Call::Resume { .. } => "resume",
        Call::Abort { .. } => "abort",
        Call::Attest { .. } => "attest",
        Call::ReportEquivocation { .. } => "report-equivocation",
        Call::DeclareEmergency { .. } => "declare-emergency",
        Call::SignEmergency { .. } => "sign-emergency",
        Call::EndEmergency { .. } => "end-emergency",
        Call::AttestEmergency { .. } => "attest-emergency",
        Call::Delegate { .. } => "delegate",
        Call::Revoke { .. } => "revoke",
        Call::VoteBatch { .. } => "vote-batch",
        Call::ReplaceKey { .. } => "replace-key",
        Call::SignRecovery { .. } => "sign-recovery",
        Call::StopRecovery { .. } => "stop-recovery",
    }
}

/// The roles that may make a call.
pub(crate) const fn role_of(call: &Call) -> &'static [Role] {
    match call {
        Call::Submit { .. } | Call::Revise { .. } | Call::Cancel { .. } => &[Role::Author],
        Call::Review { .. } => &[Role::Reviewer],
        Call::Vote { .. } | Call::VoteBatch { .. } | Call::Delegate { .. } | Call::Revoke { .. } => {
            &[Role::Voter]
        }
        Call::Veto { .. }
        | Call::Cosign { .. }
        | Call::DeclareEmergency { .. }
        | Call::SignEmergency { .. } => &[Role::Guardian],
        Call::Claim { .. } | Call::Receipt { .. } | Call::AttestHealth { .. } | Call::Abort { .. } => {
            &[Role::Executor]
        }
        Call::Resume { .. } => &[Role::Executor, Role::Author],
        Call::Attest { .. } | Call::AttestEmergency { .. } => &[Role::Auditor],
        Call::ReportEquivocation { .. } | Call::EndEmergency { .. } => {
            &[Role::Guardian, Role::Executor, Role::Author, Role::Reviewer, Role::Voter]
        }
        Call::ReplaceKey { .. } | Call::SignRecovery { .. } | Call::StopRecovery { .. } => {
            &[Role::Voter, Role::Author, Role::Reviewer, Role::Guardian]
        }
    }
}

impl Proposal {
    /// Refuses statements about another edition or another plan.
    pub(crate) fn check_edition(
        &self,
        (revision, plan_hash): (crate::quantity::Revision, crate::digest::Digest),
    ) -> Result<(), Reject> {
        if revision != self.revision {
            return Err(Reject::Revision { found: revision, current: self.revision });
        }
        if plan_hash != self.plan_hash {
            return Err(Reject::PlanMoved { found: plan_hash, current: self.plan_hash });
        }
        Ok(())
    }
}

impl Cast<'_> {
    /// Moves the proposal and says why.
    pub(crate) fn go(&mut self, to: Stage, cause: &str) {
        let from = self.proposal.stage;
        self.proposal.stage = to;
        self.proposal.stage_since = self.registry.time;
        self.proposal.deadline = None;
        let cause = Line::shortened(cause);
        self.events.push(Event::StageChanged { proposal: self.proposal.id, from, to, cause });
    }

    pub(crate) fn wait_until(&mut self, deadline: crate::quantity::TimeMs) {
        self.proposal.deadline = Some(deadline);
    }

    pub(crate) fn wait_for(&mut self, period: crate::quantity::DurationMs) {
        self.wait_until(self.registry.time.after(period));
    }

    /// Schedules the warning of the deadline.
    pub(crate) fn warn_of_deadline(&mut self, expiring: Expiring) {
        if let Some(deadline) = self.proposal.deadline {
            self.registry.warn_of(expiring, deadline);
        }
    }

    pub(crate) fn check_author(&self, sender: &MemberId) -> Result<(), Reject> {
        if *sender == self.proposal.author {
            return Ok(());
        }
        Err(Reject::NotTheAuthor { author: self.proposal.author.clone() })
    }

    /// Refuses members of the author's own organisation.
    pub(crate) fn check_other_organisation(&self, sender: &MemberId) -> Result<(), Reject> {
        if sender.org_str() != self.proposal.author.org_str() {
            return Ok(());
        }
        Err(Reject::OwnOrganisation { member: sender.clone() })
    }
}
