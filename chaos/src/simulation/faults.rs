//! Owns which faults a run has. Each seed draws its own mix, so that rare combinations come up and quiet ones too.

use std::ops::RangeInclusive;

use althing_actors::disk::sim::{Faults, OperationFault};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IndexedRandom as _};
use serde::{Deserialize, Serialize};

use super::people::Mood;
use crate::lie::Lie;

/// The faults of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultPlan {
    /// Validators in the mesh.
    pub validators: usize,
    /// How long faults happen.
    pub chaos_us: u64,
    /// Longest delay of a message.
    pub delay_max_us: u64,
    /// Messages lost, of a thousand.
    pub drop_permille: u32,
    /// Messages delivered twice, of a thousand.
    pub duplicate_permille: u32,
    /// Mean time between crashes of single nodes; 0 for none.
    pub crash_every_us: u64,
    /// Mean time between crashes of all nodes at once; 0 for none.
    pub blackout_every_us: u64,
    /// Mean time between partitions; 0 for none.
    pub partition_every_us: u64,
    /// For how long from the start no proposal arrives anywhere, which forces high rounds; 0 for none.
    pub mute_proposals_us: u64,
    /// Largest difference of a node's wall clock from the true time.
    pub clock_offset_max_ms: u64,
    /// How the first validators lie.
    pub lie: Option<Lie>,
    /// How many do.
    pub liars: usize,
    /// Nodes that follow without a vote; the second is linked with the first alone.
    pub observers: usize,
    /// Every how many blocks a node keeps a snapshot that it starts from; 0 for none.
    pub snapshot_every: u64,
    /// Calls to targets that go wrong, of a thousand.
    pub trouble_permille: u32,
    /// Whether targets answer a repeated order by its key, as the provider's contract has it.
    pub keeps_keys: bool,
    /// Mean time between two things that the people of a node do.
    pub people_every_us: u64,
    /// Whether people also do what they must not.
    pub has_misbehaviour: bool,
    /// Whether the run goes on until every proposal has come to its end.
    pub settles: bool,
    /// Interval at which validators repeat their votes.
    pub rebroadcast_ms: u64,
    /// What one call to one disk meets.
    pub disk_fault: Option<DiskFault>,
    /// Voters that the first organisation has more than the others, all for everything: only its cap lets the others decide.
    #[serde(default)]
    pub crowd: usize,
    /// Of a thousand falls, those after which a node stays away for longer than a lease, so that others take its work over.
    #[serde(default)]
    pub outage_permille: u32,
    /// What people make of what others propose.
    #[serde(default)]
    pub mood: Mood,
}

/// One call to a disk that does not do what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskFault {
    /// Whose disk, a validator's.
    pub node: usize,
    /// Which of its disks.
    pub disk: NodeDisk,
    /// Which change or sync, counted from 1 since the node's first start.
    pub operation: u64,
    /// What the call meets.
    pub meets: Meets,
}

/// A disk of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeDisk {
    /// The ledger's.
    Log,
    /// That of the signer, the executor and the auditor.
    Journals,
}

/// What a call to a disk meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Meets {
    /// The machine stops before it.
    Stop,
    /// It fails.
    Error,
    /// No room is left.
    Full,
    /// From there on syncs are reported as done and are not, until the machine loses its power a moment later.
    Lie,
}

/// Calls that a disk lies about before the power goes: enough for what they promised to have left the node.
const LIE_OPERATIONS: u64 = 6;

impl Meets {
    /// Everything that a call can meet.
    pub const ALL: [Self; 4] = [Self::Stop, Self::Error, Self::Full, Self::Lie];
    /// What seeds draw: a node whose disk lies counts among those that the mesh can bear, and is played alone.
    const DRAWN: [Self; 3] = [Self::Stop, Self::Error, Self::Full];
}

impl DiskFault {
    /// As the disk has it.
    pub(super) fn faults(&self) -> Faults {
        let at = self.operation;
        match self.meets {
            Meets::Stop => Faults { stop_at_operation: Some(at), ..Faults::default() },
            Meets::Error => Faults { at_operation: Some((at, OperationFault::Error)), ..Faults::default() },
            Meets::Full => Faults { at_operation: Some((at, OperationFault::Full)), ..Faults::default() },
            Meets::Lie => Faults {
                lie_from_operation: Some(at),
                stop_at_operation: Some(at + LIE_OPERATIONS),
                ..Faults::default()
            },
        }
    }
}

