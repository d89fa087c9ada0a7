//! Owns the wish to end a run early: everything that waits, waits for it too.

use std::{
    sync::{Arc, Condvar, Mutex, PoisonError},
    time::Duration,
};

/// Told once, heard by all that hold a copy.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<(Mutex<bool>, Condvar)>);

impl Stop {
    /// Asks everybody to end.
    pub fn request(&self) {
        let (requested, changed) = &*self.0;
        *requested.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
    }

    /// Whether somebody asked.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for `time` or until somebody asks; yields whether somebody did.
    #[must_use]
    pub fn wait(&self, time: Duration) -> bool {
        let (requested, changed) = &*self.0;
        let held = requested.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = changed.wait_timeout_while(held, time, |requested| !*requested);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}
