//! Recoveries: how many colleagues, for how long they are heard, and who stops one.

use super::*;

/// Acme has four people: the author, the guardian, ann and bob; of the author's three colleagues two have to sign.
fn office() -> Genesis {
    let mut genesis = genesis(4);
    for voter in ["acme/ann", "acme/bob"] {
        let id = member(voter);
        genesis.members.insert(id.clone(), record(&id, 10, &[Role::Voter]));
    }
    genesis
}

fn world() -> World {
    World::with(office())
}

fn sign(world: &mut World, signer: (&str, Role), claim: &KeyClaim) -> Result<Applied, Reject> {
    world.call(signer.0, signer.1, Call::SignRecovery { claim: claim.clone() })
}

fn stop(world: &mut World, (who, role): (&str, Role)) -> Result<Applied, Reject> {
    world.call(who, role, Call::StopRecovery { member: member("acme/author"), role: Role::Author })
}

const ANN: (&str, Role) = ("acme/ann", Role::Voter);
const BOB: (&str, Role) = ("acme/bob", Role::Voter);
const GUARDIAN: (&str, Role) = ("acme/guardian", Role::Guardian);
const HOLDER: (&str, Role) = ("acme/author", Role::Author);

/// A world in which enough have signed.
fn agreed() -> (World, KeyClaim) {
    let mut world = world();
    let claim = world.claim("acme/author", Role::Author);
    sign(&mut world, ANN, &claim).unwrap();
    sign(&mut world, GUARDIAN, &claim).unwrap();
    (world, claim)
}

fn key(world: &World) -> PublicKey {
    world.state.member(&member("acme/author")).unwrap().keys[&Role::Author]
}

#[test]
fn enough_colleagues_recover_a_key_after_the_delay() {
    let mut world = world();
    let claim = world.claim("acme/author", Role::Author);
    let (holder, role, new) = (member("acme/author"), Role::Author, claim.key);
    assert_eq!(world.state.colleagues_needed(&holder), Some(2));
    let first = sign(&mut world, ANN, &claim).unwrap();
    let signed = |signer: &str| Event::RecoverySigned {
        member: member("acme/author"),
        role,
        key: new,
        signer: member(signer),
    };
    assert_eq!(first, Applied::New(vec![signed("acme/ann")]));
    assert_eq!(sign(&mut world, ANN, &claim).unwrap(), Applied::Same);
    let due = world.state.time().after(world.state.constitution().recovery.delay);
    let second = sign(&mut world, GUARDIAN, &claim).unwrap();
    let agreement = Event::RecoveryAgreed { member: holder.clone(), role, key: new, due };
    assert_eq!(second, Applied::New(vec![signed("acme/guardian"), agreement]));
    assert_eq!(world.state.next_deadline(), Some(due));

    let early = due.since(world.state.time()).get().saturating_sub(1);
    assert_eq!(world.pass(DurationMs::new(early)), []);
    assert_eq!(key(&world), claim.replaces);
    let recovered_by = vec![member("acme/ann"), member("acme/guardian")];
    let replaced =
        Event::KeyReplaced { member: holder, role, replaces: claim.replaces, key: new, recovered_by };
    assert_eq!(world.pass(DurationMs::new(1)), [replaced]);
    assert_eq!((key(&world), world.state.recoveries().count()), (new, 0));
    assert_eq!(world.state.next_deadline(), None);
    world.submit("acme/author", deploy("2", &[&["acme-north"]])).unwrap();
}

#[test]
fn only_other_people_of_the_organisation_sign() {
    let mut world = world();
    let claim = world.claim("acme/author", Role::Author);
    let refused = KeyRefusal::NotAColleague { org: crate::testing::org(0) };
    assert_eq!(why(sign(&mut world, ("birch/author", Role::Voter), &claim)), refused);
    assert_eq!(why(sign(&mut world, ("acme/author", Role::Voter), &claim)), refused, "nor with another role");
    for machine in [("acme/executor", Role::Executor), ("acme/auditor", Role::Auditor)] {
        let refused = sign(&mut world, machine, &claim);
        assert!(matches!(refused, Err(Reject::WrongRole { .. })), "{refused:?}");
    }
}

#[test]
fn one_person_is_one_whatever_its_roles() {
    let ann = member("birch/ann");
    let roles = [Role::Author, Role::Reviewer, Role::Voter];
    let mut genesis = genesis(4);
    genesis.members.insert(ann.clone(), record(&ann, 1, &roles));
    let mut world = World::with(genesis);
    let claim = world.claim("birch/author", Role::Voter);
    for role in roles {
        // What it has said before in another role it says again.
        let _same = sign(&mut world, ("birch/ann", role), &claim).unwrap();
    }
    assert_eq!(world.state.recovery(&claim.member, claim.role).unwrap().agreed, None);
}

