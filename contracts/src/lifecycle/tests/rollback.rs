//! What stops an execution, and the way back.

use super::{
    execution::shared,
    story::{STAGES, attest, carry_out, claim, executable, fence, judge, queue, report, stage},
};
use crate::{
    document::Action,
    name::Name,
    proposal::Work,
    quantity::{DurationMs, Fence},
    role::Role,
    stage::Stage,
    state::Applied,
    testing::{World, line, name, target, unhealthy},
    transaction::{Call, ProposalId, StepOutcome},
};

fn applied(world: &World, at: &str) -> Option<Name> {
    let target = world.state.target(&target(at)).unwrap();
    match target.applied.get(&name("web")) {
        Some(Action::Deploy { version, .. }) => Some(version.clone()),
        _ => None,
    }
}

/// A world that runs version 2 everywhere in [`STAGES`], and a second change to version 3 that is executable.
fn second_change() -> (World, ProposalId) {
    let (mut world, id) = executable(STAGES);
    for step in 0..3 {
        carry_out(&mut world, id, step);
        judge(&mut world, id, step);
    }
    for step in 0..3 {
        judge(&mut world, id, step);
    }
    let id = queue(&mut world, "3", STAGES);
    world.pass_to_deadline();
    (world, id)
}

/// An executor gives it up after something may have taken effect.
fn abort(world: &mut World, id: ProposalId, by: &str) {
    world.call(by, Role::Executor, Call::Abort { proposal: id, reason: line("stop") }).unwrap();
    assert_eq!(stage(world, id), Stage::RollingBack);
}

#[test]
fn an_unhealthy_canary_is_undone_to_the_version_before() {
    let (mut world, id) = second_change();
    carry_out(&mut world, id, 0);
    assert_eq!(applied(&world, "acme-north"), Some(name("3")));
    attest(&mut world, id, "delta/executor", 0, unhealthy()).unwrap();
    assert_eq!(stage(&world, id), Stage::RollingBack);
    let cause = world.state.proposal(id).unwrap().execution.rollback_cause.clone().unwrap();
    assert_eq!(cause.as_str(), "delta/executor finds acme-north unhealthy: 37 of 40 probes failed");
    carry_out(&mut world, id, 0);
    assert_eq!(applied(&world, "acme-north"), Some(name("2")));
    assert_eq!(world.state.proposal(id).unwrap().ended.unwrap().stage, Stage::RolledBack);
}

#[test]
fn a_step_that_fails_after_an_effect_rolls_everything_back() {
    let (mut world, id) = executable(&[&["acme-north", "birch-north"]]);
    carry_out(&mut world, id, 0);
    claim(&mut world, id, 1).unwrap();
    let reason = line("the artefact's digest differs");
    report(&mut world, id, 1, StepOutcome::Failed { reason, retryable: false }).unwrap();
    assert_eq!(stage(&world, id), Stage::RollingBack);
    let nothing = claim(&mut world, id, 1).unwrap_err();
    assert_eq!(nothing.to_string(), "step 1 cannot be taken: it has nothing to undo");
    carry_out(&mut world, id, 0);
    assert_eq!(stage(&world, id), Stage::Auditing);
}

#[test]
fn a_stage_that_is_not_judged_in_time_is_rolled_back() {
    let (mut world, id) = executable(STAGES);
    carry_out(&mut world, id, 0);
    let within = world.state.proposal(id).unwrap().document.health.as_ref().unwrap().within_ms;
    assert_eq!(world.state.next_deadline(), Some(world.state.time().after(within)));
    world.pass_to_deadline();
    assert_eq!(stage(&world, id), Stage::RollingBack);
}

#[test]
fn an_executor_of_an_owner_gives_it_up() {
    let (mut world, id) = executable(STAGES);
    carry_out(&mut world, id, 0);
    let abort = Call::Abort { proposal: id, reason: line("wrong artefact") };
    assert_eq!(
        world.ask("delta/executor", Role::Executor, abort.clone()).unwrap_err().code(),
        "not-an-executor"
    );
    world.call("cedar/executor", Role::Executor, abort).unwrap();
    assert_eq!(stage(&world, id), Stage::RollingBack);
}

#[test]
fn an_action_under_way_is_resolved_by_who_holds_it_before_it_is_undone() {
    let (mut world, id) = executable(&[&["acme-north", "birch-north"]]);
    claim(&mut world, id, 1).unwrap();
    carry_out(&mut world, id, 0);
    abort(&mut world, id, "acme/executor");
    report(&mut world, id, 1, StepOutcome::Done).unwrap();
    assert_eq!(applied(&world, "birch-north"), Some(name("2")));
    for step in [1, 0] {
        let before = fence(&world, id, step);
        carry_out(&mut world, id, step);
        assert!(fence(&world, id, step) > before);
    }
    assert_eq!(world.state.proposal(id).unwrap().ended.unwrap().stage, Stage::RolledBack);
    assert_eq!((applied(&world, "acme-north"), applied(&world, "birch-north")), (None, None));
}

#[test]
fn an_action_under_way_that_had_no_effect_needs_no_undo() {
    for retryable in [true, false] {
        let (mut world, id) = executable(&[&["acme-north", "birch-north"]]);
        claim(&mut world, id, 0).unwrap();
        abort(&mut world, id, "birch/executor");
        report(&mut world, id, 0, StepOutcome::Failed { reason: line("killed"), retryable }).unwrap();
        assert_eq!(world.state.proposal(id).unwrap().ended.unwrap().stage, Stage::RolledBack);
    }
}

