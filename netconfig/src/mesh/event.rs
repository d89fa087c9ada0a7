//! Owns what the mesh tells its node, and the words for it; the same shape as the node's own port.

use std::{
    future::poll_fn,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};

use crate::identity::NodeId;

/// Events of one kind that wait for the node. Direct streams are held back when their lane is full; gossip and requests
/// are refused. Each kind has a lane of its own, so that a peer which fills one takes nothing from the others.
pub const EVENTS_MAX: usize = 4_096;

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
    lanes: [mpsc::Receiver<Delivery>; 3],
    /// The lane that is asked first, which changes with every event.
    turn: usize,
}

/// The mesh's end of it.
#[derive(Debug, Clone)]
pub(super) struct Lanes {
    pub(super) direct: mpsc::Sender<Delivery>,
    pub(super) gossip: mpsc::Sender<Delivery>,
    /// Requests, and who is connected.
    pub(super) exchange: mpsc::Sender<Delivery>,
}

/// Both ends.
pub(super) fn lanes() -> (Lanes, MeshEvents) {
    let (direct, directs) = mpsc::channel(EVENTS_MAX);
    let (gossip, gossips) = mpsc::channel(EVENTS_MAX);
    let (exchange, exchanges) = mpsc::channel(EVENTS_MAX);
    (Lanes { direct, gossip, exchange }, MeshEvents { lanes: [exchanges, gossips, directs], turn: 0 })
}

/// An event with the room that its bytes take until the node has it.
#[derive(Debug)]
pub(super) struct Delivery {
    event: MeshEvent,
    _room: Option<OwnedSemaphorePermit>,
}

impl MeshEvents {
    /// Waits for the next event; `None` after the mesh has stopped. Kinds of events take turns.
    pub async fn recv(&mut self) -> Option<MeshEvent> {
        poll_fn(|context| self.poll_recv(context)).await
    }

    /// The next event, if there is one already.
    pub fn try_recv(&mut self) -> Option<MeshEvent> {
        match self.poll_recv(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(event) => event,
            Poll::Pending => None,
        }
    }

    fn poll_recv(&mut self, context: &mut Context<'_>) -> Poll<Option<MeshEvent>> {
        let mut is_open = false;
        for _ in 0..self.lanes.len() {
            let lane = self.turn;
            self.turn = (lane + 1) % self.lanes.len();
            match self.lanes[lane].poll_recv(context) {
                Poll::Ready(Some(delivery)) => return Poll::Ready(Some(delivery.event)),
                Poll::Ready(None) => {}
                Poll::Pending => is_open = true,
            }
        }
        if is_open { Poll::Pending } else { Poll::Ready(None) }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn node() -> NodeId {
        NodeId::Ed25519([1; 32])
    }

    #[tokio::test]
    async fn a_full_lane_takes_nothing_from_the_others() {
        let (lanes, mut events) = lanes();
        let frame = || MeshEvent::Direct { from: node(), message: Bytes::from_static(b"x") };
        while lanes.direct.try_send(frame().into()).is_ok() {}
        lanes.exchange.try_send(MeshEvent::Connected(node()).into()).expect("another lane has room");
        let mut heard = Vec::new();
        for _ in 0..2 {
            heard.push(events.recv().await.expect("the mesh runs"));
        }
        assert!(heard.iter().any(|event| matches!(event, MeshEvent::Connected(_))), "{heard:?}");
    }

    #[tokio::test]
    async fn events_end_when_every_lane_has_ended() {
        let (lanes, mut events) = lanes();
        assert!(events.try_recv().is_none());
        lanes.gossip.try_send(MeshEvent::Disconnected(node()).into()).expect("there is room");
        drop(lanes);
        assert!(matches!(events.recv().await, Some(MeshEvent::Disconnected(_))));
        assert!(events.recv().await.is_none());
    }
}
