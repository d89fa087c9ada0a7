//! Owns opening a ledger's storage: the newest snapshot, the log's tail on top of it, and the index brought level with
//! the log. Refuses a snapshot above the index, which is filled by the replay alone.

use std::{any::Any, io};

use althing_contracts::{canonical::DecodeError, quantity::Height, state::State};
use tracing::warn;

use super::{
    data_dir::DataDirError,
    index::IndexError,
    log::{Log, LogError, TornTail, metrics as log_metrics},
    snapshot::{Snapshot, SnapshotError, SnapshotStore},
    state::{CommittedBlock, Fatal, LedgerOutput, LedgerSettings, LedgerState, Now},
    storage::{Archive, OpenStorage, Storage},
};
use crate::{disk::Disk, failpoint};

/// Version of everything in a data directory.
pub const DATA_FORMAT: u16 = 1;

/// A node's store, open.
pub(super) struct Store {
    pub(super) ledger: LedgerState<Box<dyn Disk>>,
    pub(super) outputs: Vec<LedgerOutput>,
    pub(super) archive: Box<dyn Archive>,
    pub(super) snapshots: SnapshotStore<Box<dyn Disk>>,
    pub(super) hold: Box<dyn Any + Send>,
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
            Self::Ledger(_) | Self::Disk(_) | Self::Index(_) | Self::Snapshot(_) | Self::State { .. } => {
                false
            }
        }
    }
}

/// Opens the store in a storage.
pub(super) fn open(storage: &dyn Storage, settings: LedgerSettings, now: Now) -> Result<Store, StoreError> {
    log_metrics::describe();
    let network = settings.genesis.network();
    let OpenStorage { log, snapshots, index, hold } = storage.open(network)?;
    let snapshots = SnapshotStore::new(snapshots, network);
    let (log, recovered) = Log::open(log, network)?;
    failpoint::reach("ledger.log.opened");
    if let Some(TornTail { segment, offset, len }) = &recovered.torn_tail {
        warn!(segment, offset, len, "an unfinished write at the end of the log was cut off");
    }
    let mut index = index(recovered.records)?;
    failpoint::reach("ledger.index.opened");
    let base = base(&snapshots, index.applied())?;
    let mut indexed = Ok(());
    let mut replayed = |block: &CommittedBlock| {
        if indexed.is_ok() && block.header.height > index.applied() {
            indexed = index.put(block);
        }
    };
    let opened = LedgerState::open(settings, log, base, now, &mut replayed)?;
    failpoint::reach("ledger.replayed");
    indexed?;
    Ok(Store { ledger: opened.ledger, outputs: opened.outputs, archive: index.serve(), snapshots, hold })
}

/// The newest state to begin with: none above what is indexed, because the index is filled by the replay.
fn base<D: Disk>(snapshots: &SnapshotStore<D>, indexed: Height) -> Result<Option<State>, StoreError> {
    let (last, _refused) = snapshots.last()?;
    let Some(Snapshot { height, payload, .. }) = last.filter(|last| last.height <= indexed) else {
        return Ok(None);
    };
    State::decode_snapshot(&payload).map(Some).map_err(|source| StoreError::State { height, source })
}
