//! Owns dormancy: when so few take part in votes that a small part of the mesh could decide for all of it, nothing but the
//! least is decided until enough of them have said that they are there. Why: `docs/adr/0014-dormancy.md`.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::{
    act::Act,
    constitution::Track,
    document::ProposalDocument,
    quantity::{Ratio, TimeMs},
    tally::{TallyReport, TallyTestKind},
};

/// Most votes in a row that may be asked for: a mesh that takes longer to notice never does.
pub const VOTES_MAX: u16 = 1_000;

/// When governance falls dormant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DormancyRules {
    /// After so many votes in a row whose turnout was under the floor.
    pub votes: u16,
    /// Share of the electorate's weight that has to take part; never more than any majority asks for.
    pub floor: Ratio,
}

/// How much the members take part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Dormancy {
    /// Votes since the last one whose turnout was at the floor or above.
    pub quiet: u16,
    /// Since when governance is dormant, if it is.
    pub since: Option<TimeMs>,
}

impl Dormancy {
    /// What follows from the count at the end of a vote. One without a test of turnout, which passes by silence, says nothing.
    #[must_use]
    pub fn and_vote(self, tally: &TallyReport, rules: DormancyRules, time: TimeMs) -> Self {
        let Some(turnout) = tally.tests.iter().find(|test| test.kind == TallyTestKind::Turnout) else {
            return self;
        };
        if rules.floor.is_reached_by(turnout.part, turnout.whole) {
            return Self { quiet: 0, ..self };
        }
        let quiet = self.quiet.saturating_add(1).min(VOTES_MAX);
        let falls = quiet >= rules.votes;
        Self { quiet, since: self.since.or(falls.then_some(time)) }
    }
}

/// Whether a document asks for nothing but the end of dormancy.
#[must_use]
pub fn is_awakening(document: &ProposalDocument) -> bool {
    matches!(document.acts[..], [Act::Awaken { .. }])
}

/// Whether a document may be submitted to its track while governance is dormant.
#[must_use]
pub fn may_be_submitted(document: &ProposalDocument, track: Track) -> bool {
    track == Track::Routine || is_awakening(document)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{constitution::Threshold, quantity::Weight, tally::TallyTest};

    const RULES: DormancyRules = DormancyRules { votes: 2, floor: Ratio::ONE_FIFTH };

    fn count(kind: TallyTestKind, part: u64) -> TallyReport {
        let threshold = Threshold::AtLeast(Ratio::TWO_FIFTHS);
        TallyReport {
            passes: false,
            weight_for: Weight::ZERO,
            weight_against: Weight::ZERO,
            weight_abstain: Weight::ZERO,
            tests: vec![TallyTest { kind, part, whole: 100, threshold, holds: false }],
        }
    }

    #[test]
    fn votes_in_a_row_under_the_floor_count_and_one_at_the_floor_starts_again() {
        let after = |parts: &[u64]| {
            parts.iter().zip(1..).fold(Dormancy::default(), |dormancy, (part, time)| {
                dormancy.and_vote(&count(TallyTestKind::Turnout, *part), RULES, TimeMs::new(time))
            })
        };
        assert_eq!(after(&[19]), Dormancy { quiet: 1, since: None });
        assert_eq!(after(&[19, 20, 19]), Dormancy { quiet: 1, since: None });
        assert_eq!(after(&[19, 0]), Dormancy { quiet: 2, since: Some(TimeMs::new(2)) });
        // A vote alone does not awaken it, and it falls dormant once.
        assert_eq!(after(&[0, 0, 0]), Dormancy { quiet: 3, since: Some(TimeMs::new(2)) });
        assert_eq!(after(&[0, 0, 21]), Dormancy { quiet: 0, since: Some(TimeMs::new(2)) });
        let silent = count(TallyTestKind::Acknowledgement, 0);
        assert_eq!(after(&[0]).and_vote(&silent, RULES, TimeMs::new(9)), after(&[0]));
    }
}
