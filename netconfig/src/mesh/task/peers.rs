//! Owns a peer's way through the swarm's task: connected, identified as of this network, admitted, lost.

use std::{num::NonZeroU32, time::Instant};

use libp2p::{
    PeerId, identify, ping,
    swarm::{ConnectionError, DialError},
};
use metrics::{counter, gauge};
use tracing::{debug, info, warn};

use super::Task;
use crate::{
    identity,
    mesh::{event::MeshEvent, metrics as names},
};

impl Task {
    pub(super) fn on_connected(&mut self, peer: &PeerId, connections: NonZeroU32) {
        debug!(%peer, connections, "connection established");
        self.redial.connected(peer);
    }

    pub(super) fn on_dial_failed(&mut self, peer: &PeerId, error: &DialError) {
        debug!(%peer, %error, "dial failed");
        let under_way = matches!(error, DialError::DialPeerConditionFalse(_));
        if !under_way && !self.swarm.is_connected(peer) {
            self.redial.lost(peer, Instant::now());
        }
    }

    pub(super) fn on_lost(&mut self, peer: &PeerId, cause: Option<&ConnectionError>) {
        debug!(%peer, ?cause, "last connection closed");
        self.redial.lost(peer, Instant::now());
        let Some(node) = identity::node_id(peer).filter(|node| self.outboxes.contains(node)) else { return };
        self.direct.close(&node);
        gauge!(names::PEERS).decrement(1.0);
        info!(%node, "node disconnected");
        self.notify(MeshEvent::Disconnected(node));
    }

    /// A node is admitted when it has said that it is of this network.
    pub(super) fn on_identify(&mut self, event: identify::Event) {
        match event {
            identify::Event::Received { peer_id, info, .. }
                if info.protocol_version == self.protocols.identify =>
            {
                self.admit(peer_id);
            }
            identify::Event::Received { peer_id, info, .. } => {
                names::count(names::REFUSED_TOTAL, "other_network");
                warn!(peer = %peer_id, theirs = info.protocol_version, ours = self.protocols.identify,
                    "node of another network refused");
                // It may be gone already.
                let _gone = self.swarm.disconnect_peer_id(peer_id);
            }
            identify::Event::Error { peer_id, connection_id, error } => {
                debug!(peer = %peer_id, %error, "node did not identify itself");
                self.swarm.close_connection(connection_id);
            }
            _ => {}
        }
    }

    fn admit(&mut self, peer: PeerId) {
        let Some(node) = identity::node_id(&peer).filter(|_| self.swarm.is_connected(&peer)) else { return };
        if self.outboxes.contains(&node) {
            return;
        }
        self.redial.admitted(&peer);
        self.direct.open(node, peer);
        gauge!(names::PEERS).increment(1.0);
        info!(%node, "node connected");
        self.notify(MeshEvent::Connected(node));
    }

    /// The first ping without an answer ends the connection: TCP alone takes minutes to notice a black hole.
    pub(super) fn on_ping(&mut self, event: &ping::Event) {
        if let Err(error) = &event.result {
            counter!(names::PING_FAILURES_TOTAL).increment(1);
            debug!(peer = %event.peer, %error, "ping failed");
            self.swarm.close_connection(event.connection);
        }
    }
}
