//! Roots, proofs, snapshots, and what a refusal leaves behind.

use std::sync::Arc;

use crate::{
    canonical::DecodeError,
    digest::{Digest, Purpose},
    document::Action,
    proposal::Proposal,
    quantity::{DurationMs, Height, Weight},
    role::Role,
    stage::Stage,
    state::{BLOCK_WINDOW, StageProof, State},
    testing::{World, deploy, genesis, line, member, record},
    transaction::{Call, Choice, ProposalId, ReviewVerdict},
};

const STAGES: &[&[&str]] = &[&["acme-north"], &["birch-north"]];

fn voting() -> (World, ProposalId) {
    let mut world = World::new(4);
    world.pass(DurationMs::new(1));
    let id = world.submit("acme/author", deploy("2", STAGES)).unwrap();
    world.review("birch/author", id, ReviewVerdict::Approve).unwrap();
    (world, id)
}

#[test]
fn every_accepted_input_changes_the_root_and_a_refused_one_does_not() {
    let (mut world, id) = voting();
    let before = world.state.root();
    world.vote("acme/author", id, Choice::For).unwrap();
    let after = world.state.root();
    assert_ne!(before, after);
    world.vote("acme/author", id, Choice::Against).unwrap_err();
    assert_eq!(world.state.root(), after);
}

#[test]
fn the_root_depends_on_the_content_and_not_on_the_way_to_it() {
    let (mut world, id) = voting();
    let mut stepwise = world.clone();
    for voter in ["acme/author", "birch/author", "cedar/author"] {
        stepwise.vote(voter, id, Choice::For).unwrap();
        stepwise.state.root();
    }
    for voter in ["acme/author", "birch/author", "cedar/author"] {
        world.vote(voter, id, Choice::For).unwrap();
    }
    assert_eq!(stepwise.state.root(), world.state.root());
    let mut decoded = State::decode_snapshot(&world.state.encode_snapshot()).unwrap();
    assert_eq!(decoded.root(), world.state.root());
}

#[test]
fn a_copy_does_not_see_what_happens_to_the_other() {
    let (mut world, id) = voting();
    let kept = world.state.clone();
    world.vote("acme/author", id, Choice::For).unwrap();
    assert!(kept.proposal(id).unwrap().vote.ballots.is_empty());
    assert_eq!(kept.clone().root(), State::decode_snapshot(&kept.encode_snapshot()).unwrap().root());
}

#[test]
fn a_proof_shows_the_stage_to_whoever_trusts_the_root() {
    let (mut world, id) = voting();
    world.vote("acme/author", id, Choice::For).unwrap();
    let root = world.state.root();
    let proof = StageProof::decode(&world.state.prove(id).unwrap().encode()).unwrap();
    let summary = proof.verify(root).unwrap();
    assert_eq!((summary.stage, summary.ballots), (Stage::Voting, 1));
    assert!(proof.encode().len() < 2_048);
}

#[test]
fn a_proof_of_another_stage_another_root_or_another_proposal_is_refused() {
    let (mut world, id) = voting();
    let root = world.state.root();
    let proof = world.state.prove(id).unwrap();
    let mut changed = proof.clone();
    changed.summary.stage = Stage::Queued;
    assert!(changed.verify(root).is_err());
    let mut renamed = proof.clone();
    renamed.summary.id = ProposalId::from_digest(Digest::ZERO);
    assert!(renamed.verify(root).is_err());
    world.vote("acme/author", id, Choice::For).unwrap();
    let later = world.state.root();
    let refused = proof.verify(later).unwrap_err();
    assert!(refused.to_string().contains("does not lead to the state root"), "{refused}");
    assert_eq!(world.state.prove(ProposalId::from_digest(Digest::ZERO)), None);
}

