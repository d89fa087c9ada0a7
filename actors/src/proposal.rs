//! Owns the way of people to the ledger: dry runs, submissions, reviews, ballots, and waiting for a stage.

pub mod actor;
pub mod message;
pub mod metrics;
pub mod stages;
pub mod state;
