//! Owns the software of an honest node: publishes numbered messages, judges what it hears at a bounded pace, asks others.

use std::{collections::BTreeMap, rc::Rc, time::Duration};

use althing_netconfig::{
    identity::NodeId,
    mesh::{Mesh, MeshEvent, MeshEvents, MeshHandle, Topic, Verdict},
};
use bytes::Bytes;
use tokio::time::sleep;

use super::{
    PUBLISH_BEGIN, PUBLISH_END, begin_of,
    cast::{self, Cast, HONEST},
    tally::SharedTally,
};
use crate::{
    trace,
    transport::{Open, SimTcp},
};

/// How often a node publishes.
const INTERVAL: Duration = Duration::from_secs(1);
/// Events that an application judges before it needs [`WORK`]: at most 2,000 a second.
const EVENTS_A_WORK: usize = 10;
/// What judging them takes.
const WORK: Duration = super::TICK;

/// A life.
pub(super) async fn live(node: usize, cast: Rc<Cast>, tally: SharedTally, open: Open) -> turmoil::Result {
    sleep(begin_of(node)).await;
    let (mesh, mut events) = Mesh::start_over(cast.honest(node), SimTcp::counted(&open)).await?;
    tokio::task::spawn_local(publish(node, mesh.clone(), Rc::clone(&tally)));
    tokio::task::spawn_local(ask(node, mesh.clone(), Rc::clone(&tally)));
    Listener { node, mesh, names: names(&cast), tally }.run(&mut events).await;
    Err("the mesh has ended".into())
}

/// The host of each admitted node.
fn names(cast: &Cast) -> BTreeMap<NodeId, String> {
    let hostile = cast.hostile.iter().map(|peer| peer.host.clone());
    (0..HONEST).map(cast::host).chain(hostile).map(|host| (cast::node_id(&host), host)).collect()
}

/// Publishes until the measurement ends; nodes begin one after another.
async fn publish(node: usize, mesh: MeshHandle, tally: SharedTally) {
    let offset = INTERVAL * u32::try_from(node).unwrap_or(0) / 40;
    sleep((PUBLISH_BEGIN + offset).saturating_sub(turmoil::sim_elapsed().unwrap_or_default())).await;
    for number in 0.. {
        if turmoil::sim_elapsed().unwrap_or_default() >= PUBLISH_END {
            return;
        }
        tally.borrow_mut().publish(node, number);
        let _full = mesh.publish(Topic::Transactions, Bytes::from(format!("honest {node} {number}")));
        sleep(INTERVAL).await;
    }
}

/// Asks its honest neighbours in turn.
async fn ask(node: usize, mesh: MeshHandle, tally: SharedTally) {
    sleep(PUBLISH_BEGIN).await;
    let honest: Vec<NodeId> = (0..HONEST).map(|honest| cast::node_id(&cast::host(honest))).collect();
    for turn in 0.. {
        sleep(INTERVAL).await;
        // What is on its way when the run ends was not refused.
        if turmoil::sim_elapsed().unwrap_or_default() >= PUBLISH_END {
            return;
        }
        let mut peers: Vec<NodeId> = mesh.peers().into_iter().filter(|peer| honest.contains(peer)).collect();
        peers.sort_unstable();
        let Some(peer) = peers.get(turn % peers.len().max(1)).copied() else { continue };
        let asked = mesh.request(peer, Bytes::from(format!("{node} {turn}")));
        tally.borrow_mut().ask();
        if asked.await.is_ok() {
            tally.borrow_mut().answer();
        }
    }
}

/// What judges.
struct Listener {
    node: usize,
    mesh: MeshHandle,
    names: BTreeMap<NodeId, String>,
    tally: SharedTally,
}

impl Listener {
    async fn run(&self, events: &mut MeshEvents) {
        let mut judged = 0;
        while let Some(event) = events.recv().await {
            self.take(event);
            judged += 1;
            if judged % EVENTS_A_WORK == 0 {
                sleep(WORK).await;
            }
        }
    }

    fn take(&self, event: MeshEvent) {
        match event {
            MeshEvent::Gossip { from, message, verdict, .. } => {
                // A late verdict counts for nothing.
                let _late = verdict.send(self.judge(from, &message));
            }
            MeshEvent::Request { request, reply, .. } => {
                let _gone = reply.send(request);
            }
            MeshEvent::Direct { .. } => self.tally.borrow_mut().torrent(),
            MeshEvent::Connected(peer) => {
                trace::note("connected", &format!("{} {}", self.node, self.name(peer)));
                if !self.names.contains_key(&peer) {
                    self.tally.borrow_mut().stranger(peer.to_string());
                }
            }
            MeshEvent::Disconnected(peer) => {
                trace::note("disconnected", &format!("{} {}", self.node, self.name(peer)));
                self.tally.borrow_mut().cut_off(self.name(peer));
            }
        }
    }

    /// As the ledger does: what cannot be read is refused, and its sender reported.
    fn judge(&self, from: NodeId, message: &[u8]) -> Verdict {
        let words: Vec<&str> = str::from_utf8(message).unwrap_or("").split(' ').collect();
        match words[..] {
            ["honest", author, number] => {
                if let (Ok(author), Ok(number)) = (author.parse(), number.parse()) {
                    trace::note("heard", &format!("{} {author} {number}", self.node));
                    self.tally.borrow_mut().hear(self.node, author, number);
                }
                Verdict::Accept
            }
            ["flood", ..] => {
                self.tally.borrow_mut().flood();
                Verdict::Accept
            }
            _ => {
                self.tally.borrow_mut().invalid(self.node, self.name(from));
                self.mesh.report_misbehaviour(from);
                Verdict::Reject
            }
        }
    }

    fn name(&self, peer: NodeId) -> &str {
        self.names.get(&peer).map_or("stranger", String::as_str)
    }
}
