//! Owns a peer's way through the swarm's task: connected, identified as of this network, admitted, lost.

use std::time::Instant;

use libp2p::{
    PeerId, identify, ping,
    swarm::{ConnectionError, ConnectionId, DialError},
};
use metrics::{counter, gauge};
use tracing::{debug, info, warn};

use super::{Connection, Task};
use crate::{
    failpoint,
    identity::{self, NodeId},
    mesh::{behaviour::SILENCE_MAX, event::MeshEvent, metrics as names},
};

impl Task {
    pub(super) fn on_connected(&mut self, peer: PeerId, connection: ConnectionId) {
        debug!(%peer, %connection, "connection established");
        let connection = Connection { id: connection, answered: Instant::now() };
        self.links.entry(peer).or_default().connections.push(connection);
        self.redial.connected(&peer);
    }

    pub(super) fn on_dial_failed(&mut self, peer: &PeerId, error: &DialError) {
        debug!(%peer, %error, "dial failed");
        let under_way = matches!(error, DialError::DialPeerConditionFalse(_));
        if !under_way && !self.swarm.is_connected(peer) {
            self.redial.lost(peer, Instant::now());
        }
    }

    pub(super) fn on_closed(
        &mut self,
        peer: &PeerId,
        connection: ConnectionId,
        cause: Option<&ConnectionError>,
    ) {
        debug!(%peer, %connection, ?cause, "connection closed");
        let Some(link) = self.links.get_mut(peer) else { return };
        link.connections.retain(|known| known.id != connection);
        if !link.connections.is_empty() {
            return;
        }
        self.links.remove(peer);
        self.redial.lost(peer, Instant::now());
        if let Some(node) = identity::node_id(peer).filter(|node| self.outboxes.contains(node)) {
            self.leave(node);
        }
    }

    /// A node is admitted when it has said that it is of this network.
    pub(super) fn on_identify(&mut self, event: identify::Event) {
        match event {
            identify::Event::Received { peer_id, connection_id, info } => {
                if info.protocol_version == self.protocols.identify {
                    self.admit(peer_id, connection_id, info.agent_version);
                } else {
                    self.refuse_network(peer_id, &info.protocol_version);
                }
            }
            identify::Event::Error { peer_id, connection_id, error } => {
                debug!(peer = %peer_id, %error, "node did not identify itself");
                self.swarm.close_connection(connection_id);
            }
            _ => {}
        }
    }

    fn refuse_network(&mut self, peer: PeerId, theirs: &str) {
        names::count(names::REFUSED_TOTAL, "other_network");
        warn!(%peer, theirs, ours = self.protocols.identify, "node of another network refused");
        // It may be gone already.
        let _gone = self.swarm.disconnect_peer_id(peer);
    }

    fn admit(&mut self, peer: PeerId, connection: ConnectionId, run: String) {
        let Some(node) = identity::node_id(&peer).filter(|_| self.swarm.is_connected(&peer)) else { return };
        let Some(link) = self.links.get_mut(&peer) else { return };
        if link.run.as_ref() == Some(&run) {
            return;
        }
        let restarted = link.run.replace(run).is_some();
        if restarted {
            let old: Vec<ConnectionId> =
                link.connections.iter().map(|known| known.id).filter(|id| *id != connection).collect();
            for id in old {
                self.swarm.close_connection(id);
            }
            info!(%node, "node was restarted");
            self.leave(node);
        }
        failpoint::reach("mesh.admitted");
        self.redial.admitted(&peer);
        self.direct.open(node, peer);
        gauge!(names::PEERS).increment(1.0);
        info!(%node, "node connected");
        self.notify(MeshEvent::Connected(node));
    }

    fn leave(&mut self, node: NodeId) {
        failpoint::reach("mesh.lost");
        self.direct.close(&node);
        gauge!(names::PEERS).decrement(1.0);
        info!(%node, "node disconnected");
        self.notify(MeshEvent::Disconnected(node));
    }

    pub(super) fn on_ping(&mut self, event: &ping::Event) {
        match &event.result {
            Ok(_) => {
                let connections = self.links.get_mut(&event.peer).map(|link| &mut link.connections);
                let answered = connections.into_iter().flatten().find(|known| known.id == event.connection);
                if let Some(connection) = answered {
                    connection.answered = Instant::now();
                }
            }
            Err(error) => {
                debug!(peer = %event.peer, %error, "ping failed");
                counter!(names::PING_FAILURES_TOTAL).increment(1);
                self.swarm.close_connection(event.connection);
            }
        }
    }

    /// When [`Self::close_silent`] has something to do next, unless an answer comes.
    pub(super) fn next_silent(&self) -> Option<Instant> {
        let connections = self.links.values().flat_map(|link| &link.connections);
        connections.map(|connection| connection.answered + SILENCE_MAX).min()
    }

    /// The first ping without an answer ends the connection: TCP alone takes minutes to notice a black hole, and
    /// libp2p reports a failure only when a second one follows, which takes 25 s.
    pub(super) fn close_silent(&mut self, now: Instant) {
        for (peer, link) in &mut self.links {
            for connection in &mut link.connections {
                if connection.answered + SILENCE_MAX <= now {
                    debug!(%peer, connection = %connection.id, "connection is silent");
                    counter!(names::PING_FAILURES_TOTAL).increment(1);
                    self.swarm.close_connection(connection.id);
                    // It is in the list until it has closed.
                    connection.answered = now;
                }
            }
        }
    }
}
