//! Owns what a simulated disk is told to have go wrong, and the errors by which that is known.

use std::io::{self, ErrorKind};

/// Faults to come. Operations, appends and syncs are counted from 1 since the disk was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Faults {
    /// From this operation on every call fails, as if the machine stopped; only changes and syncs count.
    pub stop_at_operation: Option<u64>,
    /// This append or write writes half of its bytes and fails.
    pub fail_append: Option<u64>,
    /// This sync fails. What it should have made durable is lost at the next crash, whatever later syncs say, unless it is
    /// written again.
    pub fail_sync: Option<u64>,
    /// Bytes of all files together; an append beyond writes what fits and fails.
    pub capacity: Option<u64>,
    /// What one operation meets.
    pub at_operation: Option<(u64, OperationFault)>,
    /// From this operation on the disk reports syncs as done and makes nothing durable by them.
    pub lie_from_operation: Option<u64>,
}

/// What an operation meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationFault {
    /// It fails and changes nothing; what a sync should have made durable is lost at the next crash.
    Error,
    /// No room is left: half of an append or write is there.
    Full,
}

/// An error of the simulated disk itself.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Simulated(&'static str);

/// Whether an error, or one of its causes, is a fault that a simulated disk was told to have.
#[must_use]
pub fn is_simulated(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| (*error).source()).any(|error| {
        let inner = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        inner.is_some_and(<dyn std::error::Error + Send + Sync>::is::<Simulated>)
    })
}

pub(super) fn stopped() -> io::Error {
    io::Error::other(Simulated("the simulated machine has stopped"))
}

impl OperationFault {
    pub(super) fn error(self) -> io::Error {
        match self {
            Self::Error => io::Error::other(Simulated("simulated input/output error")),
            Self::Full => io::Error::new(ErrorKind::StorageFull, Simulated("simulated lack of room")),
        }
    }
}
