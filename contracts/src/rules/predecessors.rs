//! Predecessors: what a proposal waits for is on the ledger, and is or may still be carried out.

use crate::{document::ProposalDocument, state::Registry};

pub(super) fn check(document: &ProposalDocument, registry: &Registry, found: &mut Vec<String>) {
    let lost = registry.awaited_in_vain(document);
    found.extend(lost.map(|id| {
        format!(
            "it waits for {id}, which was not carried out or is not on this ledger; leave it out of `after`"
        )
    }));
}
