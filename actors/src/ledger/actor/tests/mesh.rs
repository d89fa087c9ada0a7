//! Owns a mesh of whole ledgers in one process: each with its actor, its thread and its files, joined by channels.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use actix::Arbiter;
use althing_contracts::{
    constitution::Constitution,
    quantity::{BondPoints, DurationMs, Height, Sequence, TimeMs},
    role::Role,
    testing::{GENESIS_TIME, World, consensus_key, deploy, genesis, member, node_key, org, record},
    transaction::{Call, TransactionBody},
};
use async_trait::async_trait;
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use tempfile::TempDir;
use tokio::sync::{mpsc, oneshot};

use crate::{
    ledger::{
        LedgerHandle, LedgerOptions,
        consensus::{ConsensusKey, Verdicts},
        message::{Final, SubmitError},
        state::{LedgerRole, LedgerSettings, LedgerTiming},
        storage::FileStorage,
    },
    port::{Clock, Mesh, MeshEvent, NodeId, RequestError, Topic},
    watcher::{RestartLimits, Watcher},
};

/// Validators; the node after them is an observer.
pub(super) const VALIDATORS: usize = 4;
/// The observer's index.
pub(super) const OBSERVER: usize = VALIDATORS;
/// Longest time for anything that is waited for, unless a test says more.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// Events that wait for a ledger, as in the real mesh.
const EVENTS_MAX: usize = 4_096;
/// Authors of proposals, so that none has more open ones than the rules allow.
const AUTHORS: u64 = 16;
/// Heights that a node remembers without its index: few, so that a node that catches up asks for older ones.
const REMEMBERED: usize = 64;
/// Open proposals of an author.
const OPEN_MAX: u16 = 1_000;

/// The mesh.
pub(super) struct TestMesh {
    pub(super) world: World,
    hub: Arc<Hub>,
    nodes: BTreeMap<usize, TestNode>,
    directory: TempDir,
    /// Where other nodes than the last validator keep their files in a mesh that is made to be caught up with.
    memory: Option<TempDir>,
    submissions: u64,
    /// Of every node that is started from here on.
    pub(super) timing: LedgerTiming,
}

struct TestNode {
    ledger: LedgerHandle,
    arbiter: Arbiter,
}

/// Who is connected to whom.
#[derive(Default)]
struct Hub(Mutex<Links>);

#[derive(Default)]
struct Links {
    inboxes: BTreeMap<NodeId, mpsc::Sender<MeshEvent>>,
    cut: BTreeSet<NodeId>,
    blamed: Vec<NodeId>,
}

/// One node's end of the hub.
struct Port {
    node: NodeId,
    hub: Arc<Hub>,
}

/// Goes on from the time of genesis.
struct TestClock(Instant);

impl TestMesh {
    /// A mesh of which no node runs.
    pub(super) fn new() -> Self {
        let mut genesis = genesis(VALIDATORS);
        genesis.constitution =
            Constitution { open_proposals_per_author_max: OPEN_MAX, ..Constitution::default_genesis() };
        genesis.constitution.bonds.base = BondPoints::ZERO;
        for author in 0..AUTHORS {
            let id = member(&format!("acme/author-{author}"));
            genesis.members.insert(id.clone(), record(&id, 1, &[Role::Author]));
        }
        Self {
            world: World::with(genesis),
            hub: Arc::default(),
            nodes: BTreeMap::new(),
            directory: tempfile::tempdir().unwrap(),
            memory: None,
            submissions: 0,
            timing: LedgerTiming::default(),
        }
    }

    /// A mesh whose nodes with these indices run.
    pub(super) fn of(nodes: impl IntoIterator<Item = usize>) -> Self {
        let mut mesh = Self::new();
        nodes.into_iter().for_each(|node| mesh.start(node));
        mesh
    }

