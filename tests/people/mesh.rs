//! A node over the real rules without a network: every submission is a block of its own, final at once.

use std::{
    fs::File,
    io::Seek as _,
    sync::{Arc, Mutex, MutexGuard},
};

use althing::api::{
    Api, ApiConfig,
    backend::{ActError, Backend, Check, ExportError, NodeFacts, NodeRole, Peer},
};
use althing_actors::{
    auditor::bundle::BundleWriter,
    ledger::message::{CertifiedBlock, EventBatch, Final, LedgerFeed, LedgerView, ReadError, SubmitError},
};
use althing_contracts::{
    canonical,
    event::EventRecord,
    name::{Line, MemberId},
    quantity::{DurationMs, EventSequence, Height, TimeMs},
    reject::Reject,
    role::Role,
    stage::Stage,
    testing::{self, World},
    transaction::{Call, ProposalId, Transaction},
};
use tokio::sync::{Notify, broadcast, watch};

/// The node of acme; it holds every key but those of delta.
pub(crate) struct Mesh {
    inside: Mutex<Inside>,
    view: watch::Sender<Arc<LedgerView>>,
    events: broadcast::Sender<EventBatch>,
    role: NodeRole,
    pub(crate) ready: Mutex<Option<&'static str>>,
    pub(crate) pruned: Mutex<bool>,
    /// Told when a submission has begun.
    pub(crate) started: Notify,
    /// Submissions go on while it is `true`.
    pub(crate) open: watch::Sender<bool>,
}

struct Inside {
    world: World,
    records: Vec<EventRecord>,
    blocks: Vec<CertifiedBlock>,
}

/// A mesh with its API on a Unix socket and loopback, in a directory of its own.
pub(crate) struct Served {
    pub(crate) mesh: Arc<Mesh>,
    pub(crate) api: Api,
    pub(crate) dir: tempfile::TempDir,
}

impl Mesh {
    pub(crate) fn new(role: NodeRole) -> Arc<Self> {
        Self::of(role, World::new(4))
    }

    pub(crate) fn of(role: NodeRole, world: World) -> Arc<Self> {
        let view = watch::Sender::new(Arc::new(view(&world)));
        let inside = Mutex::new(Inside { world, records: Vec::new(), blocks: Vec::new() });
        let events = broadcast::Sender::new(16);
        Arc::new(Self {
            inside,
            view,
            events,
            role,
            ready: Mutex::new(None),
            pruned: Mutex::new(false),
            started: Notify::new(),
            open: watch::Sender::new(true),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap()
    }

    /// Makes a block `later` of one transaction, or of none.
    fn block(&self, later: DurationMs, transaction: Option<Transaction>) -> Final {
        let mut inside = self.lock();
        let transactions: Vec<_> = transaction.into_iter().collect();
        let (block, executed) = inside.world.block(later, &transactions);
        let certificate = inside.world.certify(block.header());
        inside.blocks.push(CertifiedBlock { block: canonical::encode(&block), certificate });
        let (height, time) = (block.header().height, block.header().time);
        let mut batch = Vec::new();
        for event in executed.events {
            let sequence = EventSequence::new(inside.records.len() as u64 + 1);
            let record = EventRecord { sequence, height, time, event };
            inside.records.push(record.clone());
            batch.push(record);
        }
        self.view.send_replace(Arc::new(view(&inside.world)));
        drop(inside);
        let _listeners = self.events.send(Arc::new(batch));
        let outcome = executed.outcomes.into_iter().next();
        let (id, events) = outcome.unwrap_or_else(|| (block.header().digest(), Vec::new()));
        Final { id, height, time, events }
    }

    /// Lets the ledger's time pass to the next deadline.
    pub(crate) fn pass_to_deadline(&self) {
        let (due, now) = {
            let inside = self.lock();
            (inside.world.state.next_deadline().expect("something is due"), inside.world.state.time())
        };
        self.block(due.since(now).max(DurationMs::new(1)), None);
    }

    /// Lets the ledger's time pass.
    pub(crate) fn pass(&self, later: DurationMs) {
        self.block(later, None);
    }

    /// Signs the only proposal off.
    pub(crate) fn sign_off(&self, reviewer: &str) {
        let review = {
            let inside = self.lock();
            let mut open = inside.world.state.proposals().filter(|proposal| proposal.stage == Stage::Review);
            let id = open.next().expect("there is one").id;
            inside.world.review_call(id, althing_contracts::transaction::ReviewVerdict::Approve)
        };
        self.act(reviewer, Role::Reviewer, review).unwrap();
    }

    /// Puts a proposal to the vote and names it.
    pub(crate) fn vote_on(&self, version: &str) -> ProposalId {
        let document =
            testing::deploy(version, &[&["acme-north"], &["acme-south", "birch-north", "cedar-north"]]);
        let plan = self.lock().world.state.plan(&document).unwrap();
        let accepted =
            self.act("acme/author", Role::Author, Call::Submit { document, plan_hash: plan.hash() }).unwrap();
        let id = accepted.events.iter().find_map(althing_submitted).unwrap();
        let review =
            self.lock().world.review_call(id, althing_contracts::transaction::ReviewVerdict::Approve);
        self.act("birch/author", Role::Reviewer, review).unwrap();
        id
    }

    pub(crate) fn act(&self, sender: &str, role: Role, call: Call) -> Result<Final, Reject> {
        let transaction = {
            let inside = self.lock();
            inside.world.ask(sender, role, call.clone())?;
            inside.world.sign(sender, role, call)
        };
        Ok(self.block(DurationMs::new(1), Some(transaction)))
    }

    pub(crate) fn serve(self: &Arc<Self>) -> Served {
        let dir = tempfile::tempdir().unwrap();
        let loopback = Some("127.0.0.1:0".parse().unwrap());
        let config =
            ApiConfig { socket: Some(dir.path().join("api.sock")), address: loopback, admin: loopback };
        let api = Api::start(&config, self.clone()).unwrap();
        Served { mesh: self.clone(), api, dir }
    }
}

fn althing_submitted(event: &althing_contracts::event::Event) -> Option<ProposalId> {
    match event {
        althing_contracts::event::Event::Submitted { proposal, .. } => Some(*proposal),
        _ => None,
    }
}

fn view(world: &World) -> LedgerView {
    LedgerView {
        network: world.network(),
        state: world.state.clone(),
        header: world.last.clone(),
        certificate: world.last.as_ref().map(|header| world.certify(header)),
        highest_seen: world.state.height(),
        round: 0,
        clock_offset_ms: None,
    }
}

impl Served {
    /// Address of a path on the loopback listener.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.api.places.address.unwrap())
    }

    /// Address of a path on the admin listener.
    pub(crate) fn admin(&self, path: &str) -> String {
        format!("http://{}{path}", self.api.places.admin.unwrap())
    }

    /// The socket as the command line takes it.
    pub(crate) fn addr(&self) -> String {
        format!("unix:{}", self.api.places.socket.as_ref().unwrap().display())
    }
}

#[async_trait::async_trait]
impl Backend for Mesh {
    fn feed(&self) -> LedgerFeed {
        LedgerFeed { view: self.view.subscribe(), events: self.events.clone() }
    }

