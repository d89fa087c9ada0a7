//! Owns the port to what a ledger keeps: a disk for its log, one for its snapshots, its index, and the right to use
//! them; and the real form, a data directory. Refuses to know what is in them.

use std::{any::Any, path::PathBuf, sync::Arc};

use althing_contracts::{
    digest::Digest,
    event::EventRecord,
    quantity::{EventSequence, Height},
};
use futures::future::BoxFuture;

use super::{
    archive::IndexThread,
    data_dir::DataDir,
    index::{BlockPositions, Index, IndexError, IndexedBlock},
    message::ReadError,
    state::CommittedBlock,
    store::{DATA_FORMAT, StoreError},
};
use crate::{
    disk::{Disk, FileDisk},
    failpoint,
};

/// What is read from an archive.
pub type Read<T> = BoxFuture<'static, Result<T, ReadError>>;

/// Where a ledger keeps what it must not forget; opened once in each of its lives.
pub trait Storage: Send + Sync + 'static {
    /// Takes the storage of one network for this life.
    ///
    /// # Errors
    /// Someone else has it, it is of another network or version, or the disk failed.
    fn open(&self, network: Digest) -> Result<OpenStorage, StoreError>;
}

/// A storage that this life holds.
pub struct OpenStorage {
    /// Where the log is.
    pub log: Box<dyn Disk>,
    /// Where the snapshots are.
    pub snapshots: Box<dyn Disk>,
    /// Opens the index, once it is known how many records the log has.
    pub index: OpenIndex,
    /// The storage belongs to this life until it is dropped.
    pub hold: Box<dyn Any + Send>,
}

/// Opens an index for a log of so many records.
pub type OpenIndex = Box<dyn FnOnce(u64) -> Result<Box<dyn BlockIndex>, StoreError> + Send>;

/// An index that is brought level with the log.
pub trait BlockIndex: Send {
    /// The last block that is in it.
    fn applied(&self) -> Height;

    /// Stores the block after the last one; one that is in it changes nothing.
    ///
    /// # Errors
    /// The index cannot be used any more.
    fn put(&mut self, block: &CommittedBlock) -> Result<(), IndexError>;

    /// The index as a running ledger uses it.
    fn serve(self: Box<Self>) -> Box<dyn Archive>;
}

/// The index of a running ledger. Reads see every block that was put before them.
pub trait Archive: Send {
    /// Stores a block; holds the caller back while too many wait.
    fn put(&self, block: Arc<CommittedBlock>);

    /// Reads events after a number.
    fn events(&self, after: EventSequence, limit: usize) -> Read<Vec<EventRecord>>;

    /// Where blocks are in the log, in order from a height on, as far as there are any.
    fn positions(&self, from: Height, limit: usize) -> Read<Vec<BlockPositions>>;
}

/// A data directory of the file system.
#[derive(Debug, Clone)]
pub struct FileStorage(pub PathBuf);

impl Storage for FileStorage {
    fn open(&self, network: Digest) -> Result<OpenStorage, StoreError> {
        let directory = DataDir::open(&self.0, network, DATA_FORMAT)?;
        let path = directory.index();
        Ok(OpenStorage {
            log: Box::new(FileDisk::open(&directory.log())?),
            snapshots: Box::new(FileDisk::open(&directory.snapshot())?),
            index: Box::new(move |records| {
                let (index, _recovery) = Index::open(&path, network, records)?;
                Ok(Box::new(index))
            }),
            hold: Box::new(directory),
        })
    }
}

impl BlockIndex for Index {
    fn applied(&self) -> Height {
        Self::applied(self)
    }

    fn put(&mut self, block: &CommittedBlock) -> Result<(), IndexError> {
        put(self, block)
    }

    fn serve(self: Box<Self>) -> Box<dyn Archive> {
        Box::new(IndexThread::start(*self))
    }
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
    failpoint::reach("ledger.index.put");
    index.put_block(&indexed)?;
    failpoint::reach("ledger.index.stored");
    Ok(())
}
