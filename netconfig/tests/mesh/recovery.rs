//! What breaks heals: killed peers, restarts, whole meshes.

use std::time::Instant;

use althing_netconfig::mesh::{Mesh, MeshConfig, Topic};
use bytes::Bytes;
use tokio::runtime::Runtime;

use crate::node::{DEADLINE, Node, QUIC, TCP, config, free_addresses, id, start};

/// A node in a runtime of its own, so that it can be killed without a goodbye.
fn start_apart(config: MeshConfig) -> (Runtime, Node) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (sender, started) = std::sync::mpsc::channel();
    runtime.spawn(async move { sender.send(start(config).await).ok() });
    (runtime, started.recv().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_peer_is_noticed_and_dialled_until_it_is_back() {
    for transport in [TCP, QUIC] {
        let address = free_addresses(1, transport).remove(0);
        let text = address.to_string();
        let (runtime, mut peer) = start_apart(config(2, &text, &[], &[1, 2]));
        let mut one = start(config(1, transport, &[(2, &address)], &[1, 2])).await;
        one.wait_connected(id(2)).await;
        peer.wait_connected(id(1)).await;
        runtime.shutdown_background();
        one.wait_disconnected(id(2)).await;
        assert!(!one.mesh.send(id(2), Bytes::from_static(b"gone")));
        drop(peer);
        let (runtime, mut peer) = start_again(config(2, &text, &[], &[1, 2])).await;
        peer.wait_connected(id(1)).await;
        one.wait_connected(id(2)).await;
        assert!(one.mesh.send(id(2), Bytes::from_static(b"again")));
        assert_eq!(peer.wait_direct().await, (id(1), Bytes::from_static(b"again")));
        runtime.shutdown_background();
    }
}

/// Starts node 2 on an address that its predecessor may still be letting go of.
async fn start_again(config: MeshConfig) -> (Runtime, Node) {
    let begin = Instant::now();
    while begin.elapsed() < DEADLINE {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let started = runtime.spawn(Mesh::start(config.clone())).await.unwrap();
        match started {
            Ok((mesh, events)) => return (runtime, Node { mesh, events }),
            Err(_) => runtime.shutdown_background(),
        }
    }
    panic!("the address was not let go of");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn four_nodes_that_know_each_other_meet_at_once() {
    for transport in [TCP, QUIC] {
        let addresses = free_addresses(4, transport);
        let begin = Instant::now();
        let mut nodes = Vec::new();
        for seed in 1..=4_u8 {
            let known: Vec<_> = (1..=4).zip(&addresses).collect();
            let listen = addresses[usize::from(seed) - 1].to_string();
            nodes.push(start(config(seed, &listen, &known, &[1, 2, 3, 4])).await);
        }
        for node in &mut nodes {
            while node.mesh.peers().len() < 3 {
                node.next().await;
            }
        }
        let elapsed = begin.elapsed();
        println!("{transport}: four nodes met in {elapsed:?}");
        assert!(elapsed < std::time::Duration::from_secs(10), "{elapsed:?}");
        for (at, node) in nodes.iter().enumerate() {
            for to in (1..=4).filter(|to| usize::from(*to) != at + 1) {
                assert!(node.mesh.send(id(to), Bytes::from_static(b"hello")));
            }
        }
        for node in &mut nodes {
            for _ in 0..3 {
                node.wait_direct().await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_is_noticed_by_peers_and_ends_the_events() {
    let (mut one, mut two) = crate::node::pair(TCP).await;
    two.mesh.shutdown().await;
    one.wait_disconnected(id(2)).await;
    while two.events.recv().await.is_some() {}
    assert!(!two.mesh.publish(Topic::Heads, Bytes::from_static(b"x")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_dials_after_a_restart_is_heard_before_its_old_connection_times_out() {
    for transport in [TCP, QUIC] {
        let mut one = start(config(1, transport, &[], &[1, 2])).await;
        let restarted = config(2, transport, &[(1, one.address())], &[1, 2]);
        let (runtime, peer) = start_apart(restarted.clone());
        one.wait_connected(id(2)).await;
        runtime.shutdown_background();
        drop(peer);
        let begin = Instant::now();
        let (runtime, mut peer) = start_again(restarted).await;
        peer.wait_connected(id(1)).await;
        one.wait_disconnected(id(2)).await;
        one.wait_connected(id(2)).await;
        assert!(one.mesh.send(id(2), Bytes::from_static(b"welcome back")));
        assert_eq!(peer.wait_direct().await, (id(1), Bytes::from_static(b"welcome back")));
        assert!(begin.elapsed() < std::time::Duration::from_secs(5), "{transport}: {:?}", begin.elapsed());
        runtime.shutdown_background();
    }
}
