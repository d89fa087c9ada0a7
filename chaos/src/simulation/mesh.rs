//! Owns a run: takes events in order, drives the nodes with them, and holds what they hand out against the
//! invariants.

mod disturbance;
mod outputs;
mod reads;
mod work;

use std::collections::BTreeMap;

use althing_actors::{
    causes::with_causes,
    disk::sim::is_simulated,
    executor::state::Input,
    ledger::{
        consensus::{ConsensusKey, ConsensusTimeouts, Verdicts},
        state::{LedgerInput, LedgerOutput, LedgerState, LedgerTiming},
    },
};
use althing_contracts::{
    digest::{Digest, Purpose},
    genesis::Genesis,
    name::{MemberId, OrgId},
    quantity::{Fence, Height},
    signature::PublicKey,
    stage::Stage,
    state::State,
    testing::{World, consensus_key, org},
    transaction::ProposalId,
};
use bytes::Bytes;
use rand::{Rng, SeedableRng, rngs::StdRng};

use crate::checker::{self, Evidence};

use super::{
    checker::{Checker, Violation},
    clients::Clients,
    event::{Event, EventQueue, NodeIndex},
    faults::{FaultPlan, NodeDisk},
    liar::Liar,
    network::Network,
    node::Node,
    pool::Pools,
    report::{self, Coverage, Failure, Report},
    target::Targets,
    witness::Witness,
    world,
};

/// After the faults end, every node has every block and every waiting transaction is final within this time.
const LIVENESS_BOUND_US: u64 = 15_000_000;
/// After the faults end, every proposal comes to its end within this time: periods, stages and undos one after the other.
const SETTLED_BOUND_US: u64 = 90_000_000;

/// The node whose calls to disks are counted.
pub(super) const WATCHED: NodeIndex = 1;

/// A mesh and all that happens to it.
pub(super) struct Mesh {
    seed: u64,
    plan: FaultPlan,
    random: StdRng,
    now_us: u64,
    queue: EventQueue,
    network: Network,
    nodes: Vec<Node>,
    checker: Checker,
    clients: Clients,
    targets: Targets,
    genesis: Genesis,
    /// The first validators, if they lie.
    liars: Vec<Liar>,
    trace: Digest,
    /// What happened, for a person, if one asked for it.
    story: Option<Vec<(u64, String)>>,
    coverage: Coverage,
    witness: Witness,
    pools: Pools,
    /// Gossip that nodes judge: who has it from whom.
    judged: BTreeMap<u64, (NodeIndex, NodeIndex, Bytes)>,
    tokens: u64,
    /// Who claimed each step last, and each undo.
    holders: BTreeMap<(ProposalId, u16, bool), MemberId>,
    /// The life of its node in which each failure was reported last.
    failures: BTreeMap<(ProposalId, u16, Fence), u64>,
    calm: Option<Calm>,
}

/// The second phase of a run.
#[derive(Debug, Clone, Copy)]
struct Calm {
    since_us: u64,
    top: Height,
    healed_after_us: Option<u64>,
}

