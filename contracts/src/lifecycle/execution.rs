//! Owns the carrying out of steps: claims with fences and leases, receipts, failure, and taking it up again.

use std::cmp::Ordering;

use crate::{
    digest::Digest,
    event::Event,
    lifecycle::{Cast, audit, gate, queue, rollback, submission},
    name::{MemberId, TargetId},
    plan::PlannedStep,
    proposal::{Ending, Proposal, StepClaim, StepProgress},
    quantity::Fence,
    reject::{Reject, StepRefusal},
    role::Role,
    stage::Stage,
    state::{Hold, Registry},
    transaction::{ProposalId, StepOutcome},
};

/// The first claim of a queued proposal: locks its targets and begins the canary.
pub(super) fn start(cast: &mut Cast<'_>, sender: &MemberId, step: u16) -> Result<(), Reject> {
    let until = cast.proposal.eta.unwrap_or(cast.registry.time);
    if cast.registry.time < until {
        return Err(Reject::Step { step, why: StepRefusal::Timelocked { until } });
    }
    check_claim(cast, sender, step)?;
    queue::check_cosigned(cast.proposal, step)?;
    check_released(cast.proposal, cast.registry, step)?;
    check_calm(cast.proposal, cast.registry, step)?;
    check_ground(cast.proposal, cast.registry, step)?;
    lock_targets(cast);
    cast.go(Stage::Canary, &format!("{sender} took the first step"));
    cast.wait_for(cast.proposal.parameters.stage);
    cast.proposal.execution.stage_since = cast.registry.time;
    grant(cast, sender, step, false)
}

/// Takes a step of the current stage.
pub(super) fn claim(cast: &mut Cast<'_>, sender: &MemberId, step: u16) -> Result<(), Reject> {
    check_claim(cast, sender, step)?;
    grant(cast, sender, step, false)
}

/// Reports the outcome of a step of the current stage.
pub(super) fn receipt(
    cast: &mut Cast<'_>,
    sender: &MemberId,
    (step, fence): (u16, Fence),
    outcome: &StepOutcome,
    evidence: Digest,
) -> Result<(), Reject> {
    take_receipt(cast, sender, (step, fence), outcome, evidence)?;
    match outcome {
        StepOutcome::Done => {
            if gate::steps_are_done(cast.proposal) {
                gate::open(cast);
            }
        }
        StepOutcome::Failed { reason, .. } => {
            rollback::stop(cast, &format!("step {step} failed: {reason}"));
        }
    }
    Ok(())
}

/// Takes a failed execution up again; nothing had taken effect.
pub(super) fn resume(cast: &mut Cast<'_>, sender: &MemberId, role: Role) -> Result<(), Reject> {
    check_resume(cast, sender, role)?;
    check_calm(cast.proposal, cast.registry, 0)?;
    check_ground(cast.proposal, cast.registry, 0)?;
    lock_targets(cast);
    cast.go(Stage::Canary, &format!("{sender} took it up again"));
    cast.wait_for(cast.proposal.parameters.stage);
    let now = cast.registry.time;
    let max = cast.proposal.parameters.retries;
    cast.proposal.ended = None;
    let execution = &mut cast.proposal.execution;
    execution.retries = execution.retries.saturating_add(1);
    execution.stage = 0;
    execution.stage_since = now;
    execution.health.clear();
    execution.steps.fill(StepProgress::default());
    let retries_left = max.saturating_sub(execution.retries);
    cast.events.push(Event::Resumed { proposal: cast.proposal.id, retries_left });
    Ok(())
}

/// Ends an execution, frees its targets, and hands it to the auditors unless it may be taken up again.
pub(super) fn end(cast: &mut Cast<'_>, stage: Stage, cause: &str) {
    cast.go(stage, cause);
    cast.proposal.ended = Some(Ending { stage, height: cast.registry.height });
    free_targets(cast);
    if stage == Stage::Failed && may_resume(cast) {
        return;
    }
    audit::begin(cast, "its execution has ended");
}

/// Leaves a failed execution resumable until the instant that was fixed when it was queued.
fn may_resume(cast: &mut Cast<'_>) -> bool {
    let last = cast.proposal.begin_by();
    let budget = cast.proposal.execution.retries < cast.proposal.parameters.retries;
    match last {
        Some(last) if budget && last > cast.registry.time => {
            cast.wait_until(last);
            true
        }
        _ => false,
    }
}

