//! G5 notices weight that nobody gave, voices that nobody lent, and caps that are not the constitution's.

use std::sync::Arc;

use super::planted::{Scene, ballots};
use crate::{
    digest::Digest,
    electorate::Electorate,
    invariant::Invariant,
    quantity::{DurationMs, Weight},
    role::Role,
    testing::{World, deploy, member, org},
    transaction::{Call, ProposalId},
};

#[test]
fn g5_notices_weight_that_no_ballot_gave() {
    let plant = |scene: &mut Scene| {
        let id = scene.id;
        scene.after.tamper(id, |proposal| {
            let sums = proposal.vote.by_org.values_mut().next().unwrap();
            sums[0] = sums[0].next();
        });
    };
    ballots().notices(Invariant::Weight, plant, "the sums are not those of the ballots");
}

/// A block with a submission, in a world where one voter speaks for another.
fn lent() -> Scene {
    let mut world = World::new(4);
    let expires = world.state.time().after(DurationMs::from_hours(100));
    let to = member("birch/author");
    let lent = world.sign("acme/author", Role::Voter, Call::Delegate { track: None, to, expires });
    world.block(DurationMs::new(1), &[lent]);
    world.block(DurationMs::from_hours(24), &[]);
    let document = deploy("2", &[&["acme-north"]]);
    let plan_hash = world.state.plan(&document).unwrap().hash();
    let submitted = world.sign("cedar/author", Role::Author, Call::Submit { document, plan_hash });
    let mut scene = Scene::of(&mut world, ProposalId::from_digest(Digest::ZERO), &[submitted]);
    scene.id = scene.after.proposals().next().unwrap().id;
    scene
}

#[test]
fn g5_notices_a_voice_that_nobody_has_lent() {
    let plant = |scene: &mut Scene| {
        let id = scene.id;
        let (from, to) = (member("cedar/author"), member("birch/author"));
        scene
            .after
            .tamper(id, |proposal| drop(Arc::make_mut(&mut proposal.electorate).delegates.insert(from, to)));
    };
    lent().notices(Invariant::Weight, plant, "others speak for its voters than they had said");
    let plant = |scene: &mut Scene| {
        let id = scene.id;
        scene.after.tamper(id, |proposal| Arc::make_mut(&mut proposal.electorate).delegates.clear());
    };
    lent().notices(Invariant::Weight, plant, "others speak for its voters than they had said");
}

#[test]
fn g5_a14_notices_a_voice_that_is_heard_twice() {
    let plant = |scene: &mut Scene| {
        let id = scene.id;
        scene.after.tamper(id, |proposal| {
            let twice = [Weight::new(100), Weight::ZERO, Weight::ZERO];
            proposal.vote.entrusted_by_org.insert(org(1), twice);
        });
    };
    lent().notices(Invariant::Weight, plant, "the sums are not those of the ballots");
}

#[test]
fn g5_a23_notices_a_cap_that_is_not_the_constitutions() {
    let changes: [fn(&mut Electorate); 2] = [
        |electorate| electorate.caps.member = electorate.total,
        |electorate| electorate.caps.delegate = electorate.total,
    ];
    for change in changes {
        let plant = |scene: &mut Scene| {
            let id = scene.id;
            scene.after.tamper(id, |proposal| change(Arc::make_mut(&mut proposal.electorate)));
        };
        lent().notices(Invariant::Weight, plant, "count for more than the constitution says");
    }
}

#[test]
fn g5_notices_voters_who_weigh_what_they_do_not() {
    let plant = |scene: &mut Scene| {
        let id = scene.id;
        scene.after.tamper(id, |proposal| {
            let heavier = Arc::make_mut(&mut proposal.electorate).weights.values_mut().next().unwrap();
            *heavier = heavier.next();
        });
    };
    lent().notices(Invariant::Weight, plant, "weigh something else than the constitution says");
}
