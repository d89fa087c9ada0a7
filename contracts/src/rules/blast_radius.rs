//! Blast radius: the canary and every later stage touch no more than their share of targets.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    document::{ProposalDocument, StageDocument},
    name::{OrgId, TargetId},
    quantity::Ratio,
    state::Registry,
};

pub(super) fn check(document: &ProposalDocument, registry: &Registry, found: &mut Vec<String>) {
    let Some((canary, later)) = document.stages.split_first() else { return };
    let limits = &registry.constitution.hard_rules;
    let touched = targets_of(canary).len();
    let most = at_least_one(limits.canary_share_max, registry.targets.len());
    if touched > most {
        found.push(format!(
            "the canary touches {touched} targets of {}, at most {most} are allowed",
            registry.targets.len()
        ));
    }
    for stage in later {
        check_stage(stage, registry, limits.stage_share_max, found);
    }
}

fn check_stage(stage: &StageDocument, registry: &Registry, share: Ratio, found: &mut Vec<String>) {
    let mut touched: BTreeMap<&OrgId, usize> = BTreeMap::new();
    for target in targets_of(stage).into_iter().filter_map(|id| registry.targets.get(id)) {
        let count = touched.entry(&target.record.owner).or_default();
        *count = count.saturating_add(1);
    }
    for (org, count) in touched {
        let owned = registry.targets.values().filter(|target| target.record.owner == *org).count();
        let most = at_least_one(share, owned);
        if count > most {
            let name = &stage.name;
            found.push(format!(
                "stage {name} touches {count} of {owned} targets of {org}, at most {most} are allowed"
            ));
        }
    }
}

fn targets_of(stage: &StageDocument) -> BTreeSet<&TargetId> {
    stage.steps.iter().map(|step| &step.target).collect()
}

/// A share of a small mesh is never less than one target, or nothing could ever change.
fn at_least_one(share: Ratio, whole: usize) -> usize {
    let floor = share.floor_of(u64::try_from(whole).unwrap_or(u64::MAX));
    usize::try_from(floor).unwrap_or(usize::MAX).max(1)
}
