//! G11: every effect has its claim, its receipt under the claim's fence, and the eyes of two organisations; what is
//! rolled back has every effect undone.

use super::{Found, ProposalTrail, StepTrail, Trail, ensure};
use crate::{
    document::HealthCheck,
    event::Event,
    invariant::{Invariant, View},
    name::TargetId,
    plan::PlannedStep,
    proposal::Proposal,
    stage::Stage,
    transaction::{HealthReport, ProposalId},
};

const G11: Invariant = Invariant::Receipts;
/// Organisations that have to see a target healthy: one that acts on it and one that does not.
const WITNESSES_MIN: usize = 2;

/// Judges one event.
pub(super) fn check(trail: &Trail, block: &View<'_>, event: &Event) -> Result<(), Found> {
    match event {
        Event::StepClaimed { proposal, .. } | Event::StepReported { proposal, .. } => {
            check_executor(block, *proposal, event)?;
            check_receipt(trail, *proposal, event)
        }
        Event::HealthAttested { proposal, target, health, .. } => {
            check_health(trail, block, *proposal, target, health)
        }
        Event::StageChanged { proposal, from, to, .. } => check_move(trail, block, *proposal, (*from, *to)),
        _ => Ok(()),
    }
}

/// Whoever acts is an executor of the target, and the target is the plan's.
fn check_executor(block: &View<'_>, id: ProposalId, event: &Event) -> Result<(), Found> {
    let (Event::StepClaimed { step, target, executor, .. }
    | Event::StepReported { step, target, executor, .. }) = event
    else {
        return Ok(());
    };
    let planned = planned_step(block, id, *step).is_some_and(|planned| planned.target == *target);
    ensure(planned, G11, id, || format!("step {step} acts on {target}, which its plan does not say"))?;
    let registered =
        block.after.target(target).is_some_and(|known| known.record.executors.contains(executor));
    ensure(registered, G11, id, || format!("{executor} acts on {target} and is no executor of it"))
}

/// A receipt is under the claim in force.
fn check_receipt(trail: &Trail, id: ProposalId, event: &Event) -> Result<(), Found> {
    let Event::StepReported { step, executor, fence, undo, .. } = event else { return Ok(()) };
    let claim = trail.step(id, *step).and_then(|known| known.claim.as_ref());
    let matches = claim.is_some_and(|claim| *claim == (executor.clone(), *fence, *undo));
    ensure(matches, G11, id, || {
        format!("the receipt of step {step} under fence {fence} has no claim: {claim:?}")
    })
}

/// A verdict follows from the figures by the proposal's own check. A target that serves nothing has none to show.
fn check_health(
    trail: &Trail,
    block: &View<'_>,
    id: ProposalId,
    target: &TargetId,
    health: &HealthReport,
) -> Result<(), Found> {
    let check = block.after.proposal(id).and_then(|proposal| proposal.document.health.as_ref());
    let has_endpoints = block.after.target(target).is_some_and(|known| !known.record.endpoints.is_empty());
    let serves = trail.serves(target) && has_endpoints;
    let earned = check.is_some_and(|check| !serves || is_healthy(check, health));
    ensure(!health.healthy || earned, G11, id, || format!("a target is called healthy by {health:?}"))
}

fn is_healthy(check: &HealthCheck, health: &HealthReport) -> bool {
    health.samples >= u32::from(check.samples)
        && health.succeeded <= health.samples
        && check.success.is_reached_by(u64::from(health.succeeded), u64::from(health.samples))
        && health.latency_p95_ms <= check.latency_p95_ms
}

/// A stage is left forwards when its steps are done and seen healthy, and a rollback ends when all is undone.
fn check_move(
    trail: &Trail,
    block: &View<'_>,
    id: ProposalId,
    (from, to): (Stage, Stage),
) -> Result<(), Found> {
    let Some(proposal) = block.after.proposal(id) else { return Ok(()) };
    let Some(known) = trail.proposals().get(&id) else { return Ok(()) };
    match (from, to) {
        (Stage::Canary | Stage::Rollout(_), Stage::Rollout(_) | Stage::Verifying) => {
            check_stage(known, proposal, id, stage_index(from))
        }
        (Stage::Verifying, Stage::Executed) => {
            (0..proposal.verification_stage())
                .try_for_each(|stage| check_done(known, proposal, id, stage))?;
            check_seen(known, proposal, id, proposal.verification_stage())
        }
        (Stage::RollingBack, Stage::RolledBack) => check_undone(known, id),
        _ => Ok(()),
    }
}

fn check_stage(known: &ProposalTrail, proposal: &Proposal, id: ProposalId, stage: u8) -> Result<(), Found> {
    check_done(known, proposal, id, stage)?;
    check_seen(known, proposal, id, stage)
}

fn check_done(known: &ProposalTrail, proposal: &Proposal, id: ProposalId, stage: u8) -> Result<(), Found> {
    let undone = steps(proposal)
        .filter(|(_, planned)| planned.stage == stage)
        .find(|(index, _)| !known.steps.get(index).is_some_and(StepTrail::is_done));
    ensure(undone.is_none(), G11, id, || format!("stage {stage} is left without a receipt of {undone:?}"))
}

/// Each target of the stage, or of the whole plan at the final verification, was seen healthy by enough.
fn check_seen(known: &ProposalTrail, proposal: &Proposal, id: ProposalId, stage: u8) -> Result<(), Found> {
    let is_final = stage == proposal.verification_stage();
    steps(proposal).filter(|(_, planned)| is_final || planned.stage == stage).try_for_each(|(_, planned)| {
        let judged = known.health.get(&(stage, planned.target.clone()));
        let healthy = judged.map_or(0, |by_org| by_org.values().filter(|health| health.healthy).count());
        let owner = judged.and_then(|by_org| by_org.get(&planned.owner)).is_some_and(|health| health.healthy);
        ensure(owner && healthy >= WITNESSES_MIN, G11, id, || {
            format!("stage {stage} is left although {healthy} organisations saw {} healthy", planned.target)
        })
    })
}

fn check_undone(known: &ProposalTrail, id: ProposalId) -> Result<(), Found> {
    let left = known.steps.iter().find(|(_, step)| step.is_done() && !step.is_undone());
    ensure(left.is_none(), G11, id, || format!("it is rolled back although an effect stays: {left:?}"))
}

fn stage_index(stage: Stage) -> u8 {
    match stage {
        Stage::Rollout(index) => index,
        _ => 0,
    }
}

fn steps(proposal: &Proposal) -> impl Iterator<Item = (u16, &PlannedStep)> {
    (0_u16..).zip(&proposal.plan.steps)
}

fn planned_step<'a>(block: &View<'a>, id: ProposalId, step: u16) -> Option<&'a PlannedStep> {
    block.after.proposal(id)?.plan.steps.get(usize::from(step))
}
