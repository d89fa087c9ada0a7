//! Owns the transactions that wait for a block: bounded in number, in bytes and by sender, in the order of their
//! arrival and, within one sender and role, of their sequences. Refuses what does not fit; never drops silently.

use std::collections::BTreeMap;

use althing_contracts::{
    block::{BLOCK_LEN_MAX, BLOCK_TRANSACTIONS_MAX},
    name::MemberId,
    quantity::Sequence,
    role::Role,
    transaction::{TransactionId, VerifiedTransaction},
};
use bytes::Bytes;

/// Most transactions waiting: four full blocks.
pub const MEMPOOL_LEN_MAX: usize = 4 * BLOCK_TRANSACTIONS_MAX;
/// Most bytes waiting: eight full blocks of bytes, so that a node's memory stays small.
pub const MEMPOOL_BYTES_MAX: usize = 8 * BLOCK_LEN_MAX;
/// Most transactions waiting of one sender in one role, so that no one fills the pool alone.
pub const MEMPOOL_PER_SENDER_MAX: usize = 1_024;
/// Bytes of a block that transactions may fill; the rest is the header and the lengths.
const BLOCK_FILL_LEN_MAX: usize = BLOCK_LEN_MAX - 4 * 1024 - 4 * BLOCK_TRANSACTIONS_MAX;

/// A transaction whose signature was checked, with the bytes that were signed for.
#[derive(Debug, Clone)]
pub struct PooledTransaction {
    /// As received; stored, hashed and forwarded like this.
    pub bytes: Bytes,
    /// As decoded.
    pub verified: VerifiedTransaction,
}

/// What became of an insertion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    /// It waits.
    New,
    /// It was waiting already.
    Same,
    /// There is no room; nothing changed.
    Full,
}

type SenderKey = (MemberId, Role);

/// Transactions waiting for a block.
#[derive(Debug, Default)]
pub struct Mempool {
    by_id: BTreeMap<TransactionId, Waiting>,
    /// Arrivals in order; each stands for the next sequence of its sender.
    arrivals: BTreeMap<u64, SenderKey>,
    senders: BTreeMap<SenderKey, BTreeMap<(Sequence, u64), TransactionId>>,
    bytes: usize,
    next_arrival: u64,
}

#[derive(Debug)]
struct Waiting {
    transaction: PooledTransaction,
    arrival: u64,
}

impl Mempool {
    /// Takes a transaction in.
    pub fn insert(&mut self, transaction: PooledTransaction) -> Inserted {
        let id = transaction.verified.id();
        if self.by_id.contains_key(&id) {
            return Inserted::Same;
        }
        let key = sender_of(&transaction);
        let of_sender = self.senders.get(&key).map_or(0, BTreeMap::len);
        let is_full = self.by_id.len() >= MEMPOOL_LEN_MAX
            || self.bytes.saturating_add(transaction.bytes.len()) > MEMPOOL_BYTES_MAX
            || of_sender >= MEMPOOL_PER_SENDER_MAX;
        if is_full {
            return Inserted::Full;
        }
        let arrival = self.next_arrival;
        self.next_arrival = self.next_arrival.saturating_add(1);
        let sequence = transaction.verified.body().sequence;
        self.bytes = self.bytes.saturating_add(transaction.bytes.len());
        self.arrivals.insert(arrival, key.clone());
        self.senders.entry(key).or_default().insert((sequence, arrival), id);
        self.by_id.insert(id, Waiting { transaction, arrival });
        Inserted::New
    }

    /// Takes a transaction out.
    pub fn remove(&mut self, id: &TransactionId) -> Option<PooledTransaction> {
        let Waiting { transaction, arrival } = self.by_id.remove(id)?;
        let key = sender_of(&transaction);
        self.bytes = self.bytes.saturating_sub(transaction.bytes.len());
        self.arrivals.remove(&arrival);
        if let Some(queue) = self.senders.get_mut(&key) {
            queue.remove(&(transaction.verified.body().sequence, arrival));
            if queue.is_empty() {
                self.senders.remove(&key);
            }
        }
        Some(transaction)
    }

    /// The transaction, if it waits.
    #[must_use]
    pub fn get(&self, id: &TransactionId) -> Option<&PooledTransaction> {
        self.by_id.get(id).map(|waiting| &waiting.transaction)
    }

    /// What fits into one block, in order.
    #[must_use]
    pub fn candidates(&self) -> Vec<PooledTransaction> {
        let mut len = 0_usize;
        let fits = |transaction: &&PooledTransaction| {
            len = len.saturating_add(transaction.bytes.len());
            len <= BLOCK_FILL_LEN_MAX
        };
        self.in_order().take(BLOCK_TRANSACTIONS_MAX).take_while(fits).cloned().collect()
    }

    /// The transactions that have waited longest, at most `count`.
    #[must_use]
    pub fn oldest(&self, count: usize) -> Vec<PooledTransaction> {
        self.in_order().take(count).cloned().collect()
    }

    /// Transactions waiting.
    #[must_use]
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether none waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Bytes waiting.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Each arrival yields its sender's lowest sequence that was not yielded before.
    pub fn in_order(&self) -> impl Iterator<Item = &PooledTransaction> {
        let mut queues: BTreeMap<&SenderKey, _> = BTreeMap::new();
        self.arrivals.values().filter_map(move |key| {
            let queue = queues.entry(key).or_insert_with(|| self.senders.get(key).map(BTreeMap::values));
            let id = queue.as_mut()?.next()?;
            self.get(id)
        })
    }
}

fn sender_of(transaction: &PooledTransaction) -> SenderKey {
    let body = transaction.verified.body();
    (body.sender.clone(), body.role)
}

#[cfg(test)]
mod tests;
