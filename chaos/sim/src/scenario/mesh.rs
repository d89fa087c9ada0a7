//! Runs the mesh alone: five nodes that talk to each other by gossip, direct streams and requests while links are cut
//! and nodes crash. After the faults everyone has to hear everyone again.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use althing_contracts::{
    digest::{Digest, Purpose},
    testing::TestKey,
};
use althing_netconfig::{
    identity::{Identity, NodeId},
    mesh::{Mesh, MeshConfig, MeshEvent, MeshEvents, MeshHandle, Topic, Verdict},
};
use bytes::Bytes;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use crate::{machine, trace, transport};

/// Nodes of the mesh.
const NODES: usize = 5;
/// How long links are cut and nodes crash.
const CHAOS: Duration = Duration::from_secs(40);
/// How long everyone may take to hear everyone again: a ping that fails (6.5 s), the longest wait before a dial (5 s),
/// and a second for each of gossip and streams.
const HEAL: Duration = Duration::from_secs(20);
/// How often a node says something.
const INTERVAL: Duration = Duration::from_millis(100);

/// What a run of the mesh observed.
#[derive(Debug, serde::Serialize)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// Faults made.
    pub faults: u64,
    /// Messages heard, by way.
    pub heard: BTreeMap<&'static str, u64>,
    /// Pairs that did not hear each other in the last seconds, by way.
    pub deaf: Vec<String>,
    /// Panics of tasks.
    pub panics: u64,
    /// The trace.
    pub trace: trace::Summary,
}

impl Outcome {
    /// Whether everyone heard everyone.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.deaf.is_empty() && self.panics == 0
    }
}

