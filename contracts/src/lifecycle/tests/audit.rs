//! Attestations, disputes, and proofs of equivocation.

use super::story::{audit, carry_out, judge, queue, stage};
use crate::{
    certificate::{VoteKind, VoteStatement},
    constitution::Track,
    digest::{Digest, Purpose},
    event::Event,
    quantity::{DurationMs, Height, Round},
    role::Role,
    stage::Stage,
    state::Applied,
    testing::{TestKey, World, consensus_key, genesis, line, member, record},
    transaction::{AuditVerdict, Call, Equivocation, EquivocationKind, ProposalId},
};

fn finished() -> (World, ProposalId) {
    finished_in(World::new(4))
}

fn finished_in(mut world: World) -> (World, ProposalId) {
    let id = queue(&mut world, "2", &[&["acme-north"]]);
    world.pass_to_deadline();
    carry_out(&mut world, id, 0);
    judge(&mut world, id, 0);
    judge(&mut world, id, 0);
    assert_eq!(stage(&world, id), Stage::Auditing);
    world.pass(DurationMs::new(1));
    (world, id)
}

#[test]
fn a_sound_verdict_closes_and_its_repeat_is_the_same() {
    let (mut world, id) = finished();
    audit(&mut world, id, AuditVerdict::Sound).unwrap();
    assert_eq!(stage(&world, id), Stage::Closed);
    assert_eq!(audit(&mut world, id, AuditVerdict::Sound), Ok(Applied::Same));
    let otherwise = AuditVerdict::Unsound { finding: line("G4") };
    assert_eq!(audit(&mut world, id, otherwise).unwrap_err().code(), "illegal-move");
}

#[test]
fn as_many_auditors_as_asked_close_it_and_none_of_them_says_otherwise() {
    let mut genesis = genesis(4);
    let second = member("birch/auditor");
    genesis.members.insert(second.clone(), record(&second, 0, &[Role::Auditor]));
    genesis.constitution.tracks.get_mut(&Track::Standard).unwrap().attestations = 2;
    let (mut world, id) = finished_in(World::with(genesis));
    audit(&mut world, id, AuditVerdict::Sound).unwrap();
    assert_eq!(audit(&mut world, id, AuditVerdict::Sound), Ok(Applied::Same));
    let otherwise = AuditVerdict::Unsound { finding: line("G4") };
    let refused = audit(&mut world, id, otherwise).unwrap_err();
    assert_eq!(refused.to_string(), "acme/auditor has already done this and said otherwise");
    assert_eq!(stage(&world, id), Stage::Auditing, "one of two has attested");
    let height = world.state.proposal(id).unwrap().ended.unwrap().height;
    let block = world.state.block_digest(height).unwrap();
    let call = Call::Attest { proposal: id, verdict: AuditVerdict::Sound, height, block };
    world.call("birch/auditor", Role::Auditor, call).unwrap();
    assert_eq!(stage(&world, id), Stage::Closed);
}

#[test]
fn an_unsound_verdict_disputes() {
    let (mut world, id) = finished();
    audit(&mut world, id, AuditVerdict::Unsound { finding: line("G11: a receipt is missing") }).unwrap();
    assert_eq!(stage(&world, id), Stage::Disputed);
}

#[test]
fn a28_an_auditor_of_another_history_is_refused() {
    let (mut world, id) = finished();
    let height = world.state.proposal(id).unwrap().ended.unwrap().height;
    let block = Digest::of(Purpose::Header, b"another");
    let call = Call::Attest { proposal: id, verdict: AuditVerdict::Sound, height, block };
    assert_eq!(world.ask("acme/auditor", Role::Auditor, call).unwrap_err().code(), "other-history");
    let early = Height::new(1);
    let block = world.state.block_digest(early).unwrap();
    let call = Call::Attest { proposal: id, verdict: AuditVerdict::Sound, height: early, block };
    let refused = world.call("acme/auditor", Role::Auditor, call).unwrap_err();
    assert!(refused.to_string().contains("lies before the end"), "{refused}");
}

#[test]
fn auditors_write_nothing_but_attestations() {
    let (world, id) = finished();
    let call = Call::Cancel { proposal: id, reason: line("") };
    let refused = world.ask("acme/auditor", Role::Auditor, call).unwrap_err();
    assert_eq!(refused.to_string(), "a auditor may not do this; it needs the role author");
}

#[test]
fn auditors_who_are_late_are_warned_about_and_may_still_attest() {
    let (mut world, id) = finished();
    let events = world.pass_to_deadline();
    assert!(matches!(&events[..], [Event::Warned { .. }]));
    audit(&mut world, id, AuditVerdict::Sound).unwrap();
    assert_eq!(stage(&world, id), Stage::Closed);
}

fn equivocation(world: &World, key: &TestKey, second: Option<Digest>) -> Box<Equivocation> {
    let (height, round) = (Height::new(3), Round::ZERO);
    let sign = |block| {
        let statement = VoteStatement { kind: VoteKind::Precommit, height, round, block };
        key.sign(statement.signing_message(world.network()))
    };
    let first = Some(Digest::of(Purpose::Header, b"one"));
    Box::new(Equivocation {
        validator: key.public(),
        height,
        round,
        kind: EquivocationKind::Precommit,
        first,
        first_signature: sign(first),
        second,
        second_signature: sign(second),
    })
}

#[test]
fn a_validator_that_signed_twice_is_recorded_once() {
    let mut world = World::new(4);
    let evidence = equivocation(&world, &consensus_key("delta"), None);
    let call = Call::ReportEquivocation { evidence };
    let Ok(Applied::New(events)) = world.call("acme/author", Role::Author, call.clone()) else { panic!() };
    assert!(matches!(&events[..], [Event::Equivocated { org, .. }] if org.as_str() == "delta"));
    assert_eq!(world.call("birch/author", Role::Author, call), Ok(Applied::Same));
}

#[test]
fn evidence_that_shows_nothing_is_refused() {
    let mut world = World::new(4);
    let delta = consensus_key("delta");
    let same = equivocation(&world, &delta, Some(Digest::of(Purpose::Header, b"one")));
    let stranger = equivocation(&world, &TestKey::of("stranger"), None);
    let mut forged = equivocation(&world, &delta, None);
    forged.second_signature = forged.first_signature;
    let mut other_network = equivocation(&world, &delta, None);
    let statement = VoteStatement {
        kind: VoteKind::Precommit,
        height: other_network.height,
        round: other_network.round,
        block: None,
    };
    other_network.second_signature = delta.sign(statement.signing_message(Digest::ZERO));
    for (evidence, problem) in [
        (same, "both votes name the same block"),
        (stranger, "the key belongs to no validator"),
        (forged, "a signature does not verify"),
        (other_network, "a signature does not verify"),
    ] {
        let refused =
            world.call("acme/author", Role::Author, Call::ReportEquivocation { evidence }).unwrap_err();
        assert_eq!(refused.to_string(), format!("the evidence does not hold: {problem}"));
    }
}
