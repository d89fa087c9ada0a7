//! Service level: a change says what it must keep.

use crate::{document::ProposalDocument, quantity::DurationMs, state::Registry};

pub(super) fn check(document: &ProposalDocument, _: &Registry, found: &mut Vec<String>) {
    match &document.slo {
        None => found.push("no service level objective is given; add [slo]".to_owned()),
        Some(slo) if slo.success.is_zero() || slo.latency_p95_ms == DurationMs::ZERO => {
            found.push(
                "the service level objective promises nothing; give success and latency above 0".to_owned(),
            );
        }
        Some(_) => {}
    }
}