impl Mesh {
    pub(super) fn new(seed: u64, plan: FaultPlan) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let world = World::with(world::genesis_of(&plan));
        let orgs: Vec<OrgId> = (0..plan.validators).map(org).collect();
        let offset_max_ms = i64::try_from(plan.clock_offset_max_ms).unwrap_or(0);
        let consensus = ConsensusTimeouts { rebroadcast_ms: plan.rebroadcast_ms, ..Default::default() };
        let timing = LedgerTiming { consensus, ..LedgerTiming::default() };
        let verdicts = Verdicts::default();
        let validators = orgs.iter().enumerate().map(|(node, org)| {
            let offset_ms = random.random_range(-offset_max_ms..=offset_max_ms);
            Node::validator(&world.genesis, org, timing, world::staff_of(&plan, node), &verdicts, offset_ms)
        });
        let mut nodes: Vec<Node> = validators.collect();
        nodes.extend((0..plan.observers).map(|number| {
            let staff = world::staff_of(&plan, plan.validators + number);
            Node::observer(&world.genesis, number, timing, staff, &verdicts)
        }));
        let key = |org: &OrgId| ConsensusKey::from_seed(consensus_key(org.as_str()).secret());
        let roster: Vec<PublicKey> = orgs.iter().map(|org| key(org).public()).collect();
        let liar = |(lie, org)| Liar::new(lie, key(org), world.network(), roster.iter().copied());
        let liars = plan.lie.into_iter().cycle().zip(&orgs).take(plan.liars).map(liar).collect();
        Self {
            seed,
            plan,
            now_us: 0,
            queue: EventQueue::default(),
            network: Network::new(plan),
            checker: Checker::new(&world.state, nodes.len()),
            clients: Clients::new(seed, world.network()),
            liars,
            nodes,
            targets: Targets::new(plan.keeps_keys, plan.trouble_permille),
            witness: Witness::new(world.network()),
            pools: Pools::default(),
            genesis: world.genesis,
            trace: Digest::ZERO,
            story: None,
            coverage: Coverage::default(),
            judged: BTreeMap::new(),
            tokens: 0,
            holders: BTreeMap::new(),
            failures: BTreeMap::new(),
            calm: None,
            random,
        }
    }

    /// The same run, which writes down what happens.
    pub(super) fn with_story(self) -> Self {
        Self { story: Some(Vec::new()), ..self }
    }

    /// What happened, if it was written down.
    pub(super) fn into_story(self) -> Vec<(u64, String)> {
        self.story.unwrap_or_default()
    }

    /// Something does not hold at this moment.
    pub(super) fn failure(&self, violation: Violation) -> Failure {
        let (seed, plan, at_us) = (self.seed, Box::new(self.plan), self.now_us);
        Failure { seed, plan, at_us, violation: Box::new(violation) }
    }

    /// Runs to the end.
    pub(super) fn run(&mut self) -> Result<Report, Violation> {
        self.open_all()?;
        self.schedule_faults();
        loop {
            let (at_us, event) = self.queue.pop().expect("a running node always has a timer to come");
            self.now_us = at_us;
            self.note(&event);
            self.take(event)?;
            if let Some(calm) = self.calm
                && self.is_healed(&calm)
            {
                return self.report(&calm);
            }
            self.check_progress()?;
        }
    }

    fn open_all(&mut self) -> Result<(), Violation> {
        if let Some(fault) = self.plan.disk_fault {
            self.nodes[fault.node].set_disk_fault(&fault);
        }
        for node in 0..self.nodes.len() {
            self.start(node)?;
        }
        Ok(())
    }

    fn take(&mut self, event: Event) -> Result<(), Violation> {
        match event {
            Event::Input { to, life, input } if self.nodes[to].life == life => self.step(to, input),
            Event::Deliver { to, from, message } => self.deliver(to, from, message),
            Event::Gossip { to, from, message } => self.hear_gossip(to, from, message),
            Event::Request { to, from, life, id, request } => {
                self.serve(to, from, life, id, &request);
                Ok(())
            }
            Event::Look { node, life } if self.nodes[node].life == life => self.look(node),
            Event::Wake { node, life } if self.nodes[node].life == life => self.feed(node, Input::Tick),
            Event::Answer { node, life, input } if self.nodes[node].life == life => self.feed(node, *input),
            // What was meant for an earlier life of the node.
            Event::Input { .. } | Event::Look { .. } | Event::Wake { .. } | Event::Answer { .. } => Ok(()),
            Event::Hand { node, life, hand } => {
                self.hand(node, life, hand);
                Ok(())
            }
            Event::People { node } => self.people(node),
            Event::Again { node } => self.again(node),
            Event::Client { client } => {
                self.client(client);
                Ok(())
            }
            Event::Question { node, question } => {
                self.question(node, question);
                Ok(())
            }
            Event::Patience { node, life, call } => {
                self.lose_patience(node, life, call);
                Ok(())
            }
            Event::Reply { node, reply } => {
                self.hear(node, reply);
                Ok(())
            }
            Event::Meddle => {
                self.meddle();
                Ok(())
            }
            Event::Crash { node } => {
                self.plan_crash(node);
                Ok(())
            }
            Event::Blackout => {
                self.coverage.count(report::BLACKOUT);
                for node in 0..self.nodes.len() {
                    self.crash(node)?;
                }
                Ok(())
            }
            Event::Restart { node } => self.start(node),
            Event::Partition => {
                self.coverage.count(report::PARTITION);
                self.network.split(&mut self.random);
                Ok(())
            }
            Event::Heal => self.heal(),
            Event::Calm => {
                self.calm_down();
                Ok(())
            }
        }
    }

    fn start(&mut self, node: NodeIndex) -> Result<(), Violation> {
        if self.nodes[node].ledger.is_some() || self.nodes[node].is_retired() {
            return Ok(());
        }
        self.pools.forget(node);
        let outputs = self.nodes[node].start(self.now_us);
        if self.nodes[node].life > 1 {
            self.coverage.count(report::RESTART);
            if self.nodes[node].snapshot.is_some() {
                self.coverage.count(report::SNAPSHOT_START);
            }
        }
        let outputs = match outputs {
            Ok(outputs) => outputs,
            Err(error) if is_simulated(&error) => return self.fall(node),
            Err(error) => return self.stopped(node, with_causes(&error)),
        };
        if let Some(site) = &self.nodes[node].site {
            self.clients.opened(&site.view);
        }
        // Blocks that replay itself made final are among the outputs.
        let replayed = outputs.iter().find_map(|output| match output {
            LedgerOutput::Committed(block) => {
                let before = Height::new(block.header.height.get().saturating_sub(1));
                Some((before, block.header.parent))
            }
            _ => None,
        });
        if let Some(ledger) = &self.nodes[node].ledger {
            let (height, digest) = replayed.unwrap_or_else(|| (ledger.height(), ledger.digest()));
            self.checker.restarted(node, height, digest, self.plan.forgets(node), self.now_us)?;
        }
        self.carry_out(node, outputs)?;
        self.schedule_look(node);
        self.connect(node)
    }

    fn connect(&mut self, node: NodeIndex) -> Result<(), Violation> {
        let id = self.nodes[node].id;
        for other in self.others(node) {
            if self.nodes[other].ledger.is_some() && self.network.connects(node, other) {
                let peer = self.nodes[other].id;
                self.step(other, LedgerInput::Connected(id))?;
                self.step(node, LedgerInput::Connected(peer))?;
            }
        }
        Ok(())
    }

    /// A validator that lives through a step in which it takes the contrary of a vote owes evidence.
    fn deliver(&mut self, to: NodeIndex, from: NodeIndex, message: Bytes) -> Result<(), Violation> {
        let is_witness = to < self.plan.validators && !self.is_faulty(to) && self.nodes[to].ledger.is_some();
        let (life, head) = (self.nodes[to].life, self.nodes[to].height());
        let contrary = if is_witness { self.witness.hear(to, life, head, &message) } else { None };
        if let Some(liar) = self.liars.get_mut(to) {
            liar.hear(&message);
        }
        let from = self.nodes[from].id;
        self.step(to, LedgerInput::Direct { from, message })?;
        if let Some(height) = contrary
            && self.nodes[to].ledger.is_some()
        {
            self.witness.owe(to, height);
        }
        Ok(())
    }

    fn step(&mut self, node: NodeIndex, input: LedgerInput) -> Result<(), Violation> {
        let fatal = match self.nodes[node].step(self.now_us, input) {
            None => return Ok(()),
            Some(Err(fatal)) => fatal,
            Some(Ok(outputs)) => {
                let life = self.nodes[node].life;
                let is_final = outputs.iter().any(|output| matches!(output, LedgerOutput::Committed(_)));
                self.carry_out(node, outputs)?;
                // A send of it may have been the moment of a crash.
                if !is_final || self.nodes[node].ledger.is_none() || self.nodes[node].life != life {
                    return Ok(());
                }
                match self.nodes[node].make_durable() {
                    Ok(()) => {
                        self.checker.made_durable(node);
                        return Ok(());
                    }
                    Err(fatal) => fatal,
                }
            }
        };
        if is_simulated(&fatal) { self.fall(node) } else { self.stopped(node, with_causes(&fatal)) }
    }

    /// A node refused to go on. Only one that met a second signature of its own key may do that.
    fn stopped(&mut self, node: NodeIndex, reason: String) -> Result<(), Violation> {
        if !self.is_faulty(node) {
            return Err(Violation::Stopped { node, reason });
        }
        self.nodes[node].retire();
        Ok(())
    }

    /// Whether a node is one of those that the mesh has to bear: it lies, or its disk does.
    fn is_faulty(&self, node: NodeIndex) -> bool {
        node < self.liars.len() || self.plan.forgets(node)
    }

    fn is_healed(&mut self, calm: &Calm) -> bool {
        let needed = self.nodes.iter().filter(|node| !node.is_retired());
        let lowest = needed.map(Node::height).min().unwrap_or_default();
        if calm.healed_after_us.is_none() && self.checker.top() > calm.top {
            let healed_after_us = Some(self.now_us - calm.since_us);
            self.calm = Some(Calm { healed_after_us, ..*calm });
        }
        self.nodes.iter().all(|node| node.ledger.is_some() || node.is_retired())
            && (0..self.nodes.len()).all(|node| self.is_idle(node))
            && lowest > calm.top
            && lowest == self.checker.top()
            && (!self.plan.settles || self.is_settled())
    }

    /// Whether every proposal and every emergency has come to its end.
    fn is_settled(&self) -> bool {
        let state = self.nodes.iter().find_map(|node| node.ledger.as_ref()).map(LedgerState::state);
        state.is_some_and(|state| {
            state.proposals().all(|it| it.stage.is_terminal() || it.stage == Stage::Disputed)
                && state.emergencies().all(|it| {
                    let is_open = it.stage.is_open() || it.is_in_force();
                    !is_open && (it.activation.is_none() || !it.attestations.is_empty())
                })
        })
    }

    fn check_progress(&self) -> Result<(), Violation> {
        let Some(calm) = self.calm else { return Ok(()) };
        let bound_us = if self.plan.settles { SETTLED_BOUND_US } else { LIVENESS_BOUND_US };
        let is_late = self.now_us >= calm.since_us + bound_us;
        let has_stalled = calm.healed_after_us.is_none() && self.now_us >= calm.since_us + LIVENESS_BOUND_US;
        if !is_late && !has_stalled {
            return Ok(());
        }
        let heights: Vec<u64> = self.nodes.iter().map(|node| node.height().get()).collect();
        let sites = self.nodes.iter().enumerate().filter_map(|(node, at)| Some((node, at.site.as_ref()?)));
        let busy: Vec<String> = sites
            .flat_map(|(node, site)| site.doing().map(move |what| format!("node {node}: {what}")))
            .collect();
        let ledgers = self.nodes.iter().filter_map(|node| node.ledger.as_ref());
        let waiting: Vec<usize> = ledgers.map(LedgerState::mempool_len).collect();
        let behind = format!(
            "heights {heights:?} after {}, transactions waiting {waiting:?}, busy: {busy:?}, open: {}",
            calm.top,
            self.open()
        );
        Err(Violation::Stalled { behind, bound_ms: (self.now_us - calm.since_us) / 1_000 })
    }

    fn open(&self) -> String {
        let state = self.nodes.iter().find_map(|node| node.ledger.as_ref()).map(LedgerState::state);
        let open = state.into_iter().flat_map(State::proposals).filter(|it| !it.stage.is_terminal());
        let open: Vec<String> = open.map(|it| format!("{} {}", it.id.digest().short(), it.stage)).collect();
        open.join(", ")
    }

    /// Holds what the run left behind against the invariants.
    fn judge(&mut self) -> Result<(), Violation> {
        let mut uses = Vec::new();
        for (node, at) in self.nodes.iter().enumerate().filter(|(_, at)| !at.is_retired()) {
            let read =
                at.key_uses().map_err(|error| Violation::Stopped { node, reason: with_causes(&error) });
            uses.extend(read?);
        }
        let has_all_keys =
            (0..self.nodes.len()).all(|node| !self.nodes[node].is_retired() && !self.plan.forgets(node));
        let top = self.nodes.iter().max_by_key(|node| node.height());
        let blocks = top.map(Node::blocks).unwrap_or_default();
        let proposals = top
            .and_then(|node| node.ledger.as_ref())
            .map(LedgerState::state)
            .into_iter()
            .flat_map(State::proposals);
        let ended = proposals.filter_map(|it| Some((it.id, checker::how_it_ended(it)?))).collect();
        let findings = checker::judge(&Evidence {
            genesis: &self.genesis,
            blocks: &blocks,
            final_us: self.checker.final_us(),
            effects: self.targets.effects(),
            disturbed: self.targets.disturbed(),
            key_uses: has_all_keys.then_some(&uses),
            ended: &ended,
            acknowledged: self.checker.acknowledgements(),
            told: Some(self.clients.history()),
        });
        if findings.is_empty() {
            return Ok(());
        }
        let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
        Err(Violation::Judged { findings: lines.join("\n") })
    }

    fn report(&mut self, calm: &Calm) -> Result<Report, Violation> {
        self.judge()?;
        self.witness.finished()?;
        let healed_after_us =
            self.calm.and_then(|calm| calm.healed_after_us).unwrap_or(self.now_us - calm.since_us);
        for _ in 0..self.checker.high_rounds {
            self.coverage.count(report::HIGH_ROUND);
        }
        let operations = [NodeDisk::Log, NodeDisk::Journals].map(|disk| self.nodes[WATCHED].operations(disk));
        Ok(Report {
            seed: self.seed,
            operations,
            trace: self.trace,
            height: self.checker.top(),
            round_max: self.checker.round_max,
            acknowledged: self.checker.acknowledgements().len(),
            healed_after_us,
            coverage: self.coverage.clone(),
        })
    }

    /// Writes down what happened, if a person asked for it and wants to read this.
    fn tell(&mut self, what: impl FnOnce() -> Option<String>) {
        if let Some(story) = &mut self.story {
            story.extend(what().map(|what| (self.now_us, what)));
        }
    }

    fn note(&mut self, event: &Event) {
        let what = match event {
            Event::Deliver { to, from, message } | Event::Gossip { to, from, message } => {
                format!("{from}>{to} {}", Digest::of_artefact(message).short())
            }
            other => format!("{other:?}"),
        };
        self.tell(|| event.told());
        let line = format!("{} {what}", self.now_us);
        self.trace = Digest::of_parts(Purpose::Evidence, &[self.trace.as_bytes(), line.as_bytes()]);
    }

    fn others(&self, node: NodeIndex) -> impl Iterator<Item = NodeIndex> + use<> {
        (0..self.nodes.len()).filter(move |other| *other != node)
    }

    fn index_of(&self, id: althing_actors::port::NodeId) -> Option<NodeIndex> {
        self.nodes.iter().position(|node| node.id == id)
    }
}
