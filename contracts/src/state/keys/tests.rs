//! Keys that are replaced: what is taken and refused, what the old key still does, and who may recover one for another.

use super::*;
use crate::{
    act::Act,
    constitution::Threshold,
    genesis::Genesis,
    lifecycle::tests::story::propose_acts,
    quantity::{DurationMs, Weight},
    stage::Stage,
    state::Applied,
    testing::{
        TestKey, World, acts, deploy, genesis, key_claim, member, member_key, member_keys, node_key, record,
    },
    transaction::{Call, Choice, ReviewVerdict, TransactionBody},
};

mod recovery;

const DAY: DurationMs = DurationMs::from_hours(24);

fn replace(world: &mut World, holder: &str, role: Role) -> Result<Applied, Reject> {
    let claim = world.claim(holder, role);
    world.call(holder, role, Call::ReplaceKey { claim })
}

fn why(result: Result<Applied, Reject>) -> KeyRefusal {
    match result.unwrap_err() {
        Reject::Key(why) => why,
        other => panic!("refused for another reason: {other}"),
    }
}

/// A call signed with another key than the sender's.
fn with_key(world: &World, key: &TestKey, sender: &str, role: Role, call: Call) -> Result<Applied, Reject> {
    let sender = member(sender);
    let sequence = world.state.next_sequence(&sender, role);
    let not_after = world.state.time().after(DAY);
    let body = TransactionBody { sender, role, sequence, not_after, call };
    let signature = key.sign(body.signing_message(world.network()));
    let transaction = crate::transaction::Transaction::V3 { body, key: key.public(), signature };
    world.state.clone().apply(crate::state::Input::Transaction(&world.verify(&transaction)))
}

#[test]
fn a_new_key_signs_in_the_place_of_the_old_one() {
    let mut world = World::new(4);
    let id = world.submit("acme/author", deploy("2", &[&["acme-north"]])).unwrap();
    world.review("birch/author", id, ReviewVerdict::Approve).unwrap();
    world.vote("cedar/author", id, Choice::For).unwrap();
    let old = member_key(&member("cedar/author"), Role::Voter);
    let claim = world.claim("cedar/author", Role::Voter);
    let (replaces, key) = (old.public(), claim.key);
    let done = world.call("cedar/author", Role::Voter, Call::ReplaceKey { claim }).unwrap();
    let (holder, role) = (member("cedar/author"), Role::Voter);
    let event = Event::KeyReplaced { member: holder, role, replaces, key, recovered_by: vec![] };
    assert_eq!(done, Applied::New(vec![event]));

    let vote = world.vote_call(id, Choice::Against);
    let by_old = with_key(&world, &old, "cedar/author", Role::Voter, vote.clone());
    assert!(matches!(by_old, Err(Reject::NotInRole { .. })), "{by_old:?}");
    let changed = world.call("cedar/author", Role::Voter, vote);
    assert!(matches!(changed, Err(Reject::AlreadyDone { .. })), "its ballot stands: {changed:?}");
    world.submit("cedar/author", deploy("3", &[&["cedar-north"]])).expect("other roles have their keys");
}

#[test]
fn a_claim_is_of_the_sender_for_its_role_and_its_key() {
    let mut world = World::new(4);
    let own = world.claim("acme/author", Role::Voter);
    let other = world.call("birch/author", Role::Voter, Call::ReplaceKey { claim: own.clone() });
    assert_eq!(why(other), KeyRefusal::NotTheHolder { member: member("birch/author") });
    let in_another_role = world.call("acme/author", Role::Author, Call::ReplaceKey { claim: own.clone() });
    assert_eq!(why(in_another_role), KeyRefusal::NotTheHolder { member: member("acme/author") });

    world.call("acme/author", Role::Voter, Call::ReplaceKey { claim: own.clone() }).unwrap();
    let again = world.call("acme/author", Role::Voter, Call::ReplaceKey { claim: own });
    assert_eq!(why(again), KeyRefusal::Stale { member: member("acme/author"), role: Role::Voter });
}

#[test]
fn a13_a_proof_is_of_the_new_key_for_this_claim_on_this_mesh() {
    let mut world = World::new(4);
    let holder = member("acme/author");
    let sound = world.claim("acme/author", Role::Voter);
    let spare = member_keys(&holder, Role::Voter).nth(1).unwrap();
    let elsewhere = key_claim(World::new(3).network(), (&holder, Role::Voter), sound.replaces, &spare);
    let of_another = KeyClaim { key: TestKey::of("another").public(), ..sound.clone() };
    let for_another_role = KeyClaim {
        proof: key_claim(world.network(), (&holder, Role::Author), sound.replaces, &spare).proof,
        ..sound.clone()
    };
    for claim in [elsewhere, of_another, for_another_role] {
        assert_eq!(
            why(world.call("acme/author", Role::Voter, Call::ReplaceKey { claim })),
            KeyRefusal::Proof
        );
    }
    world.call("acme/author", Role::Voter, Call::ReplaceKey { claim: sound }).unwrap();
}

