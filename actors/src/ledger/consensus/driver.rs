//! Owns the consensus core of a validator: feeds it, and turns its effects into log entries, messages and timers.
//! Refuses to sign twice, and to go on after the log failed.
//!
//! The core (Tendermint: Buchman, Kwon, Milosevic 2018) is synchronous here: [`Driver::feed`] returns what has to
//! happen, and nothing of that may leave the process before the log is synced.

use std::collections::BTreeSet;

use althing_contracts::{
    certificate::{Certificate, Roster},
    digest::Digest,
    quantity::{Height, Round},
};
use malachite_core::{Input, LocallyProposedValue, Params, ProposedValue, State, ThresholdParams, process};
use malachite_types::{Timeout, Validity, ValueOrigin, ValuePayload, VoteExtensionPolicy};

use super::{
    context::{
        CoreAddress, CoreHeight, CoreRoster, CoreValue, LedgerContext, core_proposal, core_round, core_vote,
        round_of,
    },
    convert::{core_polka_certificate, core_round_certificate, core_timeout},
    effects::Effects,
    entry::{ConsensusEntry, JudgedBlock, LoggedInput},
    guard::DoubleSign,
    key::ConsensusKey,
    timeouts::ConsensusTimeouts,
    verdicts::Verdicts,
};
use crate::{
    failpoint,
    ledger::{
        log::LogError,
        wire::{Message, PolkaCertificate, RoundCertificate, SignedProposal, SignedVote},
    },
};

/// Heights that the core may buffer by itself; it is never fed any but its own, so the least will do.
const CORE_QUEUE_MAX: usize = 1;

/// Where the core's entries are logged.
pub trait EntryLog {
    /// Appends an entry; it need not be durable before the step ends.
    ///
    /// # Errors
    /// The disk refused; the process has to stop.
    fn append_entry(&mut self, entry: &ConsensusEntry) -> Result<(), LogError>;
}

/// What the core is told. All of it was checked: signatures, roster, height.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DriverInput {
    /// A vote of the current height.
    Vote(SignedVote),
    /// A proposal of the current height.
    Proposal(SignedProposal),
    /// A polka certificate of the current height.
    PolkaCertificate(PolkaCertificate),
    /// A round certificate of the current height.
    RoundCertificate(RoundCertificate),
    /// A block of the current height was judged; its bytes are in the log.
    Judged(JudgedBlock),
    /// The block that [`Act::NeedBlock`] asked for; its bytes are in the log.
    Propose {
        /// The round it was asked for.
        round: Round,
        /// The block.
        block: Digest,
    },
}

/// What has to happen after the log is synced, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Act {
    /// Send to every other validator.
    Broadcast(Message),
    /// Send to every other validator again: this one has been waiting.
    Rebroadcast(Message),
    /// Send the bytes of a block again, for a round.
    Restream {
        /// The round it is proposed in this time.
        round: Round,
        /// The block.
        block: Digest,
    },
    /// This validator is to propose.
    NeedBlock {
        /// The height of the block.
        height: Height,
        /// The round to propose in.
        round: Round,
    },
    /// A round begins.
    RoundStarted {
        /// Which.
        round: Round,
    },
    /// A block is final.
    Decided(Certificate),
}

