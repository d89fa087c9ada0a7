//! Owns the ledger of this node: mempool, consensus, log and state.

pub mod consensus;
pub mod log;
pub mod message;
pub mod wire;
