//! Attacks that happened elsewhere, each with its id in the notes on governance.

use super::story::{STAGES, executable, queue, stage};
use crate::{
    digest::Digest,
    quantity::{DurationMs, Height, Sequence, TimeMs},
    reject::Reject,
    role::Role,
    stage::Stage,
    state::{Applied, Input},
    testing::{World, deploy, genesis, line, member},
    transaction::{
        Call, Choice, ProposalId, ReviewVerdict, Transaction, TransactionBody, UnverifiedTransaction,
    },
};

fn voting() -> (World, ProposalId) {
    let mut world = World::new(4);
    world.pass(DurationMs::new(1));
    let id = world.submit("acme/author", deploy("2", STAGES)).unwrap();
    world.review("birch/author", id, ReviewVerdict::Approve).unwrap();
    (world, id)
}

fn apply(world: &mut World, transaction: &Transaction) -> Result<Applied, Reject> {
    let verified = world.verify(transaction);
    world.state.apply(Input::Transaction(&verified))
}

#[test]
fn a01_a_decision_and_its_execution_are_never_at_one_height() {
    let (mut world, id) = voting();
    for voter in ["acme/author", "birch/author", "cedar/author"] {
        world.vote(voter, id, Choice::For).unwrap();
    }
    let claim = Call::Claim { proposal: id, step: 0 };
    assert_eq!(world.ask("acme/executor", Role::Executor, claim.clone()).unwrap_err().code(), "illegal-move");
    world.pass_to_deadline();
    world.pass_to_deadline();
    assert_eq!(stage(&world, id), Stage::Queued);
    assert_eq!(world.ask("acme/executor", Role::Executor, claim).unwrap_err().code(), "step");
}

#[test]
fn a03_one_organisation_with_most_of_the_weight_cannot_pass_alone() {
    let mut genesis = genesis(4);
    genesis.members.get_mut(&member("acme/author")).unwrap().weight = crate::quantity::Weight::new(600);
    let mut world = World::with(genesis);
    let id = world.submit("acme/author", deploy("2", STAGES)).unwrap();
    world.review("birch/author", id, ReviewVerdict::Approve).unwrap();
    world.vote("acme/author", id, Choice::For).unwrap();
    world.pass_to_deadline();
    assert_eq!(stage(&world, id), Stage::Defeated);
}

#[test]
fn a06_a_change_names_its_content_by_digest_and_another_content_is_another_plan() {
    let world = World::new(4);
    let mut moved = deploy("2", STAGES);
    let before = world.state.plan(&moved).unwrap().hash();
    if let crate::document::Action::Deploy { artefact, .. } = &mut moved.stages[0].steps[0].action {
        *artefact = Digest::of_artefact(b"mutated behind the same version");
    }
    assert_ne!(world.state.plan(&moved).unwrap().hash(), before);
}

#[test]
fn a10_a_defeat_stays_whatever_happens_later() {
    let (mut world, id) = voting();
    world.pass_to_deadline();
    let defeated = world.state.proposal(id).unwrap().clone();
    queue(&mut world, "5", STAGES);
    world.pass(DurationMs::from_hours(1_000));
    assert_eq!(*world.state.proposal(id).unwrap(), defeated);
}

#[test]
fn a11_the_same_content_of_two_authors_is_two_proposals_and_neither_cancels_the_other() {
    let mut world = World::new(4);
    let first = world.submit("acme/author", deploy("2", STAGES)).unwrap();
    let second = world.submit("birch/author", deploy("2", STAGES)).unwrap();
    assert_ne!(first, second);
    let call = Call::Cancel { proposal: first, reason: line("mine") };
    assert_eq!(world.call("birch/author", Role::Author, call).unwrap_err().code(), "not-the-author");
}

#[test]
fn a13_a_replayed_ballot_has_no_second_effect() {
    let (mut world, id) = voting();
    let ballot = world.sign("acme/author", Role::Voter, world.vote_call(id, Choice::For));
    apply(&mut world, &ballot).unwrap();
    let kept = world.state.encode_snapshot();
    assert_eq!(apply(&mut world, &ballot), Ok(Applied::Same));
    world.pass_to_deadline();
    let _same_or_refused = apply(&mut world, &ballot);
    assert_eq!(world.state.proposal(id).unwrap().vote.ballots.len(), 1);
    assert_ne!(kept, world.state.encode_snapshot());
}

#[test]
fn a13_a_ballot_of_another_network_does_not_verify() {
    let (world, id) = voting();
    let ballot = world.sign("acme/author", Role::Voter, world.vote_call(id, Choice::For));
    let mut other = genesis(4);
    other.name = crate::testing::name("other");
    let other = World::with(other);
    let unverified = UnverifiedTransaction::decode(&ballot.encode(), other.network()).unwrap();
    assert!(unverified.verify().is_err());
}

