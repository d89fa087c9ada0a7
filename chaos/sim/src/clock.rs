//! Owns the wall clock of a simulated node: the true time of the simulation and how far the machine is off.

use althing_actors::port::Clock;
use althing_contracts::{quantity::TimeMs, testing::GENESIS_TIME};

/// The true time at which a run begins, after genesis.
const BEGIN_MS: u64 = 3_600_000;

/// A clock that is ahead of the true time, or behind it below zero.
#[derive(Debug, Clone, Copy)]
pub struct SimClock {
    /// By how much.
    pub offset_ms: i64,
}

impl Clock for SimClock {
    fn now(&self) -> TimeMs {
        let elapsed = turmoil::sim_elapsed().unwrap_or_default().as_millis();
        let true_ms = GENESIS_TIME.get() + BEGIN_MS + u64::try_from(elapsed).unwrap_or(u64::MAX);
        TimeMs::new(true_ms.saturating_add_signed(self.offset_ms))
    }
}
