//! Owns opening a node's data directory: the lock, the newest snapshot, the log's tail on top of it, and the index
//! brought level with the log. Refuses a snapshot above the index, which is filled by the replay alone.

use std::{io, path::Path};

use althing_contracts::{canonical::DecodeError, quantity::Height, state::State};
use tracing::warn;

use super::{
    archive::Archive,
    data_dir::{DataDir, DataDirError},
    index::{BlockPositions, Index, IndexError, IndexedBlock},
    log::{Log, LogError, TornTail, metrics as log_metrics},
    snapshot::{Snapshot, SnapshotError, SnapshotStore},
    state::{CommittedBlock, Fatal, LedgerOutput, LedgerSettings, LedgerState, Now},
};
use crate::disk::FileDisk;

/// Version of everything in a data directory.
pub const DATA_FORMAT: u16 = 1;

/// A node's store, open.
pub(super) struct Store {
    pub(super) ledger: LedgerState<FileDisk>,
    pub(super) outputs: Vec<LedgerOutput>,
    pub(super) archive: Archive,
    pub(super) snapshots: SnapshotStore<FileDisk>,
    pub(super) directory: DataDir,
}

/// Why a data directory does not open.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory itself.
    #[error(transparent)]
    Directory(#[from] DataDirError),
    /// The disk.
    #[error("the data directory cannot be used")]
    Disk(#[from] io::Error),
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// What is in the log.
    #[error(transparent)]
    Ledger(#[from] Fatal),
    /// The index.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The snapshots.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The snapshot's content.
    #[error("the snapshot of height {height} holds no state; remove it, the log is enough")]
    State {
        /// Of the snapshot.
        height: Height,
        /// What is wrong.
        #[source]
        source: DecodeError,
    },
}

impl StoreError {
    /// Whether the directory is sound and only not this node's to use: another one, or another genesis, helps.
    #[must_use]
    pub fn is_configuration(&self) -> bool {
        match self {
            Self::Directory(error) => matches!(
                error,
                DataDirError::Locked { .. }
                    | DataDirError::OtherNetwork { .. }
                    | DataDirError::Newer { .. }
                    | DataDirError::Older { .. }
                    | DataDirError::NotADirectory { .. }
                    | DataDirError::NotWritable { .. }
            ),
            Self::Log(error) => matches!(error, LogError::OtherNetwork { .. } | LogError::Newer { .. }),
            Self::Ledger(error) => matches!(error, Fatal::NotOnRoster),
            Self::Disk(_) | Self::Index(_) | Self::Snapshot(_) | Self::State { .. } => false,
        }
    }
}

/// Opens the store in `path`, creating it if it is new.
pub(super) fn open(path: &Path, settings: LedgerSettings, now: Now) -> Result<Store, StoreError> {
    log_metrics::describe();
    let network = settings.genesis.network();
    let directory = DataDir::open(path, network, DATA_FORMAT)?;
    let snapshots = SnapshotStore::new(FileDisk::open(&directory.snapshot())?, network);
    let (log, recovered) = Log::open(FileDisk::open(&directory.log())?, network)?;
    if let Some(TornTail { segment, offset, len }) = &recovered.torn_tail {
        warn!(segment, offset, len, "an unfinished write at the end of the log was cut off");
    }
    let (mut index, _recovery) = Index::open(&directory.index(), network, recovered.records)?;
    let base = base(&snapshots, index.applied())?;
    let mut indexed = Ok(());
    let mut replayed = |block: &CommittedBlock| {
        if indexed.is_ok() && block.header.height > index.applied() {
            indexed = put(&mut index, block);
        }
    };
    let opened = LedgerState::open(settings, log, base, now, &mut replayed)?;
    indexed?;
    let archive = Archive::start(index);
    Ok(Store { ledger: opened.ledger, outputs: opened.outputs, archive, snapshots, directory })
}

/// Stores a block in the index.
pub(super) fn put(index: &mut Index, block: &CommittedBlock) -> Result<(), IndexError> {
    let transactions: Vec<_> = block.outcomes.iter().map(|(id, _)| *id).collect();
    let indexed = IndexedBlock {
        height: block.header.height,
        positions: BlockPositions { block: block.filed.block, decision: block.filed.decision },
        transactions: &transactions,
        events: &block.events,
    };
    index.put_block(&indexed).map(|_put| ())
}

/// The newest state to begin with: none above what is indexed, because the index is filled by the replay.
fn base(snapshots: &SnapshotStore<FileDisk>, indexed: Height) -> Result<Option<State>, StoreError> {
    let (last, _refused) = snapshots.last()?;
    let Some(Snapshot { height, payload, .. }) = last.filter(|last| last.height <= indexed) else {
        return Ok(None);
    };
    State::decode_snapshot(&payload).map(Some).map_err(|source| StoreError::State { height, source })
}
