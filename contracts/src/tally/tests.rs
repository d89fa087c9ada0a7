//! Random elections, counted again by a second implementation that is written from the rules and as plainly as can be: voter by
//! voter, in fractions, with nothing summed ahead.
#![expect(clippy::arithmetic_side_effects, reason = "sums of a few small numbers, which a test may stop at")]

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

use crate::{
    constitution::{Scheme, Threshold},
    electorate::{Electorate, Shares, Voices},
    name::{MemberId, OrgId},
    proposal::Vote,
    quantity::{Ratio, Weight},
    tally::{self, TallyReport},
    testing::member,
    transaction::Choice,
    weighing::{Tokens, Weighing},
};

/// Numbers that look random and are the same in every run (Marsaglia, "Xorshift RNGs").
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }

    fn place(&mut self, end: usize) -> usize {
        usize::try_from(self.below(u64::try_from(end).unwrap())).unwrap()
    }

    fn ratio(&mut self) -> Ratio {
        let denominator = 1 + self.below(12);
        let numerator = 1 + self.below(denominator);
        Ratio::new(u32::try_from(numerator).unwrap(), u32::try_from(denominator).unwrap()).unwrap()
    }

    fn threshold(&mut self) -> Threshold {
        if self.below(2) == 0 { Threshold::AtLeast(self.ratio()) } else { Threshold::MoreThan(self.ratio()) }
    }
}

/// An exact fraction.
#[derive(Debug, Clone, Copy)]
struct Fraction(u128, u128);

impl Fraction {
    fn of(ratio: Ratio) -> Self {
        Self(ratio.numerator().into(), ratio.denominator().into())
    }

    fn times(self, number: u128) -> Self {
        Self(self.0 * number, self.1)
    }

    fn floor(self) -> u128 {
        self.0 / self.1
    }

    fn compare(self, other: Self) -> Ordering {
        (self.0 * other.1).cmp(&(other.0 * self.1))
    }
}

/// Everything that an election is made of.
#[derive(Debug)]
struct Election {
    tokens: Tokens,
    voices: Voices,
    ballots: Vec<(MemberId, Choice)>,
    weighing: Weighing,
    shares: Shares,
    organisation_cap: Ratio,
    scheme: Scheme,
}

impl Election {
    fn draw(numbers: &mut Numbers) -> Self {
        let organisations = 1 + numbers.below(6);
        let mut tokens = Tokens::new();
        for org in 0..organisations {
            for voter in 0..=numbers.below(4) {
                let bits = numbers.below(30);
                let weight = Weight::new(1 + numbers.below(1 << bits));
                tokens.insert(member(&format!("org-{org}/v{voter}")), weight);
            }
        }
        let names: Vec<MemberId> = tokens.keys().cloned().collect();
        let mut ballots: Vec<(MemberId, Choice)> = Vec::new();
        for voter in &names {
            let choice = [Choice::For, Choice::For, Choice::Against, Choice::Abstain].get(numbers.place(7));
            let place = numbers.place(ballots.len() + 1);
            if let Some(choice) = choice {
                ballots.insert(place, (voter.clone(), *choice));
            }
        }
        Self {
            voices: voices(numbers, &names),
            ballots,
            weighing: Weighing::ALL[numbers.place(Weighing::ALL.len())],
            shares: Shares { member: numbers.ratio(), delegate: numbers.ratio() },
            organisation_cap: numbers.ratio(),
            scheme: scheme(numbers),
            tokens,
        }
    }

    fn count(&self) -> TallyReport {
        let electorate = Electorate::of(self.weighing.weigh(&self.tokens), &self.voices, self.shares);
        let mut vote = Vote::default();
        for (voter, choice) in &self.ballots {
            vote.cast(voter, *choice, &electorate);
        }
        tally::count(&vote, &electorate, &self.scheme, self.organisation_cap)
    }

    /// What each voter weighs, by the definition of each way.
    fn weights(&self) -> BTreeMap<&MemberId, u128> {
        let of_org = |org: &str| -> u128 {
            let own = self.tokens.iter().filter(|(id, _)| id.org_str() == org);
            own.map(|(_, weight)| u128::from(weight.get())).sum()
        };
        let weigh = |(id, tokens): (&MemberId, &Weight)| {
            let (tokens, sum) = (u128::from(tokens.get()), of_org(id.org_str()));
            match self.weighing {
                Weighing::Tokens => tokens,
                Weighing::OnePerOrganisation => Fraction(tokens, sum).times(1_000_000_000).floor(),
                Weighing::Quadratic => Fraction(tokens, sum).times(root(sum * 1_000_000)).floor(),
            }
        };
        self.tokens.iter().map(|it| (it.0, weigh(it))).collect()
    }

