//! Claims, fences, leases, receipts, health gates, failure and resumption.

use super::story::{STAGES, attest, carry_out, claim, executable, executor, fence, judge, report, stage};
use crate::{
    digest::Digest,
    proposal::Work,
    quantity::{DurationMs, Fence},
    role::Role,
    stage::Stage,
    state::Applied,
    testing::{World, genesis, healthy, line, member, record, target},
    transaction::{Call, HealthReport, ProposalId, StepOutcome},
};

fn failed(retryable: bool) -> StepOutcome {
    StepOutcome::Failed { reason: line("no space left"), retryable }
}

/// A world with one executable proposal in which a second member may act on the target of its first step.
pub(super) fn shared(stages: &[&[&str]]) -> (World, ProposalId) {
    let mut genesis = genesis(4);
    let second = member("acme/second");
    genesis.members.insert(second.clone(), record(&second, 0, &[Role::Executor]));
    genesis.targets.get_mut(&target("acme-north")).unwrap().executors.insert(second);
    let mut world = World::with(genesis);
    let id = super::story::queue(&mut world, "2", stages);
    world.pass_to_deadline();
    (world, id)
}

#[test]
fn a_claim_gives_a_fence_above_every_earlier_one() {
    let (mut world, id) = executable(STAGES);
    claim(&mut world, id, 0).unwrap();
    assert_eq!(fence(&world, id, 0), Fence::new(1));
    report(&mut world, id, 0, StepOutcome::Done).unwrap();
    judge(&mut world, id, 0);
    claim(&mut world, id, 1).unwrap();
    assert_eq!(fence(&world, id, 1), Fence::new(2));
}

#[test]
fn a_held_step_is_the_same_for_its_holder_and_free_after_its_lease() {
    let (mut world, id) = shared(STAGES);
    claim(&mut world, id, 0).unwrap();
    assert_eq!(claim(&mut world, id, 0), Ok(Applied::Same));
    let take = Call::Claim { proposal: id, step: 0 };
    let held = world.call("acme/second", Role::Executor, take.clone()).unwrap_err();
    assert!(held.to_string().contains("acme/executor holds it until"), "{held}");
    let lease = world.state.proposal(id).unwrap().parameters.lease;
    world.pass(lease);
    world.call("acme/second", Role::Executor, take).unwrap();
    assert_eq!(fence(&world, id, 0), Fence::new(2));
    let old = Call::Receipt {
        proposal: id,
        step: 0,
        fence: Fence::new(1),
        outcome: StepOutcome::Done,
        evidence: Digest::ZERO,
    };
    let stale = world.call("acme/executor", Role::Executor, old).unwrap_err();
    assert_eq!(stale.to_string(), "fence 1 is not the step's, which is 2");
}

#[test]
fn who_held_a_step_claims_it_anew_from_the_end_of_its_lease_on() {
    let (mut world, id) = shared(STAGES);
    claim(&mut world, id, 0).unwrap();
    let lease = world.state.proposal(id).unwrap().parameters.lease;
    world.pass(lease.saturating_sub(DurationMs::new(1)));
    assert_eq!(claim(&mut world, id, 0), Ok(Applied::Same));
    world.pass(DurationMs::new(1));
    assert!(matches!(claim(&mut world, id, 0), Ok(Applied::New(_))));
    assert_eq!(fence(&world, id, 0), Fence::new(2));
}

#[test]
fn only_an_executor_of_the_target_takes_a_step_and_only_in_its_stage() {
    let (mut world, id) = executable(STAGES);
    let take = |step| Call::Claim { proposal: id, step };
    assert_eq!(world.ask("birch/executor", Role::Executor, take(0)).unwrap_err().code(), "not-an-executor");
    assert_eq!(world.ask("acme/author", Role::Author, take(0)).unwrap_err().code(), "wrong-role");
    let early = world.ask("birch/executor", Role::Executor, take(1)).unwrap_err();
    assert_eq!(early.to_string(), "step 1 cannot be taken: its stage has not come so far");
    let unknown = world.ask("acme/executor", Role::Executor, take(9)).unwrap_err();
    assert_eq!(unknown.to_string(), "step 9 cannot be taken: the plan has no such step");
    carry_out(&mut world, id, 0);
    let again = world.ask("acme/executor", Role::Executor, take(0)).unwrap_err();
    assert_eq!(again.to_string(), "step 0 cannot be taken: it is already reported");
}