fn check_resume(cast: &Cast<'_>, sender: &MemberId, role: Role) -> Result<(), Reject> {
    if cast.proposal.execution.retries >= cast.proposal.parameters.retries {
        return Err(Reject::RetriesSpent);
    }
    if role == Role::Author {
        return cast.check_author(sender);
    }
    let mut steps = cast.proposal.plan.steps.iter();
    if steps.any(|step| cast.registry.is_executor_of(sender, &step.target)) {
        return Ok(());
    }
    let target = first_target(cast.proposal)?;
    Err(Reject::NotAnExecutor { member: sender.clone(), target })
}

fn first_target(proposal: &Proposal) -> Result<TargetId, Reject> {
    let step = proposal.plan.steps.first();
    step.map(|step| step.target.clone()).ok_or(Reject::Step { step: 0, why: StepRefusal::Unknown })
}

/// The planned step and its progress.
pub(super) fn find(proposal: &Proposal, step: u16) -> Result<(&PlannedStep, &StepProgress), Reject> {
    let index = usize::from(step);
    let planned = proposal.plan.steps.get(index);
    let progress = proposal.execution.steps.get(index);
    planned.zip(progress).ok_or(Reject::Step { step, why: StepRefusal::Unknown })
}

/// The planned step and its progress, to be changed.
fn find_mut(proposal: &mut Proposal, step: u16) -> Result<(&PlannedStep, &mut StepProgress), Reject> {
    let index = usize::from(step);
    let planned = proposal.plan.steps.get(index);
    let progress = proposal.execution.steps.get_mut(index);
    planned.zip(progress).ok_or(Reject::Step { step, why: StepRefusal::Unknown })
}

/// The planned step and its progress, for a sender who may act on its target.
pub(super) fn find_for_executor<'a>(
    cast: &'a Cast<'_>,
    sender: &MemberId,
    step: u16,
) -> Result<(&'a PlannedStep, &'a StepProgress), Reject> {
    let (planned, progress) = find(cast.proposal, step)?;
    check_executor(cast.registry, sender, &planned.target)?;
    Ok((planned, progress))
}

fn check_claim(cast: &Cast<'_>, sender: &MemberId, step: u16) -> Result<(), Reject> {
    let (planned, progress) = find_for_executor(cast, sender, step)?;
    let refuse = |why| Err(Reject::Step { step, why });
    check_stage(cast.proposal, step, planned.stage)?;
    if progress.outcome.is_some() {
        return refuse(StepRefusal::Reported);
    }
    check_lease(cast.registry, progress, step, |_| false)?;
    check_hold(cast.registry.holds.on_steps(&planned.target), step)
}

/// Nothing begins before what it waits for is carried out.
fn check_released(proposal: &Proposal, registry: &Registry, step: u16) -> Result<(), Reject> {
    match registry.awaited(&proposal.document).next() {
        Some(awaited) => Err(Reject::Step { step, why: StepRefusal::Awaits { awaited } }),
        None => Ok(()),
    }
}

/// Nothing begins on a track that an emergency halts, nor when one keeps any of its targets.
fn check_calm(proposal: &Proposal, registry: &Registry, step: u16) -> Result<(), Reject> {
    submission::check_not_halted(registry, proposal.track)?;
    check_hold(kept(proposal, registry), step)
}

/// What keeps steps from being taken on one of its targets.
fn kept(proposal: &Proposal, registry: &Registry) -> Option<Hold> {
    proposal.plan.steps.iter().find_map(|planned| registry.holds.on_steps(&planned.target))
}

/// Whether an emergency keeps it from beginning.
pub(crate) fn is_held(proposal: &Proposal, registry: &Registry) -> bool {
    registry.holds.on_track(proposal.track).is_some() || kept(proposal, registry).is_some()
}

/// Refuses what an emergency holds back.
pub(super) fn check_hold(hold: Option<Hold>, step: u16) -> Result<(), Reject> {
    match hold {
        Some(Hold { by, until }) => Err(Reject::Step { step, why: StepRefusal::TargetKept { by, until } }),
        None => Ok(()),
    }
}

/// Refuses what is not of the current stage.
pub(super) fn check_stage(proposal: &Proposal, step: u16, stage: u8) -> Result<(), Reject> {
    match stage.cmp(&proposal.execution.stage) {
        Ordering::Less => Err(Reject::Step { step, why: StepRefusal::StageOver }),
        Ordering::Equal => Ok(()),
        Ordering::Greater => Err(Reject::Step { step, why: StepRefusal::StageAhead }),
    }
}

/// Refuses while somebody holds the step, except whom `spared` names.
pub(super) fn check_lease(
    registry: &Registry,
    progress: &StepProgress,
    step: u16,
    spared: impl Fn(&StepClaim) -> bool,
) -> Result<(), Reject> {
    match &progress.claim {
        Some(claim) if claim.until > registry.time && !spared(claim) => {
            let (holder, until) = (claim.executor.clone(), claim.until);
            Err(Reject::Step { step, why: StepRefusal::Held { holder, until } })
        }
        _ => Ok(()),
    }
}

