//! Nodes of the tests: real swarms with known keys; every wait is for an event, with a deadline.

use std::{
    net::{TcpListener, UdpSocket},
    time::Duration,
};

use althing_contracts::digest::{Digest, Purpose};
use althing_netconfig::{
    identity::{Identity, NodeId},
    mesh::{Mesh, MeshConfig, MeshEvent, MeshEvents, MeshHandle, Multiaddr},
};
use bytes::Bytes;
use tokio::time::timeout;

pub(crate) const TCP: &str = "/ip4/127.0.0.1/tcp/0";
pub(crate) const QUIC: &str = "/ip4/127.0.0.1/udp/0/quic-v1";
/// Far above what any wait takes, so that only a defect reaches it.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

pub(crate) struct Node {
    pub(crate) mesh: MeshHandle,
    pub(crate) events: MeshEvents,
}

pub(crate) fn identity(seed: u8) -> Identity {
    Identity::from_seed(&[seed; 32])
}

pub(crate) fn id(seed: u8) -> NodeId {
    identity(seed).node_id()
}

pub(crate) fn network() -> Digest {
    Digest::of(Purpose::Genesis, b"one")
}

pub(crate) fn config(seed: u8, listen: &str, bootstrap: &[(u8, &Multiaddr)], allow: &[u8]) -> MeshConfig {
    MeshConfig {
        identity: identity(seed),
        network: network(),
        listen: vec![listen.parse().unwrap()],
        bootstrap: bootstrap.iter().map(|(seed, address)| (id(*seed), (*address).clone())).collect(),
        allow: allow.iter().map(|seed| id(*seed)).collect(),
        peers_max: 16,
    }
}

pub(crate) async fn start(config: MeshConfig) -> Node {
    let (mesh, events) = Mesh::start(config).await.unwrap();
    Node { mesh, events }
}

/// Nodes 1 and 2, connected; 2 knows the address of 1.
pub(crate) async fn pair(listen: &str) -> (Node, Node) {
    let mut one = start(config(1, listen, &[], &[1, 2])).await;
    let mut two = start(config(2, listen, &[(1, one.address())], &[1, 2])).await;
    one.wait_connected(id(2)).await;
    two.wait_connected(id(1)).await;
    (one, two)
}

/// Addresses on ports that were free a moment ago.
pub(crate) fn free_addresses(count: usize, transport: &str) -> Vec<Multiaddr> {
    let held: Vec<(TcpListener, UdpSocket)> = std::iter::repeat_with(|| {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        UdpSocket::bind(tcp.local_addr().unwrap()).map(|udp| (tcp, udp))
    })
    .flatten()
    .take(count)
    .collect();
    let port = |(tcp, _): &(TcpListener, UdpSocket)| tcp.local_addr().unwrap().port();
    let with_port = |port: u16| transport.replace("/0", &format!("/{port}"));
    held.iter().map(|pair| with_port(port(pair)).parse().unwrap()).collect()
}

impl Node {
    pub(crate) fn address(&self) -> &Multiaddr {
        &self.mesh.listen_addresses()[0]
    }

    pub(crate) async fn next(&mut self) -> MeshEvent {
        timeout(DEADLINE, self.events.recv()).await.expect("an event in time").expect("a running mesh")
    }

    /// Waits for the first event that `wanted` takes; the others are dropped.
    pub(crate) async fn wait<T>(&mut self, mut wanted: impl FnMut(MeshEvent) -> Option<T>) -> T {
        loop {
            if let Some(found) = wanted(self.next().await) {
                return found;
            }
        }
    }

    pub(crate) async fn wait_connected(&mut self, peer: NodeId) {
        self.wait(|event| matches!(event, MeshEvent::Connected(node) if node == peer).then_some(())).await;
    }

    pub(crate) async fn wait_disconnected(&mut self, peer: NodeId) {
        self.wait(|event| matches!(event, MeshEvent::Disconnected(node) if node == peer).then_some(())).await;
    }

    pub(crate) async fn wait_direct(&mut self) -> (NodeId, Bytes) {
        self.wait(|event| match event {
            MeshEvent::Direct { from, message } => Some((from, message)),
            _ => None,
        })
        .await
    }
}
