//! Owns catching up: which peer is asked for which blocks, and the request and response on the wire. Refuses to
//! judge blocks; the ledger verifies every one before it counts.

mod state;
mod wire;

pub use state::{REQUEST_TIMEOUT_US, SyncState, Wanted};
pub use wire::{SYNC_BLOCKS_MAX, SYNC_RESPONSE_LEN_MAX, SyncRequest, SyncResponse};
