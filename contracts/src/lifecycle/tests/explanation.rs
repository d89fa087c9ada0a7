//! What an explanation says against what the rules do.

use super::{
    moves::{calls, worlds},
    story::{STAGES, executable},
};
use crate::{
    constitution::Threshold,
    emergency::Measure,
    event::Event,
    explain::{Bound, Explanation, Part},
    quantity::Ratio,
    reject::Reject,
    role::Role,
    stage::Stage,
    state::Applied,
    tally::{TallyTest, TallyTestKind},
    testing::{World, member},
    transaction::{Choice, ProposalId},
};

fn part<'a>(explanation: &'a Explanation, call: &str, role: Role) -> Option<&'a Part> {
    explanation.parts.iter().find(|part| part.call == call && part.role == role)
}

/// The stage to which the events bring a proposal first.
fn moved_to(events: &[Event], id: ProposalId) -> Option<Stage> {
    events.iter().find_map(|event| match event {
        Event::StageChanged { proposal, to, .. } if *proposal == id => Some(*to),
        _ => None,
    })
}

#[test]
fn who_may_is_whom_the_rules_let() {
    for (world, id) in worlds() {
        let explanation = world.state.explain(id).unwrap();
        for (sender, role, name, call) in calls(&world, id) {
            let part = part(&explanation, name, role);
            let may = part.is_some_and(|part| part.may.contains(&member(sender)));
            match world.ask(sender, role, call) {
                Ok(_) => assert!(may, "{sender} may {name} while {}", explanation.stage),
                Err(Reject::Fence { .. } | Reject::Step { .. } | Reject::OtherHistory { .. }) => {}
                Err(why) => assert!(!may, "{sender} may not {name} while {}: {why}", explanation.stage),
            }
        }
    }
}

#[test]
fn whatever_moves_a_proposal_was_foretold() {
    for (world, id) in worlds() {
        let explanation = world.state.explain(id).unwrap();
        let foretold = |to: Stage| explanation.next.iter().any(|outlook| outlook.to == to);
        let asked =
            calls(&world, id).into_iter().map(|(sender, role, _, call)| world.ask(sender, role, call));
        let moves = asked.filter_map(|answer| match answer {
            Ok(Applied::New(events)) => moved_to(&events, id),
            _ => None,
        });
        let late = world.state.next_deadline().and_then(|_| moved_to(&world.clone().pass_to_deadline(), id));
        for to in moves.chain(late) {
            assert!(foretold(to), "{} to {to}: {:?}", explanation.stage, explanation.next);
        }
        for outlook in &explanation.next {
            let from = explanation.stage;
            assert!(from.may_become(outlook.to) || from == outlook.to, "{from} to {}", outlook.to);
        }
    }
}

#[test]
fn a_stage_that_something_can_follow_waits_for_somebody_or_for_the_clock() {
    for (world, id) in worlds() {
        let explanation = world.state.explain(id).unwrap();
        let somebody = explanation.parts.iter().any(|part| part.is_awaited && !part.may.is_empty());
        let clock = explanation.next.iter().any(|outlook| outlook.earliest.is_some());
        assert_eq!(somebody || clock, explanation.stage != Stage::Closed, "{}", explanation.stage);
        assert_eq!(explanation.next.is_empty(), explanation.stage == Stage::Closed);
    }
}