/// A node that waited for it would wait for ever, with its executor's other calls behind it.
#[test]
fn what_belongs_to_a_stage_that_is_over_is_refused_for_good() {
    let (mut world, id) = executable(STAGES);
    carry_out(&mut world, id, 0);
    judge(&mut world, id, 0);
    let attest = |stage, step| Call::AttestHealth { proposal: id, stage, step, health: healthy() };
    let take = |step| Call::Claim { proposal: id, step };
    let cases = [
        ("acme", take(0), "its stage is over", false),
        ("cedar", attest(0, 0), "its stage is over", false),
        ("cedar", attest(1, 1), "its stage has not come so far", true),
        ("cedar", take(2), "its stage has not come so far", true),
    ];
    for (org, call, why, can_wait) in cases {
        let refused = world.ask(&format!("{org}/executor"), Role::Executor, call).unwrap_err();
        assert!(refused.to_string().ends_with(why), "{refused}");
        assert_eq!(refused.can_waiting_help(), can_wait, "{refused}");
    }
    carry_out(&mut world, id, 1);
    let elsewhere = world.ask("cedar/executor", Role::Executor, attest(1, 0)).unwrap_err();
    assert!(elsewhere.to_string().ends_with("its target is not judged in this stage"), "{elsewhere}");
    assert!(!elsewhere.can_waiting_help());
}

#[test]
fn a_receipt_counts_once_and_its_repeat_is_the_same() {
    let (mut world, id) = executable(STAGES);
    claim(&mut world, id, 0).unwrap();
    report(&mut world, id, 0, StepOutcome::Done).unwrap();
    assert_eq!(report(&mut world, id, 0, StepOutcome::Done), Ok(Applied::Same));
    assert_eq!(report(&mut world, id, 0, failed(true)).unwrap_err().code(), "already-done");
    assert_eq!(world.state.target(&target("acme-north")).unwrap().applied.len(), 1);
}

#[test]
fn a_receipt_without_a_claim_is_refused() {
    let (mut world, id) = executable(&[&["acme-north", "birch-north"]]);
    claim(&mut world, id, 0).unwrap();
    let (fence, outcome, evidence) = (Fence::new(1), StepOutcome::Done, Digest::ZERO);
    let call = Call::Receipt { proposal: id, step: 1, fence, outcome, evidence };
    let refused = world.call("birch/executor", Role::Executor, call).unwrap_err();
    assert_eq!(refused.to_string(), "step 1 cannot be taken: nobody has claimed it");
}

#[test]
fn a_stage_waits_for_all_its_steps_and_for_two_organisations_on_each_target() {
    let (mut world, id) = executable(&[&["acme-north", "birch-north"], &["cedar-north"]]);
    carry_out(&mut world, id, 0);
    let early = attest(&mut world, id, "acme/executor", 0, healthy()).unwrap_err();
    assert!(early.can_waiting_help(), "a target is judged when the stage's steps are done");
    carry_out(&mut world, id, 1);
    assert!(world.state.orders().iter().all(|order| matches!(order.work, Work::Judge { stage: 0, .. })));
    attest(&mut world, id, "acme/executor", 0, healthy()).unwrap();
    attest(&mut world, id, "birch/executor", 1, healthy()).unwrap();
    attest(&mut world, id, "cedar/executor", 0, healthy()).unwrap();
    assert_eq!(stage(&world, id), Stage::Canary, "nobody but its owner has judged birch-north");
    attest(&mut world, id, "cedar/executor", 1, healthy()).unwrap();
    assert_eq!(stage(&world, id), Stage::Rollout(1));
}