    /// Has all nodes but the last validator keep their files in memory, where the system has such a place: what they
    /// make is only there to be caught up with, and most of their time would go into waiting for the disk.
    pub(super) fn keep_in_memory(&mut self) {
        self.memory = tempfile::tempdir_in("/dev/shm").ok();
    }

    pub(super) fn data_dir(&self, node: usize) -> PathBuf {
        let memory = self.memory.as_ref().filter(|_| node + 1 != VALIDATORS);
        memory.unwrap_or(&self.directory).path().join(node.to_string())
    }

    pub(super) fn settings(&self, node: usize) -> LedgerSettings {
        let role = if node == OBSERVER {
            LedgerRole::Observer
        } else {
            LedgerRole::Validator(ConsensusKey::from_seed(consensus_key(org(node).as_str()).secret()))
        };
        let genesis = self.world.genesis.clone();
        LedgerSettings {
            genesis,
            node: id(node),
            role,
            timing: self.timing,
            remembered_max: REMEMBERED,
            verdicts: Verdicts::default(),
        }
    }

    /// Starts a node on what its directory holds and connects it.
    pub(super) fn start(&mut self, node: usize) {
        let arbiter = Arbiter::new();
        let (inbox, mut events) = mpsc::channel(EVENTS_MAX);
        let options = LedgerOptions {
            settings: self.settings(node),
            storage: Arc::new(FileStorage(self.data_dir(node))),
            mesh: Arc::new(Port { node: id(node), hub: Arc::clone(&self.hub) }),
            events: stream::poll_fn(move |context| events.poll_recv(context)).boxed(),
            clock: Arc::new(TestClock(Instant::now())),
            home: Arc::new(arbiter.handle()),
        };
        let ledger = LedgerHandle::start(&Watcher::new(RestartLimits::default()), options).unwrap();
        self.hub.attach(id(node), inbox);
        self.nodes.insert(node, TestNode { ledger, arbiter });
    }

    /// Ends a node in order.
    pub(super) async fn stop(&mut self, node: usize) {
        let TestNode { ledger, arbiter } = self.nodes.remove(&node).unwrap();
        self.hub.detach(id(node));
        ledger.shutdown().await;
        arbiter.stop();
    }

    pub(super) fn ledger(&self, node: usize) -> &LedgerHandle {
        &self.nodes[&node].ledger
    }

    /// Takes a node off the network, or brings it back.
    pub(super) fn cut(&self, node: usize, is_cut: bool) {
        self.hub.cut(id(node), is_cut);
    }

    /// The bytes of a transaction that no other call made.
    pub(super) fn transaction(&mut self) -> Vec<u8> {
        let turn = self.submissions;
        self.submissions += 1;
        let document = deploy(&format!("v{turn}"), &[&["acme-north"]]);
        let plan_hash = self.world.state.plan(&document).unwrap().hash();
        let body = TransactionBody {
            sender: member(&format!("acme/author-{}", turn % AUTHORS)),
            role: Role::Author,
            sequence: Sequence::new(turn / AUTHORS + 1),
            not_after: TimeMs::MAX,
            call: Call::Submit { document, plan_hash },
        };
        self.world.sign_as(body).encode()
    }

    pub(super) async fn submit(&self, node: usize, bytes: &[u8]) -> Result<Final, SubmitError> {
        within(PATIENCE, self.ledger(node).submit(bytes.to_vec())).await
    }

    /// Makes blocks one after the other, by transactions at node 0.
    pub(super) async fn make_blocks(&mut self, count: u64) -> Height {
        let mut height = Height::ZERO;
        for _ in 0..count {
            let bytes = self.transaction();
            height = self.submit(0, &bytes).await.unwrap().height;
        }
        height
    }

    /// Waits until a node shows a height.
    pub(super) async fn reaches(&self, node: usize, height: Height, patience: Duration) {
        let mut view = self.ledger(node).feed().view;
        let reached = view.wait_for(|view| view.state.height() >= height);
        within(patience, reached).await.unwrap();
    }

