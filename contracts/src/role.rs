//! Owns the roles of members: separate keys, least privilege.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

/// What a member's key may do.
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
pub enum Role {
    /// Writes, revises and cancels proposals.
    Author,
    /// Signs proposals off, never its own organisation's.
    Reviewer,
    /// Casts ballots.
    Voter,
    /// Carries steps out and attests health.
    Executor,
    /// Attests finished proposals and nothing else.
    Auditor,
    /// Vetoes queued proposals within a budget.
    Guardian,
}

impl Role {
    /// Every role, in the order of its wire tag.
    pub const ALL: [Self; 6] =
        [Self::Author, Self::Reviewer, Self::Voter, Self::Executor, Self::Auditor, Self::Guardian];

    /// Whether people hold it, who replace their keys by themselves. What executors and auditors say is relied on by other
    /// organisations, so that the mesh decides on their keys.
    #[must_use]
    pub const fn is_personal(self) -> bool {
        !matches!(self, Self::Executor | Self::Auditor)
    }

    /// The role's name in files, logs and messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Author => "author",
            Self::Reviewer => "reviewer",
            Self::Voter => "voter",
            Self::Executor => "executor",
            Self::Auditor => "auditor",
            Self::Guardian => "guardian",
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}
