//! Owns the core simulation: whole ledgers on simulated disks under one seeded event queue with a virtual clock.
//! A seed goes in, a report comes out; the same seed gives the same trace. No threads, no real time.
//!
//! Each run has two phases. In the first, faults happen as the seed draws them: crashes at any append, sync or
//! send with unsynced bytes lost, all nodes at once, delay, loss, duplication, reordering, partitions, clocks
//! apart, and hours without proposals; nodes without a vote follow, nodes start from snapshots, and a validator may
//! sign contrary votes and propose two blocks in one round. Then the faults end, and the mesh has to go on within a bound.

pub mod campaign;
mod checker;
mod equivocator;
mod event;
mod faults;
mod lane;
mod mesh;
mod network;
mod node;
mod people;
mod report;
pub mod seed;
mod site;
mod target;
#[cfg(test)]
mod tests;
mod witness;
mod world;

pub use checker::Violation;
pub use faults::FaultPlan;
pub use report::{Coverage, Failure, Report, repeat_command};

/// Runs one seed with the faults that it draws.
///
/// # Errors
/// An invariant was violated.
pub fn run(seed: u64) -> Result<Report, Failure> {
    run_plan(seed, FaultPlan::draw(seed))
}

/// A run with what happened on the way.
#[derive(Debug)]
pub struct Replay {
    /// The faults.
    pub plan: FaultPlan,
    /// What happened, by virtual time in microseconds.
    pub story: Vec<(u64, String)>,
    /// How it ended.
    pub outcome: Result<Report, Failure>,
}

/// Runs a seed again and tells what happens.
#[must_use]
pub fn replay(seed: u64, plan: FaultPlan) -> Replay {
    let silent = tracing::subscriber::NoSubscriber::default();
    let tell = || mesh::Mesh::new(seed, plan).tell();
    let (story, outcome) = tracing::subscriber::with_default(silent, tell);
    Replay { plan, story, outcome }
}

/// Runs one seed with chosen faults.
///
/// # Errors
/// An invariant was violated.
pub fn run_plan(seed: u64, plan: FaultPlan) -> Result<Report, Failure> {
    mesh::Mesh::new(seed, plan).run()
}