#[test]
fn a_snapshot_is_the_state_and_goes_on_in_the_same_way() {
    let (mut world, id) = voting();
    world.vote("acme/author", id, Choice::For).unwrap();
    world.vote("birch/author", id, Choice::For).unwrap();
    let mut restored = world.clone();
    restored.state = State::decode_snapshot(&world.state.encode_snapshot()).unwrap();
    while world.state.next_deadline().is_some() {
        assert_eq!(restored.pass_to_deadline(), world.pass_to_deadline());
        assert_eq!(restored.state.root(), world.state.root());
    }
    assert_eq!(restored.state.proposal(id).unwrap().stage, Stage::Expired);
}

#[test]
fn a_snapshot_with_any_byte_changed_is_refused_or_has_another_root() {
    let (mut world, id) = voting();
    world.vote("acme/author", id, Choice::For).unwrap();
    let (root, bytes) = (world.state.root(), world.state.encode_snapshot());
    for place in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[place] ^= 1;
        if let Ok(mut decoded) = State::decode_snapshot(&changed) {
            assert_ne!(decoded.root(), root, "byte {place} of {} is not committed to", bytes.len());
        }
    }
    assert!(State::decode_snapshot(&bytes[..bytes.len() - 1]).is_err());
}

#[test]
fn a_snapshot_in_which_an_emergency_has_another_name_is_refused() {
    let mut world = World::new(4);
    let measures = [crate::emergency::Measure::PauseTarget { target: crate::testing::target("acme-north") }];
    let id = world.declare("acme/guardian", &measures).unwrap();
    State::decode_snapshot(&world.state.encode_snapshot()).unwrap();
    let other = crate::emergency::EmergencyId::from_digest(Digest::ZERO);
    let renamed = |change: &dyn Fn(&mut crate::emergency::Emergency)| {
        let mut state = world.state.clone();
        let mut emergency = state.emergency(id).unwrap().clone();
        change(&mut emergency);
        state.registry_mut().emergencies.insert(id, Arc::new(emergency));
        format!("{:?}", State::decode_snapshot(&state.encode_snapshot()).unwrap_err())
    };
    for refused in
        [renamed(&|held| held.id = other), renamed(&|held| held.declaration.reason = line("another"))]
    {
        assert!(refused.contains("an emergency and its name"), "{refused}");
    }
}

#[test]
fn a_snapshot_of_a_proposal_whose_parts_contradict_each_other_is_refused() {
    let changes: [fn(&mut Proposal); 5] = [
        |proposal| proposal.id = ProposalId::from_digest(Digest::ZERO),
        |proposal| proposal.plan_hash = Digest::ZERO,
        |proposal| Arc::make_mut(&mut proposal.document).title = line("another change"),
        |proposal| drop(proposal.execution.steps.pop()),
        |proposal| proposal.vote.ballots_digest = Digest::of(Purpose::Ballots, b"another chain"),
    ];
    for change in changes {
        let (mut world, id) = voting();
        world.state.tamper(id, change);
        let Err(DecodeError::Malformed(error)) = State::decode_snapshot(&world.state.encode_snapshot())
        else {
            panic!("it is read")
        };
        assert_eq!(error.to_string(), "the parts of a proposal contradict each other");
    }
}

#[test]
fn the_blocks_of_the_window_are_known_and_none_before_it() {
    let mut world = World::new(4);
    for _ in 0..BLOCK_WINDOW {
        world.pass(DurationMs::new(1));
    }
    let known = |world: &World, height| world.state.block_digest(Height::new(height)).is_some();
    assert!(known(&world, 0) && known(&world, BLOCK_WINDOW - 1));
    world.pass(DurationMs::new(1));
    assert!(!known(&world, 0), "the window has moved on");
    assert!(known(&world, 1) && known(&world, BLOCK_WINDOW));
    assert!(!known(&world, BLOCK_WINDOW + 1), "the running block has no digest yet");
}

