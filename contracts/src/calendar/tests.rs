use std::collections::BTreeSet;

use super::*;
use crate::{
    emergency::Measure,
    lifecycle::tests::moves::worlds,
    quantity::DurationMs,
    testing::{World, line, member},
    transaction::Call,
};

const ALL: usize = 10_000;
const HOUR: DurationMs = DurationMs::from_hours(1);

fn of(world: &World, id: ProposalId) -> Vec<Occasion> {
    let dues = world.state.calendar(None, ALL).into_iter();
    dues.filter(|due| due.subject == Subject::Proposal(id)).map(|due| due.occasion).collect()
}

#[test]
fn the_ledger_never_acts_at_an_instant_that_the_calendar_does_not_have() {
    let mut seen = BTreeSet::new();
    for (mut world, _) in worlds() {
        let _emergency = world.declare("acme/guardian", &[Measure::HaltTrack { track: Track::High }]);
        while let Some(next) = world.state.next_deadline().filter(|next| *next > world.state.time()) {
            let dues = world.state.calendar(None, ALL);
            assert!(dues.iter().any(|due| due.at == next), "{next} is not among {dues:?}");
            seen.extend(dues.iter().filter(|due| due.at == next).map(|due| due.occasion.name()));
            world.pass_to_deadline();
        }
    }
    assert_eq!(seen.len(), 10, "{seen:?}");
}

#[test]
fn a_queued_change_shows_the_end_of_its_timelock_and_the_last_instant_to_begin() {
    let (mut world, id) = worlds().remove(3);
    assert_eq!(of(&world, id), [Occasion::TimelockEnds, Occasion::BeginBy]);
    world.pass_to_deadline();
    assert_eq!(of(&world, id), [Occasion::BeginBy]);
    world.pass_to_deadline();
    assert_eq!(of(&world, id), []);
}

#[test]
fn terms_and_voices_are_in_it_until_they_are_over() {
    let mut world = World::new(4);
    let expires = world.state.time().after(DurationMs::from_hours(48));
    let call = Call::Delegate { track: Some(Track::High), to: member("birch/author"), expires };
    world.call("acme/author", Role::Voter, call).unwrap();
    let shown = |world: &World| {
        let dues = world.state.calendar(None, ALL).into_iter();
        dues.map(|due| (due.occasion.name(), due.at.since(world.genesis.time).get() / HOUR.get()))
            .collect::<Vec<_>>()
    };
    let terms = [("term-ends", 365 * 24); 4];
    let voice = [("delegation-begins", 24), ("delegation-ends", 48)];
    assert_eq!(shown(&world), [&voice[..], &terms].concat());
    world.pass(DurationMs::from_hours(24));
    assert_eq!(shown(&world), [&voice[1..], &terms].concat());
    world.pass(DurationMs::from_hours(365 * 24));
    assert_eq!(shown(&world), []);
}

#[test]
fn an_emergency_shows_the_end_of_its_signing_and_of_its_measures() {
    let mut world = World::new(4);
    let id = world.declare("acme/guardian", &[Measure::HaltTrack { track: Track::High }]).unwrap();
    let of = |world: &World| {
        let dues = world.state.calendar(None, ALL).into_iter();
        dues.filter(|due| due.subject == Subject::Emergency(id)).map(|due| due.occasion).collect::<Vec<_>>()
    };
    assert_eq!(of(&world), [Occasion::SigningEnds]);
    world.sign_emergency("birch/guardian", id).unwrap();
    world.sign_emergency("cedar/guardian", id).unwrap();
    assert_eq!(of(&world), [Occasion::MeasuresEnd]);
    let end = Call::EndEmergency { emergency: id };
    world.call("acme/guardian", Role::Guardian, end).unwrap();
    assert_eq!(of(&world), []);
}

#[test]
fn a_calendar_in_pieces_is_the_calendar() {
    let (world, id) = worlds().remove(3);
    let whole = world.state.calendar(None, ALL);
    assert!(whole.is_sorted() && whole.len() > 4, "{whole:?}");
    let mut pieces: Vec<Due> = Vec::new();
    loop {
        let piece = world.state.calendar(pieces.last(), 2);
        if piece.is_empty() {
            break;
        }
        assert!(piece.len() <= 2);
        pieces.extend(piece);
    }
    assert_eq!(pieces, whole);
    assert_eq!(world.state.calendar(None, 0), []);
    let cancel = Call::Veto { proposal: id, reason: line("no") };
    let mut world = world;
    world.call("birch/guardian", Role::Guardian, cancel).unwrap();
    assert_eq!(world.state.calendar(None, ALL).len(), whole.len() - 2, "what ended is not due");
}
