//! Owns the simulated network: which messages arrive, how often and when.

use althing_actors::ledger::wire::{LedgerMessage, Message};
use rand::{Rng, rngs::StdRng};

use super::{event::NodeIndex, faults::FaultPlan};

/// Shortest delay of a message.
const DELAY_MIN_US: u64 = 100;

/// What is between the nodes.
#[derive(Debug)]
pub(super) struct Network {
    plan: FaultPlan,
    /// Side of each node; nodes of different sides do not hear each other.
    sides: Vec<u8>,
    mute_until_us: u64,
}

impl Network {
    /// A whole network with the faults of a plan.
    pub(super) fn new(plan: FaultPlan) -> Self {
        Self { plan, sides: vec![0; plan.nodes()], mute_until_us: plan.mute_proposals_us }
    }

    /// The delays of each copy of a message that arrives; none when it is lost.
    pub(super) fn carry(
        &self,
        random: &mut StdRng,
        now_us: u64,
        from: NodeIndex,
        to: NodeIndex,
        message: &[u8],
    ) -> Vec<u64> {
        let is_muted = now_us < self.mute_until_us && is_of_a_proposal(message);
        let is_lost = random.random_range(0..1_000) < self.plan.drop_permille;
        if !self.connects(from, to) || is_muted || is_lost {
            return Vec::new();
        }
        let copies = if random.random_range(0..1_000) < self.plan.duplicate_permille { 2 } else { 1 };
        let delay_max_us = self.plan.delay_max_us.max(DELAY_MIN_US + 1);
        (0..copies).map(|_| random.random_range(DELAY_MIN_US..delay_max_us)).collect()
    }

    /// Whether two nodes hear each other.
    pub(super) fn connects(&self, one: NodeIndex, other: NodeIndex) -> bool {
        self.sides[one] == self.sides[other] && self.links(one, other)
    }

    /// Whether there is a link at all: the second observer has one with the first alone.
    fn links(&self, one: NodeIndex, other: NodeIndex) -> bool {
        let (first, second) = (self.plan.validators, self.plan.validators + 1);
        match (one.min(other), one.max(other)) {
            (near, far) if far == second => near == first,
            _ => true,
        }
    }

    /// Draws a side for every node.
    pub(super) fn split(&mut self, random: &mut StdRng) {
        let sides = random.random_range(2..=3);
        for side in &mut self.sides {
            *side = random.random_range(0..sides);
        }
    }

    /// Makes the network whole.
    pub(super) fn heal(&mut self) {
        self.sides.fill(0);
    }

    /// Ends every fault.
    pub(super) fn calm(&mut self) {
        self.heal();
        self.mute_until_us = 0;
        self.plan = FaultPlan { delay_max_us: 2_000, drop_permille: 0, duplicate_permille: 0, ..self.plan };
    }
}

fn is_of_a_proposal(message: &[u8]) -> bool {
    matches!(LedgerMessage::decode(message), Ok(Message::Proposal(_) | Message::Block(_)))
}
