//! Emergencies in what a run left behind.

use althing_contracts::{
    constitution::Track,
    emergency::{EmergencyId, Measure},
};

use super::*;

const SIGNERS: [&str; 3] = ["acme/guardian", "birch/guardian", "cedar/guardian"];

fn measures() -> [Measure; 3] {
    [
        Measure::PauseTarget { target: target("acme-north") },
        Measure::SuspendExecutor { member: member("acme/executor") },
        Measure::HaltTrack { track: Track::High },
    ]
}

/// A run in which an emergency kept a target for a while, before its step was taken; and that emergency's judgement.
fn kept() -> (Run, ProposalId) {
    let mut scribe = begin(&deploy("2", &[&["acme-north"]]));
    let proposal = scribe.run.proposal;
    scribe.decide(&["birch/author"]);
    scribe.deadline();
    let declaration = scribe.world.declaration(&measures());
    let emergency = EmergencyId::of(scribe.world.network(), &declaration);
    scribe.block(SECOND, &[(SIGNERS[0], Role::Guardian, Call::DeclareEmergency { declaration })]);
    for guardian in &SIGNERS[1..] {
        scribe.block(SECOND, &[(*guardian, Role::Guardian, Call::SignEmergency { emergency })]);
    }
    let judgement = scribe.world.state.emergency(emergency).unwrap().activation.unwrap().proposal;
    scribe.block(SECOND, &[(SIGNERS[1], Role::Guardian, Call::EndEmergency { emergency })]);
    scribe.block(SECOND, &[("acme/executor", Role::Executor, Call::Claim { proposal, step: 0 })]);
    scribe.run.key_uses.clear();
    (scribe.run, judgement)
}

fn found(falsify: impl FnOnce(&mut Run, ProposalId)) -> Vec<String> {
    let (mut run, judgement) = kept();
    falsify(&mut run, judgement);
    let findings = judge(&Evidence {
        genesis: &run.genesis,
        blocks: &run.blocks,
        final_us: &run.final_us,
        effects: &run.effects,
        disturbed: &run.disturbed,
        key_uses: None,
        ended: &run.ended,
        acknowledged: &BTreeSet::new(),
        told: None,
    });
    let of_emergencies = findings.into_iter().filter(|finding| finding.invariant == Invariant::Emergency);
    of_emergencies.map(|finding| finding.what).collect()
}

/// Takes the blocks out in which somebody said this about the emergency.
fn forget(run: &mut Run, fits: impl Fn(&Call) -> bool) {
    let network = run.genesis.network();
    let says = |block: &CertifiedBlock| {
        let block = Block::decode(&block.block).unwrap();
        block.transactions().iter().any(|bytes| {
            let read = althing_contracts::transaction::UnverifiedTransaction::decode(bytes, network);
            fits(&read.unwrap().assume_verified().body().call)
        })
    };
    run.blocks.retain(|block| !says(block));
}

#[test]
fn what_follows_an_emergency_is_no_finding() {
    assert_eq!(found(|_, _| ()), [""; 0]);
    assert_eq!(found(|run, judgement| run.ended.extend([(judgement, at_once(Stage::Defeated))])), [""; 0]);
}

#[test]
fn what_goes_on_while_an_emergency_holds_is_found() {
    let told = found(|run, _| forget(run, |call| matches!(call, Call::EndEmergency { .. })));
    assert!(told.iter().any(|what| what.contains("acts on the held acme-north")), "{told:?}");
    assert!(told.iter().any(|what| what.contains("the suspended executor acme/executor acts")), "{told:?}");
}

#[test]
fn a_judgement_that_its_ballots_or_its_signatures_do_not_bear_out_is_found() {
    let told = found(|run, judgement| run.ended.extend([(judgement, at_once(Stage::Executed))]));
    assert!(told[0].contains("is executed"), "{told:?}");
    let told = found(|run, judgement| {
        forget(run, |call| matches!(call, Call::SignEmergency { .. }));
        run.ended.insert(judgement, at_once(Stage::Defeated));
    });
    assert!(told[0].contains("active None"), "{told:?}");
}