/// Why a plan cannot be simulated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` is {found}, and has to be {} to {}{}", bounds.start(), bounds.end(), if *zero_is_none { ", or 0 for none" } else { "" })]
pub struct PlanError {
    field: &'static str,
    found: u64,
    bounds: RangeInclusive<u64>,
    zero_is_none: bool,
}

/// Nodes of a kind: a run with more takes minutes.
const NODES_MAX: u64 = 16;
/// Longest time of faults: ten minutes of the run's own time.
const CHAOS_MAX_US: u64 = 600_000_000;
/// Shortest mean time between two things of one kind.
const EVERY_MIN_US: u64 = 10_000;
/// Highest number of a disk's operation that meets a fault, as seeds draw it.
const DRAWN_OPERATION_MAX: u64 = 300;
/// Longest delay of a message.
const DELAY_MAX_US: u64 = 10_000_000;

impl FaultPlan {
    /// Refuses a plan that nothing can come of: a run without nodes, or one that does not end within minutes.
    ///
    /// # Errors
    /// Names the first field that is out of its bounds.
    pub fn check(&self) -> Result<(), PlanError> {
        let often = EVERY_MIN_US..=CHAOS_MAX_US;
        let of_thousand = |permille: u32| (u64::from(permille), 0..=1_000, false);
        let count = |nodes: usize| u64::try_from(nodes).unwrap_or(u64::MAX);
        let fields = [
            ("validators", (count(self.validators), 1..=NODES_MAX, false)),
            ("liars", (count(self.liars), 0..=count(self.validators), false)),
            (
                "disk_fault.node",
                (
                    count(self.disk_fault.map_or(0, |it| it.node)),
                    0..=count(self.validators).saturating_sub(1),
                    false,
                ),
            ),
            ("observers", (count(self.observers), 0..=NODES_MAX, false)),
            ("crowd", (count(self.crowd), 0..=NODES_MAX, false)),
            ("chaos_us", (self.chaos_us, EVERY_MIN_US..=CHAOS_MAX_US, false)),
            ("delay_max_us", (self.delay_max_us, 1..=DELAY_MAX_US, false)),
            ("drop_permille", of_thousand(self.drop_permille)),
            ("duplicate_permille", of_thousand(self.duplicate_permille)),
            ("trouble_permille", of_thousand(self.trouble_permille)),
            ("outage_permille", of_thousand(self.outage_permille)),
            ("crash_every_us", (self.crash_every_us, often.clone(), true)),
            ("blackout_every_us", (self.blackout_every_us, often.clone(), true)),
            ("partition_every_us", (self.partition_every_us, often.clone(), true)),
            ("people_every_us", (self.people_every_us, often, false)),
            ("mute_proposals_us", (self.mute_proposals_us, 0..=CHAOS_MAX_US, false)),
            ("clock_offset_max_ms", (self.clock_offset_max_ms, 0..=CHAOS_MAX_US / 1_000, false)),
            ("rebroadcast_ms", (self.rebroadcast_ms, 10..=60_000, false)),
        ];
        let wrong = fields.into_iter().find(|(_, (found, bounds, zero_is_none))| {
            !bounds.contains(found) && (*found > 0 || !zero_is_none)
        });
        wrong.map_or(Ok(()), |(field, (found, bounds, zero_is_none))| {
            Err(PlanError { field, found, bounds, zero_is_none })
        })
    }

    /// No faults at all.
    pub const CALM: Self = Self {
        validators: 4,
        chaos_us: 5_000_000,
        delay_max_us: 2_000,
        drop_permille: 0,
        duplicate_permille: 0,
        crash_every_us: 0,
        blackout_every_us: 0,
        partition_every_us: 0,
        mute_proposals_us: 0,
        clock_offset_max_ms: 0,
        lie: None,
        liars: 0,
        observers: 0,
        snapshot_every: 0,
        trouble_permille: 0,
        keeps_keys: true,
        people_every_us: 300_000,
        has_misbehaviour: false,
        settles: true,
        rebroadcast_ms: 500,
        disk_fault: None,
        crowd: 0,
        outage_permille: 0,
        mood: Mood::Divided,
    };