/// Another executor is told who holds the step, and has the undo when the lease is over.
fn another_waits_for_the_lease(world: &mut World, id: ProposalId) {
    let undo = Call::Claim { proposal: id, step: 0 };
    let held = world.ask("acme/second", Role::Executor, undo.clone()).unwrap_err();
    assert!(held.to_string().contains("acme/executor holds it until"), "{held}");
    assert!(held.can_waiting_help());
    let lease = world.state.proposal(id).unwrap().parameters.lease;
    world.pass(lease);
    world.call("acme/second", Role::Executor, undo).unwrap();
}

#[test]
fn an_action_under_way_is_left_to_who_holds_it_until_its_lease_is_over() {
    let (mut world, id) = shared(STAGES);
    claim(&mut world, id, 0).unwrap();
    abort(&mut world, id, "acme/executor");
    let own = world.ask("acme/executor", Role::Executor, Call::Claim { proposal: id, step: 0 });
    assert!(matches!(own, Ok(Applied::New(_))), "who holds the action may go on to undo it");
    another_waits_for_the_lease(&mut world, id);
    assert_eq!(fence(&world, id, 0), Fence::new(2));
}

#[test]
fn an_undo_is_left_to_who_holds_it_until_its_lease_is_over() {
    let (mut world, id) = shared(STAGES);
    carry_out(&mut world, id, 0);
    abort(&mut world, id, "acme/executor");
    claim(&mut world, id, 0).unwrap();
    another_waits_for_the_lease(&mut world, id);
    assert_eq!(fence(&world, id, 0), Fence::new(3));
}

#[test]
fn an_undo_that_may_be_tried_again_is_free_for_another_executor_at_once() {
    let (mut world, id) = shared(STAGES);
    carry_out(&mut world, id, 0);
    abort(&mut world, id, "acme/executor");
    claim(&mut world, id, 0).unwrap();
    let failed = StepOutcome::Failed { reason: line("vault is down"), retryable: true };
    report(&mut world, id, 0, failed).unwrap();
    let progress = &world.state.proposal(id).unwrap().execution.steps[0];
    assert_eq!(progress.claim.as_ref().unwrap().until, world.state.time());
    world.call("acme/second", Role::Executor, Call::Claim { proposal: id, step: 0 }).unwrap();
    let progress = &world.state.proposal(id).unwrap().execution.steps[0];
    assert_eq!(progress.undo_outcome, None, "another try has an outcome of its own");
}

#[test]
fn only_a_failed_undo_ends_its_lease() {
    let until = |world: &World, id| {
        let progress = &world.state.proposal(id).unwrap().execution.steps[0];
        progress.claim.as_ref().unwrap().until
    };
    let failed = StepOutcome::Failed { reason: line("vault is down"), retryable: true };
    let (mut world, id) = shared(STAGES);
    claim(&mut world, id, 0).unwrap();
    report(&mut world, id, 0, failed).unwrap();
    assert!(until(&world, id) > world.state.time(), "a step that failed");
    let (mut world, id) = shared(STAGES);
    carry_out(&mut world, id, 0);
    abort(&mut world, id, "acme/executor");
    claim(&mut world, id, 0).unwrap();
    report(&mut world, id, 0, StepOutcome::Done).unwrap();
    assert!(until(&world, id) > world.state.time(), "an undo that is done");
}

#[test]
fn an_undo_that_may_be_tried_again_is_reported_once_under_its_fence() {
    let (mut world, id) = shared(STAGES);
    carry_out(&mut world, id, 0);
    abort(&mut world, id, "acme/executor");
    claim(&mut world, id, 0).unwrap();
    let failed = || StepOutcome::Failed { reason: line("vault is down"), retryable: true };
    assert!(matches!(report(&mut world, id, 0, failed()), Ok(Applied::New(_))));
    assert_eq!(report(&mut world, id, 0, failed()), Ok(Applied::Same));
    assert_eq!(report(&mut world, id, 0, StepOutcome::Done).unwrap_err().code(), "already-done");
}

#[test]
fn an_undo_that_may_be_tried_again_is_and_one_that_may_not_ends_the_rollback() {
    let (mut world, id) = executable(STAGES);
    carry_out(&mut world, id, 0);
    attest(&mut world, id, "delta/executor", 0, unhealthy()).unwrap();
    for _ in 0..2 {
        claim(&mut world, id, 0).unwrap();
        let outcome = StepOutcome::Failed { reason: line("vault is down"), retryable: true };
        report(&mut world, id, 0, outcome).unwrap();
        assert_eq!(stage(&world, id), Stage::RollingBack);
        let [Work::Step { undo: true, .. }] =
            &world.state.orders().into_iter().map(|o| o.work).collect::<Vec<_>>()[..]
        else {
            panic!()
        };
    }
    claim(&mut world, id, 0).unwrap();
    let outcome = StepOutcome::Failed { reason: line("the disk is gone"), retryable: false };
    report(&mut world, id, 0, outcome).unwrap();
    let proposal = world.state.proposal(id).unwrap();
    assert_eq!((proposal.stage, proposal.ended.unwrap().stage), (Stage::Auditing, Stage::RollbackFailed));
}

#[test]
fn a_rollback_that_takes_too_long_has_failed() {
    let (mut world, id) = executable(STAGES);
    carry_out(&mut world, id, 0);
    world.pass_to_deadline();
    world.pass_to_deadline();
    assert_eq!(world.state.proposal(id).unwrap().ended.unwrap().stage, Stage::RollbackFailed);
    world.pass(DurationMs::new(1));
}
