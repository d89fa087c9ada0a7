//! Owns who may vote on a proposal, with what weight, and who speaks for whom: all of it fixed when it is submitted.
//!
//! A voter's weight speaks once: through the voter's own ballot if there is one, else through that of the nearest delegate
//! on the chain who has cast one. What a delegate is entrusted with from its own organisation and from others is kept apart,
//! because no organisation is in favour of anything by the weight of another ([ADR 0013]).
//!
//! [ADR 0013]: ../../../docs/adr/0013-delegation.md

use std::collections::{BTreeMap, BTreeSet};

use borsh::{BorshDeserialize, BorshSerialize};

use crate::{
    digest::{Digest, Purpose},
    name::{MemberId, OrgId},
    quantity::{Ratio, Weight},
};

/// Delegations that one voter's weight may pass through: a delegate's own delegate, and no further.
pub const DELEGATION_DEPTH_MAX: usize = 2;

/// Who speaks for whom on one track: a delegate for each delegator.
pub type Voices = BTreeMap<MemberId, MemberId>;

/// Who may vote on a proposal.
#[derive(Debug, Clone, PartialEq, Eq, Default, BorshSerialize, BorshDeserialize)]
pub struct Electorate {
    /// Weight of each voter after the cap for members.
    pub weights: BTreeMap<MemberId, Weight>,
    /// Who speaks for a voter who casts no ballot; no chain has more than [`DELEGATION_DEPTH_MAX`] of them.
    pub delegates: Voices,
    /// Organisations with at least one voter.
    pub organisations: BTreeSet<OrgId>,
    /// Sum of all weights without a cap.
    pub total: Weight,
    /// What one ballot may count for.
    pub caps: BallotCaps,
    /// What each delegate speaks for as long as nobody behind it votes.
    entrusted: BTreeMap<MemberId, Entrusted>,
}

/// What one ballot may count for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, BorshSerialize, BorshDeserialize)]
pub struct BallotCaps {
    /// All of it.
    pub member: Weight,
    /// The part of it that others have entrusted to the voter.
    pub delegate: Weight,
}

/// Weight that a delegate speaks for besides its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, BorshSerialize, BorshDeserialize)]
pub struct Entrusted {
    /// What never left the delegate's organisation on its way.
    pub inside: Weight,
    /// What came from, or through, another organisation.
    pub outside: Weight,
}

/// What a ballot counts for under the caps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BallotWeight {
    /// For the voter's organisation: the voter's own weight and what its colleagues have entrusted to it.
    pub inside: Weight,
    /// What other organisations have entrusted to the voter.
    pub outside: Weight,
}

/// The shares that the caps are of the whole electorate's weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shares {
    /// Of one member's ballot.
    pub member: Ratio,
    /// Of what others may entrust to one member; none when it is zero, and then nobody speaks for another.
    pub delegate: Ratio,
}

impl Electorate {
    /// The voters, who weigh so much without a cap, with their weights under the cap for members, and who speaks for whom
    /// among them.
    ///
    /// A voice that is lent to or by somebody who is no voter stays with who lends it, and so does one at the beginning of a
    /// chain that is too long or has no end.
    #[must_use]
    pub fn of(raw: BTreeMap<MemberId, Weight>, voices: &Voices, shares: Shares) -> Self {
        let total = raw.values().fold(Weight::ZERO, |sum, weight| sum.saturating_add(*weight));
        let share = |ratio: Ratio| Weight::new(ratio.floor_of(total.get()));
        let caps = BallotCaps { member: share(shares.member), delegate: share(shares.delegate) };
        let organisations = raw.keys().map(MemberId::org).collect();
        let weights = raw.into_iter().map(|(member, weight)| (member, weight.min(caps.member))).collect();
        let mut electorate = Self {
            weights,
            organisations,
            total,
            caps,
            delegates: Voices::new(),
            entrusted: BTreeMap::new(),
        };
        if !shares.delegate.is_zero() {
            electorate.lend(voices);
        }
        electorate
    }

