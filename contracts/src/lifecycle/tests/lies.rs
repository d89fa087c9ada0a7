//! Executors that lie, and content that is withheld.

use super::story::{STAGES, attest, audit, fence, queue, stage};
use crate::{
    digest::Digest,
    event::Event,
    quantity::{DurationMs, Sequence},
    reject::Reject,
    role::Role,
    stage::Stage,
    state::Applied,
    testing::{World, deploy, genesis, healthy, line, member, record, target, unhealthy},
    transaction::{AuditVerdict, Call, Choice, ProposalId, ReviewVerdict, StepOutcome},
};

/// A world in which acme has two executors, with a change whose timelock is over.
fn two_executors() -> (World, ProposalId) {
    let mut genesis = genesis(4);
    let second = member("acme/second-hand");
    genesis.members.insert(second.clone(), record(&second, 0, &[Role::Executor]));
    genesis.targets.get_mut(&target("acme-north")).unwrap().executors.insert(second);
    let mut world = World::with(genesis);
    let id = queue(&mut world, "2", STAGES);
    world.pass_to_deadline();
    (world, id)
}

fn claim(world: &mut World, id: ProposalId, who: &str) -> Result<Applied, Reject> {
    world.call(who, Role::Executor, Call::Claim { proposal: id, step: 0 })
}

fn report(world: &mut World, id: ProposalId, who: &str, outcome: StepOutcome) -> Vec<Event> {
    let fence = fence(world, id, 0);
    let call = Call::Receipt { proposal: id, step: 0, fence, outcome, evidence: Digest::ZERO };
    match world.call(who, Role::Executor, call).unwrap() {
        Applied::New(events) => events,
        Applied::Same => panic!("it was not reported before"),
    }
}

fn failed() -> StepOutcome {
    StepOutcome::Failed { reason: line("it does not fit"), retryable: false }
}

#[test]
fn a20_what_one_executor_says_has_failed_another_takes_up_and_nothing_is_skipped() {
    let (mut world, id) = two_executors();
    claim(&mut world, id, "acme/executor").unwrap();
    let first = fence(&world, id, 0);
    let events = report(&mut world, id, "acme/executor", failed());
    assert_eq!(stage(&world, id), Stage::Failed, "{events:?}");
    let explanation = world.state.explain(id).unwrap();
    assert_eq!(explanation.next[0].to, Stage::Canary, "the way forward leads through the same step");
    let resume = explanation.parts.iter().find(|part| part.call == "resume" && part.role == Role::Executor);
    assert!(resume.unwrap().may.contains(&member("acme/second-hand")));

    world.call("acme/second-hand", Role::Executor, Call::Resume { proposal: id }).unwrap();
    claim(&mut world, id, "acme/second-hand").unwrap();
    assert!(fence(&world, id, 0) > first, "nothing of the first one's counts any more");
    let late =
        Call::Receipt { proposal: id, step: 0, fence: first, outcome: failed(), evidence: Digest::ZERO };
    assert_eq!(world.ask("acme/executor", Role::Executor, late).unwrap_err().code(), "fence");
    let events = report(&mut world, id, "acme/second-hand", StepOutcome::Done);
    assert!(matches!(events[..], [Event::StepReported { outcome: StepOutcome::Done, .. }]), "{events:?}");
    attest(&mut world, id, "acme/second-hand", 0, healthy()).unwrap();
    attest(&mut world, id, "delta/executor", 0, healthy()).unwrap();
    assert_eq!(stage(&world, id), Stage::Rollout(1));
}

