//! Owns the way back: what stops an execution, and the undoing of its steps from the last to the first.

use crate::{
    digest::Digest,
    lifecycle::{Cast, execution},
    name::{Line, MemberId},
    proposal::{Proposal, StepClaim, StepProgress},
    quantity::{Fence, TimeMs},
    reject::{Reject, StepRefusal},
    stage::Stage,
    state::Registry,
    transaction::StepOutcome,
};

/// Stops an execution: it failed when nothing can have taken effect, and is rolled back otherwise.
pub(super) fn stop(cast: &mut Cast<'_>, cause: &str) {
    cast.proposal.execution.health.clear();
    if next_undo(cast.proposal).is_none() {
        execution::end(cast, Stage::Failed, cause);
        return;
    }
    cast.proposal.execution.rollback_cause = Some(Line::shortened(cause));
    cast.proposal.execution.stage_since = cast.registry.time;
    cast.go(Stage::RollingBack, cause);
    cast.wait_for(cast.proposal.parameters.stage);
}

/// An executor of one of the owners gives it up.
pub(super) fn abort(cast: &mut Cast<'_>, sender: &MemberId, reason: &Line) -> Result<(), Reject> {
    let steps = &cast.proposal.plan.steps;
    if !steps.iter().any(|step| cast.registry.is_executor_of(sender, &step.target)) {
        let (planned, _) = execution::find(cast.proposal, 0)?;
        return Err(Reject::NotAnExecutor { member: sender.clone(), target: planned.target.clone() });
    }
    stop(cast, &format!("aborted by {sender}: {reason}"));
    Ok(())
}

/// A stage, or the judgement of its health, took too long.
#[expect(clippy::unnecessary_wraps, reason = "every arm of the table has one shape")]
pub(super) fn time_out(cast: &mut Cast<'_>) -> Result<(), Reject> {
    stop(cast, "the stage was not finished and judged healthy in time");
    Ok(())
}

/// An emergency keeps one of its targets.
#[expect(clippy::unnecessary_wraps, reason = "every arm of the table has one shape")]
pub(super) fn halt(cast: &mut Cast<'_>, cause: &str) -> Result<(), Reject> {
    stop(cast, cause);
    Ok(())
}

/// The rollback itself took too long. While an emergency keeps it from going on, it has more time.
#[expect(clippy::unnecessary_wraps, reason = "every arm of the table has one shape")]
pub(super) fn give_up(cast: &mut Cast<'_>) -> Result<(), Reject> {
    if let Some(until) = kept_until(cast.proposal, cast.registry) {
        cast.wait_until(until.after(cast.proposal.parameters.stage));
        return Ok(());
    }
    execution::end(cast, Stage::RollbackFailed, "the rollback was not finished in time");
    Ok(())
}

/// Takes the undo of the last step that is not undone.
pub(super) fn claim(cast: &mut Cast<'_>, sender: &MemberId, step: u16) -> Result<(), Reject> {
    let (planned, progress) = execution::find_for_executor(cast, sender, step)?;
    let target = &planned.target;
    let refuse = |why| Err(Reject::Step { step, why });
    if !progress.needs_undo() {
        return refuse(StepRefusal::NothingToUndo);
    }
    match next_undo(cast.proposal) {
        Some(next) if next != step => return refuse(StepRefusal::UndoOrder { next }),
        _ => {}
    }
    // Who holds the action knows best what became of it, and may go on to undo it at once.
    let known = progress.outcome.is_some();
    let spared = |claim: &StepClaim| !claim.undo && (known || claim.executor == *sender);
    execution::check_lease(cast.registry, progress, step, spared)?;
    execution::check_hold(cast.registry.holds.on_undoing(target), step)?;
    execution::grant(cast, sender, step, true)
}

/// The end of the emergencies that keep everyone who could from undoing the next step.
fn kept_until(proposal: &Proposal, registry: &Registry) -> Option<TimeMs> {
    let step = proposal.plan.steps.get(usize::from(next_undo(proposal)?))?;
    let executors = registry.targets.get(&step.target)?.record.executors.iter();
    let suspended = executors.map(|executor| registry.holds.on_executor(executor).map(|hold| hold.until));
    // The first of them who may act again ends it.
    let suspended = suspended.collect::<Option<Vec<TimeMs>>>().and_then(|ends| ends.into_iter().min());
    registry.holds.on_undoing(&step.target).map(|hold| hold.until).max(suspended)
}

/// Reports an undo, or what became of an action that was under way when the rollback began.
pub(super) fn receipt(
    cast: &mut Cast<'_>,
    sender: &MemberId,
    (step, fence): (u16, Fence),
    outcome: &StepOutcome,
    evidence: Digest,
) -> Result<(), Reject> {
    let undo = execution::take_receipt(cast, sender, (step, fence), outcome, evidence)?;
    match outcome {
        StepOutcome::Failed { reason, retryable: false } if undo => {
            let cause = format!("undoing step {step} failed: {reason}");
            execution::end(cast, Stage::RollbackFailed, &cause);
        }
        _ => {}
    }
    if cast.proposal.stage == Stage::RollingBack && next_undo(cast.proposal).is_none() {
        execution::end(cast, Stage::RolledBack, "everything is as the plan found it");
    }
    Ok(())
}

/// The last step that took or may have taken effect and is not undone.
pub(super) fn next_undo(proposal: &Proposal) -> Option<u16> {
    let last = proposal.execution.steps.iter().rposition(StepProgress::needs_undo);
    last.and_then(|index| u16::try_from(index).ok())
}
