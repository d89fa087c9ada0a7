//! Owns the binding of the actors' clock to that of the machine.

use std::{sync::Arc, time::SystemTime};

use althing_actors::port::Clock;
use althing_contracts::quantity::TimeMs;

/// The machine's wall clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> TimeMs {
        // A clock before 1970 is as wrong as any other: validators refuse its blocks, and nothing else trusts it.
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        TimeMs::new(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
    }
}

/// The clock as a port.
pub(super) fn system() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}