#[test]
fn an_organisation_with_too_few_people_asks_the_mesh() {
    let mut world = World::new(4);
    let claim = world.claim("birch/author", Role::Voter);
    let refused = why(sign(&mut world, ("birch/guardian", Role::Guardian), &claim));
    assert_eq!(refused, KeyRefusal::TooFew { org: crate::testing::org(1), colleagues: 1 });
}

#[test]
fn words_about_two_keys_do_not_add_up() {
    let mut world = world();
    let holder = member("acme/author");
    let first = world.claim("acme/author", Role::Author);
    let spare = member_keys(&holder, Role::Author).nth(2).unwrap();
    let second = key_claim(world.network(), (&holder, Role::Author), first.replaces, &spare);
    sign(&mut world, ANN, &first).unwrap();
    sign(&mut world, BOB, &second).unwrap();
    assert_eq!(world.state.recovery(&holder, Role::Author).unwrap().agreed, None);
    sign(&mut world, ANN, &second).unwrap();
    let agreed = world.state.recovery(&holder, Role::Author).unwrap().agreed.unwrap();
    assert_eq!(agreed.key, second.key, "the last word of each counts");
    let refused = why(sign(&mut world, GUARDIAN, &first));
    assert_eq!(refused, KeyRefusal::Agreed { due: agreed.due });
}

#[test]
fn a_word_is_heard_for_a_time() {
    let mut world = world();
    let claim = world.claim("acme/author", Role::Author);
    sign(&mut world, ANN, &claim).unwrap();
    let signing = world.state.constitution().recovery.signing;
    world.pass(signing.next());
    sign(&mut world, BOB, &claim).unwrap();
    assert_eq!(world.state.recovery(&claim.member, claim.role).unwrap().agreed, None);
    world.pass(signing);
    sign(&mut world, GUARDIAN, &claim).unwrap();
    assert!(world.state.recovery(&claim.member, claim.role).unwrap().agreed.is_some());
}

#[test]
fn who_has_the_key_refuses_the_recovery() {
    let (mut world, claim) = agreed();
    let by = Some(member("acme/author"));
    let (holder, role) = (claim.member, claim.role);
    let other = world.call("acme/author", Role::Voter, Call::StopRecovery { member: holder.clone(), role });
    assert!(matches!(why(other), KeyRefusal::Nothing { .. }), "with another key than the one in question");
    let stopped = Event::RecoveryStopped { member: holder, role, by };
    assert_eq!(stop(&mut world, HOLDER).unwrap(), Applied::New(vec![stopped]));
    assert_eq!((world.state.recoveries().count(), world.state.next_deadline()), (0, None));
    world.pass(DAY.times(30));
    assert_eq!(key(&world), claim.replaces);
    assert!(matches!(why(stop(&mut world, HOLDER)), KeyRefusal::Nothing { .. }));
}

#[test]
fn a_colleague_takes_its_word_back() {
    let (mut world, claim) = agreed();
    assert!(matches!(why(stop(&mut world, BOB)), KeyRefusal::Nothing { .. }), "it has not signed");
    stop(&mut world, ANN).unwrap();
    let left = world.state.recovery(&claim.member, claim.role).unwrap();
    assert_eq!((left.agreed, left.signatures.len()), (None, 1));
    sign(&mut world, BOB, &claim).unwrap();
    assert!(world.state.recovery(&claim.member, claim.role).unwrap().agreed.is_some());
    stop(&mut world, GUARDIAN).unwrap();
    stop(&mut world, BOB).unwrap();
    assert_eq!(world.state.recoveries().count(), 0);
}

#[test]
fn a_replay_of_a_stop_does_nothing() {
    let (mut world, claim) = agreed();
    let call = Call::StopRecovery { member: claim.member.clone(), role: claim.role };
    let stop = world.verified("acme/ann", Role::Voter, call);
    let again = |state: &mut State| state.apply(crate::state::Input::Transaction(&stop));
    assert!(matches!(again(&mut world.state), Ok(Applied::New(_))));
    assert_eq!(again(&mut world.state), Ok(Applied::Same));
    sign(&mut world, ANN, &claim).unwrap();
    assert!(matches!(again(&mut world.state), Err(Reject::Sequence { .. })), "it stops nothing later");
}

