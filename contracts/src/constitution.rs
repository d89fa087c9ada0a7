//! Owns the constitution: the governance parameters and hard-rule limits in force, one versioned object.
//!
//! A threshold that is zero, above 100 % or cannot be reached is refused when it is read, never when it is used.

use std::collections::{BTreeMap, BTreeSet};

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

mod check;
mod classification;
mod default;
mod emergency;
mod reach;
#[cfg(test)]
mod tests;

pub use check::{EMERGENCY_TTL_MAX, GUARDIAN_TERM_MAX, PERIOD_MAX};
pub use classification::Classification;
pub use emergency::EmergencyRules;
pub(crate) use reach::Holders;

use crate::{
    attempt::ResubmissionRules,
    bond::BondRules,
    delegation::DelegationRules,
    digest::{Digest, Purpose},
    dormancy::DormancyRules,
    name::Name,
    quantity::{AmountMilli, DurationMs, Ratio},
    recovery::RecoveryRules,
    weighing::Weighing,
};

/// A class of proposals with its own thresholds, in the order of strictness, and one for what the ledger opens itself.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Track {
    /// Small changes: pass unless enough of the mesh objects.
    Routine,
    /// Ordinary changes.
    Standard,
    /// What much depends on, or what touches many targets.
    High,
    /// Changes of the rules themselves.
    Constitutional,
    /// The judgement over an emergency, which the ledger opens itself; nobody submits to it.
    Emergency,
}

impl Track {
    /// Every track to which people submit, from the least strict to the strictest.
    pub const ALL: [Self; 4] = [Self::Routine, Self::Standard, Self::High, Self::Constitutional];
}

impl Constitution {
    /// Names this exact text of the rules.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of_object(Purpose::State, self)
    }

    /// The tracks whose proposals another constitution decides otherwise: those with other parameters, every one when a cap, a
    /// hard rule or the classification differs, and the routine one with the standard one, on which it falls back.
    pub(crate) fn touched_by(&self, other: &Self) -> BTreeSet<Track> {
        let same_for_all = self.classification == other.classification
            && self.member_cap == other.member_cap
            && self.organisation_cap == other.organisation_cap
            && self.delegation.cap == other.delegation.cap
            && self.hard_rules == other.hard_rules;
        if !same_for_all {
            return Track::ALL.into();
        }
        let differs = |track: &Track| self.tracks.get(track) != other.tracks.get(track);
        let mut touched: BTreeSet<Track> = Track::ALL.into_iter().filter(differs).collect();
        if touched.contains(&Track::Standard) {
            touched.insert(Track::Routine);
        }
        touched
    }
}

impl std::fmt::Display for Track {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Routine => "routine",
            Self::Standard => "standard",
            Self::High => "high",
            Self::Constitutional => "constitutional",
            Self::Emergency => "emergency",
        })
    }
}

/// The parameters in force.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Constitution {
    /// 1 at genesis, one more with each change.
    pub version: u32,
    /// Thresholds and periods of each track.
    pub tracks: BTreeMap<Track, TrackParameters>,
    /// Which track a change needs.
    pub classification: Classification,
    /// Largest share of the electorate's weight that one member's ballot counts for.
    pub member_cap: Ratio,
    /// Largest share of the electorate's weight that one organisation's ballots count for.
    pub organisation_cap: Ratio,
    /// How far one voter may speak for others.
    pub delegation: DelegationRules,
    /// Proposals that one author may have open.
    pub open_proposals_per_author_max: u16,
    /// How failed attempts are remembered.
    pub resubmission: ResubmissionRules,
    /// When governance falls dormant.
    pub dormancy: DormancyRules,
    /// How colleagues recover a key that is lost.
    pub recovery: RecoveryRules,
    /// What an author may ask for at one time.
    pub bonds: BondRules,
    /// Vetoes that one guardian may use.
    pub vetoes_per_guardian: u16,
    /// What an emergency needs, and what limits it.
    pub emergency: EmergencyRules,
    /// How long before an expiry people are warned of it; never in the first half of its time.
    pub warning: DurationMs,
    /// Limits of the hard rules.
    pub hard_rules: HardRules,
    /// Time between blocks on an idle mesh.
    pub heartbeat: DurationMs,
    /// How far a block's time may be ahead of a validator's own clock.
    pub clock_ahead_max: DurationMs,
}

/// A share and how it is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Threshold {
    /// Reached at the share itself, as in "two thirds".
    AtLeast(Ratio),
    /// Reached only above the share, as in "a majority".
    MoreThan(Ratio),
}

impl Threshold {
    /// Whether `part` of `whole` passes. Nothing passes an empty whole.
    #[must_use]
    pub fn is_passed_by(self, part: u64, whole: u64) -> bool {
        whole > 0
            && match self {
                Self::AtLeast(ratio) => ratio.is_reached_by(part, whole),
                Self::MoreThan(ratio) => ratio.is_exceeded_by(part, whole),
            }
    }

    /// The share.
    #[must_use]
    pub const fn ratio(self) -> Ratio {
        match self {
            Self::AtLeast(ratio) | Self::MoreThan(ratio) => ratio,
        }
    }
}

impl std::fmt::Display for Threshold {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtLeast(ratio) => write!(f, "at least {ratio}"),
            Self::MoreThan(ratio) => write!(f, "more than {ratio}"),
        }
    }
}

/// How ballots become a decision.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Scheme {
    /// For, against, abstain, with three separate tests.
    Majority {
        /// Weight that took part (for, against, abstain) of the electorate's weight.
        turnout: Threshold,
        /// Weight for, of weight for and against.
        approval: Threshold,
        /// Organisations whose ballots are in favour, of all organisations with a voter.
        organisations: Threshold,
    },
    /// Passes unless weight objects; silence of the mesh turns it into a standard vote.
    Optimistic {
        /// Organisations that must acknowledge having seen it, of all organisations with a voter.
        acknowledgement: Threshold,
        /// Weight against, of the electorate's weight, that stops it.
        objection: Threshold,
    },
}

