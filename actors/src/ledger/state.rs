//! Owns the ledger of a node as a synchronous, deterministic state machine: mempool, consensus, catch-up, log and
//! state. The actor, the simulator and the crash tests drive this same code.
//!
//! [`LedgerState::step`] takes one input and answers with what has to be done. What a step appends is synced once, at
//! its end, before it hands out a statement that this node must not forget: a vote, a proposal, evidence. A decision
//! is none: the precommits that make it final are durable where they were signed. [`LedgerState::make_durable`] makes it
//! durable here once those who wait have been told. After a [`Fatal`] the process stops; opening again replays the log.

mod ahead;
mod arrivals;
mod candidates;
mod catch_up;
mod clock;
mod commit;
mod consent;
mod exchange;
mod heads;
mod intake;
mod open;
mod settings;
mod submit;
mod wake;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use althing_contracts::{
    block::Header,
    certificate::{Certificate, Roster},
    digest::Digest,
    quantity::{Height, TimeMs},
    signature::PublicKey,
    state::State,
    transaction::{TransactionId, VerifiedTransaction},
};
use bytes::Bytes;

use self::{
    ahead::Ahead, arrivals::Arrivals, candidates::Candidates, clock::ClockWatch, commit::History,
    heads::Heads, submit::Scratch,
};
use crate::{
    disk::Disk,
    failpoint,
    ledger::{
        consensus::{Act, Driver, Verdicts},
        equivocation::EquivocationDetector,
        log::Log,
        mempool::Mempool,
        message::LedgerView,
        wire::{LedgerMessage, Message, SignedProposal, Status},
    },
    port::NodeId,
    rosters::Rosters,
    sync::SyncState,
};

pub use self::{
    exchange::{
        CommittedBlock, Fatal, Filed, LedgerInput, LedgerOutput, Misbehaviour, Now, TransactionOutcome,
    },
    open::Opened,
    settings::{LedgerRole, LedgerSettings, LedgerTiming, REMEMBERED_MAX},
};

/// The ledger of one node.
pub struct LedgerState<D> {
    node: NodeId,
    network: Digest,
    timing: LedgerTiming,
    log: Log<D>,
    head: Head,
    rosters: Rosters,
    /// Consensus keys of the validators of the running height, by node.
    validators: BTreeMap<NodeId, PublicKey>,
    /// Only on a node that has a key to decide with; idle while the roster does not name it.
    driver: Option<Driver>,
    own_key: Option<PublicKey>,
    /// This validator's last proposal of a new block at the running height.
    own_proposal: Option<SignedProposal>,
    acts: VecDeque<Act>,
    candidates: Candidates,
    ahead: Ahead,
    mempool: Mempool,
    arrivals: Arrivals,
    scratch: Scratch,
    /// Transactions of this node's own users, which are forwarded again until they are final.
    local: BTreeSet<TransactionId>,
    /// Own transactions of this step that the validators have not been sent.
    to_forward: Vec<Vec<u8>>,
    detector: EquivocationDetector,
    /// Shared with the driver.
    verdicts: Verdicts,
    history: History,
    heads: Heads,
    sync: SyncState,
    replied_us: BTreeMap<NodeId, u64>,
    clock: ClockWatch,
    now: Now,
    outputs: Vec<LedgerOutput>,
    /// Whether the outputs hold a statement that this node must not forget.
    is_bound: bool,
    wake_us: Option<u64>,
    next_status_us: u64,
    next_forward_us: u64,
}

/// The last final block.
#[derive(Debug, Clone)]
struct Head {
    state: State,
    digest: Digest,
    header: Option<Header>,
    certificate: Option<Certificate>,
    committed_us: u64,
    /// Its transactions, if it was made since this node started.
    len: usize,
}

impl<D: Disk> LedgerState<D> {
    /// Takes one input and answers with what has to be done; what binds this node is durable.
    ///
    /// # Errors
    /// The process has to stop; nothing that the step meant to send was sent.
    pub fn step(&mut self, now: Now, input: LedgerInput) -> Result<Vec<LedgerOutput>, Fatal> {
        self.step_all(now, std::iter::once(input))
    }

