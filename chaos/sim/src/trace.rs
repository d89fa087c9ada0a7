//! Owns the trace of a run: everything that was observed, with its simulated time, in one digest. Two runs of a seed
//! are equal when their digests are.

use std::{
    fmt::Display,
    sync::{Mutex, MutexGuard, PoisonError},
};

static TRACE: Mutex<Option<Trace>> = Mutex::new(None);

/// What was observed so far.
struct Trace {
    digest: blake3::Hasher,
    entries: u64,
    bytes: u64,
    is_shown: bool,
}

/// The trace of a whole run.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Summary {
    /// Over every entry.
    pub digest: String,
    /// Things observed.
    pub entries: u64,
    /// Bytes that nodes wrote to each other.
    pub wire_bytes: u64,
}

/// Begins the trace of this process; shown on standard error when asked for.
pub fn begin(is_shown: bool) {
    *lock() = Some(Trace { digest: blake3::Hasher::new(), entries: 0, bytes: 0, is_shown });
}

/// Notes that something happened.
pub fn note(what: &str, detail: &dyn Display) {
    if let Some(trace) = lock().as_mut() {
        let detail = detail.to_string();
        if trace.is_shown {
            eprintln!("{:>12} {what} {detail}", micros());
        }
        trace.add(what, detail.as_bytes());
    }
}

/// Notes bytes that were sent.
pub fn bytes(what: &str, bytes: &[u8]) {
    if let Some(trace) = lock().as_mut() {
        if trace.is_shown {
            eprintln!("{:>12} {what} {} bytes {}", micros(), bytes.len(), &blake3::hash(bytes).to_hex()[..8]);
        }
        trace.bytes += bytes.len() as u64;
        trace.add(what, bytes);
    }
}

/// The trace so far.
#[must_use]
pub fn summary() -> Summary {
    lock().as_ref().map_or(Summary { digest: String::new(), entries: 0, wire_bytes: 0 }, |trace| Summary {
        digest: trace.digest.finalize().to_hex()[..16].to_owned(),
        entries: trace.entries,
        wire_bytes: trace.bytes,
    })
}

impl Trace {
    fn add(&mut self, what: &str, detail: &[u8]) {
        self.entries += 1;
        self.digest.update(&micros().to_le_bytes());
        for part in [what.as_bytes(), detail] {
            self.digest.update(&(part.len() as u64).to_le_bytes()).update(part);
        }
    }
}

/// Simulated microseconds since the beginning; 0 between two steps of the simulation.
fn micros() -> u128 {
    turmoil::sim_elapsed().unwrap_or_default().as_micros()
}

fn lock() -> MutexGuard<'static, Option<Trace>> {
    TRACE.lock().unwrap_or_else(PoisonError::into_inner)
}
