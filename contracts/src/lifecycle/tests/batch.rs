//! One ballot for several routine proposals: for all of them or for none, and each with its own result.

use crate::{
    constitution::Track,
    digest::Digest,
    genesis::Tier,
    quantity::{DurationMs, Revision},
    reject::{BATCH_MAX, BatchRefusal, Reject},
    role::Role,
    stage::Stage,
    state::Applied,
    testing::{World, deploy, genesis, member},
    transaction::{Call, Choice, Edition, ProposalId},
};

/// A world with routine proposals of three authors and one of the standard track.
fn world() -> (World, Vec<ProposalId>, ProposalId) {
    let mut genesis = genesis(4);
    for (id, target) in &mut genesis.targets {
        if id.as_str().ends_with("-north") {
            target.tier = Tier::Low;
        }
    }
    let mut world = World::with(genesis);
    world.pass(DurationMs::new(1));
    let submit = |world: &mut World, org: &str, site: &str| {
        world.submit(&format!("{org}/author"), deploy("2", &[&[&format!("{org}-{site}")]])).unwrap()
    };
    let routine = ["acme", "birch", "cedar"].map(|org| submit(&mut world, org, "north"));
    let standard = submit(&mut world, "delta", "south");
    assert!(routine.iter().all(|id| world.state.proposal(*id).unwrap().track == Track::Routine));
    (world, routine.into(), standard)
}

fn edition(world: &World, id: ProposalId) -> Edition {
    let held = world.state.proposal(id).unwrap();
    Edition { proposal: id, revision: held.revision, plan_hash: held.plan_hash }
}

fn vote(world: &mut World, voter: &str, ids: &[ProposalId], choice: Choice) -> Result<Applied, Reject> {
    let editions = ids.iter().map(|id| edition(world, *id)).collect();
    world.call(voter, Role::Voter, Call::VoteBatch { editions, choice })
}

fn why(result: Result<Applied, Reject>) -> BatchRefusal {
    match result.unwrap_err() {
        Reject::Batch(why) => why,
        other => panic!("refused for another reason: {other}"),
    }
}

fn ballot(world: &World, id: ProposalId, voter: &str) -> Option<Choice> {
    world.state.proposal(id).unwrap().vote.ballots.get(&member(voter)).copied()
}

#[test]
fn one_ballot_decides_several_and_each_has_its_own_result() {
    let (mut world, ids, _) = world();
    for voter in ["acme/author", "birch/author"] {
        let Applied::New(events) = vote(&mut world, voter, &ids, Choice::For).unwrap() else {
            panic!("another answer")
        };
        assert_eq!(events.len(), 3, "one a proposal");
    }
    for voter in ["cedar/author", "delta/author"] {
        vote(&mut world, voter, &ids[1..2], Choice::Against).unwrap();
    }
    while world.state.proposal(ids[0]).unwrap().stage != Stage::Queued {
        world.pass_to_deadline();
    }
    let stages: Vec<_> = ids.iter().map(|id| world.state.proposal(*id).unwrap().stage).collect();
    assert_eq!(stages, [Stage::Queued, Stage::Defeated, Stage::Queued]);
}

#[test]
fn what_was_said_before_is_said_again_and_nothing_else() {
    let (mut world, ids, _) = world();
    world.vote("acme/author", ids[0], Choice::For).unwrap();
    let Applied::New(events) = vote(&mut world, "acme/author", &ids, Choice::For).unwrap() else {
        panic!("another answer")
    };
    assert_eq!(events.len(), 2, "the two that were missing");
    assert_eq!(vote(&mut world, "acme/author", &ids, Choice::For).unwrap(), Applied::Same);
    let other = why(vote(&mut world, "acme/author", &ids, Choice::Against));
    assert!(matches!(other, BatchRefusal::Ballot { proposal, .. } if proposal == ids[0]), "{other}");
}

#[test]
fn a_ballot_on_several_is_taken_on_all_or_on_none() {
    let (mut world, ids, standard) = world();
    let mixed = [ids.as_slice(), &[standard]].concat();
    let refused = why(vote(&mut world, "acme/author", &mixed, Choice::For));
    assert_eq!(refused, BatchRefusal::NotRoutine { proposal: standard, track: Track::Standard });
    let twice = [ids[0], ids[1], ids[0]];
    assert_eq!(
        why(vote(&mut world, "acme/author", &twice, Choice::For)),
        BatchRefusal::Twice { proposal: ids[0] }
    );
    assert_eq!(why(vote(&mut world, "acme/author", &[], Choice::For)), BatchRefusal::Size { found: 0 });
    let many = vec![edition(&world, ids[0]); BATCH_MAX + 1];
    let many =
        world.call("acme/author", Role::Voter, Call::VoteBatch { editions: many, choice: Choice::For });
    assert_eq!(why(many), BatchRefusal::Size { found: BATCH_MAX + 1 });
    let unknown = Edition { proposal: ProposalId::from_digest(Digest::ZERO), ..edition(&world, ids[0]) };
    let editions = vec![edition(&world, ids[0]), unknown];
    let unknown = world.call("acme/author", Role::Voter, Call::VoteBatch { editions, choice: Choice::For });
    assert!(matches!(unknown, Err(Reject::UnknownProposal { .. })), "{unknown:?}");
    for change in [
        |edition: &mut Edition| edition.revision = Revision::new(2),
        |edition: &mut Edition| edition.plan_hash = Digest::ZERO,
    ] {
        let mut editions: Vec<_> = ids.iter().map(|id| edition(&world, *id)).collect();
        change(&mut editions[2]);
        let other = world.call("acme/author", Role::Voter, Call::VoteBatch { editions, choice: Choice::For });
        assert!(matches!(why(other), BatchRefusal::Ballot { proposal, .. } if proposal == ids[2]));
    }
    assert!(ids.iter().all(|id| ballot(&world, *id, "acme/author").is_none()), "none has it");
}

#[test]
fn who_may_not_vote_on_one_votes_on_none_and_a_vote_that_is_over_is_over() {
    let (mut world, ids, _) = world();
    world.vote("birch/author", ids[0], Choice::Against).unwrap();
    let refused = why(vote(&mut world, "birch/author", &ids, Choice::For));
    let BatchRefusal::Ballot { proposal, why: inner } = refused else { panic!("another answer") };
    assert_eq!((proposal, *inner), (ids[0], Reject::AlreadyDone { member: member("birch/author") }));
    for voter in ["acme/author", "cedar/author"] {
        vote(&mut world, voter, &ids[1..], Choice::For).unwrap();
    }
    while world.state.proposal(ids[1]).unwrap().stage == Stage::Voting {
        world.pass_to_deadline();
    }
    assert_eq!(world.state.proposal(ids[1]).unwrap().stage, Stage::Confirming);
    let late = why(vote(&mut world, "delta/author", &ids[1..], Choice::Against));
    assert!(late.to_string().contains("vote-batch is not possible"), "{late}");
    world.vote("delta/author", ids[1], Choice::Against).expect("a ballot of its own");
}