    /// Takes several inputs with one sync for all of them.
    ///
    /// # Errors
    /// As [`Self::step`].
    pub fn step_all(
        &mut self,
        now: Now,
        inputs: impl IntoIterator<Item = LedgerInput>,
    ) -> Result<Vec<LedgerOutput>, Fatal> {
        self.now = now;
        for input in inputs {
            self.take(input)?;
            self.progress()?;
        }
        self.finish()
    }

    /// Makes everything durable that the steps so far appended. Index and snapshots take a block only after this.
    ///
    /// # Errors
    /// The process has to stop.
    pub fn make_durable(&mut self) -> Result<(), Fatal> {
        Ok(self.log.sync()?)
    }

    /// The height of the last final block.
    #[must_use]
    pub fn height(&self) -> Height {
        self.head.state.height()
    }

    /// The state after the last final block.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.head.state
    }

    /// The last final block's header; `None` at genesis.
    #[must_use]
    pub const fn header(&self) -> Option<&Header> {
        self.head.header.as_ref()
    }

    /// The last final block's certificate; `None` at genesis.
    #[must_use]
    pub const fn certificate(&self) -> Option<&Certificate> {
        self.head.certificate.as_ref()
    }

    /// The digest of the last final block.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.head.digest
    }

    /// The highest height that a peer showed.
    #[must_use]
    pub fn highest_seen(&self) -> Height {
        self.sync.highest_seen().max(self.height())
    }

    /// The round that consensus is in at the next height; 0 while it waits for work.
    #[must_use]
    pub fn round(&self) -> u32 {
        self.driver.as_ref().filter(|driver| !driver.is_decided()).map_or(0, |driver| driver.round().get())
    }

    /// Transactions waiting.
    #[must_use]
    pub fn mempool_len(&self) -> usize {
        self.mempool.len()
    }

    /// The transactions that wait.
    pub fn waiting(&self) -> impl Iterator<Item = &VerifiedTransaction> {
        self.mempool.in_order().map(|waiting| &waiting.verified)
    }

    /// Inputs that the consensus core answered with an error.
    #[must_use]
    pub fn anomalies(&self) -> u64 {
        self.driver.as_ref().map_or(0, Driver::anomalies)
    }

    /// The network's identity.
    #[must_use]
    pub const fn network(&self) -> Digest {
        self.network
    }

    fn take(&mut self, input: LedgerInput) -> Result<(), Fatal> {
        match input {
            LedgerInput::Direct { from, message } => self.on_direct(from, &message),
            LedgerInput::Gossip { from, token, message } => {
                self.on_gossip(from, token, &message);
                Ok(())
            }
            LedgerInput::Submit(transaction) => {
                self.on_submit(transaction);
                Ok(())
            }
            LedgerInput::SubmitAll(transactions) => {
                for transaction in transactions {
                    self.on_submit(transaction);
                }
                Ok(())
            }
            LedgerInput::Timer => self.on_timer(),
            LedgerInput::Connected(peer) => {
                self.on_connected(peer);
                Ok(())
            }
            LedgerInput::Disconnected(peer) => {
                self.sync.disconnect(&peer);
                self.replied_us.remove(&peer);
                Ok(())
            }
            LedgerInput::Blocks { id, from, response } => self.on_blocks(id, from, response),
        }
    }

    /// Does what the driver asks for and starts heights while there is work.
    fn progress(&mut self) -> Result<(), Fatal> {
        self.drain_acts()?;
        if !self.is_deciding() && !self.is_gathering() {
            self.check_arrivals();
        }
        while self.has_work() {
            self.start_height(&[])?;
            self.drain_acts()?;
        }
        self.poll_sync();
        Ok(())
    }

    /// Syncs what the outputs depend on and hands them out.
    fn finish(&mut self) -> Result<Vec<LedgerOutput>, Fatal> {
        self.forward_new();
        if std::mem::take(&mut self.is_bound) {
            failpoint::reach("ledger.bound");
            self.log.sync()?;
            failpoint::reach("ledger.bound.durable");
        }
        self.set_wake();
        Ok(std::mem::take(&mut self.outputs))
    }

    fn on_timer(&mut self) -> Result<(), Fatal> {
        let now_us = self.now.monotonic_us;
        if let Some(driver) = &mut self.driver {
            let acts = driver.elapse(now_us, &mut self.log)?;
            self.acts.extend(acts);
        }
        if now_us >= self.next_status_us {
            self.next_status_us = now_us.saturating_add(self.timing.status_ms.saturating_mul(1_000));
            self.send_to_peers(&Message::Status(self.status()));
        }
        self.show_head();
        if now_us >= self.next_forward_us {
            self.forward_again();
        }
        Ok(())
    }

    fn on_connected(&mut self, peer: NodeId) {
        self.sync.connect(peer);
        self.send(peer, &Message::Status(self.status()));
        let now_us = self.now.monotonic_us;
        if !self.validators.contains_key(&peer) {
            return;
        }
        // What this node's users wait for may have gone out when nobody was there to hear it.
        self.next_forward_us = now_us;
        if let Some(driver) = &mut self.driver {
            driver.hasten_rebroadcast(now_us);
        }
    }

    const fn status(&self) -> Status {
        Status { height: self.head.state.height(), block: self.head.digest }
    }

    /// How far this machine's clock is ahead (or behind, below zero) of most other validators', in milliseconds;
    /// `None` while it is within what the constitution allows, or on a node that judges no blocks.
    #[must_use]
    pub fn clock_offset_ms(&self) -> Option<i64> {
        let others = self.validators.keys().filter(|node| **node != self.node).count();
        self.clock.offset_ms(self.now, others, self.head.state.constitution().clock_ahead_max)
    }

    /// What others see of the ledger.
    #[must_use]
    pub fn view(&self) -> LedgerView {
        LedgerView {
            network: self.network,
            state: self.head.state.clone(),
            header: self.header().cloned(),
            certificate: self.certificate().cloned(),
            highest_seen: self.highest_seen(),
            round: self.round(),
            clock_offset_ms: self.clock_offset_ms(),
        }
    }

    /// The validators of the running height.
    fn roster(&self) -> &Roster {
        self.head.state.roster()
    }

    /// Whether this node is one of them.
    #[must_use]
    pub fn is_seated(&self) -> bool {
        self.own_key.is_some() && self.validators.get(&self.node).copied() == self.own_key
    }

    /// The time of a block that is made at this moment.
    fn block_time(&self) -> TimeMs {
        self.now.wall.max(self.head.state.time().next())
    }

    fn send(&mut self, to: NodeId, message: &Message) {
        self.is_bound |= message.is_binding();
        let message = LedgerMessage::encode(message.clone());
        self.outputs.push(LedgerOutput::Send { to, message });
    }

    /// Sends to every other validator.
    fn send_to_validators(&mut self, message: &Message) {
        self.is_bound |= message.is_binding();
        let message = LedgerMessage::encode(message.clone());
        let others = self.validators.keys().filter(|node| **node != self.node);
        let sends = others.map(|to| LedgerOutput::Send { to: *to, message: message.clone() });
        self.outputs.extend(sends);
    }

    /// Sends to every connected node.
    fn send_to_peers(&mut self, message: &Message) {
        let message: Bytes = LedgerMessage::encode(message.clone());
        let sends = self.sync.peers().map(|to| LedgerOutput::Send { to: *to, message: message.clone() });
        self.outputs.extend(sends);
    }

    fn blame(&mut self, peer: NodeId, how: Misbehaviour) {
        self.outputs.push(LedgerOutput::Misbehaved { peer, how });
    }
}

impl<D> std::fmt::Debug for LedgerState<D> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LedgerState")
            .field("node", &self.node)
            .field("height", &self.head.state.height())
            .field("driver", &self.driver)
            .field("mempool", &self.mempool.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
