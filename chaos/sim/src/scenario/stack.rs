//! Runs whole nodes: four validators with the members of their organisations, and a fifth that follows and audits, each
//! with a user. Proposals live their lives through the real desk, signer, executor and auditor meanwhile. Phases: faults,
//! then none; from then on there is a bound until everyone has a new block and every user is served, and one until a
//! proposal is closed; at the end every chain is judged, and what the targets and journals say against it.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    time::Duration,
};

use althing_chaos::checker::{self, Evidence};
use althing_contracts::{quantity::Height, testing::World};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use turmoil::Sim;

use crate::{
    board::{Board, SharedBoard},
    faults::{FaultPlan, Kind},
    machine,
    node::Node,
    provider::SimTargets,
    trace,
    world::{self, NODES, VALIDATORS, host},
};

/// How long the mesh has to come together before the first fault.
const CALM: Duration = Duration::from_secs(3);
/// When the faults end.
const CHAOS_END: Duration = Duration::from_secs(40);
/// How long everyone may take to have a new block and serve its user: a dark link is closed after 6.5 s and dialled
/// again within 5 s, rounds last up to 4 s, and what was lost is asked for again.
const HEAL_MAX: Duration = Duration::from_secs(40);
/// How long a run lasts when nothing goes wrong.
const RUN: Duration = Duration::from_secs(60);
/// How long handing out the chains may take.
const INQUEST_MAX: Duration = Duration::from_secs(5);
/// How long after the last fault a proposal may take until it is closed: a whole life takes 15 s, some fail or are
/// refused, and authors have room for a new one only when an old one has ended.
const LIFE_MAX: Duration = Duration::from_secs(60);
/// Delay of a message on a slow link.
const SLOW: Duration = Duration::from_millis(900);

/// What a run observed.
#[derive(Debug, serde::Serialize)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// What must not be.
    pub violations: Vec<String>,
    /// Panics of tasks.
    pub panics: u64,
    /// Highest final block.
    pub height: u64,
    /// Transactions that users were told are final.
    pub acknowledged: usize,
    /// What users were refused, and how often.
    pub refused: BTreeMap<String, u64>,
    /// Lives of proposals that ended, by their last stage.
    pub lives: BTreeMap<String, u64>,
    /// Effects at targets.
    pub effects: usize,
    /// What else happened to calls of targets.
    pub calls: BTreeMap<String, u64>,
    /// Milliseconds from the end of the faults until a proposal was closed.
    pub closed_ms: Option<u64>,
    /// Faults that struck, by kind.
    pub faults: BTreeMap<Kind, u64>,
    /// Milliseconds from the end of the faults to the next final block anywhere, and to service everywhere.
    pub healed_ms: Option<(u64, u64)>,
    /// Simulated milliseconds.
    pub simulated_ms: u64,
    /// The trace.
    pub trace: trace::Summary,
}

impl Outcome {
    /// Whether nothing was wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.violations.is_empty() && self.panics == 0
    }
}

/// A run.
struct Run<'a> {
    sim: Sim<'a>,
    nodes: Vec<Rc<Node>>,
    targets: SimTargets,
    board: SharedBoard,
    plan: FaultPlan,
    random: StdRng,
    /// Nodes that are down, and when they start again.
    down: BTreeMap<usize, Duration>,
    /// Nodes that got new disks, and the height that the others have to reach before they start.
    renewed: BTreeMap<usize, Height>,
    /// Links on which everything waits.
    holds: BTreeSet<(usize, usize)>,
    /// The one node whose disk may lie.
    liar: usize,
    struck: BTreeMap<Kind, u64>,
    /// Highest block when the faults ended.
    healed: Height,
}

/// Runs a seed.
///
/// # Panics
/// The simulation itself fails.
#[must_use]
pub fn run(seed: u64) -> Outcome {
    let mut run = Run::new(seed);
    run.disturb();
    run.heal();
    let healed_ms = run.wait_for_service();
    let closed_ms = run.wait_for_life();
    run.pass(RUN);
    let violations = run.judge();
    let board = run.board.borrow();
    let (acknowledged, refused) = board.told();
    Outcome {
        seed,
        violations,
        panics: machine::panics(),
        height: board.highest().get(),
        acknowledged,
        refused,
        lives: board.lives(),
        effects: run.targets.effects().len(),
        calls: run.targets.coverage().into_iter().collect(),
        closed_ms,
        faults: run.struck,
        healed_ms,
        simulated_ms: millis(run.sim.elapsed()),
        trace: trace::summary(),
    }
}

