//! Owns carrying out what the ledger decided: orders to claims to provider calls to receipts, and health probes.

pub mod health;
pub mod local;
