//! Co-signatures: what much depends on waits for guardians of other organisations, however it was voted on.

use super::story::{claim, stage};
use crate::{
    constitution::Track,
    event::Event,
    genesis::Tier,
    role::Role,
    stage::Stage,
    state::Applied,
    testing::{World, deploy, genesis, member, record, target},
    transaction::{Call, Choice, ProposalId, ReviewVerdict},
};

/// A world with a queued change of a target on which much depends, where one organisation has two guardians.
fn queued() -> (World, ProposalId) {
    let mut genesis = genesis(4);
    let second = member("birch/second");
    genesis.members.insert(second.clone(), record(&second, 0, &[Role::Guardian]));
    genesis.targets.get_mut(&target("acme-north")).unwrap().tier = Tier::High;
    let mut world = World::with(genesis);
    let id = world.submit("acme/author", deploy("2", &[&["acme-north"]])).unwrap();
    assert_eq!(world.state.proposal(id).unwrap().track, Track::High);
    world.review("birch/author", id, ReviewVerdict::Approve).unwrap();
    assert_eq!(stage(&world, id), Stage::Review, "one sign-off is not enough");
    world.review("cedar/author", id, ReviewVerdict::Approve).unwrap();
    for voter in ["acme/author", "birch/author", "cedar/author"] {
        world.vote(voter, id, Choice::For).unwrap();
    }
    while stage(&world, id) != Stage::Queued {
        world.pass_to_deadline();
    }
    (world, id)
}

#[test]
fn a04_a_change_with_votes_and_without_co_signatures_stays_queued_and_expires() {
    let (mut world, id) = queued();
    world.cosign("birch/guardian", id).unwrap();
    world.pass_to_deadline();
    assert!(world.state.orders().is_empty(), "nobody is asked to begin it");
    let refused = claim(&mut world, id, 0).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "step 0 cannot be taken: 1 guardians of 1 organisations have co-signed; 2 of 2 have to"
    );
    assert!(refused.can_waiting_help());
    let events = world.pass_to_deadline();
    let [Event::StageChanged { to: Stage::Expired, cause, .. }, ..] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(cause.as_str(), "it was not co-signed in time");
}

#[test]
fn guardians_of_two_other_organisations_release_a_change_before_or_after_its_timelock() {
    let (mut world, id) = queued();
    let events = world.cosign("birch/guardian", id).unwrap();
    let guardian = member("birch/guardian");
    assert_eq!(events, Applied::New(vec![Event::Cosigned { proposal: id, guardian }]));
    assert_eq!(world.cosign("birch/guardian", id), Ok(Applied::Same));
    world.pass_to_deadline();
    assert!(world.state.orders().is_empty());
    world.cosign("delta/guardian", id).unwrap();
    assert_eq!(world.state.orders().len(), 1);
    claim(&mut world, id, 0).unwrap();
}

#[test]
fn two_guardians_of_one_organisation_are_one_organisation() {
    let (mut world, id) = queued();
    world.cosign("birch/guardian", id).unwrap();
    world.cosign("birch/second", id).unwrap();
    let proposal = world.state.proposal(id).unwrap();
    assert_eq!((proposal.cosigned_by.len(), proposal.cosigning_organisations()), (2, 1));
    world.pass_to_deadline();
    assert_eq!(claim(&mut world, id, 0).unwrap_err().code(), "step");
    world.cosign("cedar/guardian", id).unwrap();
    claim(&mut world, id, 0).unwrap();
}

#[test]
fn the_authors_own_guardian_another_edition_and_a_track_without_co_signatures_are_refused() {
    let (mut world, id) = queued();
    assert_eq!(world.cosign("acme/guardian", id).unwrap_err().code(), "own-organisation");
    let proposal = world.state.proposal(id).unwrap();
    let (revision, plan_hash) = (proposal.revision, proposal.plan_hash);
    let sign = |world: &mut World, revision, plan_hash| {
        world.call("birch/guardian", Role::Guardian, Call::Cosign { proposal: id, revision, plan_hash })
    };
    assert_eq!(sign(&mut world, revision.next(), plan_hash).unwrap_err().code(), "revision");
    assert_eq!(sign(&mut world, revision, id.digest()).unwrap_err().code(), "plan-moved");

    let mut world = World::new(4);
    let standard = super::story::queue(&mut world, "2", &[&["acme-north"]]);
    let refused = world.cosign("birch/guardian", standard).unwrap_err();
    assert_eq!(refused.to_string(), "a proposal of the standard track needs no co-signature");
}

#[test]
fn an_explanation_names_the_guardians_who_may_still_sign() {
    let (mut world, id) = queued();
    world.cosign("birch/guardian", id).unwrap();
    let explanation = world.state.explain(id).unwrap();
    let condition = explanation.conditions().find(|condition| condition.name == "cosign").unwrap();
    assert_eq!((condition.have, condition.need, condition.holds()), (1, 2, false));
    let part = explanation.parts.iter().find(|part| part.call == "cosign").unwrap();
    let names: Vec<_> = part.may.iter().map(crate::name::MemberId::as_str).collect();
    assert_eq!(names, ["birch/second", "cedar/guardian", "delta/guardian"]);
    let barred: Vec<_> = part.may_not.iter().map(|barred| (barred.member.as_str(), barred.code)).collect();
    assert_eq!(barred, [("acme/guardian", "own-organisation"), ("birch/guardian", "done")]);
}
