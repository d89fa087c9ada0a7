//! Owns the Twins schedules: one validator runs twice with one key, and for two rounds the network is cut in every possible
//! way, another one in each round. Whatever the two say, no two honest validators decide differently, and once the network
//! is whole the mesh goes on.
//!
//! After Bano et al., *Twins: BFT Systems Made Robust*, OPODIS 2021.

use std::collections::BTreeMap;

use althing_actors::{
    causes::with_causes,
    disk::sim::SimDisk,
    ledger::{
        consensus::{ConsensusKey, ConsensusTimeouts, Verdicts},
        log::Log,
        state::{
            Fatal, LedgerInput, LedgerOutput, LedgerRole, LedgerSettings, LedgerState, LedgerTiming, Now,
            REMEMBERED_MAX,
        },
        wire::{LedgerMessage, Message},
    },
    port::NodeId,
};
use althing_contracts::{
    quantity::{Height, Round, TimeMs},
    signature::PublicKey,
    testing::{GENESIS_TIME, World, consensus_key, node_key, org},
};
use bytes::Bytes;

use super::checker::{Checker, Violation};

/// Validators of the mesh.
const VALIDATORS: usize = 4;
/// The validators and the second copy of one of them.
const NODES: usize = VALIDATORS + 1;
/// Rounds in which the network is cut.
const ROUNDS: usize = 2;
/// From now on the network is whole: both rounds have run out of time before.
const WHOLE_AT_US: u64 = 3_500_000;
/// By then every honest validator has decided again.
const BOUND_US: u64 = WHOLE_AT_US + 15_000_000;
/// How long a message is on its way.
const DELAY_US: u64 = 1_000;
/// How far the clocks of the two copies are apart, so that what they propose differs.
const APART_MS: u64 = 7;

/// Which side each node is on; only those of one side hear each other.
type Sides = [u8; NODES];

/// What happens in one run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Schedule {
    /// The validator that runs twice.
    pub twin: usize,
    /// The sides in each round. The copy is the last node.
    pub rounds: [Sides; ROUNDS],
}

/// How a run ended in which nothing was violated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// The highest round that decided a block.
    pub round_max: Round,
    /// Whether an honest validator showed evidence against the twins.
    pub has_evidence: bool,
}

/// Every schedule in which the network falls into at most so many sides.
pub fn schedules(sides_max: u8) -> impl Iterator<Item = Schedule> {
    let sides = partitions(sides_max);
    (0..VALIDATORS).flat_map(move |twin| {
        let sides = sides.clone();
        let pairs = sides
            .clone()
            .into_iter()
            .flat_map(move |first| sides.clone().into_iter().map(move |second| [first, second]));
        pairs.map(move |rounds| Schedule { twin, rounds })
    })
}

/// Every way in which the nodes fall into sides: the first node's is 0, each next one's at most one above those before.
fn partitions(sides_max: u8) -> Vec<Sides> {
    let mut partitions = vec![[0; NODES]];
    for node in 1..NODES {
        let extended = partitions.iter().flat_map(|sides| {
            let highest = sides.iter().take(node).max().copied().unwrap_or(0);
            (0..=(highest + 1).min(sides_max - 1)).map(|side| {
                let mut sides = *sides;
                sides[node] = side;
                sides
            })
        });
        partitions = extended.collect();
    }
    partitions
}

/// Plays a schedule.
///
/// # Errors
/// Two validators decide differently, or the mesh does not go on.
pub fn play(schedule: Schedule) -> Result<Outcome, Violation> {
    Play::open(schedule)?.run()
}

/// A copy of a validator.
struct Replica {
    id: NodeId,
    /// None once it has refused to go on: it met a second signature of its own key.
    ledger: Option<LedgerState<SimDisk>>,
}

struct Play {
    schedule: Schedule,
    replicas: Vec<Replica>,
    checker: Checker,
    now_us: u64,
    queue: BTreeMap<(u64, u64), (usize, LedgerInput)>,
    scheduled: u64,
    has_evidence: bool,
}