/// What all nodes heard: way, listener, speaker; and when last.
#[derive(Debug, Default)]
struct Heard {
    count: BTreeMap<&'static str, u64>,
    last: BTreeMap<(&'static str, usize, usize), Duration>,
}

type Ears = Arc<Mutex<Heard>>;

/// Runs the mesh with a seed.
///
/// # Panics
/// The simulation itself fails.
#[must_use]
pub fn run(seed: u64) -> Outcome {
    let end = CHAOS + HEAL;
    let mut sim = machine::network(seed, end * 2, Duration::from_millis(20)).build();
    let ears = Ears::default();
    for node in 0..NODES {
        let ears = Arc::clone(&ears);
        sim.host(host(node), move || live(node, Arc::clone(&ears)));
    }
    let mut random = StdRng::seed_from_u64(seed);
    let mut faults = 0;
    let mut next_fault = Duration::from_secs(3);
    while sim.elapsed() < end {
        sim.step().expect("no node ends by itself");
        if sim.elapsed() >= next_fault && sim.elapsed() < CHAOS {
            disturb(&mut sim, &mut random);
            faults += 1;
            next_fault = sim.elapsed() + Duration::from_millis(random.random_range(500..5_000));
            if next_fault >= CHAOS {
                heal(&mut sim);
            }
        }
    }
    let heard = ears.lock().unwrap_or_else(PoisonError::into_inner);
    Outcome {
        seed,
        faults,
        heard: heard.count.clone(),
        deaf: deaf(&heard, sim.elapsed()),
        panics: machine::panics(),
        trace: trace::summary(),
    }
}

fn host(node: usize) -> String {
    format!("node-{node}")
}

fn disturb(sim: &mut turmoil::Sim<'_>, random: &mut StdRng) {
    let (one, other) = (random.random_range(0..NODES), random.random_range(0..NODES));
    let (a, b) = (host(one), host(other));
    let kind = random.random_range(0..6);
    trace::note("fault", &format!("{} ms: {kind} {a} {b}", sim.elapsed().as_millis()));
    match kind {
        0 if one != other => sim.partition(a, b),
        1 if one != other => sim.partition_oneway(a, b),
        2 if one != other => sim.hold(a, b),
        3 if one != other => sim.release(a, b),
        4 => {
            if sim.is_host_running(a.as_str()) {
                sim.crash(a);
            } else {
                sim.bounce(a);
            }
        }
        _ => heal(sim),
    }
}

/// Ends every fault.
fn heal(sim: &mut turmoil::Sim<'_>) {
    for one in 0..NODES {
        for other in 0..one {
            sim.release(host(one), host(other));
            sim.repair(host(one), host(other));
        }
        if !sim.is_host_running(host(one)) {
            sim.bounce(host(one));
        }
    }
}

/// Pairs without a message in the last seconds.
fn deaf(heard: &Heard, end: Duration) -> Vec<String> {
    let since = end - Duration::from_secs(3);
    let pairs =
        (0..NODES).flat_map(|to| (0..NODES).filter(move |from| *from != to).map(move |from| (to, from)));
    let ways = ["direct", "gossip", "request"];
    let silent = |way, (to, from)| heard.last.get(&(way, to, from)).is_none_or(|last| *last < since);
    pairs
        .flat_map(|pair| ways.map(|way| (way, pair)))
        .filter(|(way, pair)| silent(*way, *pair))
        .map(|(way, (to, from))| format!("{way}: {to} does not hear {from}"))
        .collect()
}

fn identity(node: usize) -> Identity {
    Identity::from_seed(&TestKey::of(&host(node)).secret())
}

fn config(node: usize) -> MeshConfig {
    let ids: Vec<NodeId> = (0..NODES).map(|node| identity(node).node_id()).collect();
    MeshConfig {
        identity: identity(node),
        network: Digest::of(Purpose::Genesis, b"simulated"),
        listen: vec![transport::listen_address()],
        bootstrap: (0..NODES).map(|other| (ids[other], transport::address_of(&host(other)))).collect(),
        allow: ids,
        peers_max: 16,
    }
}

/// The software of a node.
async fn live(node: usize, ears: Ears) -> turmoil::Result {
    let (mesh, mut events) = Mesh::start_over(config(node), transport::SimTcp::default()).await?;
    let ids: BTreeMap<NodeId, usize> = (0..NODES).map(|node| (identity(node).node_id(), node)).collect();
    let others: BTreeSet<NodeId> = ids.keys().copied().filter(|id| *id != mesh.local()).collect();
    tokio::task::spawn_local(speak(node, mesh.clone(), others, ids.clone(), Arc::clone(&ears)));
    listen(node, &mut events, &ids, &ears).await;
    Err("the mesh has ended".into())
}

/// Says something on every way, again and again.
async fn speak(
    node: usize,
    mesh: MeshHandle,
    others: BTreeSet<NodeId>,
    ids: BTreeMap<NodeId, usize>,
    ears: Ears,
) {
    for number in 0_u64.. {
        let message = Bytes::from(format!("{node} {} {number}", turmoil::elapsed().as_millis()));
        let _lossy = mesh.publish(Topic::Heads, message.clone());
        for other in &others {
            let _lossy = mesh.send(*other, message.clone());
            let (mesh, other, ears) = (mesh.clone(), *other, Arc::clone(&ears));
            let (from, message) = (ids[&other], message.clone());
            tokio::task::spawn_local(async move {
                if mesh.request(other, message).await.is_ok() {
                    hear(&ears, "request", node, from);
                }
            });
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

async fn listen(node: usize, events: &mut MeshEvents, ids: &BTreeMap<NodeId, usize>, ears: &Ears) {
    while let Some(event) = events.recv().await {
        match event {
            MeshEvent::Direct { from, .. } => hear(ears, "direct", node, ids[&from]),
            MeshEvent::Gossip { message, verdict, .. } => {
                let _late = verdict.send(Verdict::Accept);
                if let Some(author) = author(&message) {
                    hear(ears, "gossip", node, author);
                }
            }
            MeshEvent::Request { request, reply, .. } => {
                let _gone = reply.send(request);
            }
            MeshEvent::Connected(peer) => trace::note("connected", &format!("{node} {}", ids[&peer])),
            MeshEvent::Disconnected(peer) => trace::note("disconnected", &format!("{node} {}", ids[&peer])),
        }
    }
}

/// The node that wrote a message.
fn author(message: &[u8]) -> Option<usize> {
    str::from_utf8(message).ok()?.split(' ').next()?.parse().ok()
}

fn hear(ears: &Ears, way: &'static str, listener: usize, speaker: usize) {
    trace::note(way, &format!("{listener} {speaker}"));
    let now = turmoil::sim_elapsed().unwrap_or_default();
    let mut heard = ears.lock().unwrap_or_else(PoisonError::into_inner);
    *heard.count.entry(way).or_default() += 1;
    heard.last.insert((way, listener, speaker), now);
}