    /// The digest that a proposal's record commits to.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of_object(Purpose::State, self)
    }

    /// The voter's own weight under the cap for members; zero for who is no voter.
    #[must_use]
    pub fn own(&self, voter: &MemberId) -> Weight {
        self.weights.get(voter).copied().unwrap_or_default()
    }

    /// What others have entrusted to the voter, as long as none of them votes.
    #[must_use]
    pub fn entrusted(&self, voter: &MemberId) -> Entrusted {
        self.entrusted.get(voter).copied().unwrap_or_default()
    }

    /// The delegates of a voter, the nearest first.
    pub fn chain<'a>(&'a self, voter: &'a MemberId) -> impl Iterator<Item = &'a MemberId> {
        std::iter::successors(self.delegates.get(voter), |delegate| self.delegates.get(*delegate))
            .take(DELEGATION_DEPTH_MAX)
    }

    /// What a voter's ballot counts for when it speaks for so much besides the voter's own weight. What is above a cap is
    /// ignored, and what comes from other organisations is ignored first.
    #[must_use]
    pub fn ballot(&self, voter: &MemberId, entrusted: Entrusted) -> BallotWeight {
        let BallotCaps { member, delegate } = self.caps;
        let from_inside = entrusted.inside.min(delegate);
        let from_outside = entrusted.outside.min(delegate.saturating_sub(from_inside));
        let inside = self.own(voter).saturating_add(from_inside).min(member);
        BallotWeight { inside, outside: from_outside.min(member.saturating_sub(inside)) }
    }

    fn lend(&mut self, voices: &Voices) {
        let known = |member: &MemberId| self.weights.contains_key(member);
        let lent = voices.iter().filter(|(from, to)| known(from) && known(to));
        let lent: BTreeMap<&MemberId, &MemberId> = lent.collect();
        let ends = |from: &MemberId| {
            let chain = std::iter::successors(lent.get(from), |delegate| lent.get(**delegate));
            chain.take(DELEGATION_DEPTH_MAX.saturating_add(1)).count() <= DELEGATION_DEPTH_MAX
        };
        let sound = lent.iter().filter(|(from, _)| ends(from));
        self.delegates = sound.map(|(from, to)| (MemberId::clone(from), MemberId::clone(to))).collect();
        let mut entrusted: BTreeMap<MemberId, Entrusted> = BTreeMap::new();
        for delegator in self.delegates.keys() {
            let (mut passed, mut from) = (Entrusted::of(self.own(delegator)), delegator);
            for delegate in self.chain(delegator) {
                passed = passed.crossing(from, delegate);
                entrusted.entry(delegate.clone()).or_default().add(passed);
                from = delegate;
            }
        }
        self.entrusted = entrusted;
    }
}

impl Entrusted {
    /// A voter's own weight, as the voter's colleagues see it.
    #[must_use]
    pub const fn of(own: Weight) -> Self {
        Self { inside: own, outside: Weight::ZERO }
    }

    /// How it arrives at a delegate: what crosses into another organisation is from outside there.
    #[must_use]
    pub fn crossing(self, from: &MemberId, to: &MemberId) -> Self {
        if from.org_str() == to.org_str() {
            return self;
        }
        Self { inside: Weight::ZERO, outside: self.inside.saturating_add(self.outside) }
    }

    /// Adds more.
    pub fn add(&mut self, more: Self) {
        self.inside = self.inside.saturating_add(more.inside);
        self.outside = self.outside.saturating_add(more.outside);
    }

    /// What is left without a part of it.
    #[must_use]
    pub const fn without(self, part: Self) -> Self {
        Self {
            inside: self.inside.saturating_sub(part.inside),
            outside: self.outside.saturating_sub(part.outside),
        }
    }
}

impl BallotWeight {
    /// All of it.
    #[must_use]
    pub const fn sum(self) -> Weight {
        self.inside.saturating_add(self.outside)
    }
}
