//! Owns what goes into a step of the ledger and what comes out of it.

use std::sync::Arc;

use althing_contracts::{
    block::Header,
    certificate::Certificate,
    digest::Digest,
    event::Event,
    quantity::{Height, TimeMs},
    reject::Reject,
    state::State,
    transaction::{Equivocation, TransactionId},
};
use bytes::Bytes;

use crate::{
    ledger::{
        consensus::{DriverFault, EntryError},
        log::{LogError, record::RecordPosition},
        mempool::PooledTransaction,
        message::{EventBatch, Final, ShownHead},
    },
    port::{NodeId, Topic, Verdict},
};

/// The clocks at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// The wall clock, for block times.
    pub wall: TimeMs,
    /// A clock that never goes back, for time limits, in microseconds.
    pub monotonic_us: u64,
}

/// What the ledger is told.
#[derive(Debug, Clone)]
pub enum LedgerInput {
    /// Bytes from the direct stream of an admitted node.
    Direct {
        /// Who sent them.
        from: NodeId,
        /// An encoded [`crate::ledger::wire::LedgerMessage`].
        message: Bytes,
    },
    /// A gossiped message; answered with [`LedgerOutput::Judged`].
    Gossip {
        /// The neighbour it came from.
        from: NodeId,
        /// Names the message in the answer.
        token: u64,
        /// An encoded [`crate::ledger::wire::LedgerMessage`].
        message: Bytes,
    },
    /// A transaction of this node's own users.
    Submit(PooledTransaction),
    /// Transactions of this node's own users that came together.
    SubmitAll(Vec<PooledTransaction>),
    /// The time that [`LedgerOutput::Wake`] asked for has come; too early does no harm.
    Timer,
    /// A node was connected and admitted.
    Connected(NodeId),
    /// The last connection to a node is gone.
    Disconnected(NodeId),
    /// The answer to [`LedgerOutput::RequestBlocks`]; `None` when there is none.
    Blocks {
        /// Names the request.
        id: u64,
        /// Who was asked.
        from: NodeId,
        /// An encoded [`crate::sync::SyncResponse`].
        response: Option<Bytes>,
    },
}

/// What the ledger wants done. Everything that it caused is durable.
#[derive(Debug, Clone)]
pub enum LedgerOutput {
    /// Send on the direct stream to a node.
    Send {
        /// To whom.
        to: NodeId,
        /// Encoded.
        message: Bytes,
    },
    /// Gossip.
    Publish {
        /// Where.
        topic: Topic,
        /// Encoded.
        message: Bytes,
    },
    /// What was found out about a gossiped message.
    Judged {
        /// Names the message.
        token: u64,
        /// Whether to pass it on.
        verdict: Verdict,
    },
    /// Ask a node for blocks.
    RequestBlocks {
        /// Names the request in its answer.
        id: u64,
        /// Whom to ask.
        to: NodeId,
        /// An encoded [`crate::sync::SyncRequest`].
        request: Bytes,
    },
    /// Give [`LedgerInput::Timer`] at this time of the monotonic clock; replaces the time before.
    Wake {
        /// In microseconds.
        at_us: u64,
    },
    /// A block is final.
    Committed(Arc<CommittedBlock>),
    /// What became of a transaction that is in no block of this step.
    Outcome {
        /// Which.
        id: TransactionId,
        /// What.
        outcome: TransactionOutcome,
    },
    /// A validator signed twice; the evidence is in the log.
    Evidence(Box<Equivocation>),
    /// Another node shows a head that is certified.
    Head(Box<ShownHead>),
    /// A node broke the protocol.
    Misbehaved {
        /// Which.
        peer: NodeId,
        /// How.
        how: Misbehaviour,
    },
}

/// A final block with everything that it caused.
#[derive(Debug, Clone)]
pub struct CommittedBlock {
    /// Its header.
    pub header: Header,
    /// Its digest.
    pub digest: Digest,
    /// What makes it final.
    pub certificate: Certificate,
    /// Its events with their numbers.
    pub events: EventBatch,
    /// Its transactions with the events of each.
    pub outcomes: Vec<(TransactionId, Vec<Event>)>,
    /// The state after it.
    pub state: State,
    /// Where the log has it.
    pub filed: Filed,
}

/// Where the log has a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filed {
    /// The block's bytes.
    pub block: RecordPosition,
    /// Its certificate.
    pub decision: RecordPosition,
}

/// What became of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransactionOutcome {
    /// It had taken effect before.
    Final(Final),
    /// The rules say no, and waiting does not help.
    Rejected(Reject),
    /// There is no room for it.
    Busy {
        /// Transactions waiting.
        len: usize,
    },
}

/// How a node broke the protocol. Honest nodes never do any of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Misbehaviour {
    /// Bytes that are no message, or oversized.
    Malformed,
    /// A signature that does not verify.
    Signature,
    /// A consensus message of a node that is no validator, or for one that is not.
    Stranger,
    /// A block that breaks the rules.
    InvalidBlock,
    /// Catch-up blocks that are not what was asked for, or whose certificate proves nothing.
    InvalidHistory,
}

/// Why the process has to stop. Nothing of the step's outputs may be used.
#[derive(Debug, thiserror::Error)]
pub enum Fatal {
    /// The log failed.
    #[error("the log failed")]
    Log(#[from] LogError),
    /// Consensus cannot go on.
    #[error("consensus cannot go on")]
    Consensus(#[from] DriverFault),
    /// A record of the log cannot be read.
    #[error("record {number} of the log cannot be replayed: {problem}")]
    Record {
        /// Which.
        number: u64,
        /// What is wrong.
        problem: String,
    },
    /// A consensus entry of the log cannot be read.
    #[error("record {number} of the log cannot be replayed")]
    Entry {
        /// Which.
        number: u64,
        /// What is wrong.
        #[source]
        source: EntryError,
    },
    /// The genesis document cannot start a ledger.
    #[error("the genesis document cannot start a ledger")]
    Genesis(#[from] althing_contracts::genesis::GenesisError),
    /// A block was decided that this node does not hold; a defect.
    #[error("block {block} was decided at height {height} and is not among the candidates")]
    Lost {
        /// Where.
        height: Height,
        /// Which.
        block: Digest,
    },
    /// The starting state is newer than the log.
    #[error("the snapshot is of height {snapshot}, the log ends at height {log}; remove the snapshot")]
    SnapshotAhead {
        /// Of the snapshot.
        snapshot: Height,
        /// Of the log.
        log: Height,
    },
}
