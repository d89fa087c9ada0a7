//! Who may connect: the allow-list, the network, cordons, bans, ports.

use althing_contracts::digest::{Digest, Purpose};
use althing_netconfig::mesh::{Mesh, MeshError, MeshEvent, Topic, Verdict, metrics};
use bytes::Bytes;

use crate::{
    counters::Counters,
    node::{QUIC, TCP, config, id, pair, start},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stranger_is_refused_and_counted_while_members_meet() {
    let counters = Counters::install();
    let mut one = start(config(1, TCP, &[], &[1, 2])).await;
    let before = counters.get(metrics::REFUSED_TOTAL, "stranger");
    let stranger = start(config(9, TCP, &[(1, one.address())], &[1, 9])).await;
    counters.wait_above(metrics::REFUSED_TOTAL, "stranger", before).await;
    assert_eq!((one.mesh.peers(), stranger.mesh.peers()), (vec![], vec![]));
    assert!(!stranger.mesh.send(id(1), Bytes::from_static(b"let me in")));
    let _two = start(config(2, TCP, &[(1, one.address())], &[1, 2])).await;
    one.wait_connected(id(2)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_member_of_another_network_is_refused_and_counted() {
    let counters = Counters::install();
    for transport in [TCP, QUIC] {
        let one = start(config(1, transport, &[], &[1, 2])).await;
        let before = counters.get(metrics::REFUSED_TOTAL, "other_network");
        let mut other = config(2, transport, &[(1, one.address())], &[1, 2]);
        other.network = Digest::of(Purpose::Genesis, b"two");
        let other = start(other).await;
        counters.wait_above(metrics::REFUSED_TOTAL, "other_network", before).await;
        assert_eq!((one.mesh.peers(), other.mesh.peers()), (vec![], vec![]));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cordoned_node_is_cut_off_both_ways_until_it_is_uncordoned() {
    for transport in [TCP, QUIC] {
        let (mut one, mut two) = pair(transport).await;
        two.mesh.cordon(id(1)).await;
        one.wait_disconnected(id(2)).await;
        two.wait_disconnected(id(1)).await;
        assert!(!one.mesh.send(id(2), Bytes::from_static(b"x")));
        assert!(!two.mesh.send(id(1), Bytes::from_static(b"x")));
        two.mesh.uncordon(id(1)).await;
        one.wait_connected(id(2)).await;
        two.wait_connected(id(1)).await;
        assert!(one.mesh.send(id(2), Bytes::from_static(b"back")));
        assert_eq!(two.wait_direct().await, (id(1), Bytes::from_static(b"back")));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cordon_by_the_node_that_is_dialled_holds_against_its_peer() {
    let counters = Counters::install();
    let (mut one, two) = pair(TCP).await;
    let before = counters.get(metrics::REFUSED_TOTAL, "cordoned");
    one.mesh.cordon(id(2)).await;
    one.wait_disconnected(id(2)).await;
    counters.wait_above(metrics::REFUSED_TOTAL, "cordoned", before).await;
    assert_eq!(one.mesh.peers(), vec![]);
    one.mesh.uncordon(id(2)).await;
    one.wait_connected(id(2)).await;
    drop(two);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_misbehaves_again_and_again_is_disconnected_and_kept_out() {
    let (mut one, mut two) = pair(TCP).await;
    for _ in 0..8 {
        one.mesh.report_misbehaviour(id(2));
    }
    one.wait_disconnected(id(2)).await;
    two.wait_disconnected(id(1)).await;
    one.mesh.uncordon(id(2)).await;
    one.wait_connected(id(2)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_neighbour_whose_gossip_is_rejected_is_no_longer_heard() {
    let (one, mut two) = pair(TCP).await;
    let mut rejected = 0;
    let score = loop {
        rejected += 1;
        assert!(rejected < 200, "rejected gossip did not hurt");
        assert!(one.mesh.publish(Topic::Heads, format!("lie {rejected}").into()));
        let heard = tokio::time::timeout(std::time::Duration::from_millis(200), two.events.recv()).await;
        if let Ok(Some(MeshEvent::Gossip { verdict, .. })) = heard {
            let _late = verdict.send(Verdict::Reject);
        }
        match two.mesh.gossip_score(id(1)).await {
            Some(score) if score < -100.0 => break score,
            _ => {}
        }
    };
    assert!(one.mesh.publish(Topic::Transactions, Bytes::from_static(b"unheard")));
    assert!(one.mesh.send(id(2), Bytes::from_static(b"last")));
    two.wait(|event| match event {
        MeshEvent::Gossip { message, .. } => panic!("{message:?} was heard at a score of {score}"),
        MeshEvent::Direct { .. } => Some(()),
        _ => None,
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_port_in_use_is_named_with_the_remedy() {
    for transport in [TCP, QUIC] {
        let one = start(config(1, transport, &[], &[1])).await;
        let address = one.address().to_string();
        let error = Mesh::start(config(2, &address, &[], &[2])).await.unwrap_err();
        assert!(matches!(error, MeshError::AddressInUse { .. }), "{error:?}");
        assert_eq!(
            error.to_string(),
            format!(
                "the address {address} is in use by another process; stop that process, or set another address \
                 or port 0 in `p2p.listen`"
            )
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_of_another_machine_cannot_be_listened_on() {
    let error = Mesh::start(config(1, "/ip4/192.0.2.1/tcp/0", &[], &[1])).await.unwrap_err();
    let message = error.to_string();
    assert!(message.starts_with("cannot listen on /ip4/192.0.2.1/tcp/0: "), "{message}");
    assert!(message.ends_with("; set an address of this machine in `p2p.listen`"), "{message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bootstrap_address_that_cannot_be_dialled_is_refused_at_the_start() {
    let nowhere = "/ip4/0.0.0.0/tcp/0".parse().unwrap();
    let error = Mesh::start(config(1, TCP, &[(2, &nowhere)], &[1, 2])).await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(error.to_string(), format!("cannot dial {}; correct its address in `p2p.bootstrap`", id(2)));
    assert_eq!(
        source,
        "/ip4/0.0.0.0/tcp/0 names no single place; an address to dial needs a port and an address of a machine"
    );
}
