//! G9: a signed object works once: in its network, before its end, each sender's sequence without repeats or gaps.

use std::collections::BTreeMap;

use super::Found;
use crate::{
    invariant::{Invariant, View},
    name::MemberId,
    quantity::Sequence,
    role::Role,
    transaction::VerifiedTransaction,
};

/// The last sequence of each key, counted from the blocks alone.
#[derive(Debug, Clone, Default)]
pub(super) struct Used(BTreeMap<(MemberId, Role), Sequence>);

impl Used {
    /// Judges the next transaction.
    pub(super) fn check(&mut self, block: &View<'_>, transaction: &VerifiedTransaction) -> Result<(), Found> {
        let body = transaction.body();
        let violated = |finding: String| {
            Err(Found { invariant: Invariant::SingleUse, proposal: None, message: finding })
        };
        let last = self.0.entry((body.sender.clone(), body.role)).or_default();
        if body.sequence != last.next() {
            let (sender, role, sequence) = (&body.sender, body.role, body.sequence);
            return violated(format!("{sender} as {role} uses sequence {sequence} after {last}"));
        }
        *last = body.sequence;
        if block.header.time > body.not_after {
            return violated(format!(
                "{} acts after the end {} of its transaction",
                body.sender, body.not_after
            ));
        }
        Ok(())
    }
}
