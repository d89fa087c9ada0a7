//! Owns what a constitution must satisfy before it may be in force: nothing fails open, nothing is unreachable.

use std::collections::BTreeMap;

use crate::{
    attempt::ResubmissionRules,
    bond::ACCOUNT_MAX,
    constitution::{
        Classification, Constitution, ConstitutionError, Cosign, EmergencyRules, HardRules, Scheme,
        Threshold, Track, TrackParameters,
    },
    delegation::DelegationRules,
    dormancy::{DormancyRules, VOTES_MAX},
    quantity::{DurationMs, Ratio},
    recovery::RecoveryRules,
};

/// Longest period of any parameter: a timelock of years is a lock-out, not a safeguard.
pub const PERIOD_MAX: DurationMs = DurationMs::from_hours(90 * 24);
/// Longest time for which the measures of an emergency may hold.
pub const EMERGENCY_TTL_MAX: DurationMs = DurationMs::from_hours(7 * 24);
/// Longest term of a guardian.
pub const GUARDIAN_TERM_MAX: DurationMs = DurationMs::from_hours(2 * 365 * 24);
/// Longest term of a delegation: a voice that was lent long ago is one that nobody stands for.
const TERM_MAX: DurationMs = DurationMs::from_hours(366 * 24);
const MILLISECOND: DurationMs = DurationMs::new(1);
const RESIDENCY_CLASSES_MAX: u64 = 64;

impl Constitution {
    /// Checks every parameter.
    ///
    /// # Errors
    /// Names the first parameter that would let everything pass, nothing pass, or time run away.
    pub fn check(&self) -> Result<(), ConstitutionError> {
        number("version", u64::from(self.version), 1, u64::from(u32::MAX))?;
        let mut below: Option<(Track, &TrackParameters)> = None;
        for track in Track::ALL {
            let parameters = self.tracks.get(&track).ok_or(ConstitutionError::MissingTrack { track })?;
            parameters.check(track)?;
            below.map_or(Ok(()), |below| parameters.check_strictness(track, below))?;
            below = Some((track, parameters));
        }
        if self.tracks.contains_key(&Track::Emergency) {
            return Err(ConstitutionError::Reserved { field: "tracks.emergency" });
        }
        self.check_floor()?;
        self.emergency.check()?;
        self.check_fallback()?;
        self.classification.check()?;
        share("member_cap", self.member_cap)?;
        share("organisation_cap", self.organisation_cap)?;
        self.delegation.check()?;
        self.recovery.check()?;
        number("open_proposals_per_author_max", self.open_proposals_per_author_max.into(), 1, 1_000)?;
        period("warning", self.warning, MILLISECOND, PERIOD_MAX)?;
        self.check_attempts()?;
        self.check_dormancy()?;
        period("heartbeat", self.heartbeat, DurationMs::new(100), PERIOD_MAX)?;
        period("clock_ahead_max", self.clock_ahead_max, MILLISECOND, DurationMs::from_hours(1))?;
        self.hard_rules.check()
    }

    /// Whatever passes a majority was seen by as many as the floor asks for: nobody awakens governance by less than an ordinary
    /// decision, and nobody needs more.
    fn check_dormancy(&self) -> Result<(), ConstitutionError> {
        let DormancyRules { votes, floor } = self.dormancy;
        number("dormancy.votes", votes.into(), 1, VOTES_MAX.into())?;
        share("dormancy.floor", floor)?;
        for (track, parameters) in &self.tracks {
            let Scheme::Majority { turnout, .. } = &parameters.scheme else { continue };
            if turnout.is_below(Threshold::AtLeast(floor)) {
                let field = format!("tracks.{track}.scheme.turnout");
                return Err(ConstitutionError::BelowFloor { field, floor: "the floor of dormancy" });
            }
        }
        Ok(())
    }

