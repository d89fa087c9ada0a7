//! Keys: replaced by who holds them, recovered by enough colleagues, and noticed otherwise.

use super::*;
use crate::testing::{genesis, record};

/// A life in which one member replaces its key and acts with both, and another's key is recovered.
fn replaced() -> Life {
    let mut genesis = genesis(4);
    for voter in ["birch/ann", "birch/bob"] {
        let id = member(voter);
        genesis.members.insert(id.clone(), record(&id, 1, &[Role::Voter]));
    }
    let mut life = Life { world: World::with(genesis), seen: Vec::new() };
    let claim = life.world.claim("acme/author", Role::Author);
    let submit = |life: &Life, version: &str| {
        let document = deploy(version, STAGES);
        let plan_hash = life.world.state.plan(&document).unwrap().hash();
        Call::Submit { document, plan_hash }
    };
    let before = submit(&life, "2");
    let author = ("acme/author", Role::Author);
    life.one(author.0, author.1, before);
    // One block in which the old key signs twice, the second time for the new one.
    let cancel = life.world.state.proposals().next().unwrap().id;
    let cancel = Call::Cancel { proposal: cancel, reason: line("no") };
    let sign = |life: &Life, sequence: u64, call: Call| {
        let (sender, not_after) =
            (member(author.0), life.world.state.time().after(DurationMs::from_hours(1)));
        let sequence = Sequence::new(sequence);
        let body = crate::transaction::TransactionBody { sender, role: author.1, sequence, not_after, call };
        life.world.sign_as(body)
    };
    let signed = [sign(&life, 2, cancel), sign(&life, 3, Call::ReplaceKey { claim })];
    life.signed(DurationMs::new(5), &signed);
    let after = submit(&life, "3");
    life.one(author.0, author.1, after);
    let claim = life.world.claim("birch/author", Role::Voter);
    for signer in ["birch/ann", "birch/bob"] {
        life.one(signer, Role::Voter, Call::SignRecovery { claim: claim.clone() });
    }
    life.block(DurationMs::from_hours(48), &[]);
    assert_eq!(life.world.state.member(&member("birch/author")).unwrap().keys[&Role::Voter], claim.key);
    life
}

#[test]
fn a_life_in_which_keys_are_replaced_and_recovered_breaks_nothing() {
    assert_eq!(replaced().judged(), []);
}

#[test]
fn g8_a_key_that_nobody_had_the_right_to_replace_is_noticed() {
    let without = |is: fn(&Event) -> bool| replaced().broken(|events| events.retain(|event| !is(event)));
    assert_eq!(without(|event| matches!(event, Event::RecoverySigned { .. })), [Invariant::Duties]);
    assert_eq!(without(|event| matches!(event, Event::RecoveryAgreed { .. })), [Invariant::Duties]);
    let mut unasked = replaced();
    unasked.seen[1].transactions.pop();
    assert!(unasked.broken(|_| ()).contains(&Invariant::Duties));
}

#[test]
fn g8_a_recovery_that_was_stopped_or_has_no_delay_is_noticed() {
    let stopped = |by: &'static str| {
        replaced().broken(move |events| {
            let place = events.iter().find_map(|event| match event {
                Event::RecoveryAgreed { member, role, .. } => Some((member.clone(), *role)),
                _ => None,
            });
            let by = Some(member(by));
            events.extend(place.map(|(member, role)| Event::RecoveryStopped { member, role, by }));
        })
    };
    assert_eq!(stopped("birch/author"), [Invariant::Duties]);
    assert_eq!(stopped("birch/ann"), [Invariant::Duties]);
    let early = replaced().broken(|events| {
        for event in events {
            if let Event::RecoveryAgreed { due, .. } = event {
                *due = TimeMs::new(due.get() - 1);
            }
        }
    });
    assert_eq!(early, [Invariant::Duties]);
    let foreign = replaced().broken(|events| {
        for event in events {
            if let Event::RecoverySigned { signer, .. } = event {
                *signer = member("cedar/author");
            }
        }
    });
    assert_eq!(foreign, [Invariant::Duties]);
}

#[test]
fn g8_a_key_that_was_replaced_and_signs_again_is_noticed() {
    let mut life = replaced();
    let moved = life.seen[1].transactions.remove(0);
    life.seen[2].transactions.push(moved);
    assert!(life.broken(|_| ()).contains(&Invariant::Duties));
}