/// Why a validator has to stop.
#[derive(Debug, thiserror::Error)]
pub enum DriverFault {
    /// The log did not take an entry.
    #[error("the log does not take consensus entries")]
    Log(#[source] LogError),
    /// The validator would have contradicted itself.
    #[error("this validator was about to sign twice; is another process running with the same key?")]
    DoubleSign(#[from] DoubleSign),
    /// The core refused an input that it took before the crash.
    #[error("the consensus entries of height {height} cannot be replayed: {reason}")]
    Replay {
        /// Which height.
        height: Height,
        /// The core's words.
        reason: String,
    },
}

/// What a driver needs to know once.
#[derive(Debug, Clone)]
pub struct DriverConfig {
    /// The network that signatures are bound to.
    pub network: Digest,
    /// This validator's key.
    pub key: ConsensusKey,
    /// Time limits.
    pub timeouts: ConsensusTimeouts,
    /// Signatures that were verified at the network's edge, and all that are.
    pub verdicts: Verdicts,
}

/// The consensus core of one validator.
pub struct Driver {
    core: State<LedgerContext>,
    effects: Effects,
    anomalies: u64,
    decided: bool,
}

impl Driver {
    /// A core that waits for [`Self::start`].
    #[must_use]
    pub fn new(config: DriverConfig, roster: &Roster) -> Self {
        let params = Params {
            address: CoreAddress(config.key.public()),
            threshold_params: ThresholdParams::default(),
            value_payload: ValuePayload::ProposalAndParts,
            enabled: true,
        };
        let core = State::new(
            LedgerContext,
            CoreHeight(Height::ZERO),
            CoreRoster::new(roster),
            params,
            CORE_QUEUE_MAX,
            CORE_QUEUE_MAX,
        );
        Self { core, effects: Effects::new(config), anomalies: 0, decided: true }
    }

    /// Starts a height, and replays what the log holds of it in the order in which it was appended.
    ///
    /// # Errors
    /// The log failed, contradicts itself, or cannot be replayed.
    pub fn start(
        &mut self,
        now_us: u64,
        height: Height,
        roster: &Roster,
        recovered: &[LoggedInput],
        log: &mut dyn EntryLog,
    ) -> Result<Vec<Act>, DriverFault> {
        self.decided = false;
        self.effects.enter(height);
        let own = self.effects.public();
        for input in recovered.iter().filter(|input| input.author() == Some(own)) {
            self.effects.guard.recover(input)?;
        }
        let entries = recovered.iter().map(|input| ConsensusEntry::V1 { height, input: input.clone() });
        self.effects.replayed = entries.map(|entry| entry.encode()).collect();
        let start = Input::StartHeight(
            CoreHeight(height),
            CoreRoster::new(roster),
            false,
            None,
            VoteExtensionPolicy::Disabled,
        );
        let started = self.process(now_us, start, log);
        self.check_replay(height, started)?;
        if !recovered.is_empty() {
            self.replay(now_us, height, recovered, log)?;
            failpoint::reach("consensus.replayed");
        }
        self.effects.replayed = BTreeSet::new();
        Ok(self.take_acts())
    }

    /// Feeds one input of the current height.
    ///
    /// # Errors
    /// The log failed, or the guard refused a signature: nothing may be sent and the process has to stop.
    pub fn feed(
        &mut self,
        now_us: u64,
        input: DriverInput,
        log: &mut dyn EntryLog,
    ) -> Result<Vec<Act>, DriverFault> {
        let input = self.core_input(input);
        self.feed_core(now_us, input, log)?;
        Ok(self.take_acts())
    }

    /// Feeds the timeouts that are due.
    ///
    /// # Errors
    /// As [`Self::feed`].
    pub fn elapse(&mut self, now_us: u64, log: &mut dyn EntryLog) -> Result<Vec<Act>, DriverFault> {
        while let Some(timeout) = self.effects.timers.take_due(now_us) {
            self.feed_core(now_us, Input::TimeoutElapsed(timeout), log)?;
        }
        Ok(self.take_acts())
    }

    /// When [`Self::elapse`] has to be called.
    #[must_use]
    pub fn next_due_us(&self) -> Option<u64> {
        self.effects.timers.next_due_us()
    }

    /// Lets the rebroadcast happen at once: a peer came back that may have missed everything.
    pub fn hasten_rebroadcast(&mut self, now_us: u64) {
        self.effects.timers.hasten_rebroadcast(now_us);
    }

    /// The height that is being decided, or was decided last.
    #[must_use]
    pub fn height(&self) -> Height {
        self.core.height().0
    }

    /// The current round.
    #[must_use]
    pub fn round(&self) -> Round {
        round_of(self.core.round()).unwrap_or(Round::ZERO)
    }

    /// Whether the current height is decided and the next one may start.
    #[must_use]
    pub const fn is_decided(&self) -> bool {
        self.decided
    }

    /// Whether this validator still has to propose in `round`.
    #[must_use]
    pub fn awaits_block(&self, round: Round) -> bool {
        !self.decided
            && self.round() == round
            && self.core.driver.step_is_propose()
            && !self.effects.guard.has_proposed(round)
    }

    /// Inputs that the core answered with an error; a defect, counted and survived.
    #[must_use]
    pub const fn anomalies(&self) -> u64 {
        self.anomalies
    }

    /// Ends the current height because its block arrived with a certificate.
    pub fn abandon(&mut self) {
        self.decided = true;
        self.effects.timers.clear();
    }

    fn replay(
        &mut self,
        now_us: u64,
        height: Height,
        recovered: &[LoggedInput],
        log: &mut dyn EntryLog,
    ) -> Result<(), DriverFault> {
        let inputs: Vec<Input<LedgerContext>> = recovered.iter().map(logged_input).collect();
        self.core.record_recovered_own_precommit_extensions(inputs.iter());
        self.core.index_wal_entries(inputs.iter());
        for input in inputs {
            let fed = self.process(now_us, input, log);
            self.check_replay(height, fed)?;
        }
        self.core.reset_entries_index();
        Ok(())
    }

    fn check_replay(&mut self, height: Height, fed: Result<(), String>) -> Result<(), DriverFault> {
        self.check_fault()?;
        fed.map_err(|reason| DriverFault::Replay { height, reason })
    }

    fn feed_core(
        &mut self,
        now_us: u64,
        input: Input<LedgerContext>,
        log: &mut dyn EntryLog,
    ) -> Result<(), DriverFault> {
        if self.decided {
            return Ok(());
        }
        let fed = self.process(now_us, input, log);
        self.check_fault()?;
        if let Err(reason) = fed {
            self.anomalies = self.anomalies.saturating_add(1);
            tracing::error!(height = %self.height(), reason, "the consensus core refused an input");
        }
        Ok(())
    }

    fn process(
        &mut self,
        now_us: u64,
        input: Input<LedgerContext>,
        log: &mut dyn EntryLog,
    ) -> Result<(), String> {
        let (core, effects) = (&mut self.core, &mut self.effects);
        let processed: Result<(), malachite_core::Error<LedgerContext>> = process!(
            input: input,
            state: core,
            metrics: &(),
            with: effect => effects.handle(now_us, effect, log)
        );
        if self.effects.take_decided() {
            self.decided = true;
            self.effects.timers.clear();
        }
        processed.map_err(|error| error.to_string())
    }

    fn check_fault(&mut self) -> Result<(), DriverFault> {
        self.effects.fault.take().map_or(Ok(()), Err)
    }

    fn take_acts(&mut self) -> Vec<Act> {
        let mut acts = std::mem::take(&mut self.effects.acts);
        let (height, round) = (self.height(), self.round());
        // A block that replay or a later round made unnecessary is not asked for.
        let stale = |act: &Act| {
            matches!(act, Act::NeedBlock { height: at, round: wanted }
                if *at != height || *wanted != round || !self.awaits_block(*wanted))
        };
        acts.retain(|act| !stale(act));
        acts
    }

    fn core_input(&self, input: DriverInput) -> Input<LedgerContext> {
        match input {
            DriverInput::Vote(vote) => Input::Vote(core_vote(&vote)),
            DriverInput::Proposal(proposal) => Input::Proposal(core_proposal(&proposal)),
            DriverInput::PolkaCertificate(polka) => Input::PolkaCertificate(core_polka_certificate(&polka)),
            DriverInput::RoundCertificate(round) => Input::RoundCertificate(core_round_certificate(&round)),
            DriverInput::Judged(judged) => judged_input(&judged),
            DriverInput::Propose { round, block } => Input::Propose(LocallyProposedValue::new(
                self.core.height(),
                core_round(round),
                CoreValue(block),
            )),
        }
    }
}

fn logged_input(input: &LoggedInput) -> Input<LedgerContext> {
    match input {
        LoggedInput::Vote(vote) => Input::Vote(core_vote(vote)),
        LoggedInput::Proposal(proposal) => Input::Proposal(core_proposal(proposal)),
        LoggedInput::Timeout { step, round } => {
            Input::TimeoutElapsed(Timeout::new(core_round(*round), core_timeout(*step)))
        }
        LoggedInput::Judged(judged) => judged_input(judged),
        LoggedInput::PolkaCertificate(polka) => Input::PolkaCertificate(core_polka_certificate(polka)),
    }
}

fn judged_input(judged: &JudgedBlock) -> Input<LedgerContext> {
    let value = ProposedValue {
        height: CoreHeight(judged.height),
        round: core_round(judged.round),
        valid_round: malachite_types::Round::Nil,
        proposer: CoreAddress(judged.proposer),
        value: CoreValue(judged.block),
        validity: Validity::from_bool(judged.valid),
    };
    Input::ProposedValue(value, ValueOrigin::Consensus)
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver")
            .field("height", &self.height())
            .field("round", &self.round())
            .field("decided", &self.decided)
            .finish_non_exhaustive()
    }
}
