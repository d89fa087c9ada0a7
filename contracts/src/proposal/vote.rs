//! Owns the ballots of one revision and their sums: whose weight each ballot carries, and what an own ballot takes out of a
//! delegate's.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};

use crate::{
    digest::{Digest, Purpose},
    electorate::{BallotWeight, Electorate, Entrusted},
    name::{MemberId, OrgId},
    quantity::{TimeMs, Weight},
    shared_map::SharedMap,
    tally::{self, Choices, TallyReport},
    transaction::Choice,
};

/// The ballots of one revision.
#[derive(Debug, Clone, PartialEq, Default, BorshSerialize, BorshDeserialize)]
pub struct Vote {
    /// When it began.
    pub opened: TimeMs,
    /// When it ends, extensions included.
    pub closes: TimeMs,
    /// Whether an optimistic vote was turned into a full one.
    pub promoted: bool,
    /// Which tests held when last looked at in the late window, to notice a flip.
    pub late_outcome: Option<Vec<bool>>,
    /// Chain over the ballots in the order cast: `H(previous ‖ voter ‖ choice)`.
    pub ballots_digest: Digest,
    /// One ballot a voter.
    pub ballots: BallotBox,
    /// The voters in the order in which they cast.
    pub order: SharedMap<u32, MemberId>,
    /// Weight of an organisation's own voters by choice, before the cap for organisations: for, against, abstain.
    pub by_org: BTreeMap<OrgId, Choices>,
    /// Weight by choice that other organisations have entrusted to an organisation's voters.
    pub entrusted_by_org: BTreeMap<OrgId, Choices>,
    /// What those who spoke for themselves have taken back from their delegates; follows from the ballots and is not stored.
    #[borsh(skip)]
    withdrawn: SharedMap<MemberId, Entrusted>,
    /// The last count.
    pub tally: Option<TallyReport>,
}

/// Ballots with cheap copies: structure is shared between the states of successive blocks.
pub type BallotBox = SharedMap<MemberId, Choice>;

type Change = fn(Weight, Weight) -> Weight;

impl Vote {
    /// A vote without a ballot.
    #[must_use]
    pub fn open(opened: TimeMs, closes: TimeMs) -> Self {
        Self { opened, closes, ..Self::default() }
    }

    /// Takes a voter's only ballot into the box, the chain and the sums; the caller has checked the slot.
    ///
    /// Its cost does not grow with the number of those whom the voter speaks for.
    pub fn cast(&mut self, voter: &MemberId, choice: Choice, electorate: &Electorate) {
        self.ballots_digest = link(self.ballots_digest, voter, choice);
        let ordinal = u32::try_from(self.order.len()).unwrap_or(u32::MAX);
        self.order.insert(ordinal, voter.clone());
        let weight = electorate.ballot(voter, self.entrusted(voter, electorate));
        self.change(voter, choice, weight, Weight::saturating_add);
        self.withdraw(voter, electorate);
        self.ballots.insert(voter.clone(), choice);
    }

    /// What a voter speaks for besides its own weight: without those who have spoken for themselves.
    #[must_use]
    pub fn entrusted(&self, voter: &MemberId, electorate: &Electorate) -> Entrusted {
        let withdrawn = self.withdrawn.get(voter).copied().unwrap_or_default();
        electorate.entrusted(voter).without(withdrawn)
    }

    /// Whose ballot a voter's weight speaks through: the voter's own, or that of the nearest delegate who has cast one.
    #[must_use]
    pub fn speaker<'a>(&self, voter: &'a MemberId, electorate: &'a Electorate) -> Option<&'a MemberId> {
        std::iter::once(voter).chain(electorate.chain(voter)).find(|id| self.ballots.contains_key(*id))
    }

    /// Whether the chain, the order and the box tell the same story.
    #[must_use]
    pub fn is_consistent(&self) -> bool {
        let mut expected = 0_u32..;
        let chained = self.order.iter().try_fold(Digest::ZERO, |digest, (ordinal, voter)| {
            let choice = self.ballots.get(voter).filter(|_| expected.next() == Some(*ordinal));
            choice.map(|choice| link(digest, voter, *choice))
        });
        self.order.len() == self.ballots.len() && chained == Some(self.ballots_digest)
    }

    /// Finds what was taken back from whom, by the ballots in their order.
    pub(crate) fn derive(&mut self, electorate: &Electorate) {
        self.withdrawn = self.cast_among(electorate).withdrawn;
    }

    /// The same ballots in the same order, as far as their voters are of an electorate.
    pub(crate) fn cast_among(&self, electorate: &Electorate) -> Self {
        let mut recast = Self::open(self.opened, self.closes);
        for voter in self.order.values().filter(|voter| electorate.own(voter) > Weight::ZERO) {
            if let Some(choice) = self.ballots.get(voter) {
                recast.cast(voter, *choice, electorate);
            }
        }
        recast
    }

    /// Takes what a voter speaks for out of every ballot and every sum that it would have spoken through.
    fn withdraw(&mut self, voter: &MemberId, electorate: &Electorate) {
        let mut passed = Entrusted::of(electorate.own(voter));
        passed.add(self.entrusted(voter, electorate));
        let mut from = voter;
        for delegate in electorate.chain(voter) {
            passed = passed.crossing(from, delegate);
            let before = self.entrusted(delegate, electorate);
            self.withdrawn.entry(delegate.clone()).or_default().add(passed);
            if let Some(choice) = self.ballots.get(delegate).copied() {
                let after = self.entrusted(delegate, electorate);
                self.change(delegate, choice, electorate.ballot(delegate, before), Weight::saturating_sub);
                self.change(delegate, choice, electorate.ballot(delegate, after), Weight::saturating_add);
                // What the delegate's own ballot carries was taken from the next one when it was cast.
                return;
            }
            from = delegate;
        }
    }

    fn change(&mut self, voter: &MemberId, choice: Choice, weight: BallotWeight, change: Change) {
        change_sum(&mut self.by_org, voter, choice, weight.inside, change);
        if weight.outside > Weight::ZERO {
            change_sum(&mut self.entrusted_by_org, voter, choice, weight.outside, change);
            self.entrusted_by_org.retain(|_, choices| *choices != Choices::default());
        }
    }
}

fn change_sum(
    sums: &mut BTreeMap<OrgId, Choices>,
    voter: &MemberId,
    choice: Choice,
    weight: Weight,
    change: Change,
) {
    if !sums.contains_key(voter.org_str()) {
        sums.insert(voter.org(), Choices::default());
    }
    let sum = sums.get_mut(voter.org_str()).and_then(|choices| choices.get_mut(tally::slot(choice)));
    if let Some(sum) = sum {
        *sum = change(*sum, weight);
    }
}

/// The chain over the ballots with one more.
#[must_use]
pub fn link(previous: Digest, voter: &MemberId, choice: Choice) -> Digest {
    Digest::of_object(Purpose::Ballots, &(previous, voter, choice))
}
