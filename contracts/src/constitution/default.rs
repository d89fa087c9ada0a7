//! Owns the parameters that a mesh starts with, and their shorter form for development.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    attempt::ResubmissionRules,
    bond::BondRules,
    constitution::{
        Classification, Constitution, Cosign, EmergencyRules, HardRules, PERIOD_MAX, Scheme, Threshold,
        Track, TrackParameters,
    },
    delegation::DelegationRules,
    document::ActionKind,
    dormancy::DormancyRules,
    genesis::Tier,
    name::Name,
    quantity::{AmountMilli, BondPoints, DurationMs, Ratio},
    recovery::RecoveryRules,
    weighing::Weighing,
};

const SECOND: DurationMs = DurationMs::new(1_000);

impl Constitution {
    /// The parameters of `docs/constitution.md`, in force when a genesis names no others.
    #[must_use]
    pub fn default_genesis() -> Self {
        Self {
            version: 1,
            tracks: BTreeMap::from([
                (Track::Routine, routine()),
                (Track::Standard, standard()),
                (Track::High, high()),
                (Track::Constitutional, constitutional()),
            ]),
            classification: classification(),
            member_cap: Ratio::ONE_THIRD,
            organisation_cap: Ratio::ONE_THIRD,
            delegation: delegation(),
            open_proposals_per_author_max: 8,
            resubmission: resubmission(),
            dormancy: DormancyRules { votes: 3, floor: Ratio::ONE_FIFTH },
            recovery: recovery(),
            bonds: bonds(),
            vetoes_per_guardian: 3,
            emergency: EmergencyRules::default_genesis(),
            warning: DurationMs::from_hours(12),
            hard_rules: hard_rules(),
            heartbeat: DurationMs::new(60_000),
            clock_ahead_max: DurationMs::new(5_000),
        }
    }

    /// The same rules for a mesh of few organisations: never more sign-offs, co-signers and organisations in an emergency than
    /// there are other organisations, and at least one.
    #[must_use]
    pub fn fitted_to(mut self, organisations: usize) -> Self {
        let others = u8::try_from(organisations.saturating_sub(1)).unwrap_or(u8::MAX).max(1);
        for track in self.tracks.values_mut() {
            track.reviewers = track.reviewers.min(others);
            if let Some(cosign) = &mut track.cosign {
                cosign.organisations = cosign.organisations.min(others);
                cosign.guardians = cosign.guardians.min(others);
            }
        }
        self.emergency.organisations = self.emergency.organisations.min(others);
        self
    }

    /// The same rules with every governance period divided by `divisor`, so that a person sees a whole life.
    ///
    /// A lease, a stage and the bounds of clocks stay long enough for a machine to work in.
    #[must_use]
    pub fn divided(mut self, divisor: u64) -> Self {
        for track in self.tracks.values_mut() {
            track.divide(divisor);
        }
        self.emergency.divide(divisor);
        self.delegation.activation = self.delegation.activation.divided(divisor);
        self.resubmission.memory = self.resubmission.memory.divided(divisor);
        self.recovery.signing = self.recovery.signing.divided(divisor);
        self.recovery.delay = self.recovery.delay.divided(divisor);
        self.bonds.lost_for = self.bonds.lost_for.divided(divisor);
        self.heartbeat = self.heartbeat.divided(divisor).max(SECOND);
        // On an idle mesh a warning comes with the heartbeat.
        self.warning = self.warning.divided(divisor).max(self.heartbeat.times(2));
        self
    }
}

impl TrackParameters {
    fn divide(&mut self, divisor: u64) {
        for period in [
            &mut self.review,
            &mut self.voting,
            &mut self.late_window,
            &mut self.confirm,
            &mut self.timelock,
            &mut self.cooldown,
        ] {
            *period = period.divided(divisor);
        }
        let machine_min = DurationMs::new(15_000);
        for period in [&mut self.execute_by, &mut self.lease, &mut self.stage, &mut self.audit] {
            *period = period.divided(divisor).max(machine_min);
        }
    }
}

const fn recovery() -> RecoveryRules {
    RecoveryRules {
        colleagues: Threshold::MoreThan(Ratio::ONE_HALF),
        at_least: 2,
        signing: DurationMs::from_hours(72),
        delay: DurationMs::from_hours(48),
    }
}

