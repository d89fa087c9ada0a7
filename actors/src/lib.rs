//! Acts: actix actors over ports. Each actor is a synchronous state with a mailbox around it.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod auditor;
pub mod causes;
pub mod disk;
pub mod executor;
pub mod failpoint;
pub mod home;
pub mod journal;
pub mod ledger;
pub mod port;
pub mod proposal;
pub mod rosters;
mod signatures;
pub mod signer;
mod span;
pub mod sync;
#[cfg(test)]
mod test_ledger;
pub mod watcher;
