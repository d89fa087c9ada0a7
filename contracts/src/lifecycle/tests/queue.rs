//! The queue: timelock and stretch, veto, supersession, expiry.

use super::story::{STAGES, carry_out, claim, executable, judge, queue, stage};
use crate::{
    constitution::Track,
    event::Event,
    name::Line,
    quantity::{AmountMilli, DurationMs, Ratio},
    reject::Reject,
    role::Role,
    stage::Stage,
    state::Applied,
    testing::{World, deploy, line},
    transaction::{Call, Choice, ProposalId, ReviewVerdict},
};

fn veto(world: &mut World, by: &str, id: ProposalId, reason: Line) -> Result<Applied, Reject> {
    world.call(by, Role::Guardian, Call::Veto { proposal: id, reason })
}

/// The hours of the timelock after a vote of so much weight for and against.
fn timelock(weight_for: usize, against: usize) -> u64 {
    timelock_from(Ratio::ONE_TENTH, weight_for, against)
}

/// The same with opposition that counts from another floor on.
fn timelock_from(floor: Ratio, weight_for: usize, against: usize) -> u64 {
    let mut genesis = crate::testing::genesis(4);
    genesis.constitution.tracks.get_mut(&Track::Standard).unwrap().opposition_floor = floor;
    let member = |n: usize| crate::testing::member(&format!("{}/v{n}", crate::testing::org(n % 4)));
    for n in 0..100 {
        let id = member(n);
        genesis.members.insert(id.clone(), crate::testing::record(&id, 10, &[Role::Voter]));
    }
    let mut world = World::with(genesis);
    let id = world.submit("acme/author", deploy("2", STAGES)).unwrap();
    world.review("birch/author", id, ReviewVerdict::Approve).unwrap();
    for n in 0..weight_for {
        world.vote(member(n).as_str(), id, Choice::For).unwrap();
    }
    for n in (0..100).skip(weight_for).take(against) {
        world.vote(member(n).as_str(), id, Choice::Against).unwrap();
    }
    world.pass_to_deadline();
    world.pass_to_deadline();
    let proposal = world.state.proposal(id).unwrap();
    assert_eq!(proposal.stage, Stage::Queued);
    proposal.eta.unwrap().since(world.state.time()).get() / 3_600_000
}

#[test]
fn opposition_stretches_the_timelock_from_a_tenth_to_a_third() {
    assert_eq!(timelock(100, 0), 24);
    assert_eq!(timelock(90, 10), 24, "a tenth is the floor");
    assert_eq!(timelock(80, 20), 24 + 20, "three sevenths of the way, of 48 hours");
    assert_eq!(timelock(66, 33), 72, "a third stretches in full");
    assert_eq!(timelock(60, 40), 72, "and more than a third no further");
}

#[test]
fn opposition_above_a_floor_of_a_third_stretches_the_timelock_in_full() {
    assert_eq!(timelock_from(Ratio::ONE_THIRD, 66, 33), 24, "a third is the floor");
    assert_eq!(timelock_from(Ratio::ONE_THIRD, 65, 35), 72);
    assert_eq!(timelock_from(Ratio::TWO_FIFTHS, 60, 40), 24, "two fifths are the floor");
}

#[test]
fn abstentions_alone_do_not_stretch_the_timelock() {
    let (mut world, id) = super::ballot::routine();
    for voter in ["acme/author", "birch/author"] {
        world.vote(voter, id, Choice::Abstain).unwrap();
    }
    world.pass_to_deadline();
    world.pass_to_deadline();
    let proposal = world.state.proposal(id).unwrap();
    assert_eq!(proposal.stage, Stage::Queued);
    assert_eq!(proposal.eta.unwrap().since(world.state.time()), proposal.parameters.timelock);
}

#[test]
fn a_change_that_breaks_a_hard_rule_at_the_end_of_its_timelock_is_superseded() {
    let mut world = World::new(4);
    queue(&mut world, "2", STAGES);
    world.state.tamper_with_rules(|constitution| {
        constitution.hard_rules.cost_ceiling_monthly_milli = AmountMilli::new(999);
    });
    let events = world.pass_to_deadline();
    let [Event::StageChanged { to: Stage::Superseded, cause, .. }, ..] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(cause.as_str(), "costs 1000 thousandths a month, the ceiling is 999");
    assert_eq!(world.state.next_deadline(), None);
}