#[test]
fn the_way_forward_is_open_when_its_conditions_hold_and_closed_before() {
    let (mut world, id) = worlds().remove(1);
    let holds = |world: &World| {
        let explanation = world.state.explain(id).unwrap();
        let holds: Vec<_> =
            explanation.conditions().map(|condition| (condition.name, condition.holds())).collect();
        let passes = world.state.proposal(id).unwrap().count().passes;
        assert_eq!(holds.iter().all(|(_, holds)| *holds), passes);
        let end = moved_to(&world.clone().pass_to_deadline(), id);
        assert_eq!(end, Some(if passes { Stage::Confirming } else { Stage::Defeated }));
        holds
    };
    assert_eq!(holds(&world), [("turnout", false), ("approval", false), ("organisations", false)]);
    for voter in ["acme/author", "birch/author", "cedar/author"] {
        world.vote(voter, id, Choice::For).unwrap();
        holds(&world);
    }
    let explanation = world.state.explain(id).unwrap();
    let turnout = explanation.conditions().next().unwrap();
    assert_eq!((turnout.have, turnout.need, turnout.whole), (300, 160, Some(400)));
    assert_eq!(turnout.what, "at least 2/5 of the weight takes part");
    assert_eq!(explanation.next[0].earliest, world.state.next_deadline());
    let heard = explanation.voters.iter().filter(|voter| voter.heard.is_some()).count();
    assert_eq!((heard, explanation.voters.len()), (3, 4));
}

#[test]
fn what_is_queued_says_how_much_of_its_timelock_is_over_and_who_may_begin_it() {
    let (world, id) = executable(STAGES);
    let explanation = world.state.explain(id).unwrap();
    let unmet: Vec<_> = explanation.conditions().filter(|it| !it.holds()).map(|it| it.name).collect();
    assert_eq!(unmet, ["claim"]);
    let claim = part(&explanation, "claim", Role::Executor).unwrap();
    assert_eq!(claim.may, [member("acme/executor")], "the canary is acme's");
    let (world, id) = worlds().remove(3);
    let explanation = world.state.explain(id).unwrap();
    let timelock = explanation.conditions().next().unwrap();
    assert_eq!((timelock.have, timelock.need, timelock.holds()), (0, 24 * 3_600_000, false));
    let claim = part(&explanation, "claim", Role::Executor).unwrap();
    let waits = |barred: &crate::explain::Barred| barred.why.contains("the timelock runs until");
    assert!(claim.may.is_empty() && claim.may_not.iter().any(waits), "{claim:?}");
}

#[test]
fn who_is_suspended_may_not_and_is_told_why() {
    let (mut world, id) = executable(STAGES);
    let executor = member("acme/executor");
    let emergency =
        world.declare("acme/guardian", &[Measure::SuspendExecutor { member: executor.clone() }]).unwrap();
    world.sign_emergency("birch/guardian", emergency).unwrap();
    world.sign_emergency("cedar/guardian", emergency).unwrap();
    let explanation = world.state.explain(id).unwrap();
    let claim = part(&explanation, "claim", Role::Executor).unwrap();
    let barred = claim.may_not.iter().find(|barred| barred.member == executor).unwrap();
    assert_eq!((claim.may.len(), barred.code), (0, "executor-suspended"));
}

#[test]
fn the_need_of_a_test_is_the_least_that_passes_it() {
    for (numerator, denominator) in [(1, 3), (2, 5), (1, 2), (2, 3), (3, 4), (1, 1)] {
        let ratio = Ratio::new(numerator, denominator).unwrap();
        for threshold in [Threshold::AtLeast(ratio), Threshold::MoreThan(ratio)] {
            for whole in (0..40).chain([u64::MAX - 1]) {
                let test =
                    TallyTest { kind: TallyTestKind::Turnout, part: 0, whole, threshold, holds: false };
                let need = test.need();
                assert!(whole == 0 || threshold.is_passed_by(need, whole), "{need} of {whole}: {threshold}");
                assert!(!threshold.is_passed_by(need.saturating_sub(1), whole), "{need} of {whole}");
            }
        }
    }
}

#[test]
fn figures_and_tests_agree_about_objections_too() {
    for weight in 0..=4 {
        let threshold = Threshold::AtLeast(Ratio::new(1, 3).unwrap());
        let holds = !threshold.is_passed_by(weight, 4);
        let test = TallyTest { kind: TallyTestKind::Objection, part: weight, whole: 4, threshold, holds };
        let condition = crate::explain::Condition::of(&test);
        assert_eq!((condition.bound, condition.holds()), (Bound::Below, holds), "{weight} of 4");
    }
}
