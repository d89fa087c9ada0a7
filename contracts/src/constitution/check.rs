//! Owns what a constitution must satisfy before it may be in force: nothing fails open, nothing is unreachable.

use crate::{
    constitution::{Constitution, ConstitutionError, HardRules, Scheme, Threshold, Track, TrackParameters},
    quantity::{DurationMs, Ratio},
};

/// Longest period of any parameter: a timelock of years is a lock-out, not a safeguard.
pub const PERIOD_MAX: DurationMs = DurationMs::from_hours(90 * 24);
const MILLISECOND: DurationMs = DurationMs::new(1);
const RESIDENCY_CLASSES_MAX: u64 = 64;

impl Constitution {
    /// Checks every parameter.
    ///
    /// # Errors
    /// Names the first parameter that would let everything pass, nothing pass, or time run away.
    pub fn check(&self) -> Result<(), ConstitutionError> {
        number("version", u64::from(self.version), 1, u64::from(u32::MAX))?;
        for track in [Track::Routine, Track::Standard] {
            let parameters = self.tracks.get(&track).ok_or(ConstitutionError::MissingTrack { track })?;
            parameters.check(track)?;
        }
        share("member_cap", self.member_cap)?;
        share("organisation_cap", self.organisation_cap)?;
        number("open_proposals_per_author_max", self.open_proposals_per_author_max.into(), 1, 1_000)?;
        period("heartbeat", self.heartbeat, DurationMs::new(100), PERIOD_MAX)?;
        period("clock_ahead_max", self.clock_ahead_max, MILLISECOND, DurationMs::from_hours(1))?;
        self.hard_rules.check()
    }
}

impl TrackParameters {
    fn check(&self, track: Track) -> Result<(), ConstitutionError> {
        let path = |field: &str| format!("tracks.{track}.{field}");
        if track == Track::Standard {
            number(&path("reviewers"), self.reviewers.into(), 1, 16)?;
        }
        self.scheme.check(track, &path("scheme"))?;
        for (field, length) in [
            ("review", self.review),
            ("voting", self.voting),
            ("timelock", self.timelock),
            ("execute_by", self.execute_by),
            ("lease", self.lease),
            ("stage", self.stage),
            ("audit", self.audit),
        ] {
            period(&path(field), length, MILLISECOND, PERIOD_MAX)?;
        }
        period(&path("confirm"), self.confirm, DurationMs::ZERO, PERIOD_MAX)?;
        period(&path("late_window"), self.late_window, DurationMs::ZERO, self.voting)?;
        number(&path("timelock_stretch_max"), self.timelock_stretch_max.into(), 1, 10)?;
        number(&path("retries"), self.retries.into(), 0, 16)?;
        number(&path("attestations"), self.attestations.into(), 1, 16)
    }
}

impl Scheme {
    fn check(&self, track: Track, path: &str) -> Result<(), ConstitutionError> {
        match self {
            Self::Majority { turnout, approval, organisations } => {
                reachable(&format!("{path}.turnout"), *turnout)?;
                reachable(&format!("{path}.approval"), *approval)?;
                reachable(&format!("{path}.organisations"), *organisations)
            }
            // A standard vote is what an unseen optimistic one falls back on, so it may not be optimistic itself.
            Self::Optimistic { .. } if track == Track::Standard => {
                Err(ConstitutionError::OptimisticFallback { field: path.to_owned() })
            }
            Self::Optimistic { acknowledgement, objection } => {
                reachable(&format!("{path}.acknowledgement"), *acknowledgement)?;
                reachable(&format!("{path}.objection"), *objection)
            }
        }
    }
}

impl HardRules {
    fn check(&self) -> Result<(), ConstitutionError> {
        share("hard_rules.canary_share_max", self.canary_share_max)?;
        share("hard_rules.stage_share_max", self.stage_share_max)?;
        share("hard_rules.health_success_min", self.health_success_min)?;
        number("hard_rules.health_samples_min", self.health_samples_min.into(), 1, 1_000)?;
        let classes = u64::try_from(self.residency.len()).unwrap_or(u64::MAX);
        number("hard_rules.residency", classes, 0, RESIDENCY_CLASSES_MAX)
    }
}

fn reachable(field: &str, threshold: Threshold) -> Result<(), ConstitutionError> {
    share(field, threshold.ratio())?;
    match threshold {
        Threshold::MoreThan(ratio) if !ratio.is_exceeded_by(1, 1) => {
            Err(ConstitutionError::Unreachable { field: field.to_owned() })
        }
        _ => Ok(()),
    }
}

fn share(field: &str, ratio: Ratio) -> Result<(), ConstitutionError> {
    if ratio.is_zero() { Err(ConstitutionError::ZeroThreshold { field: field.to_owned() }) } else { Ok(()) }
}

fn period(field: &str, found: DurationMs, min: DurationMs, max: DurationMs) -> Result<(), ConstitutionError> {
    if (min..=max).contains(&found) {
        return Ok(());
    }
    Err(ConstitutionError::Period { field: field.to_owned(), found, min, max })
}

fn number(field: &str, found: u64, min: u64, max: u64) -> Result<(), ConstitutionError> {
    if (min..=max).contains(&found) {
        return Ok(());
    }
    Err(ConstitutionError::Number { field: field.to_owned(), found, min, max })
}
