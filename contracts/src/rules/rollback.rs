//! Rollback: a change says how it is undone.

use crate::{document::ProposalDocument, state::Registry};

pub(super) fn check(document: &ProposalDocument, _: &Registry, found: &mut Vec<String>) {
    if document.rollback.is_none() {
        found.push("no rollback is given; add [rollback] with to = \"previous\"".to_owned());
    }
}
