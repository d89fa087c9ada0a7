//! Cost ceiling: nothing above the constitution's monthly limit.

use crate::{document::ProposalDocument, state::Registry};

pub(super) fn check(document: &ProposalDocument, registry: &Registry, found: &mut Vec<String>) {
    let ceiling = registry.constitution.hard_rules.cost_ceiling_monthly_milli;
    let cost = document.cost.monthly_milli;
    if cost > ceiling {
        found.push(format!("costs {cost} thousandths a month, the ceiling is {ceiling}"));
    }
}