impl Play {
    fn open(schedule: Schedule) -> Result<Self, Violation> {
        let world = World::new(VALIDATORS);
        let mut play = Self {
            schedule,
            replicas: Vec::new(),
            checker: Checker::new(&world.state, NODES),
            now_us: 0,
            queue: BTreeMap::new(),
            scheduled: 0,
            has_evidence: false,
        };
        let timing = LedgerTiming { consensus: ConsensusTimeouts::default(), status_ms: 1_000 };
        let (mut opened, verdicts) = (Vec::new(), Verdicts::default());
        for node in 0..NODES {
            let org = org(if node < VALIDATORS { node } else { schedule.twin });
            let id = node_key(org.as_str()).public();
            let role = LedgerRole::Validator(ConsensusKey::from_seed(consensus_key(org.as_str()).secret()));
            let (genesis, remembered_max) = (world.genesis.clone(), REMEMBERED_MAX);
            let verdicts = verdicts.clone();
            let settings = LedgerSettings { genesis, node: id, role, timing, remembered_max, verdicts };
            let started = Log::open(SimDisk::new(), world.network())
                .map_err(Fatal::from)
                .and_then(|(log, _)| LedgerState::open(settings, log, None, play.now(node), &mut |_| ()));
            let started = started.map_err(|fatal| stopped(node, &fatal))?;
            play.replicas.push(Replica { id, ledger: Some(started.ledger) });
            opened.push(started.outputs);
        }
        for (node, outputs) in opened.into_iter().enumerate() {
            play.take_all(node, outputs)?;
            for other in 0..NODES {
                let peer = play.replicas[other].id;
                if peer != play.replicas[node].id {
                    play.push(0, node, LedgerInput::Connected(peer));
                }
            }
        }
        Ok(play)
    }

    fn run(mut self) -> Result<Outcome, Violation> {
        while let Some(((at_us, _), (node, input))) = self.queue.pop_first() {
            self.now_us = at_us;
            let now = self.now(node);
            let Some(ledger) = &mut self.replicas[node].ledger else { continue };
            let stepped = ledger.step(now, input).and_then(|outputs| ledger.make_durable().map(|()| outputs));
            match stepped {
                Ok(outputs) => self.take_all(node, outputs)?,
                Err(_) if self.is_twin(node) => self.replicas[node].ledger = None,
                Err(fatal) => return Err(stopped(node, &fatal)),
            }
            if self.has_gone_on() {
                let (round_max, has_evidence) = (self.checker.round_max, self.has_evidence);
                return Ok(Outcome { round_max, has_evidence });
            }
            if self.now_us > BOUND_US {
                break;
            }
        }
        let heights: Vec<_> =
            self.replicas.iter().map(|it| it.ledger.as_ref().map(LedgerState::height)).collect();
        let bound_ms = (BOUND_US - WHOLE_AT_US) / 1_000;
        Err(Violation::Stalled { behind: format!("{:?}: heights {heights:?}", self.schedule), bound_ms })
    }

    /// Whether every honest validator has decided a block since the network is whole, or all of them one before.
    fn has_gone_on(&self) -> bool {
        let honest = (0..NODES).filter(|node| !self.is_twin(*node));
        let mut ledgers = honest.filter_map(|node| self.replicas[node].ledger.as_ref());
        self.now_us >= WHOLE_AT_US && ledgers.all(|ledger| ledger.height() > Height::ZERO)
    }

    fn take_all(&mut self, node: usize, outputs: Vec<LedgerOutput>) -> Result<(), Violation> {
        outputs.into_iter().try_for_each(|output| self.take(node, output))
    }

    fn take(&mut self, node: usize, output: LedgerOutput) -> Result<(), Violation> {
        let from = self.replicas[node].id;
        match output {
            LedgerOutput::Send { to, message } => {
                for other in self.copies_of(to) {
                    if self.is_heard(node, other, &message) {
                        let message = message.clone();
                        self.push(DELAY_US, other, LedgerInput::Direct { from, message });
                    }
                }
            }
            LedgerOutput::RequestBlocks { id, to, request } => {
                for other in self.copies_of(to).into_iter().take(1) {
                    let ledger = self.replicas[other].ledger.as_ref().filter(|_| self.now_us >= WHOLE_AT_US);
                    let response = ledger.and_then(|ledger| ledger.serve(&request));
                    self.push(2 * DELAY_US, node, LedgerInput::Blocks { id, from: to, response });
                }
            }
            LedgerOutput::Wake { at_us } => {
                self.push(at_us.saturating_sub(self.now_us).max(1), node, LedgerInput::Timer);
            }
            LedgerOutput::Committed(block) => self.checker.committed(node, &block, self.now_us)?,
            LedgerOutput::Evidence(evidence) => {
                let (key, height, round) = (evidence.validator, evidence.height, evidence.round);
                if key != self.twin_key() {
                    return Err(Violation::DoubleSign { key, what: "votes", height, round });
                }
                self.has_evidence = true;
            }
            LedgerOutput::Misbehaved { peer, how } => {
                if peer != self.replicas[self.schedule.twin].id {
                    let peer = self.copies_of(peer).first().copied().unwrap_or(usize::MAX);
                    return Err(Violation::Blame { by: node, peer, how: format!("{how:?}") });
                }
            }
            LedgerOutput::Publish { .. }
            | LedgerOutput::Judged { .. }
            | LedgerOutput::Outcome { .. }
            | LedgerOutput::Head(_) => {}
        }
        Ok(())
    }

