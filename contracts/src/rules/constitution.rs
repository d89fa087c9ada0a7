//! Constitution: a new one follows the one in force and may be in force itself, no act leaves a track that nobody can pass, and
//! only what is dormant is awakened.

use crate::{
    act::Act, constitution::Constitution, document::ProposalDocument, parties::Parties, state::Registry,
};

pub(super) fn check(document: &ProposalDocument, registry: &Registry, found: &mut Vec<String>) {
    let amended = document.acts.iter().find_map(Act::amendment);
    if let Some(constitution) = amended {
        let (given, next) = (constitution.version, registry.constitution.version.saturating_add(1));
        if given != next {
            found.push(format!("the constitution has version {given}; the next one is {next}"));
        }
        if is_same(constitution, &registry.constitution) {
            found.push("the constitution says what the one in force says".to_owned());
        }
    }
    for act in &document.acts {
        match (act, registry.dormancy.since) {
            (Act::Awaken { .. }, None) => found.push("governance is not dormant".to_owned()),
            (Act::Awaken { since }, Some(fell)) if *since != fell => {
                found.push(format!("governance fell dormant at {fell}, not at {since}"));
            }
            _ => {}
        }
    }
    let parties = Parties::of_registry(registry).after(&document.acts);
    let holders = parties.holders();
    let sound = amended.map_or(Ok(()), Constitution::check);
    let sound = sound.and_then(|()| amended.unwrap_or(&registry.constitution).check_reach(&holders));
    found.extend(sound.err().map(|error| format!("constitution: {error}")));
}

fn is_same(given: &Constitution, in_force: &Constitution) -> bool {
    *given == Constitution { version: given.version, ..in_force.clone() }
}
