//! Owns comparing this machine's clock with the clocks of the other validators, which show in the times of the blocks
//! they propose. Judges nobody by it: a block too far ahead is refused elsewhere, and time decides no rule here.

use std::collections::BTreeMap;

use althing_contracts::{
    quantity::{DurationMs, TimeMs},
    signature::PublicKey,
};

use super::Now;

/// What the last fresh proposal of each validator said of its clock; bounded by the roster, which alone proposes.
#[derive(Debug, Default)]
pub(super) struct ClockWatch {
    /// A validator's wall clock less this process's steady one, in milliseconds. Kept so that it stays comparable when
    /// the own wall clock is set.
    leads_ms: BTreeMap<PublicKey, i64>,
}

impl ClockWatch {
    /// Notes the time that a validator gave a block it has just made.
    pub(super) fn observe(&mut self, proposer: PublicKey, time: TimeMs, now: Now) {
        self.leads_ms.insert(proposer, lead_ms(time, now.monotonic_us));
    }

    /// How far the own clock is ahead (or behind, below zero) of a majority of the `others` validators, all of them
    /// more than `bound` away on the same side; the smallest of their distances.
    pub(super) fn offset_ms(&self, now: Now, others: usize, bound: DurationMs) -> Option<i64> {
        let own_ms = lead_ms(now.wall, now.monotonic_us);
        let bound_ms = i64::try_from(bound.get()).unwrap_or(i64::MAX);
        let offsets = self.leads_ms.values().map(|lead_ms| own_ms.saturating_sub(*lead_ms));
        let (ahead, behind): (Vec<i64>, Vec<i64>) = offsets
            .filter(|offset_ms| offset_ms.saturating_abs() > bound_ms)
            .partition(|offset_ms| *offset_ms > 0);
        [ahead, behind]
            .into_iter()
            .filter(|side| side.len().saturating_mul(2) > others)
            .find_map(|side| side.into_iter().min_by_key(|offset_ms| offset_ms.saturating_abs()))
    }
}

fn lead_ms(wall: TimeMs, monotonic_us: u64) -> i64 {
    let wall_ms = i64::try_from(wall.get()).unwrap_or(i64::MAX);
    wall_ms.saturating_sub(i64::try_from(monotonic_us / 1_000).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUND: DurationMs = DurationMs::new(5_000);
    const OTHERS: usize = 3;
    const TRUE_MS: u64 = 1_000_000;

    fn now(wall_ms: u64, monotonic_us: u64) -> Now {
        Now { wall: TimeMs::new(wall_ms), monotonic_us }
    }

    fn watch(own: Now, times_ms: &[u64]) -> ClockWatch {
        let mut watch = ClockWatch::default();
        for (index, time_ms) in (0_u8..).zip(times_ms) {
            watch.observe(PublicKey::Ed25519([index; 32]), TimeMs::new(*time_ms), own);
        }
        watch
    }

    #[test]
    fn a_clock_ahead_or_behind_of_most_validators_is_noticed_beyond_the_bound() {
        for (own_ms, offset_ms) in [
            (TRUE_MS + 600_000, Some(600_000)),
            (TRUE_MS - 600_000, Some(-600_000)),
            (TRUE_MS + 5_001, Some(5_001)),
            (TRUE_MS + 5_000, None),
            (TRUE_MS - 5_000, None),
        ] {
            let own = now(own_ms, 7);
            assert_eq!(watch(own, &[TRUE_MS; 2]).offset_ms(own, OTHERS, BOUND), offset_ms);
        }
    }

    #[test]
    fn one_validator_whose_clock_is_wrong_raises_nothing_here() {
        let own = now(TRUE_MS, 0);
        for wrong_ms in [TRUE_MS + 600_000, TRUE_MS - 600_000] {
            assert_eq!(watch(own, &[wrong_ms]).offset_ms(own, OTHERS, BOUND), None);
            assert_eq!(watch(own, &[wrong_ms, TRUE_MS, TRUE_MS]).offset_ms(own, OTHERS, BOUND), None);
        }
        let apart = [TRUE_MS + 600_000, TRUE_MS - 600_000, TRUE_MS];
        assert_eq!(watch(own, &apart).offset_ms(own, OTHERS, BOUND), None);
    }

    #[test]
    fn a_clock_that_is_set_right_agrees_at_once() {
        let wrong = now(TRUE_MS + 600_000, 0);
        let watch = watch(wrong, &[TRUE_MS; 3]);
        let minute_us = 60_000_000;
        assert_eq!(watch.offset_ms(now(TRUE_MS + 660_000, minute_us), OTHERS, BOUND), Some(600_000));
        assert_eq!(watch.offset_ms(now(TRUE_MS + 60_000, minute_us), OTHERS, BOUND), None);
    }
}