#[test]
fn a13_a_ballot_for_an_older_edition_an_older_sequence_or_too_late_is_refused() {
    let (mut world, id) = voting();
    let sender = member("acme/author");
    let body = |sequence, not_after| TransactionBody {
        sender: sender.clone(),
        role: Role::Voter,
        sequence: Sequence::new(sequence),
        not_after,
        call: world.vote_call(id, Choice::For),
    };
    let never = TimeMs::MAX;
    let skipped = world.sign_as(body(2, never));
    let zeroth = world.sign_as(body(0, never));
    let late = world.sign_as(body(1, TimeMs::new(world.state.time().get() - 1)));
    let on_time = world.sign_as(body(1, world.state.time()));
    let future = apply(&mut world, &skipped).unwrap_err();
    assert_eq!(future.to_string(), "sequence 2 is not the next one of acme/author, which is 1");
    assert!(future.can_waiting_help());
    assert_eq!(apply(&mut world, &zeroth).unwrap_err().code(), "sequence");
    assert_eq!(apply(&mut world, &late).unwrap_err().code(), "late");
    assert!(matches!(apply(&mut world, &on_time), Ok(Applied::New(_))));
}

#[test]
fn a13_a_key_of_another_role_or_member_is_refused() {
    let (world, id) = voting();
    let body = |sender: &str, role| TransactionBody {
        sender: member(sender),
        role,
        sequence: Sequence::new(1),
        not_after: TimeMs::MAX,
        call: world.vote_call(id, Choice::For),
    };
    let borrowed = {
        let body = body("acme/author", Role::Voter);
        let key = crate::testing::member_key(&member("birch/author"), Role::Voter);
        let signature = key.sign(body.signing_message(world.network()));
        Transaction::V3 { body, key: key.public(), signature }
    };
    let mut state = world.state.clone();
    let refused = state.apply(Input::Transaction(&world.verify(&borrowed))).unwrap_err();
    assert_eq!(refused.to_string(), "acme/author does not hold the role voter with this key");
    let as_author = world.sign_as(body("acme/author", Role::Author));
    let refused = state.apply(Input::Transaction(&world.verify(&as_author))).unwrap_err();
    assert_eq!(refused.to_string(), "a author may not do this; it needs the role voter");
    let stranger = world.sign_as(body("acme/nobody", Role::Voter));
    let refused = state.apply(Input::Transaction(&world.verify(&stranger))).unwrap_err();
    assert_eq!(refused.to_string(), "acme/nobody is not a member of this mesh");
}

#[test]
fn a15_everything_due_at_a_height_is_decided_by_its_own_snapshot_in_one_order() {
    let mut world = World::new(4);
    let ids: Vec<_> = (0..4)
        .map(|n| {
            let id = world.submit("acme/author", deploy(&format!("v{n}"), &[&["acme-north"]])).unwrap();
            world.review("birch/author", id, ReviewVerdict::Approve).unwrap();
            world.vote("acme/author", id, Choice::For).unwrap();
            world.vote("birch/author", id, Choice::For).unwrap();
            id
        })
        .collect();
    let events = world.pass_to_deadline();
    let order: Vec<_> = events
        .iter()
        .filter_map(|event| match event {
            crate::event::Event::StageChanged { proposal, to: Stage::Confirming, .. } => Some(*proposal),
            _ => None,
        })
        .collect();
    let mut sorted = ids;
    sorted.sort_unstable();
    assert_eq!(order, sorted);
}

#[test]
fn a16_extreme_weights_and_an_empty_vote_are_counted_without_a_halt() {
    let mut genesis = genesis(4);
    for record in genesis.members.values_mut().filter(|record| record.keys.contains_key(&Role::Voter)) {
        record.weight = crate::parties::WEIGHT_MAX;
    }
    let mut world = World::with(genesis);
    let id = world.submit("acme/author", deploy("2", STAGES)).unwrap();
    world.review("birch/author", id, ReviewVerdict::Approve).unwrap();
    assert!(!world.state.proposal(id).unwrap().count().passes);
    for voter in ["acme/author", "birch/author", "cedar/author", "delta/author"] {
        world.vote(voter, id, Choice::For).unwrap();
    }
    assert!(world.state.proposal(id).unwrap().count().passes);
}

#[test]
fn a19_a_head_of_the_queue_that_is_stuck_blocks_nobody() {
    let mut world = World::new(4);
    let stuck = queue(&mut world, "2", &[&["acme-north"]]);
    let other = queue(&mut world, "2", &[&["birch-north"]]);
    world.pass_to_deadline();
    super::story::claim(&mut world, other, 0).unwrap();
    assert_eq!((stage(&world, stuck), stage(&world, other)), (Stage::Queued, Stage::Canary));
}

#[test]
fn a27_what_expired_stays_expired() {
    let (mut world, id) = executable(STAGES);
    world.pass_to_deadline();
    assert_eq!(stage(&world, id), Stage::Expired);
    world.pass(DurationMs::from_hours(1));
    let claim = Call::Claim { proposal: id, step: 0 };
    let refused = world.call("acme/executor", Role::Executor, claim).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "claim is not possible while the proposal is expired; possible now: nothing"
    );
}

#[test]
fn a30_time_and_height_only_move_forward() {
    let mut world = World::new(4);
    world.pass(DurationMs::new(10));
    let (height, time) = (world.state.height(), world.state.time());
    for (height, time) in [
        (height, time.after(DurationMs::new(1))),
        (height.next(), time),
        (Height::new(height.get() + 2), time.after(DurationMs::new(1))),
    ] {
        let refused = world.state.apply(Input::Begin { height, time, parent: Digest::ZERO }).unwrap_err();
        assert_eq!(refused.code(), "out-of-order");
    }
}
