//! What each measure holds back, and what it leaves alone.

use super::*;

#[test]
fn an_act_on_a_halted_track_is_carried_out_when_the_track_is_free_and_with_a_late_signature_too() {
    for signs_late in [false, true] {
        let mut world = World::new(4);
        world.pass(TICK);
        let document = crate::testing::acts(vec![set_member("acme/second", &[Role::Executor])]);
        let id = world.submit("acme/author", document).unwrap();
        assert_eq!(world.state.proposal(id).unwrap().track, Track::High);
        for reviewer in ["birch/author", "cedar/author"] {
            world.review(reviewer, id, ReviewVerdict::Approve).unwrap();
        }
        for voter in ["acme/author", "birch/author", "cedar/author"] {
            world.vote(voter, id, Choice::For).unwrap();
        }
        while stage(&world, id) != Stage::Queued {
            world.pass_to_deadline();
        }
        world.cosign("birch/guardian", id).unwrap();
        if !signs_late {
            world.cosign("cedar/guardian", id).unwrap();
        }
        let left = world.state.proposal(id).unwrap().eta.unwrap().since(world.state.time());
        world.pass(left.saturating_sub(DurationMs::new(60_000)));
        activate(&mut world, &[Measure::HaltTrack { track: Track::High }]);
        world.pass(DurationMs::new(120_000));
        if signs_late {
            world.cosign("cedar/guardian", id).unwrap();
        }
        assert_eq!(stage(&world, id), Stage::Queued);
        world.pass(HOUR);
        assert_eq!(stage(&world, id), Stage::Auditing, "late: {signs_late}");
        assert!(world.state.member(&member("acme/second")).is_some());
    }
}

#[test]
fn a_halted_track_takes_nothing_and_begins_nothing() {
    let (mut world, id) = executable(STAGES);
    let open = world.submit("acme/author", deploy("9", &[&["delta-north"]])).unwrap();
    assert_eq!(world.state.orders().len(), 1);
    activate(&mut world, &[HALT]);
    assert!(world.state.orders().is_empty());
    assert_eq!(code(claim(&mut world, id, 0)), "track-halted");
    let explanation = world.state.explain(id).unwrap();
    let held = explanation.conditions().find(|condition| condition.name == "emergency");
    assert!(held.is_some_and(|condition| !condition.holds()));
    let begin = explanation.parts.iter().find(|part| part.call == "claim").unwrap();
    assert!(begin.may.is_empty());
    assert!(begin.may_not.iter().any(|barred| barred.code == "track-halted"), "{begin:?}");
    world.review("birch/author", open, ReviewVerdict::Approve).unwrap();
    assert_eq!(stage(&world, open), Stage::Voting, "people may still speak");
    let proposal = world.state.proposal(open).unwrap();
    let document = deploy("8", &[&["delta-north"]]);
    let plan_hash = world.state.plan(&document).unwrap().hash();
    let call = Call::Revise { proposal: open, replaces: proposal.revision, document, plan_hash };
    assert_eq!(code(world.ask("acme/author", Role::Author, call)), "illegal-move");
    world.pass(HOUR);
    claim(&mut world, id, 0).unwrap();
}

#[test]
fn what_runs_on_a_halted_track_goes_on_and_what_failed_is_not_taken_up_again() {
    let (mut world, id) = executable(STAGES);
    claim(&mut world, id, 0).unwrap();
    activate(&mut world, &[HALT]);
    report(&mut world, id, 0, StepOutcome::Failed { reason: line("no"), retryable: false }).unwrap();
    assert_eq!(stage(&world, id), Stage::Failed);
    let resume = Call::Resume { proposal: id };
    assert_eq!(code(world.call("acme/author", Role::Author, resume.clone())), "track-halted");
    world.pass(HOUR);
    world.call("acme/author", Role::Author, resume).unwrap();
}

#[test]
fn a_pause_rolls_back_what_runs_on_its_target_and_lets_nothing_new_begin_there() {
    let (mut world, id) = executable(STAGES);
    carry_out(&mut world, id, 0);
    judge(&mut world, id, 0);
    assert_eq!(stage(&world, id), Stage::Rollout(1));
    let emergency = activate(&mut world, &[pause("cedar-north")]);
    assert_eq!(stage(&world, id), Stage::RollingBack);
    let cause = world.state.proposal(id).unwrap().execution.rollback_cause.clone().unwrap();
    assert_eq!(cause.as_str(), format!("emergency {} keeps one of its targets", emergency.digest().short()));
    carry_out(&mut world, id, 0);
    assert_eq!(stage(&world, id), Stage::Auditing);
    let other = queue(&mut world, "5", &[&["birch-south"], &["cedar-north"]]);
    world.pass(DurationMs::from_hours(24));
    claim(&mut world, other, 0).unwrap();
}

