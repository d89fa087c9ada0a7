//! Owns the binding of the actors' port to libp2p: the same words on both sides, neither knowing the other.

use althing_actors::port;
use althing_netconfig::mesh::{self, MeshHandle};
use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::oneshot;

/// The mesh as the actors see it.
#[derive(Debug, Clone)]
pub(super) struct BoundMesh(pub(super) MeshHandle);

#[async_trait]
impl port::Mesh for BoundMesh {
    fn send(&self, to: port::NodeId, message: Bytes) -> bool {
        self.0.send(to, message)
    }

    fn publish(&self, topic: port::Topic, message: Bytes) -> bool {
        self.0.publish(outward_topic(topic), message)
    }

    async fn request(&self, to: port::NodeId, request: Bytes) -> Result<Bytes, port::RequestError> {
        self.0.request(to, request).await.map_err(|error| match error {
            mesh::RequestError::NotConnected => port::RequestError::NotConnected,
            mesh::RequestError::Timeout => port::RequestError::Timeout,
            mesh::RequestError::Refused(reason) => port::RequestError::Refused(reason),
        })
    }

    fn peers(&self) -> Vec<port::NodeId> {
        self.0.peers()
    }

    fn report(&self, node: port::NodeId) {
        self.0.report_misbehaviour(node);
    }
}

/// What the mesh tells, in the actors' words.
pub(super) fn inward(event: mesh::MeshEvent) -> port::MeshEvent {
    match event {
        mesh::MeshEvent::Direct { from, message } => port::MeshEvent::Direct { from, message },
        mesh::MeshEvent::Gossip { from, topic, message, verdict } => {
            port::MeshEvent::Gossip { from, topic: inward_topic(topic), message, verdict: translate(verdict) }
        }
        mesh::MeshEvent::Request { from, request, reply } => {
            port::MeshEvent::Request { from, request, reply }
        }
        mesh::MeshEvent::Connected(node) => port::MeshEvent::Connected(node),
        mesh::MeshEvent::Disconnected(node) => port::MeshEvent::Disconnected(node),
    }
}

/// Passes the actors' verdict on in the mesh's words; a dropped verdict stays dropped.
fn translate(outward: oneshot::Sender<mesh::Verdict>) -> oneshot::Sender<port::Verdict> {
    let (inward, decided) = oneshot::channel();
    tokio::spawn(async move {
        if let Ok(verdict) = decided.await {
            // The mesh may have stopped waiting: its time for a verdict is bounded.
            let _late = outward.send(match verdict {
                port::Verdict::Accept => mesh::Verdict::Accept,
                port::Verdict::Ignore => mesh::Verdict::Ignore,
                port::Verdict::Reject => mesh::Verdict::Reject,
            });
        }
    });
    inward
}

const fn outward_topic(topic: port::Topic) -> mesh::Topic {
    match topic {
        port::Topic::Transactions => mesh::Topic::Transactions,
        port::Topic::Heads => mesh::Topic::Heads,
    }
}

const fn inward_topic(topic: mesh::Topic) -> port::Topic {
    match topic {
        mesh::Topic::Transactions => port::Topic::Transactions,
        mesh::Topic::Heads => port::Topic::Heads,
    }
}