fn routine() -> TrackParameters {
    TrackParameters {
        reviewers: 0,
        review: DurationMs::from_hours(24),
        voting: DurationMs::from_hours(24),
        late_window: DurationMs::from_hours(2),
        weighing: Weighing::Tokens,
        scheme: Scheme::Optimistic {
            acknowledgement: Threshold::MoreThan(Ratio::ONE_THIRD),
            objection: Threshold::AtLeast(Ratio::ONE_THIRD),
        },
        cosign: None,
        confirm: DurationMs::from_hours(1),
        timelock: DurationMs::from_hours(1),
        opposition_floor: Ratio::ONE_TENTH,
        timelock_stretch_max: 3,
        execute_by: DurationMs::from_hours(24),
        lease: DurationMs::new(10 * 60_000),
        stage: DurationMs::from_hours(2),
        retries: 2,
        audit: DurationMs::from_hours(24),
        attestations: 1,
        cooldown: DurationMs::from_hours(24),
    }
}

fn standard() -> TrackParameters {
    TrackParameters {
        reviewers: 1,
        review: DurationMs::from_hours(7 * 24),
        voting: DurationMs::from_hours(72),
        late_window: DurationMs::from_hours(12),
        scheme: Scheme::Majority {
            turnout: Threshold::AtLeast(Ratio::TWO_FIFTHS),
            approval: Threshold::MoreThan(Ratio::ONE_HALF),
            organisations: Threshold::AtLeast(Ratio::ONE_THIRD),
        },
        confirm: DurationMs::from_hours(12),
        timelock: DurationMs::from_hours(24),
        execute_by: DurationMs::from_hours(7 * 24),
        cooldown: DurationMs::from_hours(3 * 24),
        ..routine()
    }
}

fn high() -> TrackParameters {
    TrackParameters {
        reviewers: 2,
        voting: DurationMs::from_hours(5 * 24),
        scheme: Scheme::Majority {
            turnout: Threshold::AtLeast(Ratio::ONE_HALF),
            approval: Threshold::AtLeast(Ratio::TWO_THIRDS),
            organisations: Threshold::MoreThan(Ratio::ONE_HALF),
        },
        cosign: Some(Cosign { guardians: 2, organisations: 2 }),
        timelock: DurationMs::from_hours(48),
        cooldown: DurationMs::from_hours(7 * 24),
        ..standard()
    }
}

fn constitutional() -> TrackParameters {
    TrackParameters {
        reviewers: 3,
        voting: DurationMs::from_hours(7 * 24),
        scheme: Scheme::Majority {
            turnout: Threshold::AtLeast(Ratio::THREE_FIFTHS),
            approval: Threshold::AtLeast(Ratio::THREE_QUARTERS),
            organisations: Threshold::AtLeast(Ratio::TWO_THIRDS),
        },
        timelock: DurationMs::from_hours(7 * 24),
        execute_by: DurationMs::from_hours(14 * 24),
        cooldown: DurationMs::from_hours(14 * 24),
        ..high()
    }
}

/// What is put in place follows the tier of its target; taking away is never routine.
fn classification() -> Classification {
    let by_tier =
        |low: Track| [(Tier::Low, low), (Tier::Medium, Track::Standard), (Tier::High, Track::High)].into();
    Classification {
        routine_targets_max: 2,
        standard_targets_max: 16,
        actions: BTreeMap::from([
            (ActionKind::Deploy, by_tier(Track::Routine)),
            (ActionKind::Configure, by_tier(Track::Routine)),
            (ActionKind::Remove, by_tier(Track::Standard)),
        ]),
    }
}

/// A day in which everyone sees that a voice is lent, and a term after which who lends it has to think again.
const fn delegation() -> DelegationRules {
    DelegationRules { cap: Ratio::ONE_FIFTH, activation: DurationMs::from_hours(24), term_max: PERIOD_MAX }
}

/// A season in which others may forget, and a whale may not.
const fn resubmission() -> ResubmissionRules {
    ResubmissionRules { memory: PERIOD_MAX, failures_max: 4 }
}

/// Enough for as many new proposals as an author may have open, and for some that failed before.
const fn bonds() -> BondRules {
    BondRules {
        account: BondPoints::new(100),
        base: BondPoints::new(2),
        lost_for: DurationMs::from_hours(30 * 24),
    }
}

fn hard_rules() -> HardRules {
    HardRules {
        cost_ceiling_monthly_milli: AmountMilli::new(10_000_000),
        residency: residency(),
        canary_share_max: Ratio::ONE_THIRD,
        stage_share_max: Ratio::ONE_HALF,
        health_success_min: Ratio::NINE_TENTHS,
        health_samples_min: 5,
    }
}

fn residency() -> BTreeMap<Name, BTreeSet<Name>> {
    let allowed = [("personal", &["eu"][..]), ("operational", &["eu", "us"]), ("public", &["eu", "us"])];
    let names = |texts: &[&str]| texts.iter().filter_map(|text| Name::new(text).ok()).collect();
    allowed.iter().filter_map(|(class, places)| Some((Name::new(class).ok()?, names(places)))).collect()
}
