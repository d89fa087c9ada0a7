//! Owns the ledger of this node: mempool, consensus, log and state.

pub mod log;
pub mod message;
