//! Owns the consensus adapter: the only module that sees the types of the consensus core. Everything outside
//! speaks in the ledger's own votes, proposals and certificates.

mod certificates;
mod context;
mod convert;
mod driver;
mod effects;
mod entry;
mod guard;
mod key;
mod timeouts;
mod timers;
mod verdicts;

pub use context::proposer;
pub use driver::{Act, Driver, DriverConfig, DriverFault, DriverInput, EntryLog};
pub use entry::{ConsensusEntry, ENTRY_LEN_MAX, EntryError, JudgedBlock, LoggedInput, Step};
pub use guard::{DoubleSign, SigningGuard};
pub use key::ConsensusKey;
pub use timeouts::ConsensusTimeouts;
pub use verdicts::Verdicts;
