//! Tokens: a voter weighs what it is registered with.

use std::collections::BTreeMap;

use super::{Tokens, Weigh};
use crate::{name::MemberId, quantity::Weight};

pub(super) struct ByTokens;

impl Weigh for ByTokens {
    fn weigh(&self, tokens: &Tokens) -> BTreeMap<MemberId, Weight> {
        tokens.clone()
    }
}
