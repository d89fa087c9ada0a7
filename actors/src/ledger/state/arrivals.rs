//! Owns transactions of other nodes from their arrival until their signatures are checked. While a height runs or a block
//! is gathered they wait here, so that one batch checks all that came meanwhile; a block, this node's turn to propose and
//! the end of the wait empty the list. Refuses to check a signature that was checked before.

use std::collections::{BTreeSet, VecDeque};

use althing_contracts::{
    block::{BLOCK_LEN_MAX, BLOCK_TRANSACTIONS_MAX},
    signature::Signed,
    transaction::{TransactionId, UnverifiedTransaction},
};
use bytes::Bytes;

use super::{LedgerState, Misbehaviour};
use crate::{
    disk::Disk,
    ledger::{consensus::Driver, mempool::PooledTransaction},
    port::{NodeId, Verdict},
    signatures::are_valid,
};

/// Transactions that wait to be checked: one full block, of which a batch costs some twenty milliseconds.
const UNCHECKED_LEN_MAX: usize = BLOCK_TRANSACTIONS_MAX;
/// Bytes of them: one full block.
const UNCHECKED_BYTES_MAX: usize = BLOCK_LEN_MAX;
/// Final transactions remembered, because they may still arrive from other nodes: those of four full blocks.
const FINAL_LEN_MAX: usize = 4 * BLOCK_TRANSACTIONS_MAX;

/// Transactions whose signatures were not checked, and those that need no check any more.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    unchecked: Vec<Arrived>,
    len: usize,
    bytes: usize,
    /// The last final transactions; the queue has them in order.
    settled: BTreeSet<TransactionId>,
    settled_in_order: VecDeque<TransactionId>,
}

/// What one node sent at once.
#[derive(Debug)]
struct Arrived {
    from: NodeId,
    transactions: Vec<(Bytes, UnverifiedTransaction)>,
}

impl Arrivals {
    /// Remembers a transaction that has become final.
    pub(super) fn settle(&mut self, id: TransactionId) {
        if self.settled.insert(id) {
            self.settled_in_order.push_back(id);
        }
        if self.settled_in_order.len() > FINAL_LEN_MAX
            && let Some(oldest) = self.settled_in_order.pop_front()
        {
            self.settled.remove(&oldest);
        }
    }

    fn push(&mut self, arrived: Arrived) {
        self.len = self.len.saturating_add(arrived.transactions.len());
        let bytes = arrived.transactions.iter().map(|(bytes, _)| bytes.len()).sum();
        self.bytes = self.bytes.saturating_add(bytes);
        self.unchecked.push(arrived);
    }

    const fn is_full(&self) -> bool {
        self.len >= UNCHECKED_LEN_MAX || self.bytes >= UNCHECKED_BYTES_MAX
    }

    fn take(&mut self) -> Vec<Arrived> {
        (self.len, self.bytes) = (0, 0);
        std::mem::take(&mut self.unchecked)
    }
}

impl Arrived {
    fn signed(&self) -> impl Iterator<Item = Signed> + '_ {
        self.transactions.iter().map(|(_, transaction)| transaction.signed())
    }

    fn is_valid(&self) -> bool {
        are_valid(&self.signed().collect::<Vec<_>>())
    }

    /// The transactions, once their signatures were found valid.
    fn pooled(self) -> impl Iterator<Item = PooledTransaction> {
        let pool = |(bytes, transaction): (Bytes, UnverifiedTransaction)| PooledTransaction {
            bytes,
            verified: transaction.assume_verified(),
        };
        self.transactions.into_iter().map(pool)
    }
}

impl<D: Disk> LedgerState<D> {
    /// Transactions from another node's direct stream; one that cannot be read refuses the message.
    pub(super) fn on_arrived(&mut self, from: NodeId, transactions: Vec<Vec<u8>>) {
        match self.unknown(from, transactions) {
            Ok(arrived) => self.arrivals.push(arrived),
            Err(how) => return self.blame(from, how),
        }
        if self.arrivals.is_full() || !(self.is_deciding() || self.is_gathering()) {
            self.check_arrivals();
        }
    }

    /// Gossiped transactions; one that cannot be read and one bad signature refuse the message.
    pub(super) fn on_gossiped(&mut self, from: NodeId, transactions: Vec<Vec<u8>>) -> Verdict {
        let checked = self
            .unknown(from, transactions)
            .and_then(|arrived| if arrived.is_valid() { Ok(arrived) } else { Err(Misbehaviour::Signature) });
        match checked {
            Ok(arrived) => {
                self.on_forwarded(arrived.pooled());
                Verdict::Accept
            }
            Err(how) => {
                self.blame(from, how);
                Verdict::Reject
            }
        }
    }

    /// Checks in one batch all that arrived, and lets what is valid wait for a block. A bad signature refuses all that
    /// came with it.
    pub(super) fn check_arrivals(&mut self) {
        let arrived = self.arrivals.take();
        let signed: Vec<Signed> = arrived.iter().flat_map(Arrived::signed).collect();
        let are_all_valid = are_valid(&signed);
        for arrived in arrived {
            if are_all_valid || arrived.is_valid() {
                self.on_forwarded(arrived.pooled());
            } else {
                self.blame(arrived.from, Misbehaviour::Signature);
            }
        }
    }

    /// Whether a height runs on this validator.
    pub(super) fn is_deciding(&self) -> bool {
        self.driver.as_ref().is_some_and(|driver| !Driver::is_decided(driver))
    }

    /// Reads transactions and leaves out those whose signatures this node has checked.
    fn unknown(&self, from: NodeId, transactions: Vec<Vec<u8>>) -> Result<Arrived, Misbehaviour> {
        let mut unknown = Vec::with_capacity(transactions.len());
        for bytes in transactions {
            let decoded = UnverifiedTransaction::decode(&bytes, self.network);
            let transaction = decoded.map_err(|_| Misbehaviour::Malformed)?;
            let id = transaction.id();
            if self.mempool.get(&id).is_none() && !self.arrivals.settled.contains(&id) {
                unknown.push((Bytes::from(bytes), transaction));
            }
        }
        Ok(Arrived { from, transactions: unknown })
    }
}

#[cfg(test)]
mod tests;
