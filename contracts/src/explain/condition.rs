//! Owns a condition of a move with its figures. A condition holds exactly when its figures say so.

use crate::{
    quantity::TimeMs,
    tally::{TallyTest, TallyTestKind},
};

/// A condition with its figures as they stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Its name, which stays.
    pub name: &'static str,
    /// What is asked, in words.
    pub what: String,
    /// How far it is.
    pub have: u64,
    /// How far it has to be, as the bound says.
    pub need: u64,
    /// How the two are compared.
    pub bound: Bound,
    /// Of how much at most, where there is a whole.
    pub whole: Option<u64>,
    /// What is counted.
    pub unit: Unit,
}

/// How a figure is compared with what is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// Holds from there on.
    AtLeast,
    /// Holds as long as it stays below.
    Below,
}

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Voting weight.
    Weight,
    /// Organisations.
    Organisations,
    /// Members.
    Members,
    /// Proposals.
    Proposals,
    /// Steps of the plan.
    Steps,
    /// Targets.
    Targets,
    /// Attempts at the execution.
    Attempts,
    /// Milliseconds.
    Milliseconds,
    /// Something that is so, 1, or is not, 0.
    Fact,
}

impl Condition {
    /// Whether it holds.
    #[must_use]
    pub const fn holds(&self) -> bool {
        match self.bound {
            Bound::AtLeast => self.have >= self.need,
            Bound::Below => self.have < self.need,
        }
    }

    /// So many have to be there.
    pub(super) fn count(
        name: &'static str,
        what: impl Into<String>,
        (have, need): (usize, usize),
        unit: Unit,
    ) -> Self {
        let [have, need] = [have, need].map(|figure| u64::try_from(figure).unwrap_or(u64::MAX));
        Self { name, what: what.into(), have, need, bound: Bound::AtLeast, whole: None, unit }
    }

    /// Something has to be so.
    pub(super) fn fact(name: &'static str, what: &str, is_so: bool) -> Self {
        Self::count(name, what, (usize::from(is_so), 1), Unit::Fact)
    }

    /// A time has to pass.
    pub(super) fn period(
        name: &'static str,
        what: &str,
        (from, until): (TimeMs, TimeMs),
        now: TimeMs,
    ) -> Self {
        let (have, need) = (now.since(from).get(), until.since(from).get());
        let unit = Unit::Milliseconds;
        Self { name, what: what.to_owned(), have, need, bound: Bound::AtLeast, whole: None, unit }
    }

    /// A test of a count.
    pub(crate) fn of(test: &TallyTest) -> Self {
        let threshold = test.threshold;
        let (name, what, bound, unit) = match test.kind {
            TallyTestKind::Turnout => {
                ("turnout", format!("{threshold} of the weight takes part"), Bound::AtLeast, Unit::Weight)
            }
            TallyTestKind::Approval => {
                ("approval", format!("{threshold} of for and against is for"), Bound::AtLeast, Unit::Weight)
            }
            TallyTestKind::Organisations => (
                "organisations",
                format!("{threshold} of the organisations is in favour"),
                Bound::AtLeast,
                Unit::Organisations,
            ),
            TallyTestKind::Acknowledgement => (
                "acknowledgement",
                format!("{threshold} of the organisations has seen it"),
                Bound::AtLeast,
                Unit::Organisations,
            ),
            TallyTestKind::Objection => {
                ("objection", format!("not {threshold} of the weight objects"), Bound::Below, Unit::Weight)
            }
        };
        Self { name, what, have: test.part, need: test.need(), bound, whole: Some(test.whole), unit }
    }
}

impl Unit {
    /// The unit's name in files and in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Weight => "weight",
            Self::Organisations => "organisations",
            Self::Members => "members",
            Self::Proposals => "proposals",
            Self::Steps => "steps",
            Self::Targets => "targets",
            Self::Attempts => "attempts",
            Self::Milliseconds => "milliseconds",
            Self::Fact => "fact",
        }
    }
}

impl Bound {
    /// The bound's name in files and in the API.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::AtLeast => "at-least",
            Self::Below => "below",
        }
    }
}
