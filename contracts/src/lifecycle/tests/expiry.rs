//! Warnings of what is about to expire.
#![expect(
    clippy::arithmetic_side_effects,
    reason = "times that a test counts back from; it may stop at one that is too short"
)]

use super::story::{STAGES, queue, stage};
use crate::{
    constitution::Track,
    digest::Digest,
    emergency::{EmergencyId, Measure},
    event::Event,
    expiry::Expiring,
    quantity::{DurationMs, TimeMs},
    role::Role,
    stage::Stage,
    state::State,
    testing::{World, deploy, genesis, member, target},
    transaction::{Call, Choice, ReviewVerdict},
};

fn warnings(events: &[Event]) -> Vec<(Expiring, TimeMs)> {
    let warned = events.iter().filter_map(|event| match event {
        Event::ExpiryNear { expiring, at } => Some((expiring.clone(), *at)),
        _ => None,
    });
    warned.collect()
}

/// Nothing is said a moment before, this is said then, and nothing again after.
fn is_said_once(world: &mut World, expiring: &Expiring, at: TimeMs) {
    let before = world.state.constitution().warning;
    let due = TimeMs::new(at.get() - before.get());
    let early = world.pass(DurationMs::new(due.since(world.state.time()).get() - 1));
    assert!(!warnings(&early).iter().any(|(what, _)| what == expiring), "{early:?}");
    // What is scheduled outlives a restart from a snapshot.
    world.state = State::decode_snapshot(&world.state.encode_snapshot()).unwrap();
    assert_eq!(warnings(&world.pass(DurationMs::new(1))), [(expiring.clone(), at)]);
    let left = DurationMs::new(at.since(world.state.time()).get() - 1);
    assert_eq!(warnings(&world.pass(left)), []);
}

#[test]
fn a_review_and_the_time_to_begin_are_warned_of_once() {
    let mut world = World::new(4);
    let proposal = world.submit("acme/author", deploy("2", STAGES)).unwrap();
    let at = world.state.proposal(proposal).unwrap().deadline.unwrap();
    is_said_once(&mut world, &Expiring::Review { proposal }, at);
    let proposal = queue(&mut World::new(4), "2", STAGES);
    let mut world = World::new(4);
    assert_eq!(queue(&mut world, "2", STAGES), proposal);
    let held = world.state.proposal(proposal).unwrap();
    let at = held.eta.unwrap().after(held.parameters.execute_by);
    is_said_once(&mut world, &Expiring::Execution { proposal }, at);
    world.pass_to_deadline();
    assert_eq!(stage(&world, proposal), Stage::Expired);
}

#[test]
fn a_vote_is_warned_of_when_too_few_take_part_and_not_otherwise() {
    for voters in [0, 1, 2] {
        let mut world = World::new(4);
        let proposal = world.submit("acme/author", deploy("2", STAGES)).unwrap();
        world.review("birch/author", proposal, ReviewVerdict::Approve).unwrap();
        for voter in ["acme/author", "birch/author"].into_iter().take(voters) {
            world.vote(voter, proposal, Choice::Against).unwrap();
        }
        let at = world.state.proposal(proposal).unwrap().deadline.unwrap();
        if voters < 2 {
            is_said_once(&mut world, &Expiring::Voting { proposal }, at);
        } else {
            let left = at.since(world.state.time());
            assert_eq!(warnings(&world.pass(DurationMs::new(left.get() - 1))), []);
        }
    }
}

#[test]
fn what_ended_before_is_not_warned_of() {
    let mut world = World::new(4);
    let proposal = world.submit("acme/author", deploy("2", STAGES)).unwrap();
    let left = world.state.proposal(proposal).unwrap().deadline.unwrap().since(world.state.time());
    world.review("birch/author", proposal, ReviewVerdict::Refuse).unwrap();
    assert_eq!(warnings(&world.pass(DurationMs::new(left.get() - 1))), []);
    let mut world = World::new(4);
    world.submit("acme/author", deploy("2", STAGES)).unwrap();
    // The first block from then on comes too late.
    assert_eq!(warnings(&world.pass(left)), []);
}

