//! Owns one step on its way from the claim to the receipt.

use althing_contracts::{
    document::Action,
    name::{Line, MemberId},
    plan::PlannedStep,
    proposal::Proposal,
    quantity::{Fence, TimeMs},
    stage::Stage,
    transaction::StepOutcome,
};

use super::{ExecutorState, LastTry, Output, REFUSED_PAUSE, Settled, Settlement, StepKey, TRIES_MAX, pause};
use crate::port::{Effect, Evidence, ProviderError, ProviderOrder, TargetContext};

/// A claim that the ledger has granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grant {
    /// What orders under it carry.
    pub fence: Fence,
    /// When it runs out.
    pub until: TimeMs,
    /// Whether another claim of the step may have run out before: whoever held it may have carried the step out, or its call
    /// may still be on its way. That nobody held the step when it was claimed does not tell: a claim may wait in a pool.
    pub follows_another: bool,
}

impl Grant {
    /// A claim of a step by a state that shows it or a later one.
    #[must_use]
    pub fn of(proposal: &Proposal, key: StepKey, fence: Fence, until: TimeMs) -> Self {
        let planned = proposal.plan.steps.get(usize::from(key.step));
        let is_stage_of_step = match proposal.stage {
            Stage::RollingBack => key.undo,
            Stage::Canary | Stage::Rollout(_) => {
                !key.undo && planned.is_some_and(|step| step.stage == proposal.execution.stage)
            }
            _ => false,
        };
        // The first claim of a stage runs out a lease after the stage began, or later, and the next one a lease after that.
        let since = proposal.execution.stage_since;
        let first = since.after(proposal.parameters.lease);
        let second = first.after(proposal.parameters.lease);
        let is_first = is_stage_of_step && (first..second).contains(&until);
        Self { fence, until, follows_another: !is_first }
    }
}

/// A step that this node carries out.
#[derive(Debug, Clone)]
pub(super) struct StepTask {
    pub(super) key: StepKey,
    member: MemberId,
    target: TargetContext,
    action: Action,
    expect: Option<Action>,
    claim: Option<Grant>,
    phase: Phase,
    /// Whether a call under this claim has an outcome that nobody knows: it may still be on its way, so nobody may say that
    /// the step failed. Only a higher fence keeps it out.
    is_in_doubt: bool,
    tries: u32,
    seen: TimeMs,
}

/// Which answer a step waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The ledger's, to the claim.
    Claiming,
    /// The provider's, to a read.
    Reading,
    /// The provider's, to the order.
    Applying,
    /// The ledger's, to the receipt.
    Reporting,
    /// None: another try is due at this time.
    Paused(TimeMs),
}

impl StepTask {
    pub(super) fn new(
        key: StepKey,
        member: MemberId,
        target: TargetContext,
        planned: &PlannedStep,
        now: TimeMs,
    ) -> Self {
        let (action, expect) = if key.undo {
            (planned.undo.clone(), Some(planned.action.clone()))
        } else {
            (planned.action.clone(), planned.before.clone())
        };
        Self {
            key,
            member,
            target,
            action,
            expect,
            claim: None,
            phase: Phase::Claiming,
            is_in_doubt: false,
            tries: 0,
            seen: now,
        }
    }

