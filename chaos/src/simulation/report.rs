//! Owns what a run leaves behind: figures when all held, and how to repeat it when not.

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
    /// Crashes of nodes.
    pub crashes: u64,
    /// Transactions that users were told are final.
    pub acknowledged: usize,
    /// From the end of the faults to the next final block.
    pub healed_after_us: u64,
    /// Equivocations with evidence.
    pub evidence: u64,
}

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
