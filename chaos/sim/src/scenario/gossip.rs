//! Runs gossip under attack: forty honest nodes publish numbered messages over a sparse mesh while forty hostile peers take
//! its connections, its handshakes, its queues and its patience. Judged is what honest nodes hear of each other, how soon,
//! and what the attack makes a node hold.

use std::{cell::RefCell, collections::BTreeMap, rc::Rc, time::Duration};

use self::{
    cast::{Cast, HONEST, VICTIMS},
    tally::{Delivery, SharedTally, Tally},
};
use crate::{counters, machine, trace, transport::Open};

mod cast;
mod honest;
mod hostile;
mod tally;

/// When the hostile begin: the first honest nodes have met.
const ATTACK_BEGIN: Duration = Duration::from_secs(2);
/// When the victims start, in the middle of the attack.
const VICTIM_BEGIN: Duration = Duration::from_secs(4);
/// How long a node has to be up before messages are expected of it.
const SETTLE: Duration = Duration::from_secs(5);
/// From when until when honest nodes publish.
const PUBLISH_BEGIN: Duration = Duration::from_secs(5);
const PUBLISH_END: Duration = Duration::from_secs(14);
/// How long messages may be on their way afterwards.
const END: Duration = Duration::from_secs(18);
/// How long a step of the simulation is: eighty hosts with thousands of links take too long by the millisecond.
const TICK: Duration = Duration::from_millis(5);
/// Longest delay of a message on a link.
const LATENCY_MAX: Duration = Duration::from_millis(60);
/// Connections that wait at one listener: the simulated system's own queue must not be what the attack breaks.
const BACKLOG_MAX: usize = 4_096;

/// Least share of honest messages that honest nodes have to hear, in millionths, and the longest that 99 % may take.
const DELIVERED_PPM_MIN: u64 = 990_000;
const P99_MS_MAX: u64 = 5_000;
/// Least share of honest requests that have to be answered, in millionths.
const ANSWERED_PPM_MIN: u64 = 990_000;
/// Invalid messages of one neighbour that may reach an application: the mesh bans at eight reports, and hears no more
/// after three refused messages; in between are those already on their way.
const INVALID_MAX: u64 = 16;
/// Open connections of a node: four to each of those admitted, and the handshakes under way.
const CONNECTIONS_MAX: usize = 4 * 60 + 2 * 64;

/// What a run observed.
#[derive(Debug, serde::Serialize)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// Honest nodes, those of them that were surrounded, and hostile peers.
    pub honest: usize,
    /// Surrounded ones of the honest.
    pub victims: usize,
    /// Hostile peers.
    pub hostile: usize,
    /// What must not be.
    pub violations: Vec<String>,
    /// Panics of tasks.
    pub panics: u64,
    /// To all honest nodes.
    pub delivery: Delivery,
    /// To the surrounded ones.
    pub delivery_to_victims: Delivery,
    /// Milliseconds until the slowest surrounded node heard an honest one.
    pub victims_joined_ms: Option<u64>,
    /// Share of honest requests that were answered, in millionths.
    pub answered_ppm: u64,
    /// Most connections of an honest node at once.
    pub connections_most: usize,
    /// Most refused messages of one neighbour at one node.
    pub invalid_most: u64,
    /// How often honest nodes closed their connections to each hostile peer.
    pub cut_offs: BTreeMap<String, u64>,
    /// Flooded messages, and direct ones, that applications saw.
    pub floods: (u64, u64),
    /// Counters of the mesh over all who run it.
    pub counters: BTreeMap<String, u64>,
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

/// Runs a seed.
///
/// # Panics
/// The simulation itself fails.
#[must_use]
pub fn run(seed: u64) -> Outcome {
    counters::begin();
    let mut sim =
        machine::network(seed, END * 2, LATENCY_MAX).tick_duration(TICK).tcp_capacity(BACKLOG_MAX).build();
    let (cast, tally) = (Rc::new(Cast::draw(seed)), Rc::new(RefCell::new(Tally::default())));
    let open: Vec<Open> = (0..HONEST).map(|_| Open::default()).collect();
    for (node, open) in open.iter().enumerate() {
        let (cast, tally, open) = (Rc::clone(&cast), Rc::clone(&tally), open.clone());
        sim.host(cast::host(node), move || {
            honest::live(node, Rc::clone(&cast), Rc::clone(&tally), open.clone())
        });
    }
    for peer in &cast.hostile {
        let (cast, peer) = (Rc::clone(&cast), peer.clone());
        sim.host(peer.host.clone(), move || hostile::live(peer.clone(), Rc::clone(&cast)));
    }
    while sim.elapsed() < END {
        sim.step().expect("no node ends by itself");
    }
    outcome(seed, &cast, &tally, &open)
}

/// When an honest node starts.
const fn begin_of(node: usize) -> Duration {
    if node < VICTIMS { VICTIM_BEGIN } else { Duration::ZERO }
}

fn outcome(seed: u64, cast: &Cast, tally: &SharedTally, open: &[Open]) -> Outcome {
    let tally = tally.borrow();
    let mut outcome = Outcome {
        seed,
        honest: HONEST,
        victims: VICTIMS,
        hostile: cast.hostile.len(),
        violations: Vec::new(),
        panics: machine::panics(),
        delivery: tally.everyone(),
        delivery_to_victims: tally.delivery(0..VICTIMS),
        victims_joined_ms: tally.victims_joined_ms(),
        answered_ppm: tally.answered_ppm(),
        connections_most: open.iter().map(Open::most).max().unwrap_or(0),
        invalid_most: tally.invalid_max(),
        cut_offs: tally.cut_offs(),
        floods: tally.floods(),
        counters: counters::above_zero("althing_mesh_"),
        simulated_ms: u64::try_from(END.as_millis()).unwrap_or(u64::MAX),
        trace: trace::summary(),
    };
    outcome.violations = violations(&outcome, tally.strangers());
    outcome
}

/// What does not hold.
fn violations(outcome: &Outcome, strangers: usize) -> Vec<String> {
    let is_delivered = |delivery: &Delivery| {
        delivery.share_ppm >= DELIVERED_PPM_MIN && delivery.p99_ms.is_some_and(|p99| p99 <= P99_MS_MAX)
    };
    let rules = [
        (is_delivered(&outcome.delivery), format!("delivery: {:?}", outcome.delivery)),
        (
            is_delivered(&outcome.delivery_to_victims),
            format!("delivery to those who are surrounded: {:?}", outcome.delivery_to_victims),
        ),
        (
            outcome.answered_ppm >= ANSWERED_PPM_MIN,
            format!("{} of a million honest requests were answered", outcome.answered_ppm),
        ),
        (
            outcome.connections_most <= CONNECTIONS_MAX,
            format!("a node had {} connections at once", outcome.connections_most),
        ),
        (
            outcome.invalid_most <= INVALID_MAX,
            format!("{} invalid messages of one neighbour reached an application", outcome.invalid_most),
        ),
        (strangers == 0, format!("{strangers} strangers were admitted")),
    ];
    rules.into_iter().filter(|(holds, _)| !holds).map(|(_, what)| what).collect()
}
