//! Owns the core simulation: whole ledgers on simulated disks under one seeded event queue with a virtual clock.
//! A seed goes in, a report comes out; the same seed gives the same trace. No threads, no real time.
//!
//! Each run has two phases. In the first, faults happen as the seed draws them: crashes at any append, sync or
//! send with unsynced bytes lost, all nodes at once, delay, loss, duplication, reordering, partitions, clocks
//! apart, and hours without proposals; nodes without a vote follow, nodes start from snapshots or stay away until
//! others take their work over, and as many validators as the protocol bears may lie, each in one of the ways of
//! [`crate::lie::Lie`]. Then the faults end, and the mesh has to go on within a bound.

pub mod campaign;
mod checker;
mod clients;
mod event;
mod faults;
mod lane;
mod liar;
mod mesh;
mod network;
mod node;
pub mod people;
mod pool;
mod report;
pub mod seed;
mod site;
pub mod target;
#[cfg(test)]
mod tests;
pub mod twins;
mod witness;
mod world;

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

use tracing::subscriber::{NoSubscriber, with_default};

use mesh::Mesh;

pub use checker::Violation;
pub use faults::{DiskFault, FaultPlan, Meets, NodeDisk, PlanError};
pub use report::{Coverage, Failure, Report, repeat_command};
pub use world::constitution;

/// Runs one seed with the faults that it draws.
///
/// # Errors
/// An invariant was violated, or the code panicked.
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
    let mut mesh = Mesh::new(seed, plan).with_story();
    let outcome = run_caught(&mut mesh);
    Replay { plan, story: mesh.into_story(), outcome }
}

/// Runs one seed with chosen faults.
///
/// # Errors
/// An invariant was violated, or the code panicked.
pub fn run_plan(seed: u64, plan: FaultPlan) -> Result<Report, Failure> {
    run_caught(&mut Mesh::new(seed, plan))
}

/// A panic is a failure like any other, and what the simulated nodes log is not this program's own.
fn run_caught(mesh: &mut Mesh) -> Result<Report, Failure> {
    let run = || with_default(NoSubscriber::default(), || mesh.run());
    let outcome = catch_unwind(AssertUnwindSafe(run))
        .unwrap_or_else(|panic| Err(Violation::Panicked { message: message_of(&*panic) }));
    outcome.map_err(|violation| mesh.failure(violation))
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "a panic".to_owned())
}
