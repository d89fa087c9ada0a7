//! Owns one executor of the model: the real plan runner, the answers that it waits for, and its intent journal.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
};

use althing_actors::{
    executor::{
        journal::{LastTries, StepKey},
        state::{ExecutorConfig, ExecutorState, Input, JudgeKey, Output},
    },
    ledger::message::LedgerView,
    port::ProviderOrder,
};
use althing_contracts::{
    name::MemberId,
    quantity::{Fence, Height, TimeMs},
    state::State,
    testing::healthy,
    transaction::{Call, HealthReport, StepOutcome},
};

/// One executor: its memory, which a crash takes, and its journal, which stays.
#[derive(Clone)]
pub(super) struct Runner {
    pub(super) member: &'static str,
    state: ExecutorState,
    /// Digest of everything that decides what it does next.
    standing: u64,
    pub(super) waiting: Vec<Waiting>,
    pub(super) wake: Option<TimeMs>,
}

/// An answer that the runner waits for.
#[derive(Debug, Clone)]
pub(super) enum Waiting {
    Claim(StepKey, MemberId),
    Read(StepKey, Fence),
    CarryOut(StepKey, Arc<ProviderOrder>),
    Report(StepKey, MemberId, Fence, StepOutcome),
    Attest(MemberId, JudgeKey, HealthReport),
}

impl Runner {
    pub(super) fn new(member: &'static str, config: ExecutorConfig) -> Self {
        let state = ExecutorState::new(config, LastTries::new());
        let mut runner = Self { member, state, standing: 0, waiting: Vec::new(), wake: None };
        runner.digest(0);
        runner
    }

    /// Shows the runner the ledger.
    pub(super) fn look(&mut self, now: TimeMs, state: &State) {
        self.feed(now, Input::View(Arc::new(view(state))));
    }

    /// Starts again from the journal; what was asked of others is on its way all the same.
    pub(super) fn crash(&mut self, config: ExecutorConfig) {
        self.state = ExecutorState::new(config, self.state.last_tries().clone());
        self.waiting.clear();
        self.wake = None;
        self.digest(0);
    }

    /// Gives the runner an answer or an instant, and keeps what it asks for.
    pub(super) fn feed(&mut self, now: TimeMs, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            for output in self.state.step(now, input) {
                match output {
                    // The own organisation finds its target well at once; the other one may find it ill.
                    Output::Probe { key, .. } => inputs.push(Input::Probed { key, health: healthy() }),
                    output => self.keep(output),
                }
            }
        }
        self.wake = self.state.wake_at();
        self.digest(1);
    }

    /// Keeps what waits for an answer.
    fn keep(&mut self, output: Output) {
        let waiting = match output {
            Output::Claim { key, member } => Waiting::Claim(key, member),
            Output::Read { key, fence, .. } => Waiting::Read(key, fence),
            Output::CarryOut { key, order, .. } => Waiting::CarryOut(key, Arc::from(order)),
            Output::Report { key, member, fence, outcome, .. } => {
                Waiting::Report(key, member, fence, outcome)
            }
            Output::Probe { .. } => return,
            Output::Attest { member, key, health } => Waiting::Attest(member, key, health),
        };
        self.waiting.push(waiting);
    }

    fn digest(&mut self, life: u8) {
        let mut hasher = DefaultHasher::new();
        life.hash(&mut hasher);
        format!("{:?} {:?}", self.state.standing(), self.waiting).hash(&mut hasher);
        self.standing = hasher.finish();
    }
}

impl Hash for Runner {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.standing.hash(hasher);
    }
}

impl PartialEq for Runner {
    fn eq(&self, other: &Self) -> bool {
        self.standing == other.standing
    }
}

impl std::fmt::Debug for Runner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let words = self.waiting.iter().map(|waiting| match waiting {
            Waiting::Claim(key, _) => format!("claim {key}"),
            Waiting::Read(key, fence) => format!("read for {key} under {fence}"),
            Waiting::CarryOut(key, order) => format!("carry out {key} under {}", order.fence),
            Waiting::Report(key, _, fence, outcome) => format!("report {key} under {fence}: {outcome:?}"),
            Waiting::Attest(..) => "attest".to_owned(),
        });
        let words: Vec<String> = words.collect();
        write!(f, "{} waits for {words:?}", self.member)
    }
}

impl Waiting {
    /// What it asks of the ledger.
    pub(super) fn call(&self) -> Option<(&MemberId, Call)> {
        match self {
            Self::Claim(key, member) => {
                Some((member, Call::Claim { proposal: key.proposal, step: key.step }))
            }
            Self::Report(key, member, fence, outcome) => {
                let evidence = althing_contracts::digest::Digest::ZERO;
                let (proposal, step, fence, outcome) = (key.proposal, key.step, *fence, outcome.clone());
                Some((member, Call::Receipt { proposal, step, fence, outcome, evidence }))
            }
            Self::Attest(member, key, health) => {
                let JudgeKey { proposal, stage, step } = *key;
                Some((member, Call::AttestHealth { proposal, stage, step, health: health.clone() }))
            }
            Self::Read(..) | Self::CarryOut(..) => None,
        }
    }
}

fn view(state: &State) -> LedgerView {
    LedgerView {
        network: state.network(),
        state: state.clone(),
        header: None,
        certificate: None,
        highest_seen: Height::ZERO,
        round: 0,
        clock_offset_ms: None,
    }
}
