//! Owns the ledger of this node: mempool, consensus, log and state.

pub mod consensus;
pub mod data_dir;
mod equivocation;
pub mod index;
pub mod log;
pub mod mempool;
pub mod message;
pub mod snapshot;
pub mod state;
pub mod wire;
