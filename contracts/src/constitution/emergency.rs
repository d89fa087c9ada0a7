//! Owns the rules for emergencies: how many guardians, how long, and how the members judge afterwards.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::{
    constitution::{Constitution, Threshold, Track, TrackParameters},
    quantity::{DurationMs, Ratio},
};

/// Shortest period that is left for people where a mesh runs with divided periods.
const PERSON_MIN: DurationMs = DurationMs::new(60_000);

/// What an emergency needs, and what limits it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmergencyRules {
    /// Guardians who have to sign, of all that the mesh has.
    pub guardians: Threshold,
    /// Organisations that they have to come from.
    pub organisations: u8,
    /// Time from the declaration for the other signatures.
    pub signing: DurationMs,
    /// Longest time from the declaration to the end of the measures.
    pub ttl_max: DurationMs,
    /// Time from the activation in which the members judge it.
    pub ratify: DurationMs,
    /// Attestations that close its audit.
    pub attestations: u8,
    /// Time for which a guardian holds the powers of one.
    pub term: DurationMs,
}

impl EmergencyRules {
    pub(super) const fn default_genesis() -> Self {
        Self {
            guardians: Threshold::AtLeast(Ratio::TWO_THIRDS),
            organisations: 3,
            signing: DurationMs::from_hours(1),
            ttl_max: DurationMs::from_hours(24),
            ratify: DurationMs::from_hours(72),
            attestations: 1,
            term: DurationMs::from_hours(365 * 24),
        }
    }

    /// Divides the periods; a person still has time to act in them, and a term is as long as ever.
    pub(super) fn divide(&mut self, divisor: u64) {
        for period in [&mut self.signing, &mut self.ttl_max, &mut self.ratify] {
            *period = period.divided(divisor).max(PERSON_MIN.min(*period));
        }
    }
}

impl Track {
    /// The track whose delegations are heard in its votes: an emergency is judged as the members decide on the standard track.
    #[must_use]
    pub const fn of_voices(self) -> Self {
        match self {
            Self::Emergency => Self::Standard,
            _ => self,
        }
    }
}

impl Constitution {
    /// The parameters of a track. That of emergencies has none of its own: the members judge one as they decide on the standard
    /// track, in the time that the rules for emergencies give, and nothing waits for it.
    #[must_use]
    pub fn parameters_of(&self, track: Track) -> Option<TrackParameters> {
        match track {
            Track::Emergency => {
                let standard = self.tracks.get(&Track::Standard)?;
                Some(TrackParameters {
                    reviewers: 0,
                    voting: self.emergency.ratify,
                    late_window: DurationMs::ZERO,
                    cosign: None,
                    confirm: DurationMs::ZERO,
                    timelock: DurationMs::ZERO,
                    attestations: self.emergency.attestations,
                    ..standard.clone()
                })
            }
            _ => self.tracks.get(&track).cloned(),
        }
    }
}
