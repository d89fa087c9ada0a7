//! Owns the derivation of work: what executors should do next, from the record alone.

use std::collections::BTreeMap;

use crate::{
    lifecycle::{execution, gate, rollback},
    plan::PlannedStep,
    proposal::{Order, Proposal, Work},
    stage::Stage,
    state::Registry,
};

/// Everything that is due about one proposal.
pub(crate) fn orders(proposal: &Proposal, registry: &Registry) -> Vec<Order> {
    let work = match proposal.stage {
        Stage::Queued if may_begin(proposal, registry) => steps_of(proposal, 0),
        Stage::Canary | Stage::Rollout(_) if !gate::steps_are_done(proposal) => {
            let steps = steps_of(proposal, proposal.execution.stage).into_iter();
            steps.filter(|work| !is_kept(proposal, registry, work)).collect()
        }
        Stage::Canary | Stage::Rollout(_) | Stage::Verifying => judgements(proposal),
        Stage::RollingBack => {
            undo(proposal).filter(|work| !is_kept(proposal, registry, work)).into_iter().collect()
        }
        _ => Vec::new(),
    };
    work.into_iter()
        .map(|work| Order { proposal: proposal.id, plan_hash: proposal.plan_hash, work })
        .collect()
}

fn may_begin(proposal: &Proposal, registry: &Registry) -> bool {
    proposal.eta.is_some_and(|eta| eta <= registry.time)
        && proposal.is_cosigned()
        && registry.awaited(&proposal.document).next().is_none()
        && execution::are_targets_free(proposal, registry)
        && !execution::is_held(proposal, registry)
}

/// Whether an emergency keeps everyone from a step; who holds its claim goes on.
fn is_kept(proposal: &Proposal, registry: &Registry, work: &Work) -> bool {
    let Work::Step { step, undo, claim: None } = work else { return false };
    let hold = |planned: &PlannedStep| match undo {
        true => registry.holds.on_undoing(&planned.target),
        false => registry.holds.on_steps(&planned.target),
    };
    proposal.plan.steps.get(usize::from(*step)).and_then(hold).is_some()
}

fn steps_of(proposal: &Proposal, stage: u8) -> Vec<Work> {
    let steps = (0..=u16::MAX).zip(proposal.plan.steps.iter().zip(&proposal.execution.steps));
    let due = steps.filter(|(_, (planned, progress))| planned.stage == stage && progress.outcome.is_none());
    due.map(|(step, (_, progress))| Work::Step { step, undo: false, claim: progress.claim.clone() }).collect()
}

fn undo(proposal: &Proposal) -> Option<Work> {
    let step = rollback::next_undo(proposal)?;
    let claim = proposal.execution.steps.get(usize::from(step))?.claim.clone();
    Some(Work::Step { step, undo: true, claim: claim.filter(|claim| claim.undo) })
}

fn judgements(proposal: &Proposal) -> Vec<Work> {
    let stage = proposal.execution.stage;
    let none = BTreeMap::new();
    let judged = gate::judged_steps(proposal, stage).into_values();
    let missing = judged.filter_map(|(step, planned)| {
        let attested = proposal.execution.health.get(&step).unwrap_or(&none);
        let enough = gate::is_judged(&planned.owner, attested);
        (!enough).then(|| Work::Judge { stage, step, attested: attested.keys().cloned().collect() })
    });
    missing.collect()
}