#[test]
fn an_organisation_judges_a_target_once() {
    let (mut world, id) = executable(STAGES);
    carry_out(&mut world, id, 0);
    attest(&mut world, id, "delta/executor", 0, healthy()).unwrap();
    assert_eq!(attest(&mut world, id, "delta/executor", 0, healthy()), Ok(Applied::Same));
    let otherwise = HealthReport { samples: 30, succeeded: 30, ..healthy() };
    let refused = attest(&mut world, id, "delta/executor", 0, otherwise).unwrap_err();
    assert_eq!(refused.code(), "already-done");
}

#[test]
fn a_healthy_report_needs_figures_that_meet_the_check() {
    let (mut world, id) = executable(STAGES);
    carry_out(&mut world, id, 0);
    let few = HealthReport { samples: 19, succeeded: 19, ..healthy() };
    let failing = HealthReport { samples: 20, succeeded: 17, ..healthy() };
    let slow = HealthReport { latency_p95_ms: DurationMs::new(251), ..healthy() };
    let impossible = HealthReport { samples: 40, succeeded: 41, ..healthy() };
    for report in [few, failing, slow, impossible] {
        let refused = attest(&mut world, id, "delta/executor", 0, report).unwrap_err();
        assert_eq!(refused.code(), "evidence");
    }
    let exact =
        HealthReport { samples: 20, succeeded: 18, latency_p95_ms: DurationMs::new(250), ..healthy() };
    attest(&mut world, id, "delta/executor", 0, exact).unwrap();
}

#[test]
fn a_first_step_that_fails_without_effect_can_be_taken_up_again() {
    let (mut world, id) = executable(STAGES);
    claim(&mut world, id, 0).unwrap();
    report(&mut world, id, 0, failed(true)).unwrap();
    assert_eq!(stage(&world, id), Stage::Failed);
    assert_eq!(world.state.target(&target("acme-north")).unwrap().busy, None);
    let resume = Call::Resume { proposal: id };
    assert_eq!(
        world.ask("delta/executor", Role::Executor, resume.clone()).unwrap_err().code(),
        "not-an-executor"
    );
    assert_eq!(world.ask("birch/author", Role::Author, resume.clone()).unwrap_err().code(), "not-the-author");
    world.call("acme/author", Role::Author, resume).unwrap();
    assert_eq!(stage(&world, id), Stage::Canary);
    carry_out(&mut world, id, 0);
    assert!(fence(&world, id, 0) > Fence::new(1));
}

#[test]
fn attempts_are_budgeted_and_the_last_failure_goes_to_the_auditors() {
    let (mut world, id) = executable(STAGES);
    let retries = world.state.proposal(id).unwrap().parameters.retries;
    for attempt in 0..=retries {
        claim(&mut world, id, 0).unwrap();
        report(&mut world, id, 0, failed(true)).unwrap();
        if attempt < retries {
            world.call("acme/executor", Role::Executor, Call::Resume { proposal: id }).unwrap();
        }
    }
    let proposal = world.state.proposal(id).unwrap();
    assert_eq!((proposal.stage, proposal.ended.unwrap().stage), (Stage::Auditing, Stage::Failed));
}

#[test]
fn a27_a_failed_execution_is_resumable_until_the_instant_fixed_when_it_was_queued() {
    let (mut world, id) = executable(STAGES);
    let proposal = world.state.proposal(id).unwrap();
    let last = proposal.eta.unwrap().after(proposal.parameters.execute_by);
    claim(&mut world, id, 0).unwrap();
    report(&mut world, id, 0, failed(true)).unwrap();
    assert_eq!(world.state.proposal(id).unwrap().deadline, Some(last));
    world.pass_to_deadline();
    assert_eq!(stage(&world, id), Stage::Auditing);
    let refused = world.call("acme/executor", Role::Executor, Call::Resume { proposal: id }).unwrap_err();
    assert_eq!(refused.code(), "illegal-move");
}

#[test]
fn a_stage_that_nobody_begins_fails_and_one_with_an_unknown_outcome_is_rolled_back() {
    let (mut world, id) = executable(&[&["acme-north", "birch-north"]]);
    claim(&mut world, id, 0).unwrap();
    world.pass_to_deadline();
    assert_eq!(stage(&world, id), Stage::RollingBack, "a claim without a receipt may have had an effect");
}