pub(super) fn check_executor(
    registry: &Registry,
    sender: &MemberId,
    target: &TargetId,
) -> Result<(), Reject> {
    if registry.is_executor_of(sender, target) {
        return Ok(());
    }
    Err(Reject::NotAnExecutor { member: sender.clone(), target: target.clone() })
}

/// Every target must be free and as the plan found it.
fn check_ground(proposal: &Proposal, registry: &Registry, step: u16) -> Result<(), Reject> {
    if let Some(by) = occupant(proposal, registry) {
        return Err(Reject::Step { step, why: StepRefusal::TargetBusy { by } });
    }
    match registry.first_moved(&proposal.plan) {
        None => Ok(()),
        Some(moved) => Err(Reject::TargetMoved {
            target: moved.target.clone(),
            resource: moved.action.resource().clone(),
            applied: registry.applied(moved).cloned().map(Box::new),
        }),
    }
}

/// Another proposal that acts on one of the targets.
fn occupant(proposal: &Proposal, registry: &Registry) -> Option<ProposalId> {
    let targets = proposal.plan.steps.iter().filter_map(|step| registry.targets.get(&step.target));
    targets.filter_map(|target| target.busy).find(|by| *by != proposal.id)
}

/// Whether no other proposal acts on any of the targets.
pub(crate) fn are_targets_free(proposal: &Proposal, registry: &Registry) -> bool {
    occupant(proposal, registry).is_none()
}

/// All targets are locked at once, so that two changes never wait for each other.
fn lock_targets(cast: &mut Cast<'_>) {
    for step in &cast.proposal.plan.steps {
        cast.registry.change_target(&step.target, |target| target.busy = Some(cast.proposal.id));
    }
}

fn free_targets(cast: &mut Cast<'_>) {
    for step in &cast.proposal.plan.steps {
        cast.registry.change_target(&step.target, |target| {
            target.busy = target.busy.filter(|by| *by != cast.proposal.id);
        });
    }
}

/// Gives the step, which the caller has found, to the sender under a fence above every earlier one.
pub(super) fn grant(cast: &mut Cast<'_>, sender: &MemberId, step: u16, undo: bool) -> Result<(), Reject> {
    let proposal = cast.proposal.id;
    let until = cast.registry.time.after(cast.proposal.parameters.lease);
    let (planned, progress) = find_mut(cast.proposal, step)?;
    let fence = cast.registry.next_fence();
    progress.claim = Some(StepClaim { executor: sender.clone(), fence, until, undo });
    // Another try of an undo has an outcome of its own.
    progress.undo_outcome = None;
    let (target, executor) = (planned.target.clone(), sender.clone());
    cast.events.push(Event::StepClaimed { proposal, step, target, executor, fence, undo });
    Ok(())
}

/// Keeps the outcome of an action and what it left on the target, and says whether it is an undo.
///
/// A receipt counts under the fence of the claim in force, from the member who holds it, once.
pub(super) fn take_receipt(
    cast: &mut Cast<'_>,
    sender: &MemberId,
    (step, fence): (u16, Fence),
    outcome: &StepOutcome,
    evidence: Digest,
) -> Result<bool, Reject> {
    let proposal = cast.proposal.id;
    let (planned, progress) = find_mut(cast.proposal, step)?;
    let not_claimed = Reject::Step { step, why: StepRefusal::NotClaimed };
    let claim = progress.claim.as_mut().ok_or(not_claimed)?;
    if claim.fence != fence {
        return Err(Reject::Fence { found: fence, current: claim.fence });
    }
    if claim.executor != *sender {
        let holder = claim.executor.clone();
        return Err(Reject::Step { step, why: StepRefusal::ClaimedBy { holder } });
    }
    let undo = claim.undo;
    let reported = if undo { &mut progress.undo_outcome } else { &mut progress.outcome };
    if reported.is_some() {
        return Err(Reject::AlreadyDone { member: sender.clone() });
    }
    *reported = Some(outcome.clone());
    if undo && matches!(outcome, StepOutcome::Failed { retryable: true, .. }) {
        // It is free for whoever takes it next.
        claim.until = cast.registry.time;
    }
    if *outcome == StepOutcome::Done {
        let action = if undo { &planned.undo } else { &planned.action };
        cast.registry.set_applied(&planned.target, action);
    }
    cast.events.push(Event::StepReported {
        proposal,
        step,
        target: planned.target.clone(),
        executor: sender.clone(),
        fence,
        undo,
        outcome: outcome.clone(),
        evidence,
    });
    Ok(undo)
}
