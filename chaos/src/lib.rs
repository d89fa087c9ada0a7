//! Breaks the mesh on purpose: a deterministic simulation of whole lives, a harness over real processes, and checkers that
//! judge what either left behind.

pub mod checker;
pub mod failpoint;
#[cfg(test)]
mod figures;
#[cfg(any(test, feature = "fuzz"))]
pub mod fuzz;
pub mod host;
pub mod http;
pub mod lie;
pub mod model;
pub mod process;
pub mod run;
pub mod simulation;
pub mod zoo;
