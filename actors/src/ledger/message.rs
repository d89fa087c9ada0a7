//! Owns what others may ask of the ledger and what they are told.

use std::sync::Arc;

use actix::Message;
use althing_contracts::{
    block::Header,
    certificate::Certificate,
    digest::Digest,
    event::{Event, EventRecord},
    quantity::{EventSequence, Height, TimeMs},
    reject::Reject,
    state::State,
    transaction::{ProposalId, TransactionId},
};
use tokio::sync::{broadcast, watch};

use crate::port::NodeId;

/// The ledger after its last final block: a value that readers keep as long as they like.
#[derive(Debug)]
pub struct LedgerView {
    /// The network's identity.
    pub network: Digest,
    /// The state after the last block.
    pub state: State,
    /// The last block's header; `None` at genesis.
    pub header: Option<Header>,
    /// The last block's certificate; `None` at genesis.
    pub certificate: Option<Certificate>,
    /// Highest height that a peer has shown, to judge how far behind this node is.
    pub highest_seen: Height,
    /// Round that consensus is in at the next height.
    pub round: u32,
    /// How far this machine's clock is ahead (or behind, below zero) of most other validators', in milliseconds, as of
    /// this view; `None` while it is within what the constitution allows.
    pub clock_offset_ms: Option<i64>,
}

impl LedgerView {
    /// Whether it may answer a request that names the least height to be shown: whoever was told of a block never sees
    /// what was before it.
    #[must_use]
    pub fn answers(&self, least: Height) -> bool {
        self.state.height() >= least
    }
}

/// Events of one block as they become final.
pub type EventBatch = Arc<Vec<EventRecord>>;

/// Where readers follow the ledger. Cloned freely; holds no lock.
#[derive(Debug, Clone)]
pub struct LedgerFeed {
    /// The view after each block.
    pub view: watch::Receiver<Arc<LedgerView>>,
    /// Events of each block; a reader that lags reads the rest with [`ReadEvents`].
    pub events: broadcast::Sender<EventBatch>,
}

/// The last final block of another node; its certificate was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownHead {
    /// The neighbour that passed it on, not necessarily the one whose head it is.
    pub from: NodeId,
    /// What makes the block final.
    pub certificate: Certificate,
}

/// A transaction that is final.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Final {
    /// Its id.
    pub id: TransactionId,
    /// The block that holds it.
    pub height: Height,
    /// That block's time.
    pub time: TimeMs,
    /// What it caused; empty when it had taken effect before.
    pub events: Vec<Event>,
}

impl Final {
    /// The proposal that it opened.
    #[must_use]
    pub fn opened(&self) -> Option<ProposalId> {
        self.events.iter().find_map(|event| match event {
            Event::Submitted { proposal, .. } => Some(*proposal),
            _ => None,
        })
    }
}

/// Why a submission has no final answer.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The bytes are no valid transaction.
    #[error("the transaction cannot be read")]
    Malformed(#[source] althing_contracts::canonical::DecodeError),
    /// The signature is wrong.
    #[error("the signature does not verify")]
    Signature,
    /// The rules say no.
    #[error(transparent)]
    Rejected(#[from] Reject),
    /// The queue is full; nothing was taken.
    #[error("the ledger has {len} transactions waiting, which is the most; try again")]
    Busy {
        /// Transactions waiting.
        len: usize,
    },
    /// Not final in time: it may still become final. Asking again with the same bytes is safe.
    #[error("not final yet, it may still become final; ask again with the same bytes")]
    Unknown,
    /// The node is read-only.
    #[error("this node only reads: {0}")]
    ReadOnly(&'static str),
    /// The ledger has stopped.
    #[error("the ledger of this node is stopping")]
    Stopping,
}

/// Reads final events after a number.
#[derive(Debug, Message)]
#[rtype(result = "Result<Vec<EventRecord>, ReadError>")]
pub struct ReadEvents {
    /// The last number that the reader has.
    pub after: EventSequence,
    /// At most this many, held at [`READ_EVENTS_MAX`].
    pub limit: usize,
}

/// Reads final blocks with their certificates.
#[derive(Debug, Message)]
#[rtype(result = "Result<Vec<CertifiedBlock>, ReadError>")]
pub struct ReadBlocks {
    /// The first height wanted.
    pub from: Height,
    /// At most this many, held at [`READ_BLOCKS_MAX`].
    pub limit: usize,
}

/// A block as it is stored and sent.
#[derive(Debug, Clone, PartialEq, Eq, borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct CertifiedBlock {
    /// Canonical bytes of the block.
    pub block: Vec<u8>,
    /// What makes it final.
    pub certificate: Certificate,
}

/// Most events of one answer: a page that a client can hold.
pub const READ_EVENTS_MAX: usize = 1_000;
/// Most blocks of one answer.
pub const READ_BLOCKS_MAX: usize = 256;

/// Why history could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The store failed.
    #[error("the store cannot be read")]
    Store(#[source] std::io::Error),
    /// The range was pruned.
    #[error("history before {first} is not kept on this node")]
    Pruned {
        /// First height kept.
        first: Height,
    },
}
