//! Constitution: a new one follows the one in force, may be in force itself, and leaves no track that nobody can pass.

use crate::{
    act::Act,
    constitution::{Constitution, ConstitutionError},
    document::ProposalDocument,
    state::Registry,
};

pub(super) fn check(document: &ProposalDocument, registry: &Registry, found: &mut Vec<String>) {
    for act in &document.acts {
        let Act::Amend { constitution } = act;
        let (given, next) = (constitution.version, registry.constitution.version.saturating_add(1));
        if given != next {
            found.push(format!("the constitution has version {given}; the next one is {next}"));
        }
        if is_same(constitution, &registry.constitution) {
            found.push("the constitution says what the one in force says".to_owned());
        }
        found.extend(check_sound(constitution, registry).err().map(|error| format!("constitution: {error}")));
    }
}

fn check_sound(constitution: &Constitution, registry: &Registry) -> Result<(), ConstitutionError> {
    constitution.check()?;
    constitution.check_reach(&registry.holders())
}

fn is_same(given: &Constitution, in_force: &Constitution) -> bool {
    *given == Constitution { version: given.version, ..in_force.clone() }
}
