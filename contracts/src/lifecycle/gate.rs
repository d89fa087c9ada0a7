//! Owns the health gate between stages: every target judged by its owner's executor and by another organisation.

use std::collections::BTreeMap;

use crate::{
    document::HealthCheck,
    event::Event,
    lifecycle::{Cast, execution, rollback},
    name::{MemberId, OrgId, TargetId},
    plan::PlannedStep,
    proposal::Proposal,
    quantity::DurationMs,
    reject::{Reject, StepRefusal},
    stage::Stage,
    transaction::HealthReport,
};

/// Whether every step of the current stage is done.
pub(super) fn steps_are_done(proposal: &Proposal) -> bool {
    let stage = proposal.execution.stage;
    let steps = proposal.plan.steps.iter().zip(&proposal.execution.steps);
    steps.filter(|(planned, _)| planned.stage == stage).all(|(_, progress)| progress.outcome.is_some())
}

/// The steps of a stage are done: its health is to be judged in time.
pub(super) fn open(cast: &mut Cast<'_>) {
    cast.wait_for(within(cast.proposal));
}

/// Takes one organisation's judgement of one target.
pub(super) fn attest(
    cast: &mut Cast<'_>,
    sender: &MemberId,
    (stage, step): (u8, u16),
    health: &HealthReport,
) -> Result<(), Reject> {
    let (step, target) = check(cast, sender, stage, step)?;
    check_report(cast, &target, health)?;
    let org = sender.org();
    let judged = cast.proposal.execution.health.entry(step).or_default();
    judged.insert(org.clone(), health.clone());
    let (proposal, attester) = (cast.proposal.id, sender.clone());
    let healthy = health.healthy;
    let reason = format!("{sender} finds {target} unhealthy: {}", health.reason);
    cast.events.push(Event::HealthAttested {
        proposal,
        stage,
        target,
        attester,
        org,
        health: health.clone(),
    });
    if !healthy {
        rollback::stop(cast, &reason);
    } else if is_passed(cast.proposal) {
        advance(cast);
    }
    Ok(())
}

/// The first step on each target of a stage stands for the target; the final verification judges all targets.
pub(crate) fn judged_steps(proposal: &Proposal, stage: u8) -> BTreeMap<&TargetId, (u16, &PlannedStep)> {
    let all = stage == proposal.verification_stage();
    let mut judged = BTreeMap::new();
    for (index, planned) in (0..=u16::MAX).zip(&proposal.plan.steps) {
        if all || planned.stage == stage {
            judged.entry(&planned.target).or_insert((index, planned));
        }
    }
    judged
}

/// Whether the judgements of a target are enough: its owner's, and one of another organisation.
pub(super) fn is_judged(owner: &OrgId, attested: &BTreeMap<OrgId, HealthReport>) -> bool {
    attested.contains_key(owner) && attested.keys().any(|org| org != owner)
}

fn check(cast: &Cast<'_>, sender: &MemberId, stage: u8, step: u16) -> Result<(u16, TargetId), Reject> {
    let proposal = &*cast.proposal;
    let (named, _) = execution::find(proposal, step)?;
    let refuse = |why| Err(Reject::Step { step, why });
    execution::check_stage(proposal, step, stage)?;
    if stage != proposal.verification_stage() && !steps_are_done(proposal) {
        return refuse(StepRefusal::StageAhead);
    }
    let Some((first, planned)) = judged_steps(proposal, stage).remove(&named.target) else {
        return refuse(StepRefusal::NotJudged);
    };
    if sender.org() == planned.owner {
        execution::check_executor(cast.registry, sender, &planned.target)?;
    }
    let judged = proposal.execution.health.get(&first);
    if judged.is_some_and(|judged| judged.contains_key(sender.org_str())) {
        return Err(Reject::AlreadyDone { member: sender.clone() });
    }
    Ok((first, planned.target.clone()))
}

/// A target that serves is healthy only when the figures say so by the proposal's own check.
fn check_report(cast: &Cast<'_>, target: &TargetId, health: &HealthReport) -> Result<(), Reject> {
    if health.succeeded > health.samples {
        return Err(Reject::Evidence { problem: "more requests succeeded than were sent" });
    }
    let serves = cast.registry.targets.get(target).is_some_and(|target| target.serving_endpoints() > 0);
    let Some(check) = cast.proposal.document.health.as_ref().filter(|_| serves) else { return Ok(()) };
    if health.healthy && !holds(check, health) {
        return Err(Reject::Evidence { problem: "the figures do not meet the proposal's health check" });
    }
    Ok(())
}

fn holds(check: &HealthCheck, health: &HealthReport) -> bool {
    health.samples >= u32::from(check.samples)
        && check.success.is_reached_by(health.succeeded.into(), health.samples.into())
        && health.latency_p95_ms <= check.latency_p95_ms
}

fn is_passed(proposal: &Proposal) -> bool {
    let (enough, all) = judged(proposal);
    enough == all
}

/// How many targets of the current stage are judged, of how many.
pub(crate) fn judged(proposal: &Proposal) -> (usize, usize) {
    let steps = judged_steps(proposal, proposal.execution.stage);
    let health = &proposal.execution.health;
    let enough = steps
        .values()
        .filter(|(step, planned)| health.get(step).is_some_and(|judged| is_judged(&planned.owner, judged)));
    (enough.count(), steps.len())
}

fn advance(cast: &mut Cast<'_>) {
    match cast.proposal.next_stage() {
        Stage::Executed => {
            execution::end(cast, Stage::Executed, "every step is done and healthy");
            return;
        }
        Stage::Verifying => {
            cast.go(Stage::Verifying, "every stage is done and healthy");
            cast.wait_for(within(cast.proposal));
        }
        next => {
            cast.go(next, "the stage before is healthy");
            cast.wait_for(cast.proposal.parameters.stage);
        }
    }
    let execution = &mut cast.proposal.execution;
    execution.stage = execution.stage.saturating_add(1);
    execution.stage_since = cast.registry.time;
    execution.health.clear();
}

/// The hard rules see to it that there is a health check; the longest stage bounds what it may ask for.
fn within(proposal: &Proposal) -> DurationMs {
    let stage = proposal.parameters.stage;
    proposal.document.health.as_ref().map_or(stage, |check| check.within_ms.min(stage))
}
