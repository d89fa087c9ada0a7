//! Owns what hostile peers do. Those that are admitted use the real mesh where it does them no harm.

use std::{rc::Rc, time::Duration};

use althing_netconfig::mesh::{Mesh, MeshEvent, MeshEvents, MeshHandle, Topic, Verdict};
use bytes::Bytes;
use tokio::time::{Instant, sleep, sleep_until};

use super::{
    ATTACK_BEGIN,
    cast::{Cast, Hostile, Part},
};
use crate::transport::SimTcp;

mod garbler;
mod stranger;

/// Messages of one flooder a second; an honest node publishes one.
const FLOOD_A_SECOND: u32 = 20;
/// Refused messages of one spammer a second.
const SPAM_A_SECOND: u32 = 10;
/// How often a torrent fills its queues, and with how many frames to each node.
const TORRENT_EVERY: Duration = Duration::from_millis(100);
const TORRENT_FRAMES: usize = 256;
/// Requests of a torrent that wait for an answer at one node: as many as one connection bears.
const TORRENT_REQUESTS: usize = 16;

/// A life of a hostile peer.
pub(super) async fn live(peer: Hostile, cast: Rc<Cast>) -> turmoil::Result {
    if peer.part == Part::Idler {
        tokio::task::spawn_local(stranger::let_wait());
    }
    sleep(ATTACK_BEGIN).await;
    match peer.part {
        Part::Knocker => stranger::knock(&peer).await,
        Part::Idler => stranger::idle().await,
        Part::Babbler => stranger::babble().await,
        Part::Garbler => garbler::garble(&peer).await,
        Part::Sink | Part::Flooder | Part::Spammer | Part::Torrent => {
            let (mesh, events) = Mesh::start_over(cast.admitted(&peer), SimTcp::default()).await?;
            attack(&peer, mesh, events).await;
        }
    }
    Err("a hostile peer has given up".into())
}

async fn attack(peer: &Hostile, mesh: MeshHandle, events: MeshEvents) {
    match peer.part {
        Part::Flooder => {
            tokio::task::spawn_local(publish(mesh, "flood", peer.host.clone(), FLOOD_A_SECOND));
        }
        Part::Spammer => {
            tokio::task::spawn_local(publish(mesh, "spam", peer.host.clone(), SPAM_A_SECOND));
        }
        Part::Torrent => {
            tokio::task::spawn_local(torrent(mesh));
        }
        // It is enough that it passes nothing on.
        _ => drop_at_end(mesh),
    }
    swallow(peer.part, events).await;
}

/// The mesh runs as long as its handle: a peer that only listens keeps it in a task that never ends.
fn drop_at_end(mesh: MeshHandle) {
    tokio::task::spawn_local(async move {
        let _mesh = mesh;
        std::future::pending::<()>().await;
    });
}

async fn publish(mesh: MeshHandle, what: &'static str, host: String, a_second: u32) {
    let mut due = Instant::now();
    for number in 0_u64.. {
        let _full = mesh.publish(Topic::Transactions, Bytes::from(format!("{what} {host} {number}")));
        due += Duration::from_secs(1) / a_second;
        sleep_until(due).await;
    }
}

/// Keeps every queue to everyone full, and every place for requests taken.
async fn torrent(mesh: MeshHandle) {
    let mut asking = std::collections::BTreeSet::new();
    loop {
        let mut peers = mesh.peers();
        peers.sort_unstable();
        for peer in peers {
            for _ in 0..TORRENT_FRAMES {
                let _full = mesh.send(peer, Bytes::from_static(b"torrent"));
            }
            if asking.insert(peer) {
                for _ in 0..TORRENT_REQUESTS {
                    let mesh = mesh.clone();
                    tokio::task::spawn_local(async move {
                        loop {
                            // Answered or not, it asks again.
                            let _answer = mesh.request(peer, Bytes::from_static(b"torrent")).await;
                            sleep(TORRENT_EVERY).await;
                        }
                    });
                }
            }
        }
        sleep(TORRENT_EVERY).await;
    }
}

/// Reads everything; a sink and a spammer pass nothing on, the others are polite.
async fn swallow(part: Part, mut events: MeshEvents) {
    while let Some(event) = events.recv().await {
        match event {
            MeshEvent::Gossip { verdict, .. } if matches!(part, Part::Flooder | Part::Torrent) => {
                let _late = verdict.send(Verdict::Accept);
            }
            MeshEvent::Request { request, reply, .. } => {
                let _gone = reply.send(request);
            }
            _ => {}
        }
    }
}
