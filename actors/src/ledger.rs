//! Owns the ledger of this node: mempool, consensus, log and state.

mod actor;
mod admission;
mod archive;
pub mod consensus;
pub mod data_dir;
mod equivocation;
mod handle;
pub mod index;
pub mod log;
pub mod mempool;
pub mod message;
pub mod metrics;
pub mod snapshot;
pub mod state;
pub mod storage;
mod store;
pub mod wire;

pub use handle::{LedgerHandle, LedgerOptions, NAME, SUBMIT_DEADLINE};
pub use store::{DATA_FORMAT, StoreError};
