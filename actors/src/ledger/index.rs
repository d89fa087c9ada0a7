//! Owns the index: where the blocks, transactions and events of the log are, in sled. Refuses to be the truth.
//!
//! sled may lose acknowledged writes at a power cut, and records without an error when a bit flips. So every value
//! carries its own digest, opening reads everything and counts it, and on any doubt the directory is set aside
//! and the caller fills an empty index from the log: from [`Index::applied`] on, block by block.

mod aside;
mod batch;
mod check;
mod doubt;
mod events;
mod release;
#[cfg(test)]
mod tests;
mod transactions;
mod value;

use std::path::{Path, PathBuf};

use althing_contracts::{
    digest::Digest,
    event::EventRecord,
    quantity::{EventSequence, Height},
    transaction::TransactionId,
};
use borsh::{BorshDeserialize, BorshSerialize};

use self::{batch::Batches, doubt::catching, transactions::Recent};
use super::{
    log::{metrics::INDEX_REBUILDS_TOTAL, record::RecordPosition},
    message::READ_EVENTS_MAX,
};

pub use self::{
    doubt::{Doubt, IndexError},
    value::{VALUE_LEN_MAX, ValueError},
};

/// Bytes of pages held in memory: sled's own default is 1 GiB, which no idle node should take.
const CACHE_LEN_MAX: u64 = 64 * 1024 * 1024;
/// How often sled writes back by itself; its garbage collection hangs on it.
const FLUSH_INTERVAL_MS: u64 = 500;

const NETWORK_KEY: &[u8] = b"network";
const APPLIED_KEY: &[u8] = b"applied";

/// The index of one node's log. Every read is checked; an error means that the index has to be opened again.
#[derive(Debug)]
pub struct Index {
    directory: PathBuf,
    trees: Trees,
    applied: AppliedBlock,
    recent: Recent,
}

#[derive(Debug)]
struct Trees {
    meta: sled::Tree,
    blocks: sled::Tree,
    transactions: sled::Tree,
    events: sled::Tree,
    // Last, so that the trees are gone when the database closes.
    database: sled::Db,
}

/// How far the index goes; written in the same transaction as what it speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, BorshSerialize, BorshDeserialize)]
struct AppliedBlock {
    height: Height,
    /// Records of the log that this needs.
    records: u64,
    blocks: u64,
    transactions: u64,
    events: u64,
    last_event: EventSequence,
}

/// What is stored for a block.
#[derive(Debug, Clone, Copy)]
pub struct IndexedBlock<'a> {
    /// Its height; the successor of [`Index::applied`], unless the index is empty.
    pub height: Height,
    /// Where it is in the log.
    pub positions: BlockPositions,
    /// Its transactions.
    pub transactions: &'a [TransactionId],
    /// What it caused, in order.
    pub events: &'a [EventRecord],
}

/// Where a final block is in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct BlockPositions {
    /// Of its bytes.
    pub block: RecordPosition,
    /// Of the certificate that makes it final.
    pub decision: RecordPosition,
}

/// Whether a block was stored by this call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It was stored.
    New,
    /// The index has this height.
    Same,
}

/// What opening found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IndexRecovery {
    /// A good index, or none before.
    Sound,
    /// The index was set aside; fill the empty one from the log.
    SetAside {
        /// Why.
        doubt: Doubt,
        /// Where it is.
        path: PathBuf,
    },
}

impl Index {
    /// Opens the index in `directory`, reads it through, and holds it against a log of `log_records` records. One
    /// that is in doubt is moved to `directory.broken-N`, and an empty one is opened.
    ///
    /// # Errors
    /// The directory is in use, cannot be moved, or a new one cannot be made.
    pub fn open(
        directory: &Path,
        network: Digest,
        log_records: u64,
    ) -> Result<(Self, IndexRecovery), IndexError> {
        release::wait(directory).map_err(|source| IndexError::Held { path: directory.to_owned(), source })?;
        let opened = match aside::mark_of(directory) {
            Some(text) => Err(Doubt::Marked(text)),
            None => Self::open_here(directory, network, log_records),
        };
        let doubt = match opened {
            Ok(index) => return Ok((index, IndexRecovery::Sound)),
            Err(doubt) => doubt,
        };
        ::metrics::counter!(INDEX_REBUILDS_TOTAL).increment(1);
        let path = aside::set_aside(directory)
            .map_err(|source| IndexError::SetAside { path: directory.to_owned(), source })?;
        tracing::warn!(%doubt, path = %path.display(), "index set aside, it is rebuilt from the log");
        let index = Self::open_here(directory, network, log_records).map_err(IndexError::Doubt)?;
        Ok((index, IndexRecovery::SetAside { doubt, path }))
    }

    /// The last block stored; zero when the index is empty.
    pub const fn applied(&self) -> Height {
        self.applied.height
    }

    /// Number of the last event stored.
    pub const fn last_event(&self) -> EventSequence {
        self.applied.last_event
    }

