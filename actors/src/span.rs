//! Owns the spans that tie what different actors do to the proposal that it is about: in every line of the log that is
//! written inside, and in whatever else listens to `tracing`.

use althing_contracts::transaction::ProposalId;
use tracing::Span;

/// Name of the field.
const PROPOSAL_ID: &str = "proposal_id";

/// A span of an actor's work on a proposal; one that is not open yet is named by [`opened`].
pub(crate) fn of(actor: &'static str, proposal: Option<ProposalId>) -> Span {
    let span = tracing::info_span!("proposal", actor, proposal_id = tracing::field::Empty);
    if let Some(id) = proposal {
        opened(&span, id);
    }
    span
}

/// Says in a span which proposal its work has opened.
pub(crate) fn opened(span: &Span, id: ProposalId) {
    span.record(PROPOSAL_ID, tracing::field::display(id));
}
