//! Owns why an index is not trusted, and turning what sled does wrong into that.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
};

use althing_contracts::{
    digest::Digest,
    quantity::{EventSequence, Height},
};

use super::value::{VALUE_LEN_MAX, ValueError};

/// Why an index is not trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Doubt {
    /// sled reported an error.
    #[error("sled failed: {0}")]
    Sled(String),
    /// sled panicked.
    #[error("sled panicked: {0}")]
    Panic(String),
    /// A value is not what was stored.
    #[error("a value of `{tree}` is damaged: {error}")]
    Value {
        /// Which tree.
        tree: &'static str,
        /// What is wrong.
        error: ValueError,
    },
    /// Entries are missing.
    #[error("`{tree}` has {found} entries, {expected} were stored")]
    Count {
        /// Which tree.
        tree: &'static str,
        /// Counted.
        found: u64,
        /// Stored.
        expected: u64,
    },
    /// An entry that must be there is not.
    #[error("`{tree}` has no entry {key}, which was stored")]
    Missing {
        /// Which tree.
        tree: &'static str,
        /// Which entry.
        key: u64,
    },
    /// The index speaks of records that the log does not have.
    #[error("it needs {needed} records and the log has {found}")]
    BeyondLog {
        /// By the index.
        needed: u64,
        /// In the log.
        found: u64,
    },
    /// It was made for another network.
    #[error("it belongs to network {0}")]
    OtherNetwork(Digest),
    /// An earlier run met a doubt while it was reading.
    #[error("an earlier run marked it: {0}")]
    Marked(String),
}

/// Why the index did not answer.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// It is not trusted: drop it and open it again, which sets it aside; then fill it from the log.
    #[error("the index is in doubt; it is rebuilt from the log at the next start")]
    Doubt(#[source] Doubt),
    /// The value is too long; nothing was stored.
    #[error("event {sequence} has {len} bytes, at most {VALUE_LEN_MAX} are indexed")]
    TooLong {
        /// Which event.
        sequence: EventSequence,
        /// Its length.
        len: usize,
    },
    /// A block was left out; nothing was stored.
    #[error("block {found} does not follow block {applied} of the index")]
    Order {
        /// Last block stored.
        applied: Height,
        /// Block given.
        found: Height,
    },
    /// An event was left out; nothing was stored.
    #[error("event {found} does not follow event {last}")]
    EventOrder {
        /// The event before.
        last: EventSequence,
        /// Event given.
        found: EventSequence,
    },
    /// The index is open elsewhere; it is left alone.
    #[error("the index {path} is in use; stop the process that has it open")]
    Held {
        /// Which directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The directory cannot be set aside or created.
    #[error("cannot set the index {path} aside")]
    SetAside {
        /// Which directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
}

impl From<sled::Error> for Doubt {
    fn from(error: sled::Error) -> Self {
        Self::Sled(error.to_string())
    }
}

/// Runs a sled call and takes a panic for a doubt; sled panics on some damage.
pub(super) fn catching<T>(call: impl FnOnce() -> Result<T, Doubt>) -> Result<T, Doubt> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(Doubt::Panic(text.unwrap_or_default()))
    })
}
