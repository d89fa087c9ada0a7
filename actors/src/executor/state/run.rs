//! Owns one step on its way from the claim to the receipt.

use althing_contracts::{
    document::Action,
    name::{Line, MemberId},
    plan::PlannedStep,
    quantity::{Fence, TimeMs},
    transaction::StepOutcome,
};

use super::{ExecutorState, Output, REFUSED_PAUSE, Settled, Settlement, StepKey, TRIES_MAX, pause};
use crate::port::{Effect, Evidence, ProviderError, ProviderOrder, TargetContext};

/// A step that this node carries out.
#[derive(Debug, Clone)]
pub(super) struct StepTask {
    pub(super) key: StepKey,
    member: MemberId,
    target: TargetContext,
    action: Action,
    expect: Option<Action>,
    claim: Option<(Fence, TimeMs)>,
    phase: Phase,
    /// Whether a call under this claim has an outcome that nobody knows: it may still be on its way, so nobody may say that
    /// nothing took effect. Only a higher fence keeps it out.
    is_in_doubt: bool,
    /// Whether the provider was called in this life.
    has_called: bool,
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
            has_called: false,
            tries: 0,
            seen: now,
        }
    }

    /// What decides its next output; the rest follows from the plan, or is measured only.
    pub(super) fn standing(&self) -> impl std::fmt::Debug + '_ {
        (self.key, &self.member, self.claim, self.phase, self.tries)
    }

    /// Claims the step, or goes on under a claim that this node's member still holds.
    pub(super) fn begin(&mut self, held: Option<(MemberId, Fence, TimeMs)>) -> Output {
        match held {
            Some((member, fence, until)) => {
                self.member = member;
                self.claim = Some((fence, until));
                self.read(fence)
            }
            None => self.take(),
        }
    }

    fn take(&mut self) -> Output {
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

    /// Reads again, or claims first when no claim was ever given.
    fn look_again(&mut self) -> Output {
        match self.claim {
            Some((fence, _)) => self.read(fence),
            None => self.take(),
        }
    }

    /// Calls the provider under the claim, or claims again when the lease has run out.
    fn carry_out(&mut self, now: TimeMs) -> Output {
        let Some((fence, until)) = self.claim.filter(|(_, until)| *until > now) else { return self.take() };
        self.phase = Phase::Applying;
        self.has_called = true;
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

    fn report(&mut self, outcome: StepOutcome, evidence: Evidence) -> Option<Output> {
        let (fence, _) = self.claim?;
        self.phase = Phase::Reporting;
        Some(Output::Report { key: self.key, member: self.member.clone(), fence, outcome, evidence })
    }

    fn fail(&mut self, reason: &str, retryable: bool) -> Option<Output> {
        let facts = [("failed".to_owned(), reason.to_owned())].into();
        let outcome = StepOutcome::Failed { reason: Line::shortened(reason), retryable };
        self.report(outcome, Evidence { facts })
    }

    fn done_as_read(&mut self) -> Option<Output> {
        let facts =
            [("resolved".to_owned(), "read from the target after an unknown outcome".to_owned())].into();
        self.report(StepOutcome::Done, Evidence { facts })
    }
}

impl ExecutorState {
    pub(super) fn claimed(
        &mut self,
        now: TimeMs,
        key: StepKey,
        answer: Settlement<Option<(Fence, TimeMs)>>,
    ) -> Vec<Output> {
        let held = self.held_claim(key);
        let Some(task) = self.task(key).filter(|task| task.phase == Phase::Claiming) else {
            return Vec::new();
        };
        let claim = match answer {
            Settlement::Final(_, Some(granted)) => Some(granted),
            // The claim was held before: the view says under which fence, if it has come so far.
            Settlement::Final(_, None) => held,
            Settlement::Open => None,
        };
        task.claim = claim;
        task.is_in_doubt = false;
        if let Some((fence, _)) = claim {
            return vec![task.read(fence)];
        }
        self.drop_task(key);
        self.paused.insert(Settled::Step(key), now.after(REFUSED_PAUSE));
        Vec::new()
    }

    fn held_claim(&self, key: StepKey) -> Option<(Fence, TimeMs)> {
        let proposal = self.view.as_ref()?.state.proposal(key.proposal)?;
        let claim = proposal.execution.steps.get(usize::from(key.step))?.claim.as_ref()?;
        let mine = claim.undo == key.undo && self.config.members.contains(&claim.executor);
        mine.then_some((claim.fence, claim.until))
    }

    pub(super) fn read(
        &mut self,
        now: TimeMs,
        key: StepKey,
        found: Result<Option<Action>, ProviderError>,
    ) -> Vec<Output> {
        let called = self.intents.contains(&key);
        let Some(task) = self.task(key).filter(|task| task.phase == Phase::Reading) else {
            return Vec::new();
        };
        // An earlier life called under a claim that may be this one.
        task.is_in_doubt |= called && !task.has_called;
        let output = match found {
            Ok(found) => {
                let found = standing(found.as_ref());
                let wanted = standing(Some(&task.action));
                if called && found == wanted {
                    task.done_as_read()
                } else if found == standing(task.expect.as_ref()) || found == wanted {
                    Some(task.carry_out(now))
                } else {
                    task.fail("drift: the target is neither as the plan expects nor as it wants", false)
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
            Err(error @ ProviderError::Drift { .. }) => task.fail(&format!("drift: {error}"), false),
            // Once the provider was called its effect is unknown until the target can be read.
            Err(_) if called || task.tries < TRIES_MAX => {
                task.pause(now);
                None
            }
            Err(error) => task.fail(&format!("the target cannot be read: {error}"), true),
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
            Ok(Effect::New(evidence) | Effect::Same(evidence)) => task.report(StepOutcome::Done, evidence),
            Err(ProviderError::Unknown(_)) => {
                task.is_in_doubt = true;
                task.pause(now);
                None
            }
            Err(ProviderError::Retry(_) | ProviderError::Refused(_)) if task.is_in_doubt => {
                task.pause(now);
                None
            }
            Err(ProviderError::Retry(_)) if task.tries < TRIES_MAX => {
                task.pause(now);
                None
            }
            Err(ProviderError::Retry(reason)) => task.fail(&reason, true),
            Err(ProviderError::Refused(reason)) => task.fail(&reason, false),
            Err(error @ ProviderError::Drift { .. }) => task.fail(&format!("drift: {error}"), false),
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
                Phase::Paused(until) if until <= now => outputs.push(task.look_again()),
                Phase::Paused(until) => next = [next, Some(until)].into_iter().flatten().min(),
                _ => {}
            }
        }
        self.wake_by(next);
        outputs
    }
}

/// An action as what it leaves behind: a removal leaves nothing.
fn standing(action: Option<&Action>) -> Option<&Action> {
    action.filter(|action| !matches!(action, Action::Remove { .. }))
}
