//! Breaks the mesh on purpose: a deterministic simulation of its ledgers, and a harness over real processes.

pub mod http;
pub mod process;
#[cfg(any(test, feature = "simulation"))]
pub mod simulation;
