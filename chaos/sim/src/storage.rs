//! Owns what a simulated node keeps across its lives: disks that lose by a seed what was not synced, and an index that
//! may lose anything, because it is rebuilt from the log.

use std::{
    cell::Cell,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use althing_actors::{
    disk::sim::{Faults, SimDisk},
    ledger::{
        StoreError,
        index::{BlockPositions, IndexError},
        message::READ_EVENTS_MAX,
        state::CommittedBlock,
        storage::{Archive, BlockIndex, OpenStorage, Read, Storage},
    },
};
use althing_contracts::{
    digest::Digest,
    event::EventRecord,
    quantity::{EventSequence, Height},
};
use futures::FutureExt as _;
use rand::{RngExt as _, rngs::StdRng};

use crate::faults::Kind;

/// The disks of one node.
#[derive(Debug, Default)]
pub struct Disks {
    /// Of the ledger's log.
    pub log: SimDisk,
    /// Of the ledger's snapshots.
    pub snapshots: SimDisk,
    /// Of the journals.
    pub journals: SimDisk,
    index: Arc<Mutex<Vec<IndexedBlock>>>,
    /// Whether a fault is to come, or came in this life.
    is_broken: Cell<bool>,
    /// Whether a sync failed in any life: what it should have kept may be gone.
    has_lied: Cell<bool>,
}

/// A block as the index has it.
#[derive(Debug)]
struct IndexedBlock {
    height: Height,
    positions: BlockPositions,
    events: Arc<Vec<EventRecord>>,
}

impl Disks {
    /// The node's process is gone; the machine keeps what was written.
    pub fn kill(&mut self) {
        self.is_broken.set(false);
        for disk in [&mut self.log, &mut self.snapshots, &mut self.journals] {
            *disk = disk.kill();
        }
    }

    /// The power is gone, and with it what was not synced.
    pub fn cut_power(&mut self, random: &mut StdRng) {
        self.is_broken.set(false);
        for disk in [&mut self.log, &mut self.snapshots, &mut self.journals] {
            *disk = disk.crash(random.random());
        }
        let mut index = lock(&self.index);
        let len = index.len();
        match random.random_range(0..3) {
            0 => index.clear(),
            1 => index.truncate(len.saturating_sub(random.random_range(0..64))),
            _ => {}
        }
    }

    /// One of the next writes or syncs of the log fails, counted from here.
    pub fn break_log(&self, kind: Kind, after: u64) {
        let counts = self.log.counts();
        let faults = match kind {
            Kind::FailedSync => Faults { fail_sync: Some(counts.syncs + after), ..Faults::default() },
            _ => Faults { fail_append: Some(counts.appends + after), ..Faults::default() },
        };
        self.log.set_faults(faults);
        self.is_broken.set(true);
        // A write that fails costs nothing that was told.
        self.has_lied.set(self.has_lied.get() || kind == Kind::FailedSync);
    }

    /// Whether the log may be damaged, so that an operator has to set it aside.
    #[must_use]
    pub fn has_lied(&self) -> bool {
        self.has_lied.get()
    }

    /// Whether a node may fail to start on these disks.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.is_broken.get()
    }

    /// The disks of a node whose ledger was set aside; what it signed and did is still in its journals.
    #[must_use]
    pub fn without_ledger(&self) -> Self {
        Self { journals: self.journals.kill(), ..Self::default() }
    }

    /// No fault is to come.
    pub fn mend(&self) {
        self.log.set_faults(Faults::default());
    }

    /// The storage of the ledger for the next life.
    #[must_use]
    pub fn ledger(&self) -> SimStorage {
        SimStorage {
            log: self.log.clone(),
            snapshots: self.snapshots.clone(),
            index: SimIndex(Arc::clone(&self.index)),
        }
    }
}

/// The ledger's storage in one life of a node.
#[derive(Debug, Clone)]
pub struct SimStorage {
    log: SimDisk,
    snapshots: SimDisk,
    index: SimIndex,
}

impl Storage for SimStorage {
    fn open(&self, _: Digest) -> Result<OpenStorage, StoreError> {
        let index = self.index.clone();
        Ok(OpenStorage {
            log: Box::new(self.log.clone()),
            snapshots: Box::new(self.snapshots.clone()),
            index: Box::new(move |records| Ok(Box::new(index.of_log(records)))),
            hold: Box::new(()),
        })
    }
}

/// An index in memory.
#[derive(Debug, Clone)]
struct SimIndex(Arc<Mutex<Vec<IndexedBlock>>>);

impl SimIndex {
    /// An index that speaks of records which the log does not have is set aside.
    fn of_log(self, records: u64) -> Self {
        let mut blocks = lock(&self.0);
        if blocks.last().is_some_and(|last| last.positions.decision.number >= records) {
            blocks.clear();
        }
        drop(blocks);
        self
    }
}

impl BlockIndex for SimIndex {
    fn applied(&self) -> Height {
        lock(&self.0).last().map_or(Height::ZERO, |last| last.height)
    }

    fn put(&mut self, block: &CommittedBlock) -> Result<(), IndexError> {
        store(&self.0, block);
        Ok(())
    }

    fn serve(self: Box<Self>) -> Box<dyn Archive> {
        self
    }
}

impl Archive for SimIndex {
    fn put(&self, block: Arc<CommittedBlock>) {
        store(&self.0, &block);
    }

    fn events(&self, after: EventSequence, limit: usize) -> Read<Vec<EventRecord>> {
        let blocks = lock(&self.0);
        let events = blocks.iter().flat_map(|block| block.events.iter());
        let events = events.filter(|record| record.sequence > after).take(limit.min(READ_EVENTS_MAX));
        std::future::ready(Ok(events.cloned().collect())).boxed()
    }

    fn positions(&self, from: Height, limit: usize) -> Read<Vec<BlockPositions>> {
        let blocks = lock(&self.0);
        // As the real one: nothing when the first is missing.
        let begins = blocks.iter().skip_while(|block| block.height < from);
        let found = begins.take(limit).map(|block| block.positions).collect();
        let has_first = blocks.first().is_some_and(|first| first.height <= from);
        std::future::ready(Ok(if has_first { found } else { Vec::new() })).boxed()
    }
}

fn store(index: &Mutex<Vec<IndexedBlock>>, block: &CommittedBlock) {
    let mut index = lock(index);
    let height = block.header.height;
    if index.last().is_none_or(|last| last.height < height) {
        let positions = BlockPositions { block: block.filed.block, decision: block.filed.decision };
        index.push(IndexedBlock { height, positions, events: Arc::clone(&block.events) });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // One thread runs everything; a panic is reported by itself.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