#[test]
fn an_endpoint_free_target_is_judged_without_samples() {
    let mut genesis = genesis(4);
    genesis.targets.get_mut(&target("acme-north")).unwrap().endpoints.clear();
    let mut world = World::with(genesis);
    let id = super::story::queue(&mut world, "2", STAGES);
    world.pass_to_deadline();
    carry_out(&mut world, id, 0);
    let read = HealthReport { samples: 0, succeeded: 0, latency_p95_ms: DurationMs::ZERO, ..healthy() };
    attest(&mut world, id, "acme/executor", 0, read.clone()).unwrap();
    attest(&mut world, id, "delta/executor", 0, read).unwrap();
    assert_eq!(stage(&world, id), Stage::Rollout(1));
}

#[test]
fn orders_name_the_due_step_its_holder_and_nothing_else() {
    let (mut world, id) = executable(STAGES);
    let due = |world: &World| world.state.orders().into_iter().map(|order| order.work).collect::<Vec<_>>();
    assert_eq!(due(&world), [Work::Step { step: 0, undo: false, claim: None }]);
    claim(&mut world, id, 0).unwrap();
    let [Work::Step { step: 0, undo: false, claim: Some(held) }] = &due(&world)[..] else { panic!() };
    assert_eq!(held.executor, executor(&world, id, 0));
    report(&mut world, id, 0, StepOutcome::Done).unwrap();
    attest(&mut world, id, "delta/executor", 0, healthy()).unwrap();
    let [Work::Judge { stage: 0, step: 0, attested }] = &due(&world)[..] else { panic!() };
    assert_eq!(attested.len(), 1);
}

#[test]
fn a_receipt_counts_from_the_member_who_holds_the_claim_and_from_nobody_else() {
    let (mut world, id) = shared(STAGES);
    claim(&mut world, id, 0).unwrap();
    let (fence, outcome, evidence) = (fence(&world, id, 0), StepOutcome::Done, Digest::ZERO);
    let call = Call::Receipt { proposal: id, step: 0, fence, outcome, evidence };
    let refused = world.call("acme/second", Role::Executor, call.clone()).unwrap_err();
    let holder = executor(&world, id, 0);
    assert_eq!(
        refused.to_string(),
        format!("step 0 cannot be taken: {holder} has claimed it, and reports it")
    );
    assert!(world.state.target(&target("acme-north")).unwrap().applied.is_empty());
    report(&mut world, id, 0, StepOutcome::Done).unwrap();
    let refused = world.call("acme/second", Role::Executor, call).unwrap_err();
    assert_eq!(refused.code(), "step", "what another member reported is no repeat");
}

#[test]
fn a27_a_failure_at_the_instant_fixed_when_it_was_queued_goes_to_the_auditors_at_once() {
    let (mut world, id) = executable(STAGES);
    let proposal = world.state.proposal(id).unwrap();
    let last = proposal.eta.unwrap().after(proposal.parameters.execute_by);
    let moment = DurationMs::new(1);
    world.pass(last.since(world.state.time()).saturating_sub(moment));
    claim(&mut world, id, 0).unwrap();
    world.pass(moment);
    assert_eq!(world.state.time(), last);
    report(&mut world, id, 0, failed(true)).unwrap();
    let proposal = world.state.proposal(id).unwrap();
    assert_eq!((proposal.stage, proposal.ended.unwrap().stage), (Stage::Auditing, Stage::Failed));
}

#[test]
fn a_failed_execution_without_attempts_left_is_not_taken_up_again() {
    let (mut world, id) = executable(STAGES);
    claim(&mut world, id, 0).unwrap();
    report(&mut world, id, 0, failed(true)).unwrap();
    world.state.tamper(id, |proposal| proposal.execution.retries = proposal.parameters.retries);
    let refused = world.call("acme/executor", Role::Executor, Call::Resume { proposal: id }).unwrap_err();
    assert_eq!(refused.to_string(), "the execution was resumed as often as allowed");
    assert_eq!(stage(&world, id), Stage::Failed);
}
