//! Owns which faults a run has and when they strike. Each seed draws its own mix, so that rare combinations come up,
//! and quiet runs too.

use std::{collections::BTreeMap, time::Duration};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use crate::world::NODES;

/// Kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A set of nodes is cut off from the others.
    Split,
    /// One direction between two nodes is cut.
    OneWay,
    /// What two nodes say to each other waits.
    Hold,
    /// A link is slow.
    Slow,
    /// Links work again.
    Repair,
    /// A node loses its power, and what it had not synced.
    PowerCut,
    /// A node's process is killed.
    Kill,
    /// All nodes lose their power at once.
    Blackout,
    /// A write of the ledger's log fails.
    FailedWrite,
    /// A sync of the ledger's log fails, and what it should have kept is lost at the next power cut.
    FailedSync,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 10] = [
        Self::Split,
        Self::OneWay,
        Self::Hold,
        Self::Slow,
        Self::Repair,
        Self::PowerCut,
        Self::Kill,
        Self::Blackout,
        Self::FailedWrite,
        Self::FailedSync,
    ];
}

/// The faults of a run.
#[derive(Debug, Clone, serde::Serialize)]
pub struct FaultPlan {
    /// How often each kind strikes, relative to the others; kinds that are off are not there.
    pub weights: BTreeMap<Kind, u32>,
    /// Longest time between two faults.
    pub pause_max_ms: u64,
    /// Longest time that a node stays down.
    pub down_max_ms: u64,
    /// Longest delay of a message on a link that is not slow.
    pub latency_max_ms: u64,
    /// How far the wall clock of each node is off.
    pub clock_offsets_ms: Vec<i64>,
}

impl FaultPlan {
    /// The faults of a seed.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed ^ 0x5eed_fa17);
        let mut weights = BTreeMap::new();
        for kind in Kind::ALL {
            if random.random_bool(0.45) {
                weights.insert(kind, random.random_range(1..4));
            }
        }
        let skew_ms = [0, 0, 200, 2_000][random.random_range(0..4_usize)];
        Self {
            weights,
            pause_max_ms: [1_000, 3_000, 8_000][random.random_range(0..3_usize)],
            down_max_ms: [200, 3_000, 12_000][random.random_range(0..3_usize)],
            latency_max_ms: [2, 20, 120][random.random_range(0..3_usize)],
            clock_offsets_ms: (0..NODES).map(|_| random.random_range(-skew_ms..=skew_ms)).collect(),
        }
    }

    /// The kind of the next fault; `None` in a run without any.
    pub fn next_kind(&self, random: &mut StdRng) -> Option<Kind> {
        let sum: u32 = self.weights.values().sum();
        let mut drawn = if sum == 0 { return None } else { random.random_range(0..sum) };
        for (kind, weight) in &self.weights {
            match drawn.checked_sub(*weight) {
                Some(rest) => drawn = rest,
                None => return Some(*kind),
            }
        }
        None
    }

    /// How long until the next fault.
    pub fn next_pause(&self, random: &mut StdRng) -> Duration {
        Duration::from_millis(random.random_range(50..=self.pause_max_ms))
    }

    /// How long a node stays down.
    pub fn next_down(&self, random: &mut StdRng) -> Duration {
        Duration::from_millis(random.random_range(20..=self.down_max_ms))
    }
}