#[test]
fn a_key_that_its_holder_replaces_is_not_recovered() {
    let (mut world, claim) = agreed();
    let spare = member_keys(&claim.member, Role::Author).nth(3).unwrap();
    let own = key_claim(world.network(), (&claim.member, Role::Author), claim.replaces, &spare);
    world.call("acme/author", Role::Author, Call::ReplaceKey { claim: own }).unwrap();
    assert_eq!((world.state.recoveries().count(), world.state.next_deadline()), (0, None));
    assert_eq!(key(&world), spare.public());
}

#[test]
fn a_key_that_has_come_to_be_anothers_is_not_given() {
    let (mut world, claim) = agreed();
    let ann = member("acme/ann");
    let spare = member_keys(&claim.member, Role::Author).nth(1).unwrap();
    assert_eq!(spare.public(), claim.key);
    let replaces = member_key(&ann, Role::Voter).public();
    let own = key_claim(world.network(), (&ann, Role::Voter), replaces, &spare);
    world.call("acme/ann", Role::Voter, Call::ReplaceKey { claim: own }).unwrap();
    let (holder, role) = (claim.member, claim.role);
    assert_eq!(world.pass_to_deadline(), [Event::RecoveryStopped { member: holder, role, by: None }]);
    assert_eq!(key(&world), claim.replaces);
}

fn leave(world: &mut World, who: &str) {
    world.state.tamper_with_members(|members| {
        Arc::make_mut(members.get_mut(&member(who)).unwrap()).keys.clear();
    });
}

#[test]
fn whoever_has_left_is_heard_no_more() {
    let mut world = world();
    let claim = world.claim("acme/author", Role::Author);
    sign(&mut world, ANN, &claim).unwrap();
    leave(&mut world, "acme/ann");
    sign(&mut world, BOB, &claim).unwrap();
    assert_eq!(world.state.recovery(&claim.member, claim.role).unwrap().agreed, None);
    sign(&mut world, GUARDIAN, &claim).unwrap();
    assert!(world.state.recovery(&claim.member, claim.role).unwrap().agreed.is_some());
    leave(&mut world, "acme/bob");
    let (holder, role) = (claim.member, claim.role);
    assert_eq!(world.pass_to_deadline(), [Event::RecoveryStopped { member: holder, role, by: None }]);
    assert_eq!((key(&world), world.state.recoveries().count()), (claim.replaces, 0));
}

#[test]
fn what_was_said_about_a_key_goes_with_it() {
    let (mut world, claim) = agreed();
    world.state.tamper_with_members(|members| {
        let held = members.get_mut(&claim.member).unwrap();
        Arc::make_mut(held).keys.remove(&Role::Author);
    });
    world.state.drop_void_recoveries();
    assert_eq!(world.state.recoveries().count(), 0);
}

#[test]
fn a_snapshot_keeps_what_was_said() {
    let mut world = world();
    let claim = world.claim("acme/author", Role::Author);
    let words = ["acme/ann", "acme/bob"]
        .map(|signer| world.sign(signer, Role::Voter, Call::SignRecovery { claim: claim.clone() }));
    let (block, _) = world.block(DurationMs::new(1), &words);
    let mut decoded = State::decode_snapshot(&world.state.encode_snapshot()).unwrap();
    assert_eq!(decoded.root(), block.header().state_root);
    assert_eq!(decoded.next_deadline(), world.state.next_deadline());
    assert_eq!(decoded.recovery(&claim.member, claim.role), world.state.recovery(&claim.member, claim.role));
    world.pass_to_deadline();
    assert_eq!(key(&world), claim.key);
}

#[test]
fn a_recovery_of_one_or_at_once_is_no_rule() {
    let check = |change: fn(&mut crate::recovery::RecoveryRules)| {
        let mut rules = crate::constitution::Constitution::default_genesis();
        change(&mut rules.recovery);
        rules.check().map_err(|error| error.to_string())
    };
    assert_eq!(check(|_| ()), Ok(()));
    let one = check(|rules| rules.at_least = 1).unwrap_err();
    assert_eq!(one, "recovery.at_least is 1; it must be from 2 to 16");
    assert!(check(|rules| rules.colleagues = "1/1".parse().map(Threshold::MoreThan).unwrap()).is_err());
    assert!(check(|rules| rules.delay = DurationMs::ZERO).is_err());
    assert!(check(|rules| rules.signing = DurationMs::ZERO).is_err());
}
