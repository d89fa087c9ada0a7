//! Owns the core's running timeouts at one height. They are cleared with the height, so none is ever stale.

use malachite_types::{Timeout, TimeoutKind};

use super::timeouts::ConsensusTimeouts;

/// Running timeouts; at most one of each kind and round, so a handful.
#[derive(Debug)]
pub(super) struct Timers {
    timeouts: ConsensusTimeouts,
    running: Vec<(u64, Timeout)>,
}

impl Timers {
    pub(super) const fn new(timeouts: ConsensusTimeouts) -> Self {
        Self { timeouts, running: Vec::new() }
    }

    /// Starts a timeout, or starts it again.
    pub(super) fn schedule(&mut self, now_us: u64, timeout: Timeout) {
        self.cancel(timeout);
        let due_us = now_us.saturating_add(self.timeouts.duration_us(timeout));
        self.running.push((due_us, timeout));
    }

    pub(super) fn cancel(&mut self, timeout: Timeout) {
        self.running.retain(|(_, running)| *running != timeout);
    }

    pub(super) fn clear(&mut self) {
        self.running.clear();
    }

    /// Makes the rebroadcast due at once.
    pub(super) fn hasten_rebroadcast(&mut self, now_us: u64) {
        for (due_us, timeout) in &mut self.running {
            if timeout.kind == TimeoutKind::Rebroadcast {
                *due_us = now_us.min(*due_us);
            }
        }
    }

    /// Takes the earliest timeout that is due.
    pub(super) fn take_due(&mut self, now_us: u64) -> Option<Timeout> {
        let (index, (due_us, _)) = self.running.iter().enumerate().min_by_key(|(_, (due_us, _))| *due_us)?;
        (*due_us <= now_us).then(|| self.running.remove(index).1)
    }

    /// When the next one is due.
    pub(super) fn next_due_us(&self) -> Option<u64> {
        self.running.iter().map(|(due_us, _)| *due_us).min()
    }
}

#[cfg(test)]
mod tests {
    use malachite_types::Round;

    use super::*;

    #[test]
    fn a_timeout_that_is_scheduled_again_runs_once_from_the_later_time() {
        let mut timers = Timers::new(ConsensusTimeouts::default());
        timers.schedule(0, Timeout::propose(Round::ZERO));
        timers.schedule(100, Timeout::propose(Round::ZERO));
        assert_eq!(timers.next_due_us(), Some(600_100));
        assert_eq!(timers.take_due(600_000), None);
        assert_eq!(timers.take_due(600_100), Some(Timeout::propose(Round::ZERO)));
        assert_eq!(timers.next_due_us(), None);
    }

    #[test]
    fn only_the_rebroadcast_is_hastened() {
        let mut timers = Timers::new(ConsensusTimeouts::default());
        timers.schedule(0, Timeout::rebroadcast(Round::ZERO));
        timers.schedule(0, Timeout::prevote(Round::ZERO));
        timers.hasten_rebroadcast(5);
        assert_eq!(timers.take_due(5), Some(Timeout::rebroadcast(Round::ZERO)));
        assert_eq!(timers.take_due(5), None);
    }
}
