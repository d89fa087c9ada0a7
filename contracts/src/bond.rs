//! Owns bonds: the points of an author's account that stand for what it asks of others, and the price of asking.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::{
    quantity::{BondPoints, DurationMs, TimeMs},
    transaction::ProposalId,
};

/// Largest account: with the smallest bond it bounds what is remembered about one author.
pub const ACCOUNT_MAX: u32 = 1_000_000;

/// What an author may ask for at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BondRules {
    /// Points that each author has; what is neither held nor lost is free.
    pub account: BondPoints,
    /// The bond of an author's only open proposal whose content never failed; 0 asks for no bonds.
    pub base: BondPoints,
    /// Time for which the bond of a proposal that was voted down or vetoed is lost.
    pub lost_for: DurationMs,
}

/// The points of one author that are not free.
#[derive(Debug, Clone, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct BondAccount {
    /// The bond of each open proposal.
    pub held: BTreeMap<ProposalId, BondPoints>,
    /// Bonds that were lost, in the order in which that happened; those that have come back go with the next change.
    pub lost: Vec<Loss>,
}

/// A bond that was lost for a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Loss {
    /// How much.
    pub points: BondPoints,
    /// When it comes back.
    pub until: TimeMs,
}

impl BondRules {
    /// The bond of a proposal by an author who has so many others open, of a content that has failed so often:
    /// `base · (1 + open + failures)`.
    #[must_use]
    pub fn price(&self, open: usize, failures: u8) -> BondPoints {
        let open = u32::try_from(open).unwrap_or(u32::MAX);
        let times = open.saturating_add(failures.into()).saturating_add(1);
        BondPoints::new(self.base.get().saturating_mul(times))
    }
}

impl BondAccount {
    /// What stands for open proposals.
    #[must_use]
    pub fn held(&self) -> BondPoints {
        self.held.values().copied().fold(BondPoints::ZERO, BondPoints::saturating_add)
    }

    /// What is lost at this time.
    #[must_use]
    pub fn lost(&self, time: TimeMs) -> BondPoints {
        let lost = self.lost.iter().filter(|loss| loss.until > time).map(|loss| loss.points);
        lost.fold(BondPoints::ZERO, BondPoints::saturating_add)
    }

    /// What is held and what is lost at this time.
    #[must_use]
    pub fn bound(&self, time: TimeMs) -> BondPoints {
        self.held().saturating_add(self.lost(time))
    }

    /// What is left of an account at this time.
    #[must_use]
    pub fn free(&self, rules: &BondRules, time: TimeMs) -> BondPoints {
        rules.account.saturating_sub(self.bound(time))
    }

    /// Takes the bond of a proposal, in the place of the one that it had.
    pub(crate) fn hold(&mut self, proposal: ProposalId, points: BondPoints, time: TimeMs) {
        self.forget(time);
        self.held.insert(proposal, points);
    }

    /// Gives the bond of a proposal back at once, or later.
    pub(crate) fn settle(
        &mut self,
        proposal: ProposalId,
        lost_until: Option<TimeMs>,
        time: TimeMs,
    ) -> Option<BondPoints> {
        let points = self.held.remove(&proposal)?;
        self.forget(time);
        self.lost.extend(lost_until.map(|until| Loss { points, until }));
        Some(points)
    }

    fn forget(&mut self, time: TimeMs) {
        self.lost.retain(|loss| loss.until > time);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Digest;

    #[test]
    fn the_price_rises_with_what_is_open_and_with_what_failed_and_never_overflows() {
        let rules = BondRules {
            account: BondPoints::new(100),
            base: BondPoints::new(2),
            lost_for: DurationMs::new(10),
        };
        assert_eq!(rules.price(0, 0).get(), 2);
        assert_eq!(rules.price(1, 0).get(), 4);
        assert_eq!(rules.price(1, 3).get(), 10);
        assert_eq!(rules.price(usize::MAX, u8::MAX), BondPoints::MAX);
    }

    #[test]
    fn points_are_free_held_or_lost_and_come_back() {
        let rules = BondRules {
            account: BondPoints::new(10),
            base: BondPoints::new(2),
            lost_for: DurationMs::new(5),
        };
        let id = |byte| ProposalId::from_digest(Digest::from_bytes([byte; 32]));
        let (mut account, now) = (BondAccount::default(), TimeMs::new(100));
        account.hold(id(1), BondPoints::new(2), now);
        account.hold(id(2), BondPoints::new(4), now);
        account.hold(id(1), BondPoints::new(3), now);
        assert_eq!(account.free(&rules, now).get(), 3);
        assert_eq!(account.settle(id(2), Some(TimeMs::new(105)), now), Some(BondPoints::new(4)));
        assert_eq!(account.settle(id(1), None, now), Some(BondPoints::new(3)));
        assert_eq!(account.settle(id(1), None, now), None);
        assert_eq!(account.free(&rules, TimeMs::new(104)).get(), 6);
        assert_eq!(account.free(&rules, TimeMs::new(105)).get(), 10);
        account.hold(id(3), BondPoints::new(1), TimeMs::new(105));
        assert!(account.lost.is_empty());
    }
}
