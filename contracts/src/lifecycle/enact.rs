//! Owns the carrying out of a decision about the rules themselves: by the ledger, in one move, at the end of its timelock or
//! with the last signature that it waits for.

use std::sync::Arc;

use crate::{
    lifecycle::{Cast, execution},
    proposal::Proposal,
    stage::Stage,
    state::Registry,
};

/// Whether a queued proposal has acts and everything that they wait for.
pub(super) fn is_due(proposal: &Proposal, registry: &Registry) -> bool {
    !proposal.document.acts.is_empty()
        && proposal.is_cosigned()
        && proposal.eta.is_some_and(|eta| eta <= registry.time)
        && registry.awaited(&proposal.document).next().is_none()
        && registry.busy_target(&proposal.document.acts).is_none()
        && !execution::is_held(proposal, registry)
}

/// Carries every act out. What they replace is as it was planned: a proposal under which it moved was superseded then.
pub(super) fn enact(cast: &mut Cast<'_>) {
    let document = Arc::clone(&cast.proposal.document);
    for act in &document.acts {
        cast.registry.enact(act, cast.proposal.id, cast.events);
    }
    execution::end(cast, Stage::Executed, "the ledger has carried it out");
}