impl Run<'_> {
    fn new(seed: u64) -> Self {
        let plan = FaultPlan::draw(seed);
        let latency_max = Duration::from_millis(plan.latency_max_ms);
        let mut sim = machine::network(seed, RUN * 10, latency_max).build();
        let board = Rc::new(RefCell::new(Board::default()));
        let world = Rc::new(World::with(world::beginning()));
        let targets = SimTargets::draw(seed);
        let nodes: Vec<Rc<Node>> = plan
            .clock_offsets_ms
            .iter()
            .enumerate()
            .map(|(index, offset_ms)| Node::new(index, seed, &world, *offset_ms, &targets, &board))
            .collect();
        for (index, node) in nodes.iter().enumerate() {
            let node = Rc::clone(node);
            sim.host(host(index), move || Rc::clone(&node).live());
        }
        let mut random = StdRng::seed_from_u64(seed);
        let liar = random.random_range(0..VALIDATORS);
        Self {
            sim,
            nodes,
            targets,
            board,
            plan,
            random,
            down: BTreeMap::new(),
            renewed: BTreeMap::new(),
            holds: BTreeSet::new(),
            liar,
            struck: BTreeMap::new(),
            healed: Height::ZERO,
        }
    }

    /// Lets time pass, restarting what has to.
    fn pass(&mut self, until: Duration) {
        while self.sim.elapsed() < until {
            self.step();
        }
    }

    fn step(&mut self) {
        self.sim.step().expect("no node ends by itself");
        let failed = self.board.borrow_mut().take_failed();
        for node in failed {
            self.stop(node, false);
        }
        self.renew();
        let now = self.sim.elapsed();
        let due: Vec<usize> = self.down.iter().filter(|(_, at)| **at <= now).map(|(node, _)| *node).collect();
        for node in due {
            self.down.remove(&node);
            trace::note("start", &node);
            self.sim.bounce(host(node));
        }
    }

    /// Does what an operator is told to do with damaged disks: empty ones, which wait until the others have decided one
    /// more block, so that the validator never signs twice.
    fn renew(&mut self) {
        let given_up = self.board.borrow_mut().take_given_up();
        for node in given_up {
            self.sim.crash(host(node));
            let disks = self.nodes[node].disks.borrow().without_ledger();
            self.nodes[node].disks.replace(disks);
            self.renewed.insert(node, self.board.borrow().highest().next());
        }
        let highest = self.board.borrow().highest();
        let now = self.sim.elapsed();
        let (due, waiting) = self.renewed.iter().partition(|(_, from)| **from <= highest);
        self.renewed = waiting;
        let due: BTreeMap<usize, Height> = due;
        self.down.extend(due.into_keys().map(|node| (node, now)));
    }

    /// Faults strike until their time is over.
    fn disturb(&mut self) {
        self.pass(CALM);
        while self.sim.elapsed() < CHAOS_END {
            if let Some(kind) = self.plan.next_kind(&mut self.random) {
                self.strike(kind);
            }
            let pause = self.plan.next_pause(&mut self.random);
            self.pass((self.sim.elapsed() + pause).min(CHAOS_END));
        }
    }

    fn strike(&mut self, kind: Kind) {
        let (one, other) = self.pair();
        trace::note("fault", &format!("{} ms: {kind:?} {one} {other}", self.sim.elapsed().as_millis()));
        *self.struck.entry(kind).or_default() += 1;
        match kind {
            Kind::Split => self.split(),
            Kind::OneWay => self.sim.partition_oneway(host(one), host(other)),
            Kind::Hold => {
                self.holds.insert((one, other));
                self.sim.hold(host(one), host(other));
            }
            Kind::Slow => self.sim.set_link_max_message_latency(host(one), host(other), SLOW),
            Kind::Repair => self.repair(),
            Kind::PowerCut => self.stop(one, true),
            Kind::Kill => self.stop(one, false),
            Kind::Blackout => (0..NODES).for_each(|node| self.stop(node, true)),
            Kind::FailedWrite | Kind::FailedSync => self.break_disk(kind, one),
        }
    }

    /// Two different nodes.
    fn pair(&mut self) -> (usize, usize) {
        let one = self.random.random_range(0..NODES);
        (one, (one + self.random.random_range(1..NODES)) % NODES)
    }

    /// Cuts a set of nodes off from the others.
    fn split(&mut self) {
        let side: BTreeSet<usize> = (0..NODES).filter(|_| self.random.random_bool(0.5)).collect();
        for one in &side {
            for other in (0..NODES).filter(|other| !side.contains(other)) {
                self.sim.partition(host(*one), host(other));
            }
        }
    }

    /// Ends a node's life; with its power goes what it had not synced.
    fn stop(&mut self, node: usize, is_power_cut: bool) {
        if self.renewed.contains_key(&node) {
            return;
        }
        if self.sim.is_host_running(host(node)) {
            self.sim.crash(host(node));
        }
        // What waits on its links was meant for the life that has ended.
        for (one, other) in self.holds.iter().filter(|(one, other)| [*one, *other].contains(&node)) {
            self.sim.partition(host(*one), host(*other));
            self.sim.hold(host(*one), host(*other));
        }
        let mut disks = self.nodes[node].disks.borrow_mut();
        if is_power_cut {
            disks.cut_power(&mut self.random);
        } else {
            disks.kill();
        }
        let down = self.plan.next_down(&mut self.random);
        self.down.insert(node, self.sim.elapsed() + down);
    }

    /// One of the next writes or syncs of a node's log fails. Only one node's disk ever lies about a sync: two that
    /// forget what they signed are more than the mesh is made for.
    fn break_disk(&mut self, kind: Kind, node: usize) {
        let node = if kind == Kind::FailedSync { self.liar } else { node };
        let after = self.random.random_range(1..20);
        self.nodes[node].disks.borrow().break_log(kind, after);
    }

    fn repair(&mut self) {
        self.holds.clear();
        let latency_max = Duration::from_millis(self.plan.latency_max_ms);
        for one in 0..NODES {
            for other in 0..one {
                self.sim.release(host(one), host(other));
                self.sim.repair(host(one), host(other));
                self.sim.set_link_max_message_latency(host(one), host(other), latency_max);
            }
        }
    }

    /// Ends every fault.
    fn heal(&mut self) {
        trace::note("heal", &self.sim.elapsed().as_millis());
        self.repair();
        self.targets.calm();
        self.healed = self.board.borrow().highest();
        for node in &self.nodes {
            node.disks.borrow().mend();
        }
        let now = self.sim.elapsed();
        self.down.values_mut().for_each(|at| *at = now);
    }

    /// Waits until everyone has a new block and serves its user.
    fn wait_for_service(&mut self) -> Option<(u64, u64)> {
        let begin = self.sim.elapsed();
        let next = self.board.borrow().highest().next();
        let mut first = None;
        loop {
            self.step();
            let took = self.sim.elapsed() - begin;
            let board = self.board.borrow();
            if first.is_none() && board.highest() >= next {
                first = Some(took);
            }
            let behind = board.behind(next, begin);
            drop(board);
            if behind.is_empty() {
                return Some((millis(first.unwrap_or(took)), millis(took)));
            }
            if took >= HEAL_MAX {
                self.complain(next, &behind);
                return None;
            }
        }
    }

    /// Waits until a proposal is closed.
    fn wait_for_life(&mut self) -> Option<u64> {
        while !self.board.borrow().has_closed(CHAOS_END) {
            if self.sim.elapsed() >= CHAOS_END + LIFE_MAX {
                let what =
                    format!("liveness: no proposal was closed within {LIFE_MAX:?} after the last fault");
                self.board.borrow_mut().violate(what);
                return None;
            }
            self.step();
        }
        Some(millis(self.sim.elapsed().saturating_sub(CHAOS_END)))
    }

    fn complain(&mut self, next: Height, behind: &[usize]) {
        let seconds = HEAL_MAX.as_secs();
        let what = format!(
            "liveness: {seconds} s after the last fault nodes {behind:?} have no block from height {next} on, or have \
             not served their user"
        );
        self.board.borrow_mut().violate(what);
    }

    /// Has every node hand out its chain and judges them all.
    fn judge(&mut self) -> Vec<String> {
        self.targets.close();
        self.board.borrow_mut().begin_inquest();
        let end = self.sim.elapsed() + INQUEST_MAX;
        while !self.board.borrow().is_complete() && self.sim.elapsed() < end {
            self.step();
        }
        self.judge_lives();
        let mut board = self.board.borrow_mut();
        let audited = board.last_audited();
        if audited < self.healed {
            board.violate(format!(
                "the auditor is at height {audited}, the mesh was at {} long ago",
                self.healed
            ));
        }
        if !board.is_complete() {
            board.violate(format!("a node did not hand out its chain within {INQUEST_MAX:?}"));
        }
        board.judge(&world::beginning())
    }
}

impl Run<'_> {
    /// Judges what targets and journals have against the longest chain.
    fn judge_lives(&mut self) {
        let mut board = self.board.borrow_mut();
        let blocks = board.longest();
        let end = Height::new(blocks.len() as u64);
        let mut uses = Vec::new();
        for node in &self.nodes {
            match node.key_uses() {
                Ok(found) => uses.extend(found),
                Err(error) => board.violate(format!("a journal of key uses cannot be read: {error}")),
            }
        }
        let findings = checker::judge(&Evidence {
            genesis: &world::beginning(),
            blocks: &blocks,
            final_us: board.final_us(),
            effects: &self.targets.effects(),
            disturbed: &BTreeSet::new(),
            key_uses: Some(&uses),
            ended: board.ended(),
            acknowledged: &board.acknowledgements(end),
            told: None,
        });
        for finding in findings {
            board.violate(finding.to_string());
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