    /// What decides its next output; the rest follows from the plan, or is measured only.
    pub(super) fn standing(&self) -> impl std::fmt::Debug + '_ {
        (self.key, &self.member, self.claim, self.phase, self.is_in_doubt, self.tries)
    }

    /// Goes on under the claim of a member of this node.
    pub(super) fn hold_as(&mut self, holder: &MemberId, claim: Grant, last: Option<&LastTry>) -> Output {
        self.member = holder.clone();
        self.hold(claim, last)
    }

    /// Goes on under a claim. What was reported under it is reported again and nothing else, since the ledger may have
    /// acted on it; a call under it may still be on its way.
    fn hold(&mut self, claim: Grant, last: Option<&LastTry>) -> Output {
        let fence = claim.fence;
        self.claim = Some(claim);
        self.is_in_doubt = false;
        match last {
            Some(LastTry::Reported { fence: of, outcome, evidence }) if *of == fence => {
                self.report(fence, outcome.clone(), evidence.clone())
            }
            Some(LastTry::Called { fence: of }) if *of == fence => {
                self.is_in_doubt = true;
                self.read(fence)
            }
            _ => self.read(fence),
        }
    }

    /// Claims the step.
    pub(super) fn take(&mut self) -> Output {
        self.phase = Phase::Claiming;
        self.claim = None;
        Output::Claim { key: self.key, member: self.member.clone() }
    }

    /// Reads under the fence of the claim.
    fn read(&mut self, fence: Fence) -> Output {
        self.phase = Phase::Reading;
        Output::Read {
            key: self.key,
            provider: self.target.record.provider.clone(),
            target: self.target.clone(),
            resource: self.action.resource().clone(),
            fence,
        }
    }

    /// Reads again, or claims first when there is no claim any more.
    fn look_again(&mut self, now: TimeMs) -> Output {
        match self.claim {
            Some(claim) if claim.until > now => self.read(claim.fence),
            _ => self.take(),
        }
    }

    /// Calls the provider under the claim, or claims again when the lease has run out.
    fn carry_out(&mut self, now: TimeMs) -> Output {
        let Some(Grant { fence, until, .. }) = self.claim.filter(|claim| claim.until > now) else {
            return self.take();
        };
        self.phase = Phase::Applying;
        let order = ProviderOrder {
            target: self.target.clone(),
            action: self.action.clone(),
            expect: self.expect.clone(),
            fence,
            idempotency_key: self.key.idempotency_key(),
            deadline: std::time::Duration::from_millis(until.since(now).get()),
        };
        let since_due = now.since(self.seen);
        let provider = self.target.record.provider.clone();
        Output::CarryOut { key: self.key, provider, order: Box::new(order), since_due }
    }

    fn pause(&mut self, now: TimeMs) {
        self.tries = self.tries.saturating_add(1);
        self.phase = Phase::Paused(now.after(pause(self.tries)));
    }

    fn report(&mut self, fence: Fence, outcome: StepOutcome, evidence: Evidence) -> Output {
        self.phase = Phase::Reporting;
        Output::Report { key: self.key, member: self.member.clone(), fence, outcome, evidence }
    }

    fn end(&mut self, outcome: StepOutcome, evidence: Evidence) -> Option<Output> {
        let fence = self.claim?.fence;
        Some(self.report(fence, outcome, evidence))
    }

    /// Reports a failure; while in doubt it only waits, in the end for a new claim, whose fence ends the doubt.
    fn fail(&mut self, now: TimeMs, reason: &str, retryable: bool) -> Option<Output> {
        if self.is_in_doubt {
            self.pause(now);
            return None;
        }
        let facts = [("failed".to_owned(), reason.to_owned())].into();
        let outcome = StepOutcome::Failed { reason: Line::shortened(reason), retryable };
        self.end(outcome, Evidence { facts })
    }

    fn done_as_read(&mut self) -> Option<Output> {
        let facts =
            [("resolved".to_owned(), "read from the target after an unknown outcome".to_owned())].into();
        self.end(StepOutcome::Done, Evidence { facts })
    }
}

impl ExecutorState {
    pub(super) fn claimed(
        &mut self,
        now: TimeMs,
        key: StepKey,
        answer: Settlement<Option<Grant>>,
    ) -> Vec<Output> {
        let claim = match answer {
            Settlement::Final(_, Some(granted)) => Some(granted),
            // The claim was held before: the view says under which fence, if it has come so far.
            Settlement::Final(_, None) => self.held_claim(key),
            Settlement::Open => None,
        };
        let last = self.tries.get(&key).cloned();
        let Some(task) = self.task(key).filter(|task| task.phase == Phase::Claiming) else {
            return Vec::new();
        };
        if let Some(claim) = claim {
            return vec![task.hold(claim, last.as_ref())];
        }
        self.drop_task(key);
        self.paused.insert(Settled::Step(key), now.after(REFUSED_PAUSE));
        Vec::new()
    }

    fn held_claim(&self, key: StepKey) -> Option<Grant> {
        let proposal = self.view.as_ref()?.state.proposal(key.proposal)?;
        let claim = proposal.execution.steps.get(usize::from(key.step))?.claim.as_ref()?;
        let mine = claim.undo == key.undo && self.config.members.contains(&claim.executor);
        mine.then(|| Grant::of(proposal, key, claim.fence, claim.until))
    }

