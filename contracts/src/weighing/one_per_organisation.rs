//! One per organisation: each weighs the same, and nobody gains by registering more people or more tokens.

use std::collections::BTreeMap;

use super::{Tokens, Weigh, shared_out};
use crate::{name::MemberId, parties::WEIGHT_MAX, quantity::Weight};

pub(super) struct OnePerOrganisation;

impl Weigh for OnePerOrganisation {
    /// The share is as large as a weight may be, so that what rounding takes is next to nothing.
    fn weigh(&self, tokens: &Tokens) -> BTreeMap<MemberId, Weight> {
        shared_out(tokens, |_| WEIGHT_MAX.get())
    }
}