    /// The same by the rules, without anything that the product is made of.
    fn count_again(&self) -> ([u128; 3], Vec<bool>) {
        let weights = self.weights();
        let total: u128 = weights.values().sum();
        let cap = |ratio: Ratio| Fraction::of(ratio).times(total).floor();
        let (member_cap, lent_cap, org_cap) =
            (cap(self.shares.member), cap(self.shares.delegate), cap(self.organisation_cap));
        let cast: BTreeMap<&MemberId, Choice> = self.ballots.iter().map(|(id, it)| (id, *it)).collect();
        let mut own: BTreeMap<OrgId, [u128; 3]> = BTreeMap::new();
        let mut all: BTreeMap<OrgId, [u128; 3]> = BTreeMap::new();
        for (speaker, choice) in &cast {
            let mut parts = [0; 3];
            for (voter, weight) in &weights {
                let way = self.way(voter, &cast);
                if way.last() == Some(&Some(*speaker)) {
                    let stays = way.iter().flatten().all(|at| at.org() == speaker.org());
                    let part = if way.len() == 1 {
                        0
                    } else if stays {
                        1
                    } else {
                        2
                    };
                    parts[part] += (*weight).min(member_cap);
                }
            }
            let near = parts[1].min(lent_cap);
            let far = parts[2].min(lent_cap - near);
            let inside = (parts[0] + near).min(member_cap);
            let whole = (parts[0] + near + far).min(member_cap);
            let slot = [Choice::For, Choice::Against, Choice::Abstain].iter().position(|it| it == choice);
            own.entry(speaker.org()).or_default()[slot.unwrap()] += inside;
            all.entry(speaker.org()).or_default()[slot.unwrap()] += whole;
        }
        let mut sums = [0; 3];
        for choices in all.values() {
            let sum: u128 = choices.iter().sum();
            for (slot, weight) in choices.iter().enumerate() {
                sums[slot] +=
                    if sum > org_cap { Fraction(*weight, sum).times(org_cap).floor() } else { *weight };
            }
        }
        let organisations = weights.keys().map(|id| id.org()).collect::<BTreeSet<_>>().len();
        let in_favour = own.values().filter(|[yes, no, _]| yes > no).count();
        let of_orgs = [in_favour, own.len(), organisations].map(|len| u128::try_from(len).unwrap());
        (sums, self.judge(sums, total, of_orgs))
    }

    /// From a voter to whoever speaks for it; the last is nobody when nobody does.
    fn way<'a>(
        &'a self,
        voter: &'a MemberId,
        cast: &BTreeMap<&MemberId, Choice>,
    ) -> Vec<Option<&'a MemberId>> {
        let mut way = vec![Some(voter)];
        let mut at = voter;
        while !cast.contains_key(at) {
            match self.voices.get(at) {
                Some(next) => at = next,
                None => return [way, vec![None]].concat(),
            }
            way.push(Some(at));
        }
        way
    }

    fn judge(&self, [yes, no, abstain]: [u128; 3], total: u128, of_orgs: [u128; 3]) -> Vec<bool> {
        let [in_favour, seen, organisations] = of_orgs;
        let passes = |threshold: Threshold, part: u128, whole: u128| {
            whole > 0
                && matches!(
                    (threshold, Fraction(part, whole).compare(Fraction::of(threshold.ratio()))),
                    (_, Ordering::Greater) | (Threshold::AtLeast(_), Ordering::Equal)
                )
        };
        match self.scheme {
            Scheme::Majority { turnout, approval, organisations: breadth } => vec![
                passes(turnout, yes + no + abstain, total),
                passes(approval, yes, yes + no),
                passes(breadth, in_favour, organisations),
            ],
            Scheme::Optimistic { acknowledgement, objection } => {
                vec![passes(acknowledgement, seen, organisations), !passes(objection, no, total)]
            }
        }
    }
}

/// Chains of two at most: the second half of the voters lend to nobody, and some of the first to one of it.
fn voices(numbers: &mut Numbers, names: &[MemberId]) -> Voices {
    let mut voices = Voices::new();
    let mut deep: BTreeSet<usize> = BTreeSet::new();
    for (place, voter) in names.iter().enumerate() {
        let to = numbers.place(names.len() * 2);
        // To a later one only, so that there is no loop, and to one that nobody has lent to who was lent to.
        if place < to && to < names.len() {
            let behind = voices.values().any(|it| it == voter);
            if !deep.contains(&place) {
                voices.insert(voter.clone(), names[to].clone());
                if behind {
                    deep.insert(to);
                }
            }
        }
    }
    voices
}

fn scheme(numbers: &mut Numbers) -> Scheme {
    let mut threshold = || numbers.threshold();
    let [first, second, third] = [threshold(), threshold(), threshold()];
    if numbers.below(3) == 0 {
        return Scheme::Optimistic { acknowledgement: first, objection: second };
    }
    Scheme::Majority { turnout: first, approval: second, organisations: third }
}

/// The largest whole number whose square is no larger, by halving.
fn root(square: u128) -> u128 {
    let (mut low, mut high) = (0_u128, 1_u128 << 40);
    while low < high {
        let middle = (low + high).div_ceil(2);
        if middle * middle <= square { low = middle } else { high = middle - 1 }
    }
    low
}

fn compare(elections: u64) {
    let mut numbers = Numbers(0x0a11_71e6);
    let (mut passed, mut lent, mut capped) = (0, 0, 0);
    for number in 0..elections {
        let election = Election::draw(&mut numbers);
        let counted = election.count();
        let (sums, holds) = election.count_again();
        let weights = [counted.weight_for, counted.weight_against, counted.weight_abstain];
        assert_eq!(weights.map(|weight| u128::from(weight.get())), sums, "election {number}: {election:?}");
        assert_eq!(counted.outcome(), holds, "election {number}: {election:?}");
        passed += u64::from(counted.passes);
        lent += u64::from(!election.voices.is_empty());
        capped += u64::from(sums.iter().sum::<u128>() < election.weights().values().sum());
    }
    // Elections of which none passes, lends or is cut would be alike by saying nothing.
    assert!([passed, elections - passed, lent, capped].iter().all(|some| *some > elections / 20));
}

#[test]
fn elections_are_counted_as_the_rules_say() {
    compare(2_000);
}

/// The long form.
#[test]
#[ignore = "minutes in a release build; `make long-tests`"]
fn a_million_elections_are_counted_as_the_rules_say() {
    compare(1_000_000);
}
