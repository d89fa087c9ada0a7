//! Owns the ledger of this node: mempool, consensus, log and state.

pub mod index;
pub mod log;
pub mod message;
pub mod snapshot;