    /// Whether a message arrives: in each of the first rounds only on its sender's side, and what is of no round not at all.
    fn is_heard(&self, from: usize, to: usize, message: &Bytes) -> bool {
        if self.now_us >= WHOLE_AT_US {
            return true;
        }
        let Some(round) = round_of(message) else { return false };
        let at = usize::try_from(round.get()).unwrap_or(ROUNDS).min(ROUNDS - 1);
        let sides = self.schedule.rounds[at];
        sides[from] == sides[to]
    }

    /// The nodes that have an identity: two when it is the twins'.
    fn copies_of(&self, id: NodeId) -> Vec<usize> {
        (0..NODES).filter(|node| self.replicas[*node].id == id).collect()
    }

    fn is_twin(&self, node: usize) -> bool {
        self.replicas[node].id == self.replicas[self.schedule.twin].id
    }

    fn twin_key(&self) -> PublicKey {
        ConsensusKey::from_seed(consensus_key(org(self.schedule.twin).as_str()).secret()).public()
    }

    fn push(&mut self, later_us: u64, node: usize, input: LedgerInput) {
        self.scheduled += 1;
        self.queue.insert((self.now_us + later_us, self.scheduled), (node, input));
    }

    fn now(&self, node: usize) -> Now {
        let apart_ms = if node < VALIDATORS { 0 } else { APART_MS };
        let wall = TimeMs::new(GENESIS_TIME.get() + self.now_us / 1_000 + 1 + apart_ms);
        Now { wall, monotonic_us: self.now_us }
    }
}

fn round_of(message: &[u8]) -> Option<Round> {
    Some(match LedgerMessage::decode(message).ok()? {
        Message::Vote(vote) => vote.statement.round,
        Message::Proposal(proposal) => proposal.statement.round,
        Message::PolkaCertificate(certificate) => certificate.round,
        Message::RoundCertificate(certificate) => certificate.round,
        Message::Block(block) => block.round,
        Message::Decided(certificate) => certificate.round,
        Message::Transactions(_) | Message::Status(_) => return None,
    })
}

fn stopped(node: usize, fatal: &Fatal) -> Violation {
    Violation::Stopped { node, reason: with_causes(fatal) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::figures;

    #[test]
    fn every_partition_is_made_once() {
        // Stirling numbers: 1 + 15, and Bell's number of five.
        assert_eq!((partitions(2).len(), partitions(5).len()), (16, 52));
        assert_eq!((schedules(2).count(), schedules(5).count()), (1_024, 10_816));
    }

    fn play_all(name: &str, schedules: impl Iterator<Item = Schedule>) {
        let (mut played, mut later, mut evidence) = (0, 0, 0);
        for schedule in schedules {
            played += 1;
            let outcome = play(schedule).unwrap_or_else(|violation| panic!("{schedule:?}: {violation}"));
            later += u32::from(outcome.round_max > Round::ZERO);
            evidence += u32::from(outcome.has_evidence);
        }
        assert!(later > 0 && evidence > 0, "{later} in a later round, {evidence} with evidence");
        let figures =
            json!({ "played": played, "decided_in_a_later_round": later, "with_evidence": evidence });
        println!("{figures}");
        figures::keep(name, &figures);
    }

    #[test]
    fn twins_of_the_first_validator_fork_nothing() {
        play_all("twins-first", schedules(2).filter(|schedule| schedule.twin == 0));
    }

    #[test]
    fn twins_of_the_second_validator_fork_nothing() {
        play_all("twins-second", schedules(2).filter(|schedule| schedule.twin == 1));
    }

    #[test]
    fn twins_of_the_third_validator_fork_nothing() {
        play_all("twins-third", schedules(2).filter(|schedule| schedule.twin == 2));
    }

    #[test]
    fn twins_of_the_fourth_validator_fork_nothing() {
        play_all("twins-fourth", schedules(2).filter(|schedule| schedule.twin == 3));
    }

    #[test]
    #[ignore = "ten thousand schedules: `make long-tests`"]
    fn every_twins_schedule_forks_nothing() {
        play_all("twins-all", schedules(5));
    }
}
