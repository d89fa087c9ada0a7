//! Owns what a run takes from the machine beneath it: random bytes and clocks, both put in place of the system's for
//! the whole process. One process is one run.

use std::{
    panic,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use mad_turmoil::time::SimClocksGuard;
use rand::{SeedableRng as _, rngs::StdRng};

use crate::trace;

static PANICS: AtomicU64 = AtomicU64::new(0);

/// Random bytes, clocks and panics of this process belong to the simulation until it is dropped.
#[must_use = "the clocks are the system's again when it is dropped"]
pub struct Machine {
    _clocks: SimClocksGuard,
}

impl Machine {
    /// Takes them over.
    ///
    /// # Panics
    /// It was done before in this process.
    pub fn begin(seed: u64, is_trace_shown: bool) -> Self {
        mad_turmoil::rand::set_rng(StdRng::seed_from_u64(seed));
        trace::begin(is_trace_shown);
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |what| {
            PANICS.fetch_add(1, Ordering::Relaxed);
            report(what);
        }));
        Self { _clocks: SimClocksGuard::init() }
    }
}

/// Panics so far: tokio catches those of tasks, and none is expected.
#[must_use]
pub fn panics() -> u64 {
    PANICS.load(Ordering::Relaxed)
}

/// A network of the seed: every host runs in random order, messages take `latency_max` at most.
#[must_use]
pub fn network(seed: u64, duration: Duration, latency_max: Duration) -> turmoil::Builder {
    let mut builder = turmoil::Builder::new();
    builder
        .rng_seed(seed)
        .enable_random_order()
        .simulation_duration(duration)
        .tick_duration(Duration::from_millis(1))
        .min_message_latency(Duration::from_millis(1))
        .max_message_latency(latency_max)
        .tcp_capacity(64);
    builder
}