#[test]
fn nothing_begins_while_one_of_its_targets_is_paused() {
    let (mut world, id) = executable(STAGES);
    let emergency = activate(&mut world, &[pause("cedar-north")]);
    assert!(world.state.orders().is_empty());
    let refused = claim(&mut world, id, 0).unwrap_err();
    let until = world.state.time().after(HOUR);
    assert_eq!(refused, Reject::Step { step: 0, why: StepRefusal::TargetKept { by: emergency, until } });
    world.pass(HOUR);
    assert_eq!(world.state.orders().len(), 1);
    claim(&mut world, id, 0).unwrap();
}

#[test]
fn what_only_began_fails_without_a_rollback_when_its_target_is_paused() {
    let (mut world, id) = executable(STAGES);
    claim(&mut world, id, 0).unwrap();
    report(&mut world, id, 0, StepOutcome::Done).unwrap();
    let (mut other, begun) = executable(STAGES);
    claim(&mut other, begun, 0).unwrap();
    for (world, id) in [(&mut world, id), (&mut other, begun)] {
        activate(world, &[pause("acme-north")]);
        assert_eq!(stage(world, id), Stage::RollingBack);
        claim(world, id, 0).unwrap();
        report(world, id, 0, StepOutcome::Done).unwrap();
        assert_eq!(stage(world, id), Stage::Auditing, "a paused target may still be put back");
    }
}

#[test]
fn an_isolated_target_is_left_alone_and_its_rollback_waits_for_the_end() {
    let (mut world, id) = executable(STAGES);
    carry_out(&mut world, id, 0);
    let emergency = activate(&mut world, &[isolate("acme-north")]);
    assert_eq!(stage(&world, id), Stage::RollingBack);
    assert!(world.state.orders().is_empty());
    let expires = world.state.time().after(HOUR);
    let kept = Reject::Step { step: 0, why: StepRefusal::TargetKept { by: emergency, until: expires } };
    assert_eq!(claim(&mut world, id, 0), Err(kept));
    world.pass(HOUR.saturating_sub(TICK));
    assert_eq!(code(claim(&mut world, id, 0)), "step");
    world.pass(TICK);
    carry_out(&mut world, id, 0);
    assert_eq!(stage(&world, id), Stage::Auditing);
}

#[test]
fn a_rollback_that_an_emergency_keeps_waiting_is_not_given_up() {
    for measure in [isolate("acme-north"), suspend("acme/executor")] {
        let (mut world, id) = executable(STAGES);
        carry_out(&mut world, id, 0);
        world.pass(TICK);
        let long = Declaration {
            expires: world.state.time().after(DurationMs::from_hours(5)),
            ..world.declaration(&[measure, pause("birch-north")])
        };
        let emergency = EmergencyId::of(world.network(), &long);
        declare(&mut world, "acme/guardian", long).unwrap();
        world.sign_emergency("birch/guardian", emergency).unwrap();
        world.sign_emergency("cedar/guardian", emergency).unwrap();
        assert_eq!(stage(&world, id), Stage::RollingBack);
        world.pass(DurationMs::from_hours(4));
        assert_eq!(stage(&world, id), Stage::RollingBack);
        let expires = world.state.emergency(emergency).unwrap().declaration.expires;
        assert_eq!(
            world.state.proposal(id).unwrap().deadline,
            Some(expires.after(DurationMs::from_hours(2)))
        );
        world.pass(DurationMs::from_hours(3));
        assert_eq!(stage(&world, id), Stage::Auditing);
        assert_eq!(world.state.proposal(id).unwrap().ended.unwrap().stage, Stage::RollbackFailed);
    }
}

#[test]
fn a_suspended_executors_key_does_nothing_and_another_one_takes_over() {
    let mut genesis = genesis(4);
    let second = member("acme/second");
    genesis.members.insert(second.clone(), record(&second, 0, &[Role::Executor]));
    genesis.targets.get_mut(&target("acme-north")).unwrap().executors.insert(second);
    let mut world = World::with(genesis);
    let id = queue(&mut world, "2", &[&["acme-north"]]);
    world.pass_to_deadline();
    claim(&mut world, id, 0).unwrap();
    let emergency = activate(&mut world, &[suspend("acme/executor")]);
    let until = world.state.time().after(HOUR);
    let refused = report(&mut world, id, 0, StepOutcome::Done).unwrap_err();
    assert_eq!(refused, Reject::ExecutorSuspended { member: member("acme/executor"), by: emergency, until });
    assert_eq!(code(attest(&mut world, id, "acme/executor", 0, healthy())), "executor-suspended");
    world.pass(DurationMs::new(10 * 60_000));
    let take = Call::Claim { proposal: id, step: 0 };
    assert_eq!(code(world.call("acme/executor", Role::Executor, take.clone())), "executor-suspended");
    world.call("acme/second", Role::Executor, take).unwrap();
    assert_eq!(stage(&world, id), Stage::Canary, "an execution is not stopped by it");
    assert!(world.vote("acme/author", judgement(&world, emergency), Choice::Against).is_ok());
}