#[test]
fn a_step_is_refused_before_the_timelock_is_over() {
    let mut world = World::new(4);
    let id = queue(&mut world, "2", STAGES);
    let refused = claim(&mut world, id, 0).unwrap_err();
    assert!(refused.to_string().contains("the timelock runs until"), "{refused}");
    assert!(refused.can_waiting_help());
    assert!(world.state.orders().is_empty());
    world.pass_to_deadline();
    assert_eq!(world.state.orders().len(), 1);
    claim(&mut world, id, 0).unwrap();
}

#[test]
fn a_guardian_of_another_organisation_stops_it_with_a_reason() {
    let mut world = World::new(4);
    let id = queue(&mut world, "2", STAGES);
    assert_eq!(veto(&mut world, "acme/guardian", id, line("x")).unwrap_err().code(), "own-organisation");
    assert_eq!(veto(&mut world, "birch/guardian", id, line(" ")).unwrap_err().code(), "evidence");
    veto(&mut world, "birch/guardian", id, line("the artefact is not signed")).unwrap();
    assert_eq!(stage(&world, id), Stage::Vetoed);
    assert_eq!(veto(&mut world, "birch/guardian", id, line("again")), Ok(Applied::Same));
    assert_eq!(world.state.member(&crate::testing::member("birch/guardian")).unwrap().vetoes, 1);
}

#[test]
fn a18_a_guardian_has_so_many_vetoes_and_no_more() {
    let mut world = World::new(4);
    for version in ["2", "3", "4"] {
        let id = queue(&mut world, version, STAGES);
        veto(&mut world, "birch/guardian", id, line("no")).unwrap();
    }
    let id = queue(&mut world, "5", STAGES);
    let refused = veto(&mut world, "birch/guardian", id, line("no")).unwrap_err();
    assert_eq!(refused.to_string(), "birch/guardian has used all 3 vetoes");
    veto(&mut world, "cedar/guardian", id, line("no")).unwrap();
}

#[test]
fn what_nobody_begins_in_time_expires() {
    let (mut world, id) = executable(STAGES);
    world.pass_to_deadline();
    assert_eq!(stage(&world, id), Stage::Expired);
    assert_eq!(claim(&mut world, id, 0).unwrap_err().code(), "illegal-move");
}

#[test]
fn a19_identical_changes_wait_for_each_other_and_the_second_is_superseded() {
    let one: &[&[&str]] = &[&["acme-north"]];
    let mut world = World::new(4);
    let first = queue(&mut world, "2", one);
    let second = queue(&mut world, "3", one);
    world.pass_to_deadline();
    if world.state.orders().len() < 2 {
        world.pass_to_deadline();
    }
    claim(&mut world, first, 0).unwrap();
    let busy = claim(&mut world, second, 0).unwrap_err();
    assert!(busy.to_string().ends_with("acts on the target"), "{busy}");
    assert!(world.state.orders().iter().all(|order| order.proposal == first));
    super::story::report(&mut world, first, 0, crate::transaction::StepOutcome::Done).unwrap();
    judge(&mut world, first, 0);
    judge(&mut world, first, 0);
    assert_eq!(stage(&world, first), Stage::Auditing);
    assert_eq!(stage(&world, second), Stage::Superseded);
}

#[test]
fn a_plan_that_was_overtaken_before_it_is_queued_is_superseded_there() {
    let one: &[&[&str]] = &[&["acme-north"]];
    let mut world = World::new(4);
    let first = queue(&mut world, "2", one);
    world.pass_to_deadline();
    let second = world.submit("birch/author", deploy("3", one)).unwrap();
    world.review("acme/author", second, ReviewVerdict::Approve).unwrap();
    for voter in ["acme/author", "birch/author", "cedar/author"] {
        world.vote(voter, second, Choice::For).unwrap();
    }
    carry_out(&mut world, first, 0);
    judge(&mut world, first, 0);
    judge(&mut world, first, 0);
    for _ in 0..4 {
        world.pass(DurationMs::from_hours(24));
    }
    assert_eq!(stage(&world, second), Stage::Superseded);
}
