//! Owns expiries that people are warned of: what comes to an end by itself if nobody acts, and when that is said.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::{
    constitution::Track,
    emergency::EmergencyId,
    name::MemberId,
    quantity::{DurationMs, TimeMs},
    transaction::ProposalId,
};

/// What comes to an end by itself. Tags are part of the format of events; a retired one is never reused.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case", rename_all_fields = "snake_case", tag = "expires")]
pub enum Expiring {
    /// A review that lacks sign-offs: the proposal expires.
    Review {
        /// Of which.
        proposal: ProposalId,
    },
    /// A vote that too few have taken part in so far, or that too few organisations have seen.
    Voting {
        /// On which.
        proposal: ProposalId,
    },
    /// The time to begin a decided proposal: it expires.
    Execution {
        /// Which.
        proposal: ProposalId,
    },
    /// The measures of an emergency.
    Emergency {
        /// Which.
        emergency: EmergencyId,
    },
    /// The powers of a guardian.
    Term {
        /// Whose.
        guardian: MemberId,
    },
    /// A voice that is lent.
    Delegation {
        /// Whose.
        delegator: MemberId,
        /// In votes of which track.
        track: Track,
    },
}

/// A warning that is scheduled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Warning {
    /// When it is said, with the first block from then on.
    pub due: TimeMs,
    /// The end that it is about.
    pub at: TimeMs,
}

impl Warning {
    /// The warning of an end that is fixed at this time: so long before it as the rules say, and never in the first half of
    /// the time that is left.
    #[must_use]
    pub fn of(now: TimeMs, at: TimeMs, before: DurationMs) -> Self {
        let half = at.since(now).divided(2);
        Self { due: TimeMs::new(at.get().saturating_sub(before.min(half).get())), at }
    }
}

impl Expiring {
    /// The proposal that it is about.
    #[must_use]
    pub const fn proposal(&self) -> Option<ProposalId> {
        match self {
            Self::Review { proposal } | Self::Voting { proposal } | Self::Execution { proposal } => {
                Some(*proposal)
            }
            Self::Emergency { .. } | Self::Term { .. } | Self::Delegation { .. } => None,
        }
    }
}

impl std::fmt::Display for Expiring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Review { .. } => f.pad("the review"),
            Self::Voting { .. } => f.pad("the vote, which lacks voters,"),
            Self::Execution { .. } => f.pad("the time to begin it"),
            Self::Emergency { .. } => f.pad("the emergency"),
            Self::Term { guardian } => write!(f, "the term of the guardian {guardian}"),
            Self::Delegation { delegator, track } => {
                write!(f, "the voice of {delegator} on the {track} track")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_warning_comes_so_long_before_and_never_in_the_first_half() {
        let due =
            |at, before| Warning::of(TimeMs::new(100), TimeMs::new(at), DurationMs::new(before)).due.get();
        assert_eq!(due(200, 10), 190);
        assert_eq!(due(200, 50), 150);
        assert_eq!(due(200, 51), 150);
        assert_eq!(due(101, 51), 100);
        assert_eq!(due(100, 51), 100);
    }
}