#[test]
fn a_key_that_anybody_has_or_had_is_nobody_elses() {
    let mut world = World::new(4);
    replace(&mut world, "birch/author", Role::Voter).unwrap();
    let holder = member("acme/author");
    let replaces = member_key(&holder, Role::Voter).public();
    let taken = [
        member_key(&member("birch/author"), Role::Voter),
        member_keys(&member("birch/author"), Role::Voter).nth(1).unwrap(),
        member_key(&holder, Role::Author),
        member_key(&holder, Role::Voter),
        node_key("delta"),
        crate::testing::consensus_key("delta"),
    ];
    for key in taken {
        let claim = key_claim(world.network(), (&holder, Role::Voter), replaces, &key);
        assert_eq!(
            why(world.call("acme/author", Role::Voter, Call::ReplaceKey { claim })),
            KeyRefusal::Taken
        );
    }
    let mut stolen = record(&member("cedar/new"), 1, &[Role::Voter]);
    stolen.keys.insert(Role::Voter, member_key(&member("birch/author"), Role::Voter).public());
    let act = Act::SetMember { member: member("cedar/new"), record: stolen };
    let id = world.submit("acme/author", acts(vec![act])).unwrap();
    assert_eq!(world.state.proposal(id).unwrap().stage, Stage::Rejected, "a replaced key is nobody else's");
}

#[test]
fn executors_and_auditors_get_their_keys_by_a_proposal() {
    let mut world = World::new(4);
    for (holder, role) in [("acme/executor", Role::Executor), ("acme/auditor", Role::Auditor)] {
        let refused = replace(&mut world, holder, role);
        assert!(matches!(refused, Err(Reject::WrongRole { .. })), "{refused:?}");
        let claim = world.claim(holder, role);
        let by_a_colleague = world.call("acme/author", Role::Voter, Call::SignRecovery { claim });
        assert_eq!(why(by_a_colleague), KeyRefusal::ByProposal { role });
    }
}

/// What a member replaces by itself neither stops what is decided about it nor is undone by it.
#[test]
fn a18_nobody_evades_a_decision_by_another_key() {
    let mut world = World::new(4);
    let out = Act::RemoveMember { member: member("birch/guardian") };
    let id = propose_acts(&mut world, acts(vec![out]));
    replace(&mut world, "birch/guardian", Role::Guardian).unwrap();
    world.pass(DurationMs::new(1));
    assert!(world.state.proposal(id).unwrap().is_open(), "its removal is not overtaken");
}

#[test]
fn a_decision_that_names_the_key_from_before_leaves_the_new_one() {
    let mut world = World::new(4);
    let holder = member("birch/author");
    replace(&mut world, "birch/author", Role::Voter).unwrap();
    let current = world.state.member(&holder).unwrap().keys.clone();
    let decide = |world: &mut World, change: &dyn Fn(&mut crate::genesis::MemberRecord)| {
        let mut decided = record(&holder, 100, &[Role::Author, Role::Reviewer, Role::Voter]);
        change(&mut decided);
        let act = Act::SetMember { member: holder.clone(), record: decided };
        let proposal = crate::transaction::ProposalId::from_digest(crate::digest::Digest::ZERO);
        world.state.registry_mut().enact(&act, proposal, &mut Vec::new());
        world.state.member(&holder).unwrap().clone()
    };

    let heavier = decide(&mut world, &|decided| decided.weight = Weight::new(50));
    assert_eq!((heavier.weight, &heavier.keys), (Weight::new(50), &current));
    let in_force = heavier.decided_keys()[&Role::Voter];
    assert_eq!(in_force, member_key(&holder, Role::Voter).public(), "that is what was decided on");

    let confirmed = decide(&mut world, &|decided| {
        decided.keys.insert(Role::Voter, current[&Role::Voter]);
    });
    assert_eq!((&confirmed.keys, confirmed.given.len()), (&current, 0));

    replace(&mut world, "birch/author", Role::Voter).unwrap();
    let fresh = TestKey::of("decided").public();
    let other = decide(&mut world, &|decided| {
        decided.keys.insert(Role::Voter, fresh);
    });
    assert_eq!((other.keys[&Role::Voter], other.given.len()), (fresh, 0));

    let without = decide(&mut world, &|decided| {
        decided.keys.remove(&Role::Voter);
    });
    assert_eq!((without.keys.get(&Role::Voter), without.given.len()), (None, 0));
}

#[test]
fn a_snapshot_keeps_what_was_replaced() {
    let mut world = World::new(4);
    world.block(DurationMs::new(1), &[]);
    let claim = world.claim("birch/author", Role::Voter);
    let replaced = world.sign("birch/author", Role::Voter, Call::ReplaceKey { claim });
    let (block, _) = world.block(DurationMs::new(1), &[replaced]);
    let mut decoded = State::decode_snapshot(&world.state.encode_snapshot()).unwrap();
    assert_eq!(decoded.root(), block.header().state_root);
    assert_eq!(decoded.member(&member("birch/author")), world.state.member(&member("birch/author")));
}
