//! Owns the arithmetic of a count: caps, sums and the three tests, in integers that cannot overflow.

use crate::{
    constitution::{Scheme, Threshold},
    proposal::{Electorate, Vote},
    quantity::{Ratio, Weight},
    tally::{TallyReport, TallyTest, TallyTestKind},
    transaction::Choice,
};

/// Weight for, against and abstaining.
pub type Choices = [Weight; 3];

/// The place of a choice in [`Choices`].
#[must_use]
pub const fn slot(choice: Choice) -> usize {
    match choice {
        Choice::For => 0,
        Choice::Against => 1,
        Choice::Abstain => 2,
    }
}

/// Counts the ballots of a vote by its scheme, with the cap for organisations.
#[must_use]
pub fn count(vote: &Vote, electorate: &Electorate, scheme: &Scheme, organisation_cap: Ratio) -> TallyReport {
    let cap = organisation_cap.floor_of(electorate.total.get());
    let [weight_for, weight_against, weight_abstain] = sums(vote, cap);
    let figures = Figures {
        weight_for,
        weight_against,
        weight_abstain,
        total: electorate.total,
        organisations: size(electorate.organisations.len()),
        in_favour: size(vote.by_org.values().filter(|choices| is_in_favour(choices)).count()),
        seen: size(vote.by_org.len()),
    };
    let tests = figures.tests(scheme);
    TallyReport {
        passes: tests.iter().all(|test| test.holds),
        weight_for,
        weight_against,
        weight_abstain,
        tests,
    }
}

/// The weight that counts when everybody votes for.
#[must_use]
pub fn best_case(electorate: &Electorate, organisation_cap: Ratio) -> Weight {
    let mut vote = Vote::default();
    for (member, weight) in &electorate.weights {
        vote.add(member, Choice::For, *weight);
    }
    let [weight_for, ..] = sums(&vote, organisation_cap.floor_of(electorate.total.get()));
    weight_for
}

struct Figures {
    weight_for: Weight,
    weight_against: Weight,
    weight_abstain: Weight,
    total: Weight,
    organisations: u64,
    in_favour: u64,
    seen: u64,
}

impl Figures {
    fn tests(&self, scheme: &Scheme) -> Vec<TallyTest> {
        let decided = self.weight_for.saturating_add(self.weight_against);
        let turnout = decided.saturating_add(self.weight_abstain).get();
        let (total, organisations) = (self.total.get(), self.organisations);
        match scheme {
            Scheme::Majority { turnout: quorum, approval, organisations: breadth } => vec![
                test(TallyTestKind::Turnout, turnout, total, *quorum),
                test(TallyTestKind::Approval, self.weight_for.get(), decided.get(), *approval),
                test(TallyTestKind::Organisations, self.in_favour, organisations, *breadth),
            ],
            Scheme::Optimistic { acknowledgement, objection: limit } => vec![
                test(TallyTestKind::Acknowledgement, self.seen, organisations, *acknowledgement),
                objection(self.weight_against.get(), total, *limit),
            ],
        }
    }
}

fn test(kind: TallyTestKind, part: u64, whole: u64, threshold: Threshold) -> TallyTest {
    TallyTest { kind, part, whole, threshold, holds: threshold.is_passed_by(part, whole) }
}

/// An objection is a test that holds while its threshold is not passed.
fn objection(part: u64, whole: u64, threshold: Threshold) -> TallyTest {
    let kind = TallyTestKind::Objection;
    TallyTest { kind, part, whole, threshold, holds: !threshold.is_passed_by(part, whole) }
}

fn is_in_favour(choices: &Choices) -> bool {
    let [weight_for, weight_against, _] = choices;
    weight_for > weight_against
}

fn sums(vote: &Vote, cap: u64) -> Choices {
    vote.by_org.values().fold([Weight::ZERO; 3], |[a, b, c], choices| {
        let [x, y, z] = capped(choices, cap);
        [a.saturating_add(x), b.saturating_add(y), c.saturating_add(z)]
    })
}

/// Scales an organisation's weights down to its cap, each rounded down, so that their sum never exceeds it.
fn capped(choices: &Choices, cap: u64) -> Choices {
    let sum = choices.iter().fold(Weight::ZERO, |sum, weight| sum.saturating_add(*weight)).get();
    if sum <= cap {
        return *choices;
    }
    choices.map(|weight| {
        let scaled = u128::from(weight.get()).saturating_mul(cap.into()).checked_div(sum.into());
        Weight::new(scaled.and_then(|scaled| u64::try_from(scaled).ok()).unwrap_or(cap))
    })
}

fn size(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}
