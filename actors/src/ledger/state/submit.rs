//! Owns transactions on their way into a block: admission against the newest state, forwarding to the validators,
//! and the eviction of what the rules have come to refuse.

use std::collections::BTreeSet;

use super::{LedgerOutput, LedgerState, TransactionOutcome};
use crate::{
    disk::Disk,
    failpoint,
    ledger::{
        consensus::Driver,
        mempool::{Inserted, Mempool, PooledTransaction},
        message::Final,
        wire::{LedgerMessage, Message, TRANSACTIONS_PER_MESSAGE_MAX},
    },
    port::Topic,
};
use althing_contracts::{
    reject::Reject,
    state::{Applied, Input, State},
    transaction::TransactionId,
};

/// Most waiting transactions that are judged again after a block; the oldest, which a block left out.
const RECHECK_MAX: usize = 256;
/// Interval at which own transactions that are not final are sent to the validators again.
const FORWARD_INTERVAL_US: u64 = 2_000_000;
/// Most own transactions of one such repetition.
const FORWARD_MAX: usize = 256;
/// Bytes after which a message with transactions is full.
const FORWARD_LEN_MAX: usize = 512 * 1024;

/// The state as it would be after the judged transactions, which of them have to wait longer, and which were not judged.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    state: Option<State>,
    unready: BTreeSet<TransactionId>,
    /// Came since the last block, and wait for nothing but their turn: no block has left them out.
    fresh: BTreeSet<TransactionId>,
    unjudged: BTreeSet<TransactionId>,
}

enum Standing {
    Ready,
    Waiting,
    Same,
    Rejected(Reject),
}

impl Scratch {
    /// Whether a waiting transaction can go into the next block.
    pub(super) fn has_ready(&self, mempool: &Mempool) -> bool {
        mempool.len() > self.unready.len().saturating_add(self.unjudged.len())
    }

    pub(super) fn forget(&mut self, id: &TransactionId) {
        self.unready.remove(id);
        self.fresh.remove(id);
        self.unjudged.remove(id);
    }
}

impl<D: Disk> LedgerState<D> {
    /// A transaction of this node's own users.
    pub(super) fn on_submit(&mut self, transaction: PooledTransaction) {
        let id = transaction.verified.id();
        let bytes = transaction.bytes.clone();
        match self.mempool.insert(transaction) {
            Inserted::Same => {
                self.local.insert(id);
            }
            Inserted::Full => {
                let outcome = TransactionOutcome::Busy { len: self.mempool.len() };
                self.outputs.push(LedgerOutput::Outcome { id, outcome });
            }
            Inserted::New => {
                failpoint::reach("ledger.submission.pooled");
                self.local.insert(id);
                if self.admit_waiting(id) {
                    self.to_forward.push(bytes.to_vec());
                }
            }
        }
    }

    /// Transactions of another node, with verified signatures.
    pub(super) fn on_forwarded(&mut self, transactions: impl IntoIterator<Item = PooledTransaction>) {
        for transaction in transactions {
            let id = transaction.verified.id();
            if self.mempool.insert(transaction) == Inserted::New {
                self.scratch.fresh.insert(id);
                self.scratch.unjudged.insert(id);
            }
        }
        self.judge_unjudged();
    }

    /// Judges transactions of other nodes as far as something depends on it. On a validator that is only whether the
    /// next height has to start: building a block judges them anyway, and so does the first block that leaves them out.
    fn judge_unjudged(&mut self) {
        while !(self.is_deciding() || self.is_seated() && self.scratch.has_ready(&self.mempool)) {
            let Some(id) = self.scratch.unjudged.pop_first() else { return };
            self.admit_waiting(id);
        }
    }

    /// Judges a transaction that has just begun to wait; `false` when it waits no longer.
    fn admit_waiting(&mut self, id: TransactionId) -> bool {
        let Some(waiting) = self.mempool.get(&id).cloned() else { return false };
        if self.mempool.len() == 1 {
            // Nothing else waits: judge by the time that it is, not by that of an earlier transaction.
            self.scratch.state = None;
        }
        match self.standing(&waiting) {
            Standing::Waiting => {
                self.scratch.unready.insert(id);
                self.scratch.fresh.remove(&id);
            }
            Standing::Same => return self.settle(id, self.final_before(id)),
            Standing::Rejected(reject) if self.is_current() => {
                return self.settle(id, TransactionOutcome::Rejected(reject));
            }
            // While the head is about to move, what is refused at this one may be right at the next.
            Standing::Ready | Standing::Rejected(_) => {}
        }
        true
    }

