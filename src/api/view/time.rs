//! Owns how instants and lengths of time are written for people: UTC by RFC 3339, and rounded lengths.

use althing_contracts::quantity::{DurationMs, TimeMs};

const DAY_MS: u64 = 86_400_000;

/// The instant as RFC 3339 in UTC with milliseconds, for example `2026-03-01T12:00:00.000Z`.
pub fn rfc3339(time: TimeMs) -> String {
    let (days, rest) = (time.get() / DAY_MS, time.get() % DAY_MS);
    let (year, month, day) = civil(days);
    let (hour, minute) = (rest / 3_600_000, rest / 60_000 % 60);
    let (second, milli) = (rest / 1_000 % 60, rest % 1_000);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z")
}

/// The instant as RFC 5545 writes a date with a time in UTC, to the second before it, for example `20260301T120000Z`; `None`
/// from the year 10,000 on, for which there is no such form.
pub fn rfc5545(time: TimeMs) -> Option<String> {
    let (days, second) = (time.get() / DAY_MS, time.get() % DAY_MS / 1_000);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    (year <= 9_999).then(|| format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}Z"))
}

/// The date of a day since 1970-01-01 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms",
/// `civil_from_days`), for days from the epoch on.
fn civil(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

/// A length of time in its two largest units, for example `2 h 5 min`, `1.5 s` or `20 ms`.
pub fn length(duration: DurationMs) -> String {
    match duration.get() {
        ms @ 0..1_000 => format!("{ms} ms"),
        ms @ 1_000..60_000 if ms % 1_000 / 100 == 0 => format!("{} s", ms / 1_000),
        ms @ 1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        ms => two_units(ms / 1_000),
    }
}

fn two_units(seconds: u64) -> String {
    let (large, small, large_name, small_name) = match seconds {
        0..3_600 => (seconds / 60, seconds % 60, "min", "s"),
        3_600..86_400 => (seconds / 3_600, seconds / 60 % 60, "h", "min"),
        _ => (seconds / 86_400, seconds / 3_600 % 24, "d", "h"),
    };
    if small == 0 {
        format!("{large} {large_name}")
    } else {
        format!("{large} {large_name} {small} {small_name}")
    }
}

/// Where an instant lies from `now`, for example `in 5 min` or `2 h ago`.
pub fn from_now(time: TimeMs, now: TimeMs) -> String {
    if time >= now {
        format!("in {}", length(time.since(now)))
    } else {
        format!("{} ago", length(now.since(time)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_written_in_utc() {
        assert_eq!(rfc3339(TimeMs::ZERO), "1970-01-01T00:00:00.000Z");
        assert_eq!(rfc3339(TimeMs::new(951_782_399_999)), "2000-02-28T23:59:59.999Z");
        assert_eq!(rfc3339(TimeMs::new(951_782_400_000)), "2000-02-29T00:00:00.000Z");
        assert_eq!(rfc3339(TimeMs::new(1_767_225_599_001)), "2025-12-31T23:59:59.001Z");
        assert_eq!(rfc3339(TimeMs::new(4_107_542_400_000)), "2100-03-01T00:00:00.000Z");
    }

    #[test]
    fn the_end_of_time_is_written_too() {
        assert!(rfc3339(TimeMs::MAX).ends_with('Z'));
    }

    #[test]
    fn calendars_have_whole_seconds_and_four_digits_of_a_year() {
        assert_eq!(rfc5545(TimeMs::ZERO).as_deref(), Some("19700101T000000Z"));
        assert_eq!(rfc5545(TimeMs::new(951_782_399_999)).as_deref(), Some("20000228T235959Z"));
        assert_eq!(rfc5545(TimeMs::new(253_402_300_799_999)).as_deref(), Some("99991231T235959Z"));
        assert_eq!([253_402_300_800_000, u64::MAX].map(|ms| rfc5545(TimeMs::new(ms))), [None, None]);
    }

    #[test]
    fn lengths_keep_two_units() {
        let of = |ms| length(DurationMs::new(ms));
        assert_eq!([of(20), of(1_000), of(1_540), of(125_000)], ["20 ms", "1 s", "1.5 s", "2 min 5 s"]);
        assert_eq!([of(7_200_000), of(90_000_000)], ["2 h", "1 d 1 h"]);
        assert_eq!(from_now(TimeMs::new(5), TimeMs::new(10)), "5 ms ago");
        assert_eq!(from_now(TimeMs::new(10), TimeMs::new(5)), "in 5 ms");
    }
}
