//! Guardian: powers of a guardian are given to a member who holds the role.

use crate::{act::Act, document::ProposalDocument, role::Role, state::Registry};

pub(super) fn check(document: &ProposalDocument, registry: &Registry, found: &mut Vec<String>) {
    for act in &document.acts {
        let Act::Reinstate { guardian } = act else { continue };
        let held = registry.members.get(guardian);
        if !held.is_some_and(|held| held.keys.contains_key(&Role::Guardian)) {
            found.push(format!("{guardian} is no guardian of this mesh"));
        }
    }
}