/// Thresholds and periods of one track.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrackParameters {
    /// Sign-offs needed from organisations other than the author's; 0 only on the routine track.
    pub reviewers: u8,
    /// Longest review.
    pub review: DurationMs,
    /// Length of the vote, or of the objection window.
    pub voting: DurationMs,
    /// A flip of the outcome within this time of the end extends the vote by as much again, up to twice
    /// the voting period in total.
    pub late_window: DurationMs,
    /// How the weight of a voter follows.
    pub weighing: Weighing,
    /// How ballots become a decision.
    pub scheme: Scheme,
    /// Guardians who have to sign what was decided before it is carried out; nobody when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cosign: Option<Cosign>,
    /// Time for which a passing vote has to keep passing.
    pub confirm: DurationMs,
    /// Time between the decision and the first step.
    pub timelock: DurationMs,
    /// Opposition from this share of for-and-against weight stretches the timelock.
    pub opposition_floor: Ratio,
    /// The stretch grows linearly up to this multiple of the timelock when opposition reaches one third.
    pub timelock_stretch_max: u8,
    /// Time from the end of the timelock within which the first step must be claimed.
    pub execute_by: DurationMs,
    /// Time that a claim holds a step.
    pub lease: DurationMs,
    /// Longest time for all steps of one stage, or for a rollback.
    pub stage: DurationMs,
    /// Failed executions that may be resumed.
    pub retries: u8,
    /// Time after the end of an execution by which auditors are expected to have attested.
    pub audit: DurationMs,
    /// Attestations that close an audited proposal.
    pub attestations: u8,
    /// Time for which a content that failed is not submitted again; the n-th failure in a row keeps it out n times as long.
    pub cooldown: DurationMs,
}

/// How many guardians of organisations other than the author's have to sign a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cosign {
    /// Guardians.
    pub guardians: u8,
    /// Organisations that they have to come from.
    pub organisations: u8,
}

impl Cosign {
    /// Whether the signatures of so many guardians of so many organisations are enough.
    #[must_use]
    pub fn is_met_by(&self, guardians: usize, organisations: usize) -> bool {
        guardians >= usize::from(self.guardians) && organisations >= usize::from(self.organisations)
    }
}

/// Limits of the hard rules, judged at submission and again before execution.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HardRules {
    /// Cost a month above which nothing is accepted.
    pub cost_ceiling_monthly_milli: AmountMilli,
    /// For each class of data, the jurisdictions in which targets may hold it; a class not listed is refused.
    pub residency: BTreeMap<Name, BTreeSet<Name>>,
    /// Largest share of all targets in the canary stage.
    pub canary_share_max: Ratio,
    /// Largest share of one organisation's targets changed in one stage after the canary.
    pub stage_share_max: Ratio,
    /// Least share of probes that a health check must ask for.
    pub health_success_min: Ratio,
    /// Fewest samples that a health check must take.
    pub health_samples_min: u16,
}

/// Why a constitution cannot be in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConstitutionError {
    /// A threshold that everything passes.
    #[error("{field} is 0 %; a threshold must be above zero")]
    ZeroThreshold {
        /// Path of the parameter.
        field: String,
    },
    /// A threshold that nothing passes.
    #[error("{field} asks for more than 100 % and can never be reached")]
    Unreachable {
        /// Path of the parameter.
        field: String,
    },
    /// A length of time outside its bounds.
    #[error("{field} is {found} ms; it must be from {min} to {max} ms")]
    Period {
        /// Path of the parameter.
        field: String,
        /// As given.
        found: DurationMs,
        /// Lower bound.
        min: DurationMs,
        /// Upper bound.
        max: DurationMs,
    },
    /// A number outside its bounds.
    #[error("{field} is {found}; it must be from {min} to {max}")]
    Number {
        /// Path of the parameter.
        field: String,
        /// As given.
        found: u64,
        /// Lower bound.
        min: u64,
        /// Upper bound.
        max: u64,
    },
    /// A vote other than a routine one that passes by silence.
    #[error("{field} is optimistic; every track but the routine one must count a majority")]
    OptimisticFallback {
        /// Path of the parameter.
        field: String,
    },
    /// Ballots that would weigh something else when a routine vote becomes a standard one.
    #[error(
        "{field} is not the routine track's; an unseen routine vote becomes a standard one, and its ballots stay"
    )]
    FallbackWeighing {
        /// Path of the parameter.
        field: String,
    },
    /// A constitutional track that a smaller part than this could pass.
    #[error("{field} asks for less than {floor}, below which the rules would not protect themselves")]
    BelowFloor {
        /// Path of the parameter.
        field: String,
        /// The least that may be asked for.
        floor: &'static str,
    },
    /// More than the mesh's members can give.
    #[error("{field} needs {needs}, and the mesh has fewer")]
    Short {
        /// Path of the parameter.
        field: String,
        /// What is missing.
        needs: String,
    },
    /// A stricter track that asks for less.
    #[error("{field} asks for less than the {below} track; a stricter track may not be easier to pass")]
    Looser {
        /// Path of the parameter.
        field: String,
        /// The track that asks for more.
        below: Track,
    },
    /// The emergency track where people's tracks are meant.
    #[error("{field} names the emergency track, which the ledger alone opens")]
    Reserved {
        /// Path of the parameter.
        field: &'static str,
    },
    /// A track without parameters.
    #[error("track {track:?} has no parameters")]
    MissingTrack {
        /// Which.
        track: Track,
    },
}
