//! Quadratic: four times the tokens weigh twice as much. Bound to the organisation as the identity that cannot be had cheaply:
//! an organisation can name as many members as it likes, and by members it would gain by spreading its tokens over more.

use std::collections::BTreeMap;

use super::{Tokens, Weigh, shared_out};
use crate::{name::MemberId, quantity::Weight};

/// A square root is taken of so many parts of a token and so keeps three decimal places: the root of a token is a thousand.
const PARTS: u64 = 1_000_000;

pub(super) struct Quadratic;

impl Weigh for Quadratic {
    fn weigh(&self, tokens: &Tokens) -> BTreeMap<MemberId, Weight> {
        shared_out(tokens, root)
    }
}

/// The integer square root of so many tokens, in thousandths.
fn root(tokens: u64) -> u64 {
    let root = u128::from(tokens).saturating_mul(PARTS.into()).isqrt();
    u64::try_from(root).unwrap_or(u64::MAX)
}
