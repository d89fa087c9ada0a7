//! Owns counting: ballots become three separate tests, each with its figures.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

mod count;
#[cfg(test)]
mod tests;

pub use count::{Choices, best_case, count, slot};

use crate::{constitution::Threshold, quantity::Weight};

/// The outcome of a count with everything that decided it.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct TallyReport {
    /// Whether all tests hold.
    pub passes: bool,
    /// Capped weight for.
    pub weight_for: Weight,
    /// Capped weight against.
    pub weight_against: Weight,
    /// Capped weight of abstentions.
    pub weight_abstain: Weight,
    /// Every test with its figures.
    pub tests: Vec<TallyTest>,
}

/// One test of a count.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct TallyTest {
    /// Which.
    pub kind: TallyTestKind,
    /// What counted towards it.
    pub part: u64,
    /// Of how much.
    pub whole: u64,
    /// What was asked.
    pub threshold: Threshold,
    /// Whether it holds.
    pub holds: bool,
}

/// Which test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TallyTestKind {
    /// Weight that took part.
    Turnout,
    /// Weight for against weight for and against.
    Approval,
    /// Organisations in favour.
    Organisations,
    /// Organisations that have seen it.
    Acknowledgement,
    /// Weight that objects; holds while it does not pass its threshold.
    Objection,
}

impl TallyReport {
    /// Which tests hold, in their order; a change of any of them late in a vote extends it.
    #[must_use]
    pub fn outcome(&self) -> Vec<bool> {
        self.tests.iter().map(|test| test.holds).collect()
    }

    /// Whether an optimistic vote fails for nothing but that too few organisations have seen it: it turns into a full one.
    #[must_use]
    pub fn is_unseen(&self) -> bool {
        self.holds(TallyTestKind::Objection) && !self.holds(TallyTestKind::Acknowledgement)
    }

    /// Whether the test of this kind holds; a test that the scheme does not have holds.
    #[must_use]
    pub fn holds(&self, kind: TallyTestKind) -> bool {
        self.tests.iter().filter(|test| test.kind == kind).all(|test| test.holds)
    }
}

impl TallyTest {
    /// The least part that passes the threshold: a test holds from there on, and an objection as long as it stays below.
    #[must_use]
    pub fn need(&self) -> u64 {
        // Nothing passes an empty whole; one more than it has is needed.
        if self.whole == 0 {
            return 1;
        }
        let share = self.threshold.ratio().floor_of(self.whole);
        if self.threshold.is_passed_by(share, self.whole) { share } else { share.saturating_add(1) }
    }
}

impl std::fmt::Display for TallyTestKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Turnout => "turnout",
            Self::Approval => "approval",
            Self::Organisations => "organisations",
            Self::Acknowledgement => "acknowledgement",
            Self::Objection => "objection",
        })
    }
}
