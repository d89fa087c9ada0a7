//! Owns the delegation: one voter lets another speak for it on one track, for a time, in what is submitted during it.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::{
    constitution::Track,
    electorate::DELEGATION_DEPTH_MAX,
    name::MemberId,
    quantity::{DurationMs, Ratio, TimeMs},
};

/// What a member has said about one track.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Delegation {
    /// Who speaks.
    pub to: MemberId,
    /// In votes on what is submitted from here on.
    pub from: TimeMs,
    /// Until here.
    pub expires: TimeMs,
}

impl Delegation {
    /// Whether the delegate speaks in a vote on what is submitted at this time.
    #[must_use]
    pub fn is_active(&self, time: TimeMs) -> bool {
        self.from <= time && !self.is_over(time)
    }

    /// Whether its time has passed.
    #[must_use]
    pub fn is_over(&self, time: TimeMs) -> bool {
        self.expires <= time
    }

    /// When it next begins or ends, after this time.
    #[must_use]
    pub fn next_change(&self, time: TimeMs) -> Option<TimeMs> {
        [self.from, self.expires].into_iter().filter(|change| *change > time).min()
    }
}

/// The bounds of delegations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DelegationRules {
    /// Largest share of the electorate's weight that others may entrust to one member; what is above it is ignored. Zero
    /// means that nobody speaks for another.
    pub cap: Ratio,
    /// Time from the call until the delegate speaks: nobody's voice is moved for a vote that is about to begin.
    pub activation: DurationMs,
    /// Longest time from the call to the end.
    pub term_max: DurationMs,
}

/// Why a voter may not let another speak for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DelegationRefusal {
    /// The constitution has it off.
    #[error("the constitution lets nobody speak for another")]
    Off,
    /// The delegate has no ballot to cast.
    #[error("{to} is no voter")]
    NotAVoter {
        /// Who.
        to: MemberId,
    },
    /// It would speak for itself through others.
    #[error("on the {track} track {to} lets the sender speak for it, or is the sender")]
    Loop {
        /// On which track.
        track: Track,
        /// Through whom.
        to: MemberId,
    },
    /// A chain with too many delegates.
    #[error(
        "on the {track} track a voice would pass through {delegates} delegates; it may pass through \
         {DELEGATION_DEPTH_MAX}"
    )]
    TooDeep {
        /// On which track.
        track: Track,
        /// As many as there would be.
        delegates: usize,
    },
    /// An end that is too near or too far.
    #[error("it has to end after {after}, when it begins, and not after {until}")]
    Term {
        /// When it would begin.
        after: TimeMs,
        /// The latest end.
        until: TimeMs,
    },
    /// There is none.
    #[error("nobody speaks for the sender there")]
    Nothing,
}