    /// Stores a block with its transactions and events in one transaction.
    ///
    /// # Errors
    /// Refuses a block or an event that leaves a gap and an event above [`VALUE_LEN_MAX`]; fails when sled does.
    pub fn put_block(&mut self, block: &IndexedBlock<'_>) -> Result<Put, IndexError> {
        let applied = self.applied;
        if block.height <= applied.height {
            return Ok(Put::Same);
        }
        if applied.blocks > 0 && block.height != applied.height.next() {
            return Err(IndexError::Order { applied: applied.height, found: block.height });
        }
        applied.check_events(block.events)?;
        let after = applied.with(block);
        let batches = Batches::of(block, &after)?;
        let change = self.recent.prepare(block.height, block.transactions);
        self.guard(|trees| batches.write(trees, &change.batch))?;
        self.recent.apply(change);
        self.applied = after;
        Ok(Put::New)
    }

    /// Where a block is; `None` above [`Self::applied`] and before the first block stored.
    ///
    /// # Errors
    /// The index is in doubt.
    pub fn block_position(&self, height: Height) -> Result<Option<BlockPositions>, IndexError> {
        let first = self.applied.first_height();
        if height < first || height > self.applied.height {
            return Ok(None);
        }
        self.guard(|trees| {
            let found = value::get(&trees.blocks, "blocks", &height.get().to_be_bytes())?;
            found.ok_or(Doubt::Missing { tree: "blocks", key: height.get() }).map(Some)
        })
    }

    /// The block that holds a transaction.
    ///
    /// # Errors
    /// The index is in doubt.
    pub fn transaction_height(&self, id: &TransactionId) -> Result<Option<Height>, IndexError> {
        self.guard(|trees| self.recent.height_of(&trees.transactions, id))
    }

    /// Events after a number, in order, at most `limit` and never more than [`READ_EVENTS_MAX`].
    ///
    /// # Errors
    /// The index is in doubt.
    pub fn events_after(&self, after: EventSequence, limit: usize) -> Result<Vec<EventRecord>, IndexError> {
        let last = self.applied.last_event;
        let first = after.next().max(self.applied.first_event());
        if first > last || self.applied.events == 0 {
            return Ok(Vec::new());
        }
        self.guard(|trees| events::read(&trees.events, first, last, limit.min(READ_EVENTS_MAX)))
    }

    fn open_here(directory: &Path, network: Digest, log_records: u64) -> Result<Self, Doubt> {
        catching(|| {
            let trees = Trees::open(directory)?;
            trees.claim(network)?;
            let (applied, recent) = check::check(&trees, log_records)?;
            Ok(Self { directory: directory.to_owned(), trees, applied, recent })
        })
    }

    /// Runs a sled call; a doubt leaves a mark, so that the next open sets the index aside.
    fn guard<T>(&self, call: impl FnOnce(&Trees) -> Result<T, Doubt>) -> Result<T, IndexError> {
        catching(|| call(&self.trees)).map_err(|doubt| {
            aside::mark(&self.directory, &doubt);
            IndexError::Doubt(doubt)
        })
    }
}

impl Trees {
    fn open(directory: &Path) -> Result<Self, Doubt> {
        let database = sled::Config::new()
            .path(directory)
            .cache_capacity(CACHE_LEN_MAX)
            .flush_every_ms(Some(FLUSH_INTERVAL_MS))
            .open()?;
        Ok(Self {
            meta: database.open_tree("meta")?,
            blocks: database.open_tree("blocks")?,
            transactions: database.open_tree("transactions")?,
            events: database.open_tree("events")?,
            database,
        })
    }

    /// Writes the network into an empty index, or holds it against the one that is there.
    fn claim(&self, network: Digest) -> Result<(), Doubt> {
        match value::get(&self.meta, "meta", NETWORK_KEY)? {
            Some(found) if found == network => Ok(()),
            Some(found) => Err(Doubt::OtherNetwork(found)),
            None => {
                self.meta.insert(NETWORK_KEY, value::seal("meta", NETWORK_KEY, &network))?;
                self.database.flush()?;
                Ok(())
            }
        }
    }
}

impl AppliedBlock {
    fn with(self, block: &IndexedBlock<'_>) -> Self {
        let needed = block.positions.block.number.max(block.positions.decision.number) + 1;
        Self {
            height: block.height,
            records: self.records.max(needed),
            blocks: self.blocks + 1,
            transactions: self.transactions + block.transactions.len() as u64,
            events: self.events + block.events.len() as u64,
            last_event: block.events.last().map_or(self.last_event, |event| event.sequence),
        }
    }

    /// Refuses events that leave a gap between each other or after the last one stored.
    fn check_events(self, events: &[EventRecord]) -> Result<(), IndexError> {
        let mut last = (self.events > 0).then_some(self.last_event);
        for event in events {
            if let Some(last) = last.filter(|last| last.next() != event.sequence) {
                return Err(IndexError::EventOrder { last, found: event.sequence });
            }
            last = Some(event.sequence);
        }
        Ok(())
    }

    const fn first_height(&self) -> Height {
        Height::new((self.height.get() + 1).saturating_sub(self.blocks))
    }

    const fn first_event(&self) -> EventSequence {
        EventSequence::new((self.last_event.get() + 1).saturating_sub(self.events))
    }
}
