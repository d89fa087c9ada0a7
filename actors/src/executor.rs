//! Owns carrying out what the ledger decided: orders to claims to provider calls to receipts, and health probes.

pub mod actor;
pub mod health;
pub mod journal;
pub mod local;
pub mod message;
pub mod metrics;
pub mod runner;
pub mod state;
