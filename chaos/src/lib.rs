//! Breaks the mesh on purpose: a harness over real processes, for tests and benchmarks.

pub mod http;
pub mod process;
