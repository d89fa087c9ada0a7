//! Owns the second opinion: re-applies every block by itself, judges the invariants, attests finished proposals,
//! and makes the bundle that an outsider checks without a network. Writes nothing but attestations.

pub mod actor;
pub mod alarm;
pub mod bundle;
pub mod heads;
pub mod judge;
pub mod message;
pub mod metrics;
pub mod port;
pub mod replay;
pub mod state;
pub mod witness;

#[cfg(test)]
pub(crate) mod story;