    /// The faults of a seed.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed ^ 0x5eed_fa17);
        let mut often =
            |percent: u32, value: u64| if random.random_range(0..100) < percent { value } else { 0 };
        let crash_every_us = often(70, 1_500_000);
        let blackout_every_us = often(35, 4_000_000);
        let partition_every_us = often(40, 3_000_000);
        let mute_proposals_us = often(10, 30_000_000);
        let drop_permille = often(60, 1);
        let duplicate_permille = often(40, 1);
        let has_liars = often(30, 1) == 1;
        Self {
            validators: [2, 4, 4, 4, 4, 4, 4, 5, 7][random.random_range(0..9_usize)],
            chaos_us: mute_proposals_us.max(random.random_range(3_000_000..8_000_000)),
            delay_max_us: [2_000, 20_000, 120_000][random.random_range(0..3_usize)],
            drop_permille: u32::try_from(drop_permille).unwrap_or(0) * random.random_range(1..150),
            duplicate_permille: u32::try_from(duplicate_permille).unwrap_or(0) * random.random_range(1..100),
            crash_every_us,
            blackout_every_us,
            partition_every_us,
            mute_proposals_us,
            clock_offset_max_ms: [0, 100, 2_000][random.random_range(0..3_usize)],
            lie: Lie::ALL.choose(&mut random).copied().filter(|_| has_liars),
            liars: random.random_range(1..=2),
            observers: [0, 1, 1, 2][random.random_range(0..4_usize)],
            snapshot_every: [0, 0, 3][random.random_range(0..3_usize)],
            trouble_permille: [0, 60, 300, 600][random.random_range(0..4_usize)],
            keeps_keys: random.random_bool(0.7),
            people_every_us: [150_000, 300_000, 700_000][random.random_range(0..3_usize)],
            has_misbehaviour: random.random_bool(0.3),
            settles: random.random_bool(0.5),
            rebroadcast_ms: [500, 500, 200][random.random_range(0..3_usize)],
            disk_fault: random.random_bool(0.3).then(|| DiskFault {
                node: random.random_range(0..2),
                disk: [NodeDisk::Log, NodeDisk::Journals][random.random_range(0..2_usize)],
                operation: random.random_range(1..DRAWN_OPERATION_MAX),
                meets: Meets::DRAWN[random.random_range(0..3_usize)],
            }),
            crowd: if random.random_bool(0.2) { 3 } else { 0 },
            outage_permille: if random.random_bool(0.25) { 400 } else { 0 },
            mood: match random.random_range(0..20) {
                0..6 => Mood::Agreed,
                6..8 => Mood::Quiet,
                _ => Mood::Divided,
            },
        }
        .longer(&mut random)
        .sound()
    }

    /// Faults last until changes are carried out where most are, and for longer than a node stays away.
    fn longer(self, random: &mut StdRng) -> Self {
        let is_long = self.mood == Mood::Agreed || self.outage_permille > 0;
        let more_us = if is_long { random.random_range(4_000_000..9_000_000) } else { 0 };
        Self { chaos_us: self.chaos_us.saturating_add(more_us), ..self }
    }

    /// Plans with one fault less, or less of it.
    pub(super) fn reductions(&self) -> Vec<Self> {
        let calm = Self::CALM;
        let plans = [
            Self { chaos_us: (self.chaos_us / 2).max(1_000_000), ..*self },
            Self { crash_every_us: 0, ..*self },
            Self { blackout_every_us: 0, ..*self },
            Self { partition_every_us: 0, ..*self },
            Self { mute_proposals_us: 0, ..*self },
            Self { drop_permille: 0, ..*self },
            Self { duplicate_permille: 0, ..*self },
            Self { delay_max_us: calm.delay_max_us, ..*self },
            Self { clock_offset_max_ms: 0, ..*self },
            Self { lie: None, ..*self },
            Self { liars: self.liars.min(1), ..*self },
            Self { disk_fault: None, ..*self },
            Self { observers: 0, ..*self },
            Self { snapshot_every: 0, ..*self },
            Self { trouble_permille: 0, ..*self },
            Self { keeps_keys: true, ..*self },
            Self { has_misbehaviour: false, ..*self },
            Self { crowd: 0, ..*self },
            Self { outage_permille: 0, ..*self },
            Self { mood: Mood::Divided, ..*self },
            Self { validators: calm.validators.min(self.validators), ..*self },
        ];
        plans.into_iter().map(Self::sound).filter(|plan| plan != self).collect()
    }

    /// No more liars than the protocol tolerates: less than a third.
    fn sound(self) -> Self {
        let liars =
            if self.lie.is_some() { self.liars.min(self.validators.saturating_sub(1) / 3) } else { 0 };
        Self { lie: self.lie.filter(|_| liars > 0), liars, ..self }
    }

    /// Whether a node's disk lies about what it keeps: such a node may forget what it has said.
    pub(super) fn forgets(&self, node: usize) -> bool {
        self.disk_fault.is_some_and(|fault| fault.node == node && fault.meets == Meets::Lie)
    }

    /// All nodes of the mesh.
    pub(super) const fn nodes(&self) -> usize {
        self.validators + self.observers
    }
}
