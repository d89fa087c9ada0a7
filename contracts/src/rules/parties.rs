//! Parties: what acts would leave behind is a mesh that holds together, and whose validators go on deciding.

use crate::{
    act::Act, certificate::is_quorum, document::ProposalDocument, parties::Parties, state::Registry,
};

/// Everybody and everything that is named exists, keys and roles are apart, and each act changes something.
pub(super) fn check(document: &ProposalDocument, registry: &Registry, found: &mut Vec<String>) {
    let is_of_parties = |act: &&Act| {
        !matches!(act, Act::Amend { .. } | Act::Ratify { .. } | Act::Reinstate { .. } | Act::Awaken { .. })
    };
    for act in document.acts.iter().filter(is_of_parties) {
        let subject = act.subject();
        if registry.in_force(&subject) == act.leaves() {
            found.push(format!("{subject} is as this act would make it"));
        }
    }
    let after = Parties::of_registry(registry).after(&document.acts);
    found.extend(after.check().err().map(|error| error.to_string()));
}

/// Those validators that stay are a quorum of the old roster and of the new one: whoever is new may still have to start.
pub(super) fn check_roster(document: &ProposalDocument, registry: &Registry, found: &mut Vec<String>) {
    let before = &registry.deciding;
    let after = Parties::of_registry(registry).after(&document.acts).roster();
    for (whose, of, and) in [("today's", &**before, &after), ("the new", &after, &**before)] {
        let (stay, total) = (of.weight_on(and), of.total_weight());
        if !is_quorum(stay, total) {
            found.push(format!(
                "validators with {stay} of {total} of {whose} roster's weight stay; more than two thirds have to"
            ));
        }
    }
}