#[test]
fn a_timer_that_the_rules_do_not_know_is_dropped_and_holds_nothing_up() {
    let (mut world, id) = voting();
    world.state.tamper(id, |proposal| proposal.stage = Stage::Closed);
    world.state.root();
    assert_eq!(world.pass_to_deadline(), []);
    assert_eq!(world.state.next_deadline(), None);
    let proposal = world.state.proposal(id).unwrap();
    assert_eq!((proposal.stage, proposal.deadline), (Stage::Closed, None));
    let mut decoded = State::decode_snapshot(&world.state.encode_snapshot()).unwrap();
    assert_eq!(decoded.root(), world.state.root());
}

#[test]
fn an_effect_on_a_target_that_nobody_registered_changes_nothing() {
    let mut world = World::new(4);
    let (root, kept) = (world.state.root(), world.state.encode_snapshot());
    let action = deploy("2", STAGES).stages[0].steps[0].action.clone();
    world.state.registry_mut().set_applied(&crate::testing::target("nowhere"), &action);
    assert_eq!((world.state.root(), world.state.encode_snapshot()), (root, kept));
}

#[test]
fn sequences_are_counted_by_member_and_role() {
    let (world, _) = voting();
    let next = |name: &str, role| world.state.next_sequence(&member(name), role).get();
    assert_eq!(next("acme/author", Role::Author), 2);
    assert_eq!(next("acme/author", Role::Voter), 1);
    assert_eq!(next("birch/author", Role::Reviewer), 2);
    assert_eq!(next("acme/nobody", Role::Voter), 1);
}

#[test]
fn a_mesh_of_many_members_commits_to_each_of_them() {
    let mut genesis = genesis(4);
    for n in 0..200 {
        let id = member(&format!("{}/voter-{n}", crate::testing::org(n % 4)));
        genesis.members.insert(id.clone(), record(&id, 1, &[Role::Voter]));
    }
    let mut world = World::with(genesis.clone());
    let mut roots = std::collections::BTreeSet::from([world.state.root()]);
    let id = world.submit("acme/author", deploy("2", STAGES)).unwrap();
    world.review("birch/author", id, ReviewVerdict::Approve).unwrap();
    for n in 0..200 {
        let before = world.state.clone();
        world.vote(&format!("{}/voter-{n}", crate::testing::org(n % 4)), id, Choice::For).unwrap();
        assert!(roots.insert(world.state.root()));
        assert_eq!(world.state.members().count(), before.members().count());
    }
    let mut heavier = genesis;
    heavier.members.get_mut(&member("birch/voter-1")).unwrap().weight = Weight::new(2);
    assert!(roots.insert(World::with(heavier).state.root()));
}

#[test]
fn a07_a_genesis_cannot_be_applied_again() {
    let (world, id) = voting();
    let call = Call::Cancel { proposal: id, reason: crate::testing::line("") };
    let other = World::with({
        let mut genesis = genesis(4);
        genesis.constitution.version = 2;
        genesis
    });
    assert_ne!(other.network(), world.network());
    let foreign = other.sign("acme/author", Role::Author, call);
    let unverified =
        crate::transaction::UnverifiedTransaction::decode(&foreign.encode(), world.network()).unwrap();
    assert!(unverified.verify().is_err());
}

#[test]
fn a_target_serves_on_an_endpoint_for_each_instance_and_on_none_once_its_last_service_is_removed() {
    let name = crate::testing::name;
    let mut target = World::new(4).state.target(&crate::testing::target("acme-north")).unwrap().clone();
    assert_eq!(target.serving_endpoints(), 0);
    for (instances, serving) in [(1, 1), (2, 2), (16, 2)] {
        let (service, version, artefact) = (name("web"), name("v1"), Digest::ZERO);
        let deployed = Action::Deploy { service, version, artefact, instances };
        target.applied.insert(name("web"), deployed);
        assert_eq!(target.serving_endpoints(), serving);
    }
    target.applied.insert(name("web"), Action::Remove { resource: name("web") });
    assert_eq!(target.serving_endpoints(), 0);
}
