//! Owns the plan runner: which orders of the ledger this node takes, and what follows from each answer. It is a
//! step function without I/O: [`ExecutorState::step`] takes what happened and yields what is to be done.
//!
//! ```text
//! order ─► Claiming ─► Reading ─► Applying ─► Reporting ─► settled
//!                        ▲  ▲        │  │        ▲
//!                        │  └ paused ┘  └ unknown: read the target first
//!                        │                       └ what was reported before under the claim that is still held
//!                        └ after a restart, under the claim that is still held
//! ```
//!
//! A target is acted on by one step at a time; several targets run side by side up to a bound. Nothing is chosen
//! here: action, precondition and undo come from the plan.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use althing_contracts::{
    document::Action,
    name::{MemberId, Name, OrgId, TargetId},
    proposal::{Order, Proposal, StepClaim, Work},
    quantity::{DurationMs, Fence, Height, TimeMs},
    state::State,
    transaction::{HealthReport, ProposalId, StepOutcome},
};

use super::journal::{LastTries, LastTry, StepKey};
use crate::{
    ledger::message::LedgerView,
    port::{Effect, Evidence, ProviderError, ProviderOrder, TargetContext},
};

mod judge;
mod run;

use judge::Judgement;
pub use judge::{JudgeKey, Probe};
pub use run::Grant;
use run::StepTask;

/// Tries of an order that the provider says may work later, before the step fails.
pub const TRIES_MAX: u32 = 5;
/// First pause before another try; doubles with each.
const PAUSE_FIRST: DurationMs = DurationMs::new(100);
/// Longest pause before another try.
const PAUSE_MAX: DurationMs = DurationMs::new(10_000);
/// Pause after a claim, receipt or attestation that the ledger did not take.
const REFUSED_PAUSE: DurationMs = DurationMs::new(500);

/// What the executor is and may do.
#[derive(Debug, Clone)]
pub struct ExecutorConfig {
    /// The organisation whose targets it acts on.
    pub org: OrgId,
    /// The executors whose keys this node holds.
    pub members: BTreeSet<MemberId>,
    /// Providers that this node has.
    pub providers: BTreeSet<Name>,
    /// Targets that are acted on side by side.
    pub parallel_max: usize,
}

/// The plan runner.
#[derive(Debug, Clone)]
pub struct ExecutorState {
    config: ExecutorConfig,
    view: Option<Arc<LedgerView>>,
    tasks: BTreeMap<TargetId, StepTask>,
    judgements: BTreeMap<JudgeKey, Judgement>,
    /// The last try of each step that may come again, in this life or an earlier one.
    tries: LastTries,
    /// What was settled at a height that the view has not reached.
    settled: BTreeMap<Settled, Height>,
    /// What was refused lately and until when it is left alone.
    paused: BTreeMap<Settled, TimeMs>,
    wake: Option<TimeMs>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Settled {
    Step(StepKey),
    Judge(JudgeKey),
}

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// The ledger moved on.
    View(Arc<LedgerView>),
    /// [`ExecutorState::wake_at`] has come.
    Tick,
    /// The answer to [`Output::Claim`].
    Claimed {
        /// Which step.
        key: StepKey,
        /// What was granted; `None` when the claim was already held.
        answer: Settlement<Option<Grant>>,
    },
    /// The answer to [`Output::Read`].
    Read {
        /// Which step.
        key: StepKey,
        /// What is applied.
        found: Result<Option<Action>, ProviderError>,
    },
    /// The answer to [`Output::CarryOut`].
    CarriedOut {
        /// Which step.
        key: StepKey,
        /// What it did.
        effect: Result<Effect, ProviderError>,
    },
    /// The answer to [`Output::Report`].
    Reported {
        /// Which step.
        key: StepKey,
        /// When it was taken.
        answer: Settlement<()>,
    },
    /// The answer to [`Output::Probe`].
    Probed {
        /// Which judgement.
        key: JudgeKey,
        /// What was measured.
        health: HealthReport,
    },
    /// The answer to [`Output::Attest`].
    Attested {
        /// Which judgement.
        key: JudgeKey,
        /// When it was taken.
        answer: Settlement<()>,
    },
}

/// What the ledger did with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settlement<T> {
    /// It is final.
    Final(Height, T),
    /// It was refused, or its outcome is not known: look at the ledger again.
    Open,
}