    /// A failure is remembered for longer than it keeps its content out, and an author without any other proposal can afford
    /// every content.
    fn check_attempts(&self) -> Result<(), ConstitutionError> {
        let ResubmissionRules { memory, failures_max } = self.resubmission;
        number("resubmission.failures_max", failures_max.into(), 1, 16)?;
        period("resubmission.memory", memory, MILLISECOND, PERIOD_MAX)?;
        let longest = memory.divided(failures_max.into());
        for (track, parameters) in &self.tracks {
            period(&format!("tracks.{track}.cooldown"), parameters.cooldown, DurationMs::ZERO, longest)?;
        }
        let least = self.bonds.price(0, failures_max);
        number("bonds.account", self.bonds.account.get().into(), least.get().into(), ACCOUNT_MAX.into())?;
        period("bonds.lost_for", self.bonds.lost_for, DurationMs::ZERO, PERIOD_MAX)
    }

    /// What an unseen routine vote becomes counts the same ballots, by the same electorate.
    fn check_fallback(&self) -> Result<(), ConstitutionError> {
        let weighing =
            |track| self.tracks.get(&track).map(|parameters: &TrackParameters| parameters.weighing);
        if weighing(Track::Routine) == weighing(Track::Standard) {
            return Ok(());
        }
        Err(ConstitutionError::FallbackWeighing { field: "tracks.standard.weighing".to_owned() })
    }

    /// What protects the rules may be made stricter and never weaker than this.
    fn check_floor(&self) -> Result<(), ConstitutionError> {
        let Some(Scheme::Majority { approval, organisations, .. }) =
            self.tracks.get(&Track::Constitutional).map(|parameters| &parameters.scheme)
        else {
            return Ok(());
        };
        let below = |field: &str, floor| {
            Err(ConstitutionError::BelowFloor {
                field: format!("tracks.constitutional.scheme.{field}"),
                floor,
            })
        };
        if approval.is_below(Threshold::AtLeast(Ratio::TWO_THIRDS)) {
            return below("approval", "two thirds");
        }
        if organisations.is_below(Threshold::MoreThan(Ratio::ONE_HALF)) {
            return below("organisations", "more than half");
        }
        Ok(())
    }
}

