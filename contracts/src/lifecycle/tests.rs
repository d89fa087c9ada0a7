//! The life of proposals, move by move: accepted, refused, repeated, reordered.

mod amendment;
mod attack;
mod attempt;
mod audit;
mod ballot;
mod batch;
mod cosign;
mod dormancy;
mod emergency;
mod execution;
mod expiry;
mod explanation;
mod lies;
pub(crate) mod moves;
mod parties;
mod precedence;
mod queue;
mod rollback;
pub(crate) mod story;
mod submission;
mod timelock;
mod weighing;