/// What is to be done; each is answered by one [`Input`].
#[derive(Debug)]
pub enum Output {
    /// Take a step.
    Claim {
        /// Which step.
        key: StepKey,
        /// By whom.
        member: MemberId,
    },
    /// Read a target.
    Read {
        /// Which step.
        key: StepKey,
        /// Which provider.
        provider: Name,
        /// Where.
        target: TargetContext,
        /// What.
        resource: Name,
        /// The fence of the claim, below which no order takes effect after the answer.
        fence: Fence,
    },
    /// Record the intent, then call the provider.
    CarryOut {
        /// Which step.
        key: StepKey,
        /// Which provider.
        provider: Name,
        /// What.
        order: Box<ProviderOrder>,
        /// How long ago the step's order was first seen.
        since_due: DurationMs,
    },
    /// Record the outcome, then report it.
    Report {
        /// Which step.
        key: StepKey,
        /// By whom.
        member: MemberId,
        /// Under which fence.
        fence: Fence,
        /// What happened.
        outcome: StepOutcome,
        /// What shows it.
        evidence: Evidence,
    },
    /// Probe a target.
    Probe {
        /// Which judgement.
        key: JudgeKey,
        /// Where and what.
        probe: Box<judge::Probe>,
    },
    /// Attest what was measured.
    Attest {
        /// By whom.
        member: MemberId,
        /// Which judgement.
        key: JudgeKey,
        /// What was measured.
        health: HealthReport,
    },
}

impl Output {
    /// The proposal that it serves.
    pub const fn proposal(&self) -> ProposalId {
        match self {
            Self::Claim { key, .. }
            | Self::Read { key, .. }
            | Self::CarryOut { key, .. }
            | Self::Report { key, .. } => key.proposal,
            Self::Probe { key, .. } | Self::Attest { key, .. } => key.proposal,
        }
    }
}

impl ExecutorState {
    /// A plan runner that knows what an earlier life tried last.
    pub const fn new(config: ExecutorConfig, tries: LastTries) -> Self {
        Self {
            config,
            view: None,
            tasks: BTreeMap::new(),
            judgements: BTreeMap::new(),
            tries,
            settled: BTreeMap::new(),
            paused: BTreeMap::new(),
            wake: None,
        }
    }

    /// Takes what happened and yields what is to be done.
    pub fn step(&mut self, now: TimeMs, input: Input) -> Vec<Output> {
        let mut outputs = match input {
            Input::View(view) => {
                self.settled.retain(|_, height| *height > view.state.height());
                // Nothing is done any more for what has ended; a call that is still on its way has the last fence.
                let goes_on = |key: &StepKey| view.state.proposal(key.proposal).is_none_or(Proposal::is_open);
                self.tasks.retain(|_, task| goes_on(&task.key));
                self.tries.retain(|key, _| goes_on(key));
                self.view = Some(view);
                Vec::new()
            }
            Input::Tick => Vec::new(),
            Input::Claimed { key, answer } => self.claimed(now, key, answer),
            Input::Read { key, found } => self.read(now, key, found),
            Input::CarriedOut { key, effect } => self.carried_out(now, key, effect),
            Input::Reported { key, answer } => self.reported(now, key, answer),
            Input::Probed { key, health } => self.probed(&key, health),
            Input::Attested { key, answer } => self.attested(now, key, answer),
        };
        outputs.extend(self.look(now));
        for output in &outputs {
            self.remember(output);
        }
        outputs
    }

    /// When [`Input::Tick`] is due.
    pub const fn wake_at(&self) -> Option<TimeMs> {
        self.wake
    }

