//! Owns acts: changes of the rules themselves, which the ledger carries out when they are decided. No executor is asked,
//! and nothing of it can be half done.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::{
    constitution::{Constitution, Track},
    digest::Digest,
};

/// Most acts of one proposal.
pub const ACTS_MAX: usize = 8;

/// One change. Tags are part of the wire format; a retired one is never reused.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "snake_case", deny_unknown_fields)]
pub enum Act {
    /// Puts another constitution in force.
    Amend {
        /// The whole of it; its version is one above the one in force.
        constitution: Box<Constitution>,
    },
}

/// What an act changes; two acts of one proposal never change the same.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// The constitution.
    Constitution,
}

/// An act with what it was planned against.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct PlannedAct {
    /// Digest of what is in force, which the act replaces; when that has moved, the act is void.
    pub replaces: Digest,
}

impl Act {
    /// What it changes.
    #[must_use]
    pub const fn subject(&self) -> Subject {
        match self {
            Self::Amend { .. } => Subject::Constitution,
        }
    }

    /// The track that it needs, whatever the constitution says.
    #[must_use]
    pub const fn track(&self) -> Track {
        match self {
            Self::Amend { .. } => Track::Constitutional,
        }
    }
}
