//! Owns how a voter's weight follows from what the ledger knows about it: one pure module a way, chosen for each track by the
//! constitution. Caps come after it and hold whatever it yields.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::{name::MemberId, quantity::Weight};

mod one_per_organisation;
mod quadratic;
#[cfg(test)]
mod tests;
mod tokens;

/// Voters with the weights that they are registered with.
pub type Tokens = BTreeMap<MemberId, Weight>;

/// How weights follow.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Default,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Weighing {
    /// A voter weighs what it is registered with.
    #[default]
    Tokens,
    /// Organisations weigh the same, whatever their voters are registered with, and share it out among them by that.
    OnePerOrganisation,
    /// An organisation weighs the square root of what its voters are registered with, and shares it out among them by that.
    Quadratic,
}

/// A way to weigh.
pub(crate) trait Weigh {
    /// The weights of the voters, none of whom is left out. No more than [`crate::parties::WEIGHT_MAX`] for each organisation
    /// and member, so that no sum leaves its range.
    fn weigh(&self, tokens: &Tokens) -> BTreeMap<MemberId, Weight>;
}

impl Weighing {
    /// Every way, in the order of its tag.
    pub const ALL: [Self; 3] = [Self::Tokens, Self::OnePerOrganisation, Self::Quadratic];

    /// The weights of voters.
    #[must_use]
    pub fn weigh(self, tokens: &Tokens) -> BTreeMap<MemberId, Weight> {
        let way: &dyn Weigh = match self {
            Self::Tokens => &tokens::ByTokens,
            Self::OnePerOrganisation => &one_per_organisation::OnePerOrganisation,
            Self::Quadratic => &quadratic::Quadratic,
        };
        way.weigh(tokens)
    }
}

/// What the voters of each organisation are registered with.
fn by_organisation(tokens: &Tokens) -> BTreeMap<&str, u64> {
    let mut sums: BTreeMap<&str, u64> = BTreeMap::new();
    for (voter, weight) in tokens {
        let sum = sums.entry(voter.org_str()).or_default();
        *sum = sum.saturating_add(weight.get());
    }
    sums
}

/// Shares out what each organisation weighs among its voters by what they are registered with, each part rounded down.
fn shared_out(tokens: &Tokens, weighs: impl Fn(u64) -> u64) -> BTreeMap<MemberId, Weight> {
    let sums = by_organisation(tokens);
    let part = |voter: &MemberId, weight: &Weight| {
        let sum = sums.get(voter.org_str()).copied().unwrap_or_default();
        let product = u128::from(weight.get()).saturating_mul(weighs(sum).into());
        let part = product.checked_div(sum.into()).unwrap_or_default();
        Weight::new(u64::try_from(part).unwrap_or(u64::MAX))
    };
    tokens.iter().map(|(voter, weight)| (voter.clone(), part(voter, weight))).collect()
}
