//! Data residency: classes of data may only be held where the constitution allows it.

use crate::{
    document::ProposalDocument,
    name::{Name, TargetId},
    state::Registry,
};

pub(super) fn check(document: &ProposalDocument, registry: &Registry, found: &mut Vec<String>) {
    for class in &document.data_classes {
        let Some(allowed) = registry.constitution.hard_rules.residency.get(class) else {
            found.push(format!("class `{class}` is not known to the constitution and may be held nowhere"));
            continue;
        };
        let mut seen = std::collections::BTreeSet::new();
        for (_, step) in document.steps() {
            let place = jurisdiction(registry, &step.target);
            if place.is_some_and(|place| !allowed.contains(place)) && seen.insert(&step.target) {
                found.push(message(class, allowed.iter(), &step.target, place));
            }
        }
    }
}

fn jurisdiction<'a>(registry: &'a Registry, target: &TargetId) -> Option<&'a Name> {
    registry.targets.get(target).map(|target| &target.record.jurisdiction)
}

fn message<'a>(
    class: &Name,
    allowed: impl Iterator<Item = &'a Name>,
    target: &TargetId,
    place: Option<&Name>,
) -> String {
    let allowed: Vec<&str> = allowed.map(Name::as_str).collect();
    let place = place.map_or("", Name::as_str);
    format!("class `{class}` may be held in {}, {target} is in {place}", allowed.join(", "))
}
