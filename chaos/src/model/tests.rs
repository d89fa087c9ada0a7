//! A trace of a simulated run followed by the model, and traces that it must not follow.

use althing_contracts::{
    event::{Event, EventRecord},
    quantity::{DurationMs, EventSequence, Fence},
    stage::Stage,
    testing::{World, deploy},
    transaction::{Choice, ReviewVerdict},
};

use super::{Trace, life::Deviation};

/// The events of a life from its submission to the queue.
fn life() -> (World, Vec<EventRecord>) {
    let mut world = World::new(4);
    let mut records = Vec::new();
    let mut sequence = EventSequence::ZERO;
    let mut note = |world: &World, events: Vec<Event>| {
        for event in events {
            sequence = sequence.next();
            let (height, time) = (world.state.height(), world.state.time());
            records.push(EventRecord { sequence, height, time, event });
        }
    };
    let first = world.pass(DurationMs::new(1));
    note(&world, first);
    let document = deploy("2", &[&["acme-north"]]);
    let plan_hash = world.state.plan(&document).unwrap().hash();
    let call = althing_contracts::transaction::Call::Submit { document, plan_hash };
    let mut calls = vec![("acme/author", althing_contracts::role::Role::Author, call)];
    while let Some((sender, role, call)) = calls.pop() {
        let applied = world.call(sender, role, call).unwrap();
        let althing_contracts::state::Applied::New(events) = applied else { panic!("it is new") };
        note(&world, events);
        let proposal = world.state.proposals().next().unwrap();
        let id = proposal.id;
        match (proposal.stage, proposal.vote.ballots.len()) {
            (Stage::Review, _) => {
                let review = world.review_call(id, ReviewVerdict::Approve);
                calls.push(("birch/author", althing_contracts::role::Role::Reviewer, review));
            }
            (Stage::Voting, cast @ 0..3) => {
                let voter = ["acme/author", "birch/author", "cedar/author"][cast];
                let vote = world.vote_call(id, Choice::For);
                calls.push((voter, althing_contracts::role::Role::Voter, vote));
            }
            _ => {}
        }
    }
    for _ in 0..3 {
        let events = world.pass_to_deadline();
        note(&world, events);
    }
    (world, records)
}

fn follow(world: &World, records: &[EventRecord]) -> Result<Trace, Deviation> {
    let mut trace = Trace::new(world.state.constitution());
    records.iter().try_for_each(|record| trace.take(record)).map(|()| trace)
}

/// The records without one, numbered anew.
fn without(records: &[EventRecord], is_left_out: impl Fn(&Event) -> bool) -> Vec<EventRecord> {
    let place = records.iter().position(|record| is_left_out(&record.event)).expect("there is one");
    let mut rest = records.to_vec();
    rest.remove(place);
    for (record, number) in rest.iter_mut().zip(1..) {
        record.sequence = EventSequence::new(number);
    }
    rest
}

#[test]
fn the_events_of_a_life_are_moves_that_the_model_allows() {
    let (world, records) = life();
    let trace = follow(&world, &records).unwrap();
    let proposal = world.state.proposals().next().unwrap();
    assert_eq!((trace.stage(proposal.id), proposal.stage), (Some(Stage::Queued), Stage::Queued));
}

#[test]
fn a_life_with_a_count_a_move_or_its_submission_left_out_is_not_followed() {
    let (world, records) = life();
    let refused = |is_left_out: &dyn Fn(&Event) -> bool| {
        follow(&world, &without(&records, is_left_out)).unwrap_err().what
    };
    let what = refused(&|event| matches!(event, Event::Tallied { .. }));
    assert!(what.contains("the count fails"), "{what}");
    let what = refused(&|event| matches!(event, Event::StageChanged { to: Stage::Voting, .. }));
    assert!(what.contains("while it was review"), "{what}");
    let what = refused(&|event| matches!(event, Event::Submitted { .. }));
    assert!(what.contains("not its submission"), "{what}");
}

#[test]
fn a_gap_in_the_numbers_and_a_step_before_its_time_are_not_followed() {
    let (world, mut records) = life();
    let last = records.last().unwrap().clone();
    let skipped = EventRecord { sequence: last.sequence.next().next(), ..last.clone() };
    records.push(skipped);
    assert!(follow(&world, &records).unwrap_err().what.contains("does not follow"));
    records.pop();
    let early = without(&records, |event| matches!(event, Event::TimelockElapsed { .. }));
    let (id, stage) = (last.event.proposal().unwrap(), Stage::Queued);
    let cause = althing_contracts::testing::line("too early");
    let mut begun = early.clone();
    let event = Event::StageChanged { proposal: id, from: stage, to: Stage::Canary, cause };
    begun.push(EventRecord { sequence: early.last().unwrap().sequence.next(), event, ..last.clone() });
    assert!(follow(&world, &begun).unwrap_err().what.contains("not its time"));
    let event = Event::StepClaimed {
        proposal: id,
        step: 0,
        target: althing_contracts::testing::target("acme-north"),
        executor: althing_contracts::testing::member("acme/executor"),
        fence: Fence::new(1),
        undo: false,
    };
    records.push(EventRecord { sequence: last.sequence.next(), event, ..last });
    assert!(follow(&world, &records).unwrap_err().what.contains("was claimed while it was queued"));
}