impl TrackParameters {
    fn check(&self, track: Track) -> Result<(), ConstitutionError> {
        let path = |field: &str| format!("tracks.{track}.{field}");
        let reviewers_min = u64::from(track != Track::Routine);
        number(&path("reviewers"), self.reviewers.into(), reviewers_min, 16)?;
        self.scheme.check(track, &path("scheme"))?;
        self.cosign.map_or(Ok(()), |cosign| cosign.check(&path("cosign")))?;
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

    /// A stricter track may ask for more than the one below it and never for less: the way that a change takes follows from
    /// what it touches, and touching more must not make it easier.
    fn check_strictness(
        &self,
        track: Track,
        (below, other): (Track, &Self),
    ) -> Result<(), ConstitutionError> {
        let signers =
            |parameters: &Self| parameters.cosign.map_or((0, 0), |it| (it.guardians, it.organisations));
        let (own, others) = (signers(self), signers(other));
        let looser = [
            ("reviewers", self.reviewers < other.reviewers),
            ("scheme", self.scheme.is_looser_than(&other.scheme)),
            ("cosign", own.0 < others.0 || own.1 < others.1),
            ("timelock", self.timelock < other.timelock),
            ("cooldown", self.cooldown < other.cooldown),
        ];
        match looser.into_iter().find(|(_, is_looser)| *is_looser) {
            Some((field, _)) => {
                Err(ConstitutionError::Looser { field: format!("tracks.{track}.{field}"), below })
            }
            None => Ok(()),
        }
    }
}

impl DelegationRules {
    /// Its cap may be zero: then nobody speaks for another, which fails closed.
    fn check(&self) -> Result<(), ConstitutionError> {
        period("delegation.activation", self.activation, MILLISECOND, PERIOD_MAX)?;
        period("delegation.term_max", self.term_max, self.activation.next(), TERM_MAX)
    }
}

impl RecoveryRules {
    /// Nobody alone gives another person a key, and who has the old one has time to refuse.
    fn check(&self) -> Result<(), ConstitutionError> {
        reachable("recovery.colleagues", self.colleagues)?;
        number("recovery.at_least", self.at_least.into(), 2, 16)?;
        period("recovery.signing", self.signing, MILLISECOND, PERIOD_MAX)?;
        period("recovery.delay", self.delay, MILLISECOND, PERIOD_MAX)
    }
}

impl Cosign {
    fn check(self, path: &str) -> Result<(), ConstitutionError> {
        number(&format!("{path}.guardians"), self.guardians.into(), 1, 16)?;
        number(&format!("{path}.organisations"), self.organisations.into(), 1, self.guardians.into())
    }
}

impl EmergencyRules {
    /// Whoever can declare one alone is more than half of the guardians, so that no two of them act apart.
    fn check(&self) -> Result<(), ConstitutionError> {
        reachable("emergency.guardians", self.guardians)?;
        if self.guardians.is_below(Threshold::MoreThan(Ratio::ONE_HALF)) {
            let field = "emergency.guardians".to_owned();
            return Err(ConstitutionError::BelowFloor { field, floor: "more than half" });
        }
        number("emergency.organisations", self.organisations.into(), 1, 16)?;
        number("emergency.attestations", self.attestations.into(), 1, 16)?;
        period("emergency.signing", self.signing, MILLISECOND, self.ttl_max)?;
        period("emergency.ttl_max", self.ttl_max, MILLISECOND, EMERGENCY_TTL_MAX)?;
        period("emergency.ratify", self.ratify, MILLISECOND, PERIOD_MAX)?;
        period("emergency.term", self.term, MILLISECOND, GUARDIAN_TERM_MAX)
    }
}

impl Classification {
    fn check(&self) -> Result<(), ConstitutionError> {
        if self.actions.values().flat_map(BTreeMap::values).any(|track| *track == Track::Emergency) {
            return Err(ConstitutionError::Reserved { field: "classification.actions" });
        }
        let (least, most) = (u64::from(self.routine_targets_max), u64::from(u16::MAX));
        number("classification.standard_targets_max", self.standard_targets_max.into(), least, most)
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
            // Silence is assent only where little depends on it; and a standard vote is what an unseen one falls back on.
            Self::Optimistic { .. } if track != Track::Routine => {
                Err(ConstitutionError::OptimisticFallback { field: path.to_owned() })
            }
            Self::Optimistic { acknowledgement, objection } => {
                reachable(&format!("{path}.acknowledgement"), *acknowledgement)?;
                reachable(&format!("{path}.objection"), *objection)
            }
        }
    }

    /// Whether a majority passes by less than another; an optimistic vote asks for less than any.
    fn is_looser_than(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Majority { turnout, approval, organisations },
                Self::Majority { turnout: least, approval: approval_min, organisations: breadth_min },
            ) => {
                turnout.is_below(*least)
                    || approval.is_below(*approval_min)
                    || organisations.is_below(*breadth_min)
            }
            (Self::Optimistic { .. }, Self::Majority { .. }) => true,
            (_, Self::Optimistic { .. }) => false,
        }
    }
}

impl Threshold {
    /// Whether something passes this threshold and not the other.
    fn is_below(self, other: Self) -> bool {
        let (own, others) = (self.ratio(), other.ratio());
        let (part, whole) = (u64::from(own.numerator()), u64::from(own.denominator()));
        // A share that is the other's exactly is below it when the other asks for more than it.
        !others.is_reached_by(part, whole)
            || (matches!((self, other), (Self::AtLeast(_), Self::MoreThan(_)))
                && !others.is_exceeded_by(part, whole))
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