    async fn events_after(&self, after: EventSequence, limit: usize) -> Result<Vec<EventRecord>, ReadError> {
        if *self.pruned.lock().unwrap() {
            return Err(ReadError::Pruned { first: Height::new(9) });
        }
        let start = usize::try_from(after.get()).unwrap_or(usize::MAX);
        Ok(self.lock().records.iter().skip(start).take(limit).cloned().collect())
    }

    async fn submit(&self, sender: MemberId, role: Role, call: Call) -> Result<Final, ActError> {
        if sender.org_str() == "delta" {
            return Err(ActError::NoKey { member: sender, role });
        }
        self.started.notify_one();
        let mut open = self.open.subscribe();
        open.wait_for(|open| *open).await.expect("the mesh holds the sender");
        self.act(sender.as_str(), role, call).map_err(|reject| SubmitError::Rejected(reject).into())
    }

    fn takes_writes(&self) -> bool {
        self.role == NodeRole::Validator
    }

    fn facts(&self) -> NodeFacts {
        NodeFacts {
            name: testing::name("acme"),
            org: testing::org(0),
            role: self.role,
            node: testing::node_key("acme").public(),
            started: TimeMs::new(1_700_000_000_000),
            keys: vec![(testing::member("acme/author"), Role::Author)],
        }
    }

    fn peers(&self) -> Vec<Peer> {
        let peer = |name: &str, connected| Peer {
            node: testing::node_key(name).public(),
            name: testing::name(name),
            org: name.parse().unwrap(),
            role: NodeRole::Validator,
            connected,
        };
        vec![peer("birch", true), peer("cedar", false)]
    }

    async fn export_bundle(&self) -> Result<File, ExportError> {
        let inside = self.lock();
        let mut writer =
            BundleWriter::begin(tempfile::tempfile()?, &inside.world.genesis, testing::line("test")).unwrap();
        for block in &inside.blocks {
            writer.block(block).unwrap();
        }
        let (mut file, _) = writer.finish().unwrap();
        file.rewind()?;
        Ok(file)
    }

    fn metrics_text(&self) -> String {
        "althing_height 1\n".to_owned()
    }

    fn checks(&self) -> Vec<Check> {
        let failure = self.ready.lock().unwrap().map(|why| Line::new(why).unwrap());
        vec![Check { name: "log", failure: None }, Check { name: "peers", failure }]
    }
}
