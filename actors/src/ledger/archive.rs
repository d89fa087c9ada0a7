//! Owns the thread that keeps the index: writes in the order of the blocks, several at once, and reads that see every
//! block before them. Keeps sled's pauses away from consensus; a full queue holds consensus back.

use std::{
    io,
    sync::{Arc, mpsc},
    thread::JoinHandle,
    time::Duration,
};

use althing_contracts::{
    event::EventRecord,
    quantity::{EventSequence, Height},
};
use tokio::sync::oneshot;
use tracing::error;

use super::{
    index::{BlockPositions, Index, IndexError},
    message::ReadError,
    state::CommittedBlock,
    storage::{Archive, Read, put},
};

/// Blocks and reads that wait for the disk.
const QUEUE_LEN_MAX: usize = 1_024;
/// Blocks that are written together.
const GATHERED_MAX: usize = 64;
/// How long the next block is waited for: writes that come close together cost sled little more than one.
const GATHER_TIME: Duration = Duration::from_millis(50);

/// The index of a running ledger, on a thread of its own. Dropping it waits until everything is written.
pub(super) struct IndexThread {
    commands: Option<mpsc::SyncSender<Command>>,
    thread: Option<JoinHandle<()>>,
}

enum Command {
    Put(Arc<CommittedBlock>),
    Events { after: EventSequence, limit: usize, reply: Reply<Vec<EventRecord>> },
    Positions { from: Height, limit: usize, reply: Reply<Vec<BlockPositions>> },
}

type Reply<T> = oneshot::Sender<Result<T, ReadError>>;

impl IndexThread {
    pub(super) fn start(index: Index) -> Self {
        let (commands, queue) = mpsc::sync_channel(QUEUE_LEN_MAX);
        let thread = std::thread::Builder::new().name("ledger-index".to_owned());
        let thread = thread.spawn(move || run(index, &queue)).expect("the system can start a thread");
        Self { commands: Some(commands), thread: Some(thread) }
    }

    fn tell(&self, command: Command) {
        // A thread that is gone drops the reply, which the reader is told as an error.
        let _gone = self.commands.as_ref().map(|commands| commands.send(command));
    }
}

impl Archive for IndexThread {
    fn put(&self, block: Arc<CommittedBlock>) {
        self.tell(Command::Put(block));
    }

    fn events(&self, after: EventSequence, limit: usize) -> Read<Vec<EventRecord>> {
        let (reply, answer) = oneshot::channel();
        self.tell(Command::Events { after, limit, reply });
        Box::pin(async { answer.await.unwrap_or_else(|_| Err(gone())) })
    }

    fn positions(&self, from: Height, limit: usize) -> Read<Vec<BlockPositions>> {
        let (reply, answer) = oneshot::channel();
        self.tell(Command::Positions { from, limit, reply });
        Box::pin(async { answer.await.unwrap_or_else(|_| Err(gone())) })
    }
}

impl Drop for IndexThread {
    fn drop(&mut self) {
        self.commands = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            error!("the index thread panicked; the index is rebuilt at the next start");
        }
    }
}

/// What the thread works on.
struct Keeper {
    index: Index,
    /// Blocks that are not written yet, in order.
    gathered: Vec<Arc<CommittedBlock>>,
    has_failed: bool,
}

fn run(index: Index, queue: &mpsc::Receiver<Command>) {
    let mut keeper = Keeper { index, gathered: Vec::new(), has_failed: false };
    while let Some(command) = keeper.next(queue) {
        match command {
            Command::Put(block) => keeper.gathered.push(block),
            // A reader that is gone needs no answer.
            Command::Events { after, limit, reply } => {
                keeper.write();
                let _gone = reply.send(keeper.index.events_after(after, limit).map_err(unreadable));
            }
            Command::Positions { from, limit, reply } => {
                keeper.write();
                let _gone = reply.send(positions(&keeper.index, from, limit).map_err(unreadable));
            }
        }
    }
    keeper.write();
}

impl Keeper {
    /// The next command; writes what was gathered when none comes for a while. `None` when none will come.
    fn next(&mut self, queue: &mpsc::Receiver<Command>) -> Option<Command> {
        if self.gathered.len() >= GATHERED_MAX {
            self.write();
        }
        if !self.gathered.is_empty() {
            match queue.recv_timeout(GATHER_TIME) {
                Ok(command) => return Some(command),
                Err(mpsc::RecvTimeoutError::Disconnected) => return None,
                Err(mpsc::RecvTimeoutError::Timeout) => self.write(),
            }
        }
        queue.recv().ok()
    }

    /// Writes the gathered blocks. After a failure the index is marked and rebuilt at the next start; a gap must not be
    /// written.
    fn write(&mut self) {
        for block in std::mem::take(&mut self.gathered) {
            if self.has_failed {
                return;
            }
            if let Err(error) = put(&mut self.index, &block) {
                self.has_failed = true;
                error!(%error, height = %block.header.height, "the index failed, history is unavailable until the node is restarted");
            }
        }
    }
}

fn positions(index: &Index, from: Height, limit: usize) -> Result<Vec<BlockPositions>, IndexError> {
    let heights = std::iter::successors(Some(from), |height| Some(height.next()));
    heights.take(limit).map_while(|height| index.block_position(height).transpose()).collect()
}

fn unreadable(error: IndexError) -> ReadError {
    ReadError::Store(io::Error::other(error))
}

fn gone() -> ReadError {
    ReadError::Store(io::Error::other("the index thread has ended"))
}
