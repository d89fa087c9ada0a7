//! The mesh between real swarms on loopback: delivery, order, admission, redial, bounds.

use std::time::{Duration, Instant};

use althing_contracts::digest::{Digest, Purpose};
use althing_netconfig::{
    identity::{Identity, NodeId},
    mesh::{Mesh, MeshConfig, MeshEvent, MeshHandle, Multiaddr, RequestError, Topic, Verdict},
};
use bytes::Bytes;
use tokio::{sync::mpsc, time::timeout};

const TCP: &str = "/ip4/127.0.0.1/tcp/0";
const QUIC: &str = "/ip4/127.0.0.1/udp/0/quic-v1";
const DEADLINE: Duration = Duration::from_secs(20);

struct Node {
    mesh: MeshHandle,
    events: mpsc::Receiver<MeshEvent>,
}

fn identity(seed: u8) -> Identity {
    Identity::from_seed(&[seed; 32])
}

fn id(seed: u8) -> NodeId {
    identity(seed).node_id()
}

fn network() -> Digest {
    Digest::of(Purpose::Genesis, b"one")
}

fn config(seed: u8, listen: &str, bootstrap: &[(u8, &Multiaddr)], allow: &[u8]) -> MeshConfig {
    MeshConfig {
        identity: identity(seed),
        network: network(),
        listen: vec![listen.parse().unwrap()],
        bootstrap: bootstrap.iter().map(|(seed, address)| (id(*seed), (*address).clone())).collect(),
        allow: allow.iter().map(|seed| id(*seed)).collect(),
    }
}

async fn start(config: MeshConfig) -> Node {
    let (mesh, events) = Mesh::start(config).await.unwrap();
    Node { mesh, events }
}

impl Node {
    fn address(&self) -> &Multiaddr {
        &self.mesh.listen_addresses()[0]
    }

    async fn next(&mut self) -> MeshEvent {
        timeout(DEADLINE, self.events.recv()).await.expect("an event in time").expect("a running mesh")
    }

    /// Waits for the first event that `wanted` takes; the others are dropped.
    async fn wait<T>(&mut self, mut wanted: impl FnMut(MeshEvent) -> Option<T>) -> T {
        loop {
            if let Some(found) = wanted(self.next().await) {
                return found;
            }
        }
    }

    async fn wait_connected(&mut self, peer: NodeId) {
        self.wait(|event| matches!(event, MeshEvent::Connected(node) if node == peer).then_some(())).await;
    }

    async fn wait_disconnected(&mut self, peer: NodeId) {
        self.wait(|event| matches!(event, MeshEvent::Disconnected(node) if node == peer).then_some(())).await;
    }

    async fn wait_direct(&mut self) -> (NodeId, Bytes) {
        self.wait(|event| match event {
            MeshEvent::Direct { from, message } => Some((from, message)),
            _ => None,
        })
        .await
    }
}

/// Nodes 1 and 2, connected.
async fn pair(listen: &str) -> (Node, Node) {
    let mut one = start(config(1, listen, &[], &[1, 2])).await;
    let mut two = start(config(2, listen, &[(1, one.address())], &[1, 2])).await;
    one.wait_connected(id(2)).await;
    two.wait_connected(id(1)).await;
    (one, two)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn direct_messages_arrive_in_order_over_tcp_and_quic() {
    for transport in [TCP, QUIC] {
        let (one, mut two) = pair(transport).await;
        let sizes = [1, 200, 20_000, 300_000];
        for number in 0..400_u32 {
            let mut message = number.to_be_bytes().to_vec();
            message.resize(4 + sizes[number as usize % sizes.len()] / 4, 7);
            assert!(one.mesh.send(id(2), message.into()));
        }
        for expected in 0..400_u32 {
            let (from, message) = two.wait_direct().await;
            assert_eq!(from, id(1));
            assert_eq!(message[..4], expected.to_be_bytes());
            assert_eq!(message.len(), 4 + sizes[expected as usize % sizes.len()] / 4);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_answered_or_declined() {
    let (one, mut two) = pair(TCP).await;
    let node = tokio::spawn(async move {
        for answer in [Some(Bytes::from(vec![9; 3_000_000])), None] {
            let (from, request, reply) = two
                .wait(|event| match event {
                    MeshEvent::Request { from, request, reply } => Some((from, request, reply)),
                    _ => None,
                })
                .await;
            assert_eq!((from, &request[..]), (id(1), &b"blocks 1..9"[..]));
            match answer {
                Some(answer) => reply.send(answer).unwrap(),
                None => drop(reply),
            }
        }
        two
    });
    let ask = || one.mesh.request(id(2), Bytes::from_static(b"blocks 1..9"));
    assert_eq!(ask().await.unwrap(), vec![9; 3_000_000]);
    let declined = RequestError::Refused("it has no answer to this request".into());
    assert_eq!(ask().await, Err(declined));
    assert_eq!(one.mesh.request(id(3), Bytes::new()).await, Err(RequestError::NotConnected));
    node.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gossip_reaches_a_node_two_hops_away_only_after_a_verdict() {
    let mut one = start(config(1, TCP, &[], &[1, 2])).await;
    let mut two = start(config(2, TCP, &[(1, one.address())], &[1, 2, 3])).await;
    let mut three = start(config(3, TCP, &[(2, two.address())], &[2, 3])).await;
    one.wait_connected(id(2)).await;
    two.wait_connected(id(3)).await;
    three.wait_connected(id(2)).await;
    let relay = tokio::spawn(async move {
        while let Some(event) = two.events.recv().await {
            if let MeshEvent::Gossip { message, verdict, .. } = event {
                let judged = if message.starts_with(b"good") { Verdict::Accept } else { Verdict::Reject };
                let _gone = verdict.send(judged);
            }
        }
    });
    let mut number = 0;
    let heard = loop {
        number += 1;
        assert!(one.mesh.publish(Topic::Heads, format!("bad {number}").into()));
        assert!(one.mesh.publish(Topic::Transactions, format!("good {number}").into()));
        if let Ok(Some(MeshEvent::Gossip { from, topic, message, .. })) =
            timeout(Duration::from_millis(200), three.events.recv()).await
        {
            break (from, topic, message);
        }
        assert!(number < 100, "nothing arrived");
    };
    assert_eq!((heard.0, heard.1), (id(2), Topic::Transactions));
    assert!(heard.2.starts_with(b"good"), "{:?}", heard.2);
    relay.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: run it by name with --run-ignored and --nocapture"]
async fn measure_direct_round_trips() {
    for transport in [TCP, QUIC] {
        let (mut one, mut two) = pair(transport).await;
        let echo = tokio::spawn(async move {
            while let Some(event) = two.events.recv().await {
                if let MeshEvent::Direct { from, message } = event {
                    assert!(two.mesh.send(from, message));
                }
            }
        });
        let mut times = Vec::new();
        for _ in 0..3_000 {
            let begin = Instant::now();
            assert!(one.mesh.send(id(2), Bytes::from_static(&[7; 200])));
            one.wait_direct().await;
            times.push(begin.elapsed());
        }
        times.drain(..500);
        times.sort_unstable();
        println!("{transport}: p50 {:?} p99 {:?}", times[times.len() / 2], times[times.len() * 99 / 100]);
        echo.abort();
    }
}
