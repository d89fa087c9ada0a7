//! Owns what the mesh tells its node, and the words for it; the same shape as the node's own port.

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::identity::NodeId;

/// Gossip topics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Transactions on their way to a proposer.
    Transactions,
    /// Heads of the senders' ledgers.
    Heads,
}

impl Topic {
    /// Every topic.
    pub const ALL: [Self; 2] = [Self::Transactions, Self::Heads];

    /// The topic's name in protocol names and logs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Transactions => "transactions",
            Self::Heads => "heads",
        }
    }
}

/// What the node found out about a gossiped message; decides the sender's score and whether it is passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Pass it on.
    Accept,
    /// Neither pass it on nor blame the sender.
    Ignore,
    /// Blame the sender.
    Reject,
}

/// What the mesh tells its node.
#[derive(Debug)]
pub enum MeshEvent {
    /// A frame of the direct stream of an admitted node, in the order in which it was sent.
    Direct {
        /// Who sent it; proven by the transport.
        from: NodeId,
        /// 1 to [`super::FRAME_LEN_MAX`] bytes.
        message: Bytes,
    },
    /// A gossiped message. `verdict` counts when it is answered within [`super::VERDICT_WAIT_MAX`];
    /// dropping it is [`Verdict::Ignore`].
    Gossip {
        /// The neighbour it came from, not necessarily its author.
        from: NodeId,
        /// Where it was published.
        topic: Topic,
        /// Up to [`super::GOSSIP_MESSAGE_LEN_MAX`] bytes.
        message: Bytes,
        /// Where the verdict goes.
        verdict: oneshot::Sender<Verdict>,
    },
    /// A request of an admitted node. Dropping `reply` declines it.
    Request {
        /// Who asks.
        from: NodeId,
        /// Up to [`super::REQUEST_LEN_MAX`] bytes.
        request: Bytes,
        /// Where the answer goes, up to [`super::RESPONSE_LEN_MAX`] bytes.
        reply: oneshot::Sender<Bytes>,
    },
    /// A node was connected and admitted.
    Connected(NodeId),
    /// The last connection to a node is gone.
    Disconnected(NodeId),
}

/// The node's end of what the mesh tells. Taking an event gives its room back to the peer that sent it.
#[derive(Debug)]
pub struct MeshEvents {
    queue: mpsc::Receiver<Delivery>,
}

/// An event with the room that its bytes take until the node has it.
#[derive(Debug)]
pub(super) struct Delivery {
    event: MeshEvent,
    _room: Option<OwnedSemaphorePermit>,
}

impl MeshEvents {
    pub(super) const fn new(queue: mpsc::Receiver<Delivery>) -> Self {
        Self { queue }
    }

    /// Waits for the next event; `None` after the mesh has stopped.
    pub async fn recv(&mut self) -> Option<MeshEvent> {
        self.queue.recv().await.map(|delivery| delivery.event)
    }

    /// The next event, if there is one already.
    pub fn try_recv(&mut self) -> Option<MeshEvent> {
        self.queue.try_recv().ok().map(|delivery| delivery.event)
    }
}

impl Delivery {
    /// An event whose bytes have their room.
    pub(super) const fn with_room(event: MeshEvent, room: OwnedSemaphorePermit) -> Self {
        Self { event, _room: Some(room) }
    }
}

impl From<MeshEvent> for Delivery {
    fn from(event: MeshEvent) -> Self {
        Self { event, _room: None }
    }
}

/// Why a request has no answer. A time-out means unknown, never failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Not connected.
    #[error("the peer is not connected")]
    NotConnected,
    /// No answer in time, or the connection broke before it.
    #[error("the peer did not answer in time")]
    Timeout,
    /// The peer refused or broke the protocol.
    #[error("the peer refused: {0}")]
    Refused(String),
}