    pub(super) fn read(
        &mut self,
        now: TimeMs,
        key: StepKey,
        found: Result<Option<Action>, ProviderError>,
    ) -> Vec<Output> {
        let called = self.tries.get(&key).is_some_and(LastTry::may_have_effect);
        let Some(task) = self.task(key).filter(|task| task.phase == Phase::Reading) else {
            return Vec::new();
        };
        let follows_another = task.claim.is_some_and(|claim| claim.follows_another);
        let output = match found {
            Ok(found) => {
                let found = found.as_ref().and_then(Action::leaves);
                let wanted = task.action.leaves();
                if (called || follows_another) && found == wanted {
                    task.done_as_read()
                } else if found == task.expect.as_ref().and_then(Action::leaves) || found == wanted {
                    Some(task.carry_out(now))
                } else {
                    task.fail(now, "drift: the target is neither as the plan expects nor as it wants", false)
                }
            }
            Err(ProviderError::Fenced { .. }) => {
                self.leave_to_the_newer(now, key);
                None
            }
            // Half changed: the provider goes on from there under the same key, or undoes it.
            Err(ProviderError::Unknown(_)) => {
                task.is_in_doubt = true;
                Some(task.carry_out(now))
            }
            Err(error @ ProviderError::Drift { .. }) => task.fail(now, &format!("drift: {error}"), false),
            // Once the provider may have been called, the effect is unknown until the target can be read; only a read keeps
            // the calls of earlier claims out.
            Err(_) if called || follows_another || task.tries < TRIES_MAX => {
                task.pause(now);
                None
            }
            Err(error) => task.fail(now, &format!("the target cannot be read: {error}"), true),
        };
        output.into_iter().collect()
    }

    pub(super) fn carried_out(
        &mut self,
        now: TimeMs,
        key: StepKey,
        effect: Result<Effect, ProviderError>,
    ) -> Vec<Output> {
        let Some(task) = self.task(key).filter(|task| task.phase == Phase::Applying) else {
            return Vec::new();
        };
        let output = match effect {
            Ok(Effect::New(evidence) | Effect::Same(evidence)) => task.end(StepOutcome::Done, evidence),
            Err(ProviderError::Unknown(_)) => {
                task.is_in_doubt = true;
                task.pause(now);
                None
            }
            Err(ProviderError::Retry(_)) if task.tries < TRIES_MAX => {
                task.pause(now);
                None
            }
            Err(ProviderError::Retry(reason)) => task.fail(now, &reason, true),
            Err(ProviderError::Refused(reason)) => task.fail(now, &reason, false),
            Err(error @ ProviderError::Drift { .. }) => task.fail(now, &format!("drift: {error}"), false),
            Err(ProviderError::Fenced { .. }) => {
                self.leave_to_the_newer(now, key);
                None
            }
        };
        output.into_iter().collect()
    }

    /// Somebody holds a newer claim; the ledger says who.
    fn leave_to_the_newer(&mut self, now: TimeMs, key: StepKey) {
        self.drop_task(key);
        self.paused.insert(Settled::Step(key), now.after(REFUSED_PAUSE));
    }

    pub(super) fn reported(&mut self, now: TimeMs, key: StepKey, answer: Settlement<()>) -> Vec<Output> {
        self.drop_task(key);
        self.settle(now, Settled::Step(key), answer);
        Vec::new()
    }

    /// Remembers what was settled until the view shows it, and leaves alone for a while what was not.
    pub(super) fn settle(&mut self, now: TimeMs, what: Settled, answer: Settlement<()>) {
        match answer {
            Settlement::Final(height, ()) => {
                let shown = self.view.as_ref().is_some_and(|view| view.state.height() >= height);
                if !shown {
                    self.settled.insert(what, height);
                }
            }
            Settlement::Open => drop(self.paused.insert(what, now.after(REFUSED_PAUSE))),
        }
    }

    /// Reads again for the steps whose pause is over: after a failed or unknown call the target is looked at first.
    pub(super) fn continue_paused(&mut self, now: TimeMs) -> Vec<Output> {
        let mut outputs = Vec::new();
        let mut next: Option<TimeMs> = None;
        for task in self.tasks.values_mut() {
            match task.phase {
                Phase::Paused(until) if until <= now => outputs.push(task.look_again(now)),
                Phase::Paused(until) => next = [next, Some(until)].into_iter().flatten().min(),
                _ => {}
            }
        }
        self.wake_by(next);
        outputs
    }
}
