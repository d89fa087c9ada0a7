//! G5 notices weight that nobody gave, voices that nobody lent, and caps that are not the constitution's.

use std::sync::Arc;

use super::planted::{Scene, ballots};
use crate::{
    constitution::Constitution,
    delegation::DelegationRules,
    digest::Digest,
    electorate::Electorate,
    invariant::Invariant,
    quantity::{DurationMs, Ratio, Weight},
    role::Role,
    testing::{World, deploy, genesis, member, org, record},
    transaction::{Call, Choice, ProposalId, ReviewVerdict},
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
pub(super) fn lent() -> Scene {
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

/// A block with a submission of birch, so long after a voter of acme has lent its voice to a colleague, in a world where voices
/// may be lent to so much of the weight.
fn lent_inside(cap: Ratio, after: DurationMs) -> (World, Scene) {
    let mut genesis = genesis(4);
    let second = member("acme/second");
    genesis.members.insert(second.clone(), record(&second, 10, &[Role::Voter]));
    let mut world = World::with(genesis);
    let expires = world.state.time().after(DurationMs::from_hours(100));
    let call = Call::Delegate { track: None, to: member("acme/author"), expires };
    let lent = world.sign("acme/second", Role::Voter, call);
    world.block(DurationMs::new(1), &[lent]);
    world.state.registry_mut().constitution = Arc::new(Constitution {
        delegation: DelegationRules { cap, ..world.state.constitution().delegation },
        ..world.state.constitution().clone()
    });
    world.state.registry_mut().derive();
    world.block(after, &[]);
    let document = deploy("2", &[&["acme-north"]]);
    let plan_hash = world.state.plan(&document).unwrap().hash();
    let submitted = world.sign("birch/author", Role::Author, Call::Submit { document, plan_hash });
    let mut scene = Scene::of(&mut world, ProposalId::from_digest(Digest::ZERO), &[submitted]);
    scene.id = scene.after.proposals().next().unwrap().id;
    (world, scene)
}

#[test]
fn g5_counts_a_colleagues_voice_for_the_organisation_and_none_before_its_time_or_where_none_are_lent() {
    let day = DurationMs::from_hours(24);
    let (mut world, scene) = lent_inside(Ratio::ONE_FIFTH, day);
    let id = scene.id;
    let speaks = |scene: &Scene| scene.after.proposal(id).unwrap().electorate.delegates.len();
    assert_eq!(speaks(&scene), 1);
    let reviewed = world.sign("acme/author", Role::Reviewer, world.review_call(id, ReviewVerdict::Approve));
    world.block(DurationMs::new(1), &[reviewed]);
    let cast = world.sign("acme/author", Role::Voter, world.vote_call(id, Choice::For));
    let counted = Scene::of(&mut world, id, &[cast]);
    let plant = |scene: &mut Scene| {
        scene.after.tamper(id, |proposal| {
            let sums = proposal.vote.by_org.values_mut().next().unwrap();
            sums[0] = Weight::new(100);
        });
    };
    counted.notices(Invariant::Weight, plant, "the sums are not those of the ballots");
    for (cap, after) in [(Ratio::ONE_FIFTH, DurationMs::new(1)), (Ratio::new(0, 1).unwrap(), day)] {
        let (_, scene) = lent_inside(cap, after);
        assert_eq!(scene.after.proposal(scene.id).unwrap().electorate.delegates.len(), 0);
        scene.holds(Invariant::Weight, |_| ());
    }
}

#[test]
fn g5_hears_nothing_of_who_has_no_vote_to_lend() {
    lent().holds(Invariant::Weight, |scene| {
        scene.before.tamper_with_members(|members| {
            let lent = members[&member("acme/author")].delegations.clone();
            Arc::make_mut(members.get_mut(&member("acme/guardian")).unwrap()).delegations = lent;
        });
    });
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