    /// The nodes that were reported for breaking the protocol.
    pub(super) fn blamed(&self) -> Vec<NodeId> {
        self.hub.0.lock().unwrap().blamed.clone()
    }
}

pub(super) async fn within<T>(patience: Duration, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(patience, future).await.expect("it happens in time")
}

fn id(node: usize) -> NodeId {
    if node == OBSERVER { node_key("observer").public() } else { node_key(org(node).as_str()).public() }
}

impl Hub {
    fn attach(&self, node: NodeId, inbox: mpsc::Sender<MeshEvent>) {
        self.0.lock().unwrap().inboxes.insert(node, inbox);
        self.announce(node, MeshEvent::Connected);
    }

    fn detach(&self, node: NodeId) {
        self.announce(node, MeshEvent::Disconnected);
        self.0.lock().unwrap().inboxes.remove(&node);
    }

    fn cut(&self, node: NodeId, is_cut: bool) {
        if is_cut {
            self.announce(node, MeshEvent::Disconnected);
            self.0.lock().unwrap().cut.insert(node);
        } else {
            self.0.lock().unwrap().cut.remove(&node);
            self.announce(node, MeshEvent::Connected);
        }
    }

    /// Tells a node and all that it is connected to of each other.
    fn announce(&self, node: NodeId, event: fn(NodeId) -> MeshEvent) {
        let links = self.0.lock().unwrap();
        for peer in links.peers(node) {
            assert!(links.deliver(node, peer, event(node)), "a connected node takes events");
            assert!(links.deliver(peer, node, event(peer)), "a connected node takes events");
        }
    }
}

impl Links {
    fn peers(&self, node: NodeId) -> Vec<NodeId> {
        let joins = |other: &&NodeId| **other != node && !self.cut.contains(*other);
        let is_on = self.inboxes.contains_key(&node) && !self.cut.contains(&node);
        self.inboxes.keys().filter(joins).filter(|_| is_on).copied().collect()
    }

    fn deliver(&self, from: NodeId, to: NodeId, event: MeshEvent) -> bool {
        self.peers(from).contains(&to)
            && self.inboxes.get(&to).is_some_and(|inbox| inbox.try_send(event).is_ok())
    }
}

#[async_trait]
impl Mesh for Port {
    fn send(&self, to: NodeId, message: Bytes) -> bool {
        let from = self.node;
        self.hub.0.lock().unwrap().deliver(from, to, MeshEvent::Direct { from, message })
    }

    fn publish(&self, topic: Topic, message: Bytes) -> bool {
        let (from, links) = (self.node, self.hub.0.lock().unwrap());
        for to in links.peers(from) {
            let event =
                MeshEvent::Gossip { from, topic, message: message.clone(), verdict: oneshot::channel().0 };
            let _full = links.deliver(from, to, event);
        }
        true
    }

    async fn request(&self, to: NodeId, request: Bytes) -> Result<Bytes, RequestError> {
        let (reply, answer) = oneshot::channel();
        let event = MeshEvent::Request { from: self.node, request, reply };
        if !self.hub.0.lock().unwrap().deliver(self.node, to, event) {
            return Err(RequestError::NotConnected);
        }
        let answer = tokio::time::timeout(PATIENCE, answer).await.map_err(|_| RequestError::Timeout)?;
        answer.map_err(|_| RequestError::Refused("no answer".to_owned()))
    }

    fn peers(&self) -> Vec<NodeId> {
        self.hub.0.lock().unwrap().peers(self.node)
    }

    fn report(&self, node: NodeId) {
        self.hub.0.lock().unwrap().blamed.push(node);
    }
}

impl Clock for TestClock {
    fn now(&self) -> TimeMs {
        let elapsed_ms = u64::try_from(self.0.elapsed().as_millis()).unwrap();
        GENESIS_TIME.after(DurationMs::from_hours(1)).after(DurationMs::new(elapsed_ms))
    }
}
