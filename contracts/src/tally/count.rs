//! Owns the arithmetic of a count: caps, sums and the three tests, in integers that cannot overflow.

use std::collections::BTreeMap;

use crate::{
    constitution::{Scheme, Threshold},
    electorate::Electorate,
    name::OrgId,
    proposal::Vote,
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

/// Counts the ballots of a vote by its scheme, with the cap for organisations: on what its own voters and what others that
/// entrusted it with theirs have. An organisation is in favour, or has seen it, by its own voters' weight alone.
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

/// The weight that counts when everybody votes for, each with an own ballot.
#[must_use]
pub fn best_case(electorate: &Electorate, organisation_cap: Ratio) -> Weight {
    let mut by_org: BTreeMap<&str, Weight> = BTreeMap::new();
    for (member, weight) in &electorate.weights {
        let sum = by_org.entry(member.org_str()).or_default();
        *sum = sum.saturating_add(*weight);
    }
    let cap = Weight::new(organisation_cap.floor_of(electorate.total.get()));
    by_org.into_values().fold(Weight::ZERO, |sum, weight| sum.saturating_add(weight.min(cap)))
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
    vote.by_org.keys().fold([Weight::ZERO; 3], |sum, org| together(&sum, &capped(&carried(vote, org), cap)))
}

/// All that an organisation's ballots carry, before its cap. Who is entrusted with weight has weight of its own, so that no
/// organisation is in the second map alone.
fn carried(vote: &Vote, org: &OrgId) -> Choices {
    let of = |sums: &BTreeMap<OrgId, Choices>| sums.get(org).copied().unwrap_or_default();
    together(&of(&vote.by_org), &of(&vote.entrusted_by_org))
}

fn together(some: &Choices, others: &Choices) -> Choices {
    let mut sums = *some;
    for (sum, weight) in sums.iter_mut().zip(others) {
        *sum = sum.saturating_add(*weight);
    }
    sums
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
