//! Owns what a run leaves behind: figures when all held, and how to repeat it when not.

use std::{collections::BTreeMap, fmt};

use althing_contracts::{
    digest::Digest,
    quantity::{Height, Round},
};

use super::{checker::Violation, faults::FaultPlan};

/// Figures of a run in which everything held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// Digest over everything that happened, in order.
    pub trace: Digest,
    /// Final blocks.
    pub height: Height,
    /// Highest round that decided a block.
    pub round_max: Round,
    /// Transactions that users were told are final.
    pub acknowledged: usize,
    /// From the end of the faults to the next final block.
    pub healed_after_us: u64,
    /// What happened in the run, by kind, and how often.
    pub coverage: Coverage,
}

/// What happened, by kind, and how often.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage(BTreeMap<&'static str, u64>);

impl Coverage {
    /// What a set of seeds has to produce, each at least once.
    pub const KINDS: [&str; 17] = [
        CRASH,
        OBSERVER_CRASH,
        BLACKOUT,
        RESTART,
        SNAPSHOT_START,
        PARTITION,
        LOST,
        DUPLICATE,
        HIGH_ROUND,
        OBSERVER_BLOCK,
        GOSSIPED_HEAD,
        GOSSIPED_TRANSACTION,
        OBSERVERS_TRANSACTION,
        CONTRARY_VOTE,
        OTHER_PROPOSAL,
        OTHER_BLOCK,
        EVIDENCE,
    ];

    /// Notes that something happened.
    pub(super) fn count(&mut self, kind: &'static str) {
        *self.0.entry(kind).or_default() += 1;
    }

    /// How often something happened.
    #[must_use]
    pub fn get(&self, kind: &str) -> u64 {
        self.0.get(kind).copied().unwrap_or(0)
    }

    /// Adds what happened in another run.
    pub fn add(&mut self, other: &Self) {
        for (kind, times) in &other.0 {
            *self.0.entry(kind).or_default() += times;
        }
    }

    /// The kinds that never happened.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        Self::KINDS.into_iter().filter(|kind| self.get(kind) == 0).collect()
    }
}

/// A table, one kind a line.
impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Self::KINDS.iter().try_for_each(|kind| writeln!(f, "{:>9}  {kind}", self.get(kind)))
    }
}

/// A validator stopped, with bytes lost or not.
pub(super) const CRASH: &str = "crashes of validators";
/// An observer stopped.
pub(super) const OBSERVER_CRASH: &str = "crashes of observers";
/// All stopped at once.
pub(super) const BLACKOUT: &str = "blackouts of all nodes";
/// A node opened its log again.
pub(super) const RESTART: &str = "restarts";
/// It did so from a snapshot.
pub(super) const SNAPSHOT_START: &str = "restarts from a snapshot";
/// The mesh fell apart.
pub(super) const PARTITION: &str = "partitions";
/// A message was lost, by chance, partition or otherwise.
pub(super) const LOST: &str = "messages lost";
/// A message arrived twice.
pub(super) const DUPLICATE: &str = "messages delivered twice";
/// A block was decided after ten rounds or more.
pub(super) const HIGH_ROUND: &str = "blocks decided in round 10 or above";
/// An observer handed a block out.
pub(super) const OBSERVER_BLOCK: &str = "blocks followed by observers";
/// A head reached a node by another that passed it on.
pub(super) const GOSSIPED_HEAD: &str = "heads passed on by gossip";
/// A transaction reached a node by another that passed it on.
pub(super) const GOSSIPED_TRANSACTION: &str = "transactions passed on by gossip";
/// A user of an observer without a validator among its peers was told that a transaction is final.
pub(super) const OBSERVERS_TRANSACTION: &str = "transactions of an observer's user that are final";
/// The equivocator sent the contrary of its vote.
pub(super) const CONTRARY_VOTE: &str = "contrary votes";
/// The equivocator sent a second proposal for one round.
pub(super) const OTHER_PROPOSAL: &str = "second proposals of a round";
/// And its block.
pub(super) const OTHER_BLOCK: &str = "second blocks of a round";
/// A node showed evidence.
pub(super) const EVIDENCE: &str = "evidence of equivocations";

/// A run in which something did not hold.
#[derive(Debug, thiserror::Error)]
#[error("seed {seed}, {at_us} µs: {violation}\n  faults: {plan:?}\n  repeat: {}", repeat_command(*seed))]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// The faults of the run.
    pub plan: Box<FaultPlan>,
    /// Virtual time of the violation.
    pub at_us: u64,
    /// What does not hold.
    #[source]
    pub violation: Box<Violation>,
}

/// The command that repeats a seed.
#[must_use]
pub fn repeat_command(seed: u64) -> String {
    format!("ALTHING_SEED={seed} cargo nextest run -p althing-chaos the_seed_of_the_environment --no-capture")
}