#[test]
fn terms_voices_and_emergencies_are_warned_of_once() {
    let mut world = World::new(4);
    let expires = world.state.time().after(DurationMs::from_hours(80 * 24));
    let call = Call::Delegate { track: Some(Track::High), to: member("birch/author"), expires };
    world.call("acme/author", Role::Voter, call).unwrap();
    let delegator = member("acme/author");
    is_said_once(&mut world, &Expiring::Delegation { delegator, track: Track::High }, expires);
    let mut world = World::new(4);
    let measures = [Measure::PauseTarget { target: target("acme-north") }];
    let id = world.declare("acme/guardian", &measures).unwrap();
    for guardian in ["birch/guardian", "cedar/guardian"] {
        world.sign_emergency(guardian, id).unwrap();
    }
    let emergency = Expiring::Emergency { emergency: id };
    let expires = world.state.emergency(id).unwrap().declaration.expires;
    let events = world.pass(DurationMs::new(expires.since(world.state.time()).get() - 1));
    assert!(warnings(&events).contains(&(emergency, expires)));
    let mut genesis = genesis(4);
    genesis.members.retain(|id, _| id.as_str() != "delta/guardian");
    let mut world = World::with(genesis);
    let until = world.state.mandate(&member("acme/guardian")).unwrap().until;
    let before = world.state.constitution().warning;
    let due = TimeMs::new(until.get() - before.get());
    world.pass(DurationMs::new(due.since(world.state.time()).get() - 1));
    let told: Vec<_> = warnings(&world.pass(DurationMs::new(1))).into_iter().map(|(what, _)| what).collect();
    let terms = ["acme", "birch", "cedar"];
    assert_eq!(told, terms.map(|org| Expiring::Term { guardian: member(&format!("{org}/guardian")) }));
}

#[test]
fn the_term_of_who_guards_no_more_or_has_lost_the_power_is_not_warned_of() {
    let mut world = World::new(4);
    let until = world.state.mandate(&member("acme/guardian")).unwrap().until;
    let before = world.state.constitution().warning;
    world.state.tamper_with_members(|members| {
        let held = std::sync::Arc::make_mut(members.get_mut(&member("acme/guardian")).unwrap());
        held.keys.clear();
    });
    let by = EmergencyId::from_digest(Digest::ZERO);
    world.state.registry_mut().suspend([member("birch/guardian")].iter(), by);
    let mandates = &mut world.state.registry_mut().mandates;
    mandates.get_mut(&member("cedar/guardian")).unwrap().until = until.after(DurationMs::new(1));
    let due = TimeMs::new(until.get() - before.get());
    let told = warnings(&world.pass(due.since(world.state.time())));
    assert_eq!(told, [(Expiring::Term { guardian: member("delta/guardian") }, until)]);
}

#[test]
fn a_voice_that_is_lent_anew_is_warned_of_by_its_new_end() {
    let mut world = World::new(4);
    let (short, long) = (DurationMs::from_hours(10 * 24), DurationMs::from_hours(20 * 24));
    for length in [short, long] {
        let expires = world.state.time().after(length);
        let call = Call::Delegate { track: Some(Track::High), to: member("birch/author"), expires };
        world.call("acme/author", Role::Voter, call).unwrap();
        world.pass(DurationMs::new(1));
    }
    assert_eq!(warnings(&world.pass(short)), []);
    let told = warnings(&world.pass(DurationMs::from_hours(9 * 24 + 20)));
    assert_eq!(told.len(), 1, "{told:?}");
}

#[test]
fn a_warning_is_no_reason_for_a_block() {
    let mut world = World::new(4);
    let proposal = world.submit("acme/author", deploy("2", STAGES)).unwrap();
    let deadline = world.state.proposal(proposal).unwrap().deadline;
    assert!(world.state.next_warning() < deadline);
    assert_eq!(world.state.next_deadline(), deadline);
}