#[test]
fn a20_no_executors_word_moves_a_change_on_and_another_organisation_finds_out_that_it_is_not_so() {
    let (mut world, id) = two_executors();
    claim(&mut world, id, "acme/executor").unwrap();
    report(&mut world, id, "acme/executor", StepOutcome::Done);
    assert_eq!(stage(&world, id), Stage::Canary);
    attest(&mut world, id, "acme/executor", 0, healthy()).unwrap();
    let again = attest(&mut world, id, "acme/second-hand", 0, healthy());
    assert!(matches!(again, Ok(Applied::Same) | Err(Reject::AlreadyDone { .. })), "{again:?}");
    assert_eq!(stage(&world, id), Stage::Canary, "its own organisation's word is one word");
    attest(&mut world, id, "delta/executor", 0, unhealthy()).unwrap();
    assert_eq!(stage(&world, id), Stage::RollingBack);
}

#[test]
fn a20_a_failure_that_is_not_so_is_disputed_and_stays_so() {
    let (mut world, id) = two_executors();
    let retries = world.state.proposal(id).unwrap().parameters.retries;
    for _ in 0..retries {
        claim(&mut world, id, "acme/executor").unwrap();
        report(&mut world, id, "acme/executor", failed());
        world.call("acme/executor", Role::Executor, Call::Resume { proposal: id }).unwrap();
    }
    claim(&mut world, id, "acme/executor").unwrap();
    report(&mut world, id, "acme/executor", failed());
    assert_eq!(stage(&world, id), Stage::Auditing, "no more attempts are left");
    world.pass(DurationMs::new(1));
    let finding = line("acme-north serves version 2, which acme/executor reports as failed");
    audit(&mut world, id, AuditVerdict::Unsound { finding }).unwrap();
    assert_eq!(stage(&world, id), Stage::Disputed);
    let explanation = world.state.explain(id).unwrap();
    assert!(explanation.cause.unwrap().contains("a corrective proposal is needed"));
    assert!(explanation.next.is_empty());
}

#[test]
fn a26_what_the_ledger_does_not_hold_can_be_neither_signed_off_nor_voted_on() {
    let world = World::new(4);
    let withheld = deploy("2", STAGES);
    let plan = world.state.plan(&withheld).unwrap();
    let author = member("acme/author");
    let proposal = ProposalId::derive(world.network(), &author, Sequence::new(1), withheld.digest());
    let (revision, plan_hash) = (crate::quantity::Revision::new(1), plan.hash());
    let verdict = ReviewVerdict::Approve;
    let review = Call::Review { proposal, revision, plan_hash, verdict, reason: line("unseen") };
    assert_eq!(world.ask("birch/author", Role::Reviewer, review).unwrap_err().code(), "unknown-proposal");
    let vote = Call::Vote { proposal, revision, plan_hash, choice: Choice::For };
    assert_eq!(world.ask("birch/author", Role::Voter, vote).unwrap_err().code(), "unknown-proposal");
    let cosign = Call::Cosign { proposal, revision, plan_hash };
    assert_eq!(world.ask("birch/guardian", Role::Guardian, cosign).unwrap_err().code(), "unknown-proposal");
}

#[test]
fn a26_a_change_whose_artefact_reviewers_cannot_get_stays_as_it_is_and_expires() {
    let mut world = World::new(4);
    world.pass(DurationMs::new(1));
    let id = world.submit("acme/author", deploy("2", STAGES)).unwrap();
    assert_eq!(
        world.ask("birch/author", Role::Voter, world.vote_call(id, Choice::For)).unwrap_err().code(),
        "illegal-move"
    );
    let own = world.review("acme/author", id, ReviewVerdict::Approve).unwrap_err();
    assert_eq!(own.code(), "own-organisation", "who withholds it cannot sign it off");
    let before = world.state.proposal(id).unwrap().clone();
    let left = before.deadline.unwrap().since(world.state.time());
    world.pass(left.saturating_sub(DurationMs::new(1)));
    assert_eq!(*world.state.proposal(id).unwrap(), before);
    world.pass(DurationMs::new(1));
    assert_eq!(stage(&world, id), Stage::Expired);
    let late = world.review("birch/author", id, ReviewVerdict::Approve).unwrap_err();
    assert_eq!(late.code(), "illegal-move", "what was withheld until then has no effect any more");
}
