//! What a granted claim says about the claims before it, and whose a held one is.

use super::*;

#[test]
fn the_first_claim_of_an_undo_follows_no_other_and_one_of_another_stage_may() {
    let mut bench = Bench::applying();
    let (id, until) = (bench.id, bench.claim_of(0).until);
    let grant = |bench: &Bench, undo, until| {
        let proposal = bench.world.state.proposal(id).unwrap();
        Grant::of(proposal, StepKey { proposal: id, step: 0, undo }, Fence::new(9), until).follows_another
    };
    assert!(!grant(&bench, false, until));
    assert!(grant(&bench, true, until), "nothing is undone so far");
    let abort = Call::Abort { proposal: id, reason: line("enough") };
    bench.world.call("acme/executor", Role::Executor, abort).unwrap();
    bench.world.call("acme/executor", Role::Executor, Call::Claim { proposal: id, step: 0 }).unwrap();
    let until = bench.claim_of(0).until;
    assert!(!grant(&bench, true, until));
    assert!(grant(&bench, false, until), "its stage is over");

    let later = Bench::new("acme", &[&["acme-north"], &["acme-south"]]);
    let proposal = later.world.state.proposal(later.id).unwrap();
    let since = proposal.execution.stage_since.after(proposal.parameters.lease);
    assert!(
        Grant::of(proposal, later.key(1), Fence::new(9), since).follows_another,
        "its stage has not come"
    );
}

/// The answer to a claim says no more than that it is held; the ledger says by whom and for what.
#[test]
fn a_claim_that_was_held_before_is_taken_up_when_it_is_this_nodes_and_for_this() {
    let held = |executor: &str| {
        let mut bench = Bench::new("acme", &[&["acme-north"]]);
        assert!(matches!(bench.look()[..], [Output::Claim { .. }]));
        let call = Call::Claim { proposal: bench.id, step: 0 };
        bench.world.call(executor, Role::Executor, call).unwrap();
        bench.look();
        let (key, height) = (bench.key(0), bench.world.state.height());
        let outputs = bench.step(Input::Claimed { key, answer: Settlement::Final(height, None) });
        (outputs, bench.claim_of(0).fence)
    };
    let (outputs, fence) = held("acme/executor");
    assert!(matches!(outputs[..], [Output::Read { fence: under, .. }] if under == fence), "{outputs:?}");
    assert!(held("acme/executor-2").0.is_empty());

    let mut bench = Bench::new("acme", &[&["acme-north"]]);
    let call = Call::Claim { proposal: bench.id, step: 0 };
    bench.world.call("acme/executor-2", Role::Executor, call).unwrap();
    let abort = Call::Abort { proposal: bench.id, reason: line("enough") };
    bench.world.call("acme/executor", Role::Executor, abort).unwrap();
    let outputs = bench.look();
    let [Output::Claim { key, .. }] = outputs[..] else { panic!("{outputs:?}") };
    assert!(key.undo);
    bench.state.config.members.insert(member("acme/executor-2"));
    let height = bench.world.state.height();
    let outputs = bench.step(Input::Claimed { key, answer: Settlement::Final(height, None) });
    assert!(outputs.is_empty(), "what is held is not the undo: {outputs:?}");
}

#[test]
fn a20_what_one_executor_says_has_failed_another_takes_up_by_what_the_target_shows() {
    let mut bench = Bench::new("acme", &[&["acme-north"]]);
    let proposal = bench.id;
    let claim = Call::Claim { proposal, step: 0 };
    bench.world.call("acme/executor", Role::Executor, claim.clone()).unwrap();
    let fence = bench.claim_of(0).fence;
    let outcome_of_a_liar = StepOutcome::Failed { reason: line("no space"), retryable: true };
    let receipt =
        Call::Receipt { proposal, step: 0, fence, outcome: outcome_of_a_liar, evidence: Digest::ZERO };
    bench.world.call("acme/executor", Role::Executor, receipt).unwrap();
    assert_eq!(bench.world.state.proposal(proposal).unwrap().stage, Stage::Failed);
    bench.world.call("acme/executor-2", Role::Executor, Call::Resume { proposal }).unwrap();
    bench.state.config.members = BTreeSet::from([member("acme/executor-2")]);
    assert!(matches!(bench.look()[..], [Output::Claim { .. }]));
    assert!(matches!(bench.take_over(claim)[..], [Output::Read { .. }]));
    assert!(bench.claim_of(0).fence > fence, "calls of the first one come too late");
    let applied = bench.action(0);
    let outputs = bench.read(Ok(Some(applied)));
    let [Output::CarryOut { order, .. }] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!(order.fence, bench.claim_of(0).fence);
    assert_eq!(*outcome(&bench.carried_out(Ok(Effect::Same(facts())))), StepOutcome::Done);
}

/// With the end of a proposal what was tried for it is forgotten: a step that was in doubt would be carried out a second time.
#[test]
fn nothing_is_done_any_more_for_what_has_ended() {
    let mut bench = Bench::applying();
    let abort = Call::Abort { proposal: bench.id, reason: line("enough") };
    bench.world.call("acme/executor", Role::Executor, abort).unwrap();
    assert!(bench.carried_out(Err(ProviderError::Unknown("the reply was lost".to_owned()))).is_empty());
    assert_eq!(bench.state.running().count(), 1, "it is looked at again");
    while bench.world.state.proposal(bench.id).is_some_and(Proposal::is_open) {
        let due = bench.world.state.next_deadline().unwrap();
        bench.world.pass(due.since(bench.world.state.time()));
    }
    assert!(bench.look().is_empty());
    assert_eq!(bench.state.running().count(), 0);
    let outputs = bench.pass(PAUSE_MAX);
    assert!(outputs.is_empty(), "{outputs:?}");
}