    /// What decides its next outputs besides the last view: two runners that print alike act alike.
    pub fn standing(&self) -> impl std::fmt::Debug + '_ {
        let tasks: Vec<_> = self.tasks.values().map(StepTask::standing).collect();
        (tasks, &self.judgements, &self.tries, &self.settled, &self.paused, self.wake)
    }

    /// What its journal holds: all that a next life knows.
    pub const fn last_tries(&self) -> &LastTries {
        &self.tries
    }

    /// Steps that are being carried out.
    pub fn running(&self) -> impl Iterator<Item = (&TargetId, StepKey)> {
        self.tasks.iter().map(|(target, task)| (target, task.key))
    }

    /// Looks for work in the last view: orders to take, pauses that are over.
    fn look(&mut self, now: TimeMs) -> Vec<Output> {
        self.wake = None;
        self.paused.retain(|_, until| *until > now);
        let Some(view) = self.view.clone() else { return Vec::new() };
        let mut outputs = self.continue_paused(now);
        for order in view.state.orders() {
            outputs.extend(self.consider(now, &view.state, &order));
        }
        let paused = self.paused.values().copied().min();
        self.wake_by(paused);
        outputs
    }

    fn consider(&mut self, now: TimeMs, state: &State, order: &Order) -> Option<Output> {
        match &order.work {
            Work::Step { step, undo, claim } => {
                let key = StepKey { proposal: order.proposal, step: *step, undo: *undo };
                self.consider_step(now, state, key, claim.as_ref())
            }
            Work::Judge { stage, step, attested } => {
                let key = JudgeKey { proposal: order.proposal, stage: *stage, step: *step };
                self.consider_judgement(now, state, key, attested)
            }
        }
    }

    fn consider_step(
        &mut self,
        now: TimeMs,
        state: &State,
        key: StepKey,
        claim: Option<&StepClaim>,
    ) -> Option<Output> {
        let proposal = state.proposal(key.proposal)?;
        let planned = proposal.plan.steps.get(usize::from(key.step))?;
        let record = &state.target(&planned.target)?.record;
        let mine = planned.owner == self.config.org && self.config.providers.contains(&record.provider);
        if !mine || self.tasks.contains_key(&planned.target) || self.is_left_alone(&Settled::Step(key)) {
            return None;
        }
        let member = self.free_member(state, |member| record.executors.contains(member))?.clone();
        let held = claim.filter(|claim| claim.until > now);
        if held.is_some_and(|held| state.hold_on_executor(&held.executor).is_some()) {
            return None;
        }
        if let Some(held) = held.filter(|held| !self.config.members.contains(&held.executor)) {
            // Another node of the organisation holds it; its lease may run out without any block.
            self.wake_by(Some(held.until));
            return None;
        }
        if self.tasks.len() >= self.config.parallel_max {
            return None;
        }
        let target = TargetContext { id: planned.target.clone(), record: record.clone() };
        let mut task = StepTask::new(key, member, target, planned, now);
        let output = match held {
            Some(held) => {
                let claim = Grant::of(proposal, key, held.fence, held.until);
                task.hold_as(&held.executor, claim, self.tries.get(&key))
            }
            None => task.take(),
        };
        self.tasks.insert(planned.target.clone(), task);
        Some(output)
    }

    /// A member of this node whose key an emergency does not suspend.
    fn free_member(&self, state: &State, fits: impl Fn(&MemberId) -> bool) -> Option<&MemberId> {
        self.config.members.iter().find(|member| fits(member) && state.hold_on_executor(member).is_none())
    }

    /// Keeps the last try of a step, as the journal does.
    fn remember(&mut self, output: &Output) {
        let (key, last) = match output {
            Output::CarryOut { key, order, .. } => (*key, LastTry::Called { fence: order.fence }),
            Output::Report { key, fence, outcome, evidence, .. } => {
                let (outcome, evidence) = (outcome.clone(), evidence.clone());
                (*key, LastTry::Reported { fence: *fence, outcome, evidence })
            }
            _ => return,
        };
        self.tries.insert(key, last);
    }

    fn is_left_alone(&self, what: &Settled) -> bool {
        self.settled.contains_key(what) || self.paused.contains_key(what)
    }

    fn wake_by(&mut self, at: Option<TimeMs>) {
        self.wake = [self.wake, at].into_iter().flatten().min();
    }

    fn task(&mut self, key: StepKey) -> Option<&mut StepTask> {
        self.tasks.values_mut().find(|task| task.key == key)
    }

    fn drop_task(&mut self, key: StepKey) {
        self.tasks.retain(|_, task| task.key != key);
    }
}

/// The pause before try number `tries`.
fn pause(tries: u32) -> DurationMs {
    let doublings = tries.saturating_sub(1).min(16);
    DurationMs::new((PAUSE_FIRST.get() << doublings).min(PAUSE_MAX.get()))
}

#[cfg(test)]
mod tests;