    /// Judges the oldest waiting transactions after a block that left them out.
    pub(super) fn recheck_waiting(&mut self) {
        self.scratch.state = None;
        let fresh = std::mem::take(&mut self.scratch.fresh);
        for waiting in self.mempool.oldest(RECHECK_MAX) {
            let id = waiting.verified.id();
            if fresh.contains(&id) {
                continue;
            }
            self.scratch.unready.remove(&id);
            self.scratch.unjudged.remove(&id);
            match self.standing(&waiting) {
                Standing::Ready => {}
                Standing::Waiting => {
                    self.scratch.unready.insert(id);
                }
                Standing::Same => {
                    self.settle(id, self.final_before(id));
                }
                Standing::Rejected(reject) => {
                    self.settle(id, TransactionOutcome::Rejected(reject));
                }
            }
        }
        self.judge_unjudged();
    }

    fn standing(&mut self, waiting: &PooledTransaction) -> Standing {
        let mut scratch = self.scratch.state.take().unwrap_or_else(|| self.begun());
        let applied = scratch.apply(Input::Transaction(&waiting.verified));
        self.scratch.state = Some(scratch);
        match applied {
            Ok(Applied::New(_)) => Standing::Ready,
            Err(reject) if reject.can_waiting_help() => Standing::Waiting,
            Ok(Applied::Same) | Err(_) => self.standing_alone(waiting),
        }
    }

    /// Judges without the other waiting transactions, which may never be final.
    fn standing_alone(&self, waiting: &PooledTransaction) -> Standing {
        match self.begun().apply(Input::Transaction(&waiting.verified)) {
            Ok(Applied::New(_)) => Standing::Waiting,
            Ok(Applied::Same) => Standing::Same,
            Err(reject) if reject.can_waiting_help() => Standing::Waiting,
            Err(reject) => Standing::Rejected(reject),
        }
    }

    /// The state at the beginning of a block that is made at this moment.
    fn begun(&self) -> State {
        let mut state = self.head.state.clone();
        let (height, time, parent) = (self.height().next(), self.block_time(), self.head.digest);
        if let Err(reject) = state.apply(Input::Begin { height, time, parent }) {
            tracing::error!(%height, %reject, "a block cannot begin at the head");
        }
        state
    }

    /// Whether this node knows of nothing that would move the head.
    fn is_current(&self) -> bool {
        let is_idle = self.driver.as_ref().is_none_or(Driver::is_decided);
        is_idle && !self.is_gathering() && self.sync.highest_seen() <= self.height()
    }

    fn final_before(&self, id: TransactionId) -> TransactionOutcome {
        let state = &self.head.state;
        TransactionOutcome::Final(Final {
            id,
            height: state.height(),
            time: state.time(),
            events: Vec::new(),
        })
    }

    fn settle(&mut self, id: TransactionId, outcome: TransactionOutcome) -> bool {
        self.mempool.remove(&id);
        self.scratch.forget(&id);
        self.local.remove(&id);
        self.outputs.push(LedgerOutput::Outcome { id, outcome });
        false
    }

    /// Sends transactions to every validator; by gossip when none is connected.
    fn forward(&mut self, transactions: Vec<Vec<u8>>) {
        let is_connected = self.sync.peers().any(|peer| self.validators.contains_key(peer));
        for transactions in in_messages(transactions) {
            let message = Message::Transactions(transactions);
            if is_connected || self.is_seated() {
                self.send_to_validators(&message);
            } else {
                let message = LedgerMessage::encode(message);
                self.outputs.push(LedgerOutput::Publish { topic: Topic::Transactions, message });
            }
        }
    }

    /// Sends the own transactions of a step together.
    pub(super) fn forward_new(&mut self) {
        let transactions = std::mem::take(&mut self.to_forward);
        if !transactions.is_empty() {
            self.forward(transactions);
        }
    }

    /// Sends own transactions that are not final once more.
    pub(super) fn forward_again(&mut self) {
        self.next_forward_us = self.now.monotonic_us.saturating_add(FORWARD_INTERVAL_US);
        let waiting = self.local.iter().filter_map(|id| self.mempool.get(id)).take(FORWARD_MAX);
        let transactions: Vec<Vec<u8>> = waiting.map(|waiting| waiting.bytes.to_vec()).collect();
        if !transactions.is_empty() {
            self.forward(transactions);
        }
    }
}

/// Splits transactions into messages of a bounded length, in order.
fn in_messages(transactions: Vec<Vec<u8>>) -> Vec<Vec<Vec<u8>>> {
    let mut messages: Vec<Vec<Vec<u8>>> = Vec::new();
    let mut len = usize::MAX;
    for transaction in transactions {
        let is_full = messages.last().is_none_or(|last| last.len() >= TRANSACTIONS_PER_MESSAGE_MAX);
        if is_full || len.saturating_add(transaction.len()) > FORWARD_LEN_MAX {
            messages.push(Vec::new());
            len = 0;
        }
        len = len.saturating_add(transaction.len());
        messages.last_mut().expect("one was pushed just now").push(transaction);
    }
    messages
}
