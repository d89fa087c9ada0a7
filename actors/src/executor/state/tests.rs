use std::collections::BTreeMap;

use althing_contracts::{
    digest::Digest,
    document::ProposalDocument,
    role::Role,
    stage::Stage,
    testing::{World, deploy, genesis, line, member, name, record, target},
    transaction::{Call, ProposalId},
};

use super::*;
use crate::test_ledger::{decide, view_of};

mod claims;
mod judging;

/// A runner of one organisation over a world, with what it wants to do.
struct Bench {
    world: World,
    state: ExecutorState,
    now: TimeMs,
    id: ProposalId,
}

impl Bench {
    fn new(org: &str, stages: &[&[&str]]) -> Self {
        Self::with(org, stages, LastTries::new())
    }

    fn with(org: &str, stages: &[&[&str]], tries: LastTries) -> Self {
        Self::of(org, deploy("v2", stages), tries)
    }

    fn of(org: &str, document: ProposalDocument, tries: LastTries) -> Self {
        let mut genesis = genesis(4);
        let other = member("acme/executor-2");
        genesis.members.insert(other.clone(), record(&other, 0, &[Role::Executor]));
        genesis.targets.get_mut(&target("acme-north")).unwrap().executors.insert(other);
        let mut world = World::with(genesis);
        world.pass(DurationMs::new(1));
        let id = world.submit("acme/author", document).unwrap();
        decide(&mut world, id);
        let config = ExecutorConfig {
            org: OrgId::new(org).unwrap(),
            members: BTreeSet::from([member(&format!("{org}/executor"))]),
            providers: BTreeSet::from([name("local")]),
            parallel_max: 2,
        };
        let now = world.state.time();
        Self { world, state: ExecutorState::new(config, tries), now, id }
    }

    fn key(&self, step: u16) -> StepKey {
        StepKey { proposal: self.id, step, undo: false }
    }

    fn step(&mut self, input: Input) -> Vec<Output> {
        self.state.step(self.now, input)
    }

    fn look(&mut self) -> Vec<Output> {
        let view = view_of(&self.world);
        self.step(Input::View(view))
    }

    fn pass(&mut self, later: DurationMs) -> Vec<Output> {
        self.now = self.now.after(later);
        self.step(Input::Tick)
    }

    /// The lease of the first step's claim runs out, by the ledger's clock and the runner's.
    fn pass_lease(&mut self) -> Vec<Output> {
        let until = self.claim_of(0).until;
        self.world.pass(until.since(self.world.state.time()));
        self.pass(until.since(self.now))
    }

    /// Claims a step on the ledger and tells the runner.
    fn claim(&mut self, step: u16) -> Vec<Output> {
        let call = Call::Claim { proposal: self.id, step };
        self.world.call("acme/executor", Role::Executor, call).unwrap();
        let answer = Settlement::Final(self.world.state.height(), Some(self.grant_of(step)));
        let key = self.key(step);
        self.step(Input::Claimed { key, answer })
    }

    fn claim_of(&self, step: u16) -> StepClaim {
        let steps = &self.world.state.proposal(self.id).unwrap().execution.steps;
        steps[usize::from(step)].claim.clone().unwrap()
    }

    fn grant_of(&self, step: u16) -> Grant {
        let StepClaim { fence, until, .. } = self.claim_of(step);
        Grant::of(self.world.state.proposal(self.id).unwrap(), self.key(step), fence, until)
    }

    fn action(&self, step: u16) -> Action {
        self.world.state.proposal(self.id).unwrap().plan.steps[usize::from(step)].action.clone()
    }

    fn read(&mut self, found: Result<Option<Action>, ProviderError>) -> Vec<Output> {
        let key = self.key(0);
        self.step(Input::Read { key, found })
    }

    fn carried_out(&mut self, effect: Result<Effect, ProviderError>) -> Vec<Output> {
        let key = self.key(0);
        self.step(Input::CarriedOut { key, effect })
    }

    /// The next life of the runner, which knows what its journal holds.
    fn restarted(&self) -> Self {
        let tries = self.state.last_tries().clone();
        let Self { world, now, id, .. } = self;
        let state = ExecutorState::new(self.state.config.clone(), tries);
        Self { world: world.clone(), state, now: *now, id: *id }
    }

    /// What no plan put there.
    fn stray() -> Action {
        let artefact = Digest::of_artefact(b"stray");
        Action::Deploy { service: name("web"), version: name("v7"), artefact, instances: 1 }
    }

    /// A runner that holds a step whose first holder's lease ran out, and reads its target.
    fn taking_over() -> Self {
        let mut bench = Self::new("acme", &[&["acme-north"]]);
        let call = Call::Claim { proposal: bench.id, step: 0 };
        bench.world.call("acme/executor", Role::Executor, call.clone()).unwrap();
        bench.state.config.members = BTreeSet::from([member("acme/executor-2")]);
        bench.look();
        assert!(matches!(bench.pass_lease()[..], [Output::Claim { .. }]));
        assert!(matches!(bench.take_over(call)[..], [Output::Read { .. }]));
        bench
    }

    /// The claim of the second holder is granted.
    fn take_over(&mut self, call: Call) -> Vec<Output> {
        self.world.call("acme/executor-2", Role::Executor, call).unwrap();
        let (claim, key) = (self.grant_of(0), self.key(0));
        let answer = Settlement::Final(self.world.state.height(), Some(claim));
        self.step(Input::Claimed { key, answer })
    }

    /// A runner whose first step waits for the provider.
    fn applying() -> Self {
        let mut bench = Self::new("acme", &[&["acme-north"]]);
        assert!(matches!(bench.look()[..], [Output::Claim { .. }]));
        assert!(matches!(bench.claim(0)[..], [Output::Read { .. }]));
        assert!(matches!(bench.read(Ok(None))[..], [Output::CarryOut { .. }]));
        bench
    }
}

fn outcome(outputs: &[Output]) -> &StepOutcome {
    match outputs {
        [Output::Report { outcome, .. }] => outcome,
        other => panic!("expected a report, got {other:?}"),
    }
}

fn facts() -> Evidence {
    Evidence { facts: BTreeMap::new() }
}

#[test]
fn a_due_step_is_claimed_read_carried_out_and_reported() {
    let mut bench = Bench::new("acme", &[&["acme-north"]]);
    let outputs = bench.look();
    let [Output::Claim { key, member: by }] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!((*key, by), (bench.key(0), &member("acme/executor")));
    assert!(bench.look().is_empty(), "a step that is under way is not taken again");
    let (at, key) = (target("acme-north"), bench.key(0));
    assert_eq!(bench.state.running().collect::<Vec<_>>(), [(&at, key)]);
    assert!(matches!(bench.claim(0)[..], [Output::Read { .. }]));
    let outputs = bench.read(Ok(None));
    let [Output::CarryOut { order, .. }] = &outputs[..] else { panic!("{outputs:?}") };
    assert_eq!(order.fence, bench.claim_of(0).fence);
    assert_eq!((order.action.clone(), order.expect.clone()), (bench.action(0), None));
    assert_eq!(order.idempotency_key, format!("{}/0/do", bench.id));
    assert_eq!(*outcome(&bench.carried_out(Ok(Effect::New(facts())))), StepOutcome::Done);
}

#[test]
fn another_organisation_leaves_the_step_alone() {
    assert!(Bench::new("birch", &[&["acme-north"]]).look().is_empty());
}

#[test]
fn a_node_without_the_provider_leaves_the_step_to_another_of_its_organisation() {
    let mut bench = Bench::new("acme", &[&["acme-north"]]);
    bench.state.config.providers = BTreeSet::from([name("another")]);
    assert!(bench.look().is_empty());
}

/// What is final may be shown later than it is said: until then the step looks due, and is not.
#[test]
fn what_was_settled_is_left_alone_until_the_view_has_its_height() {
    let mut bench = Bench::applying();
    assert!(matches!(bench.carried_out(Ok(Effect::New(facts())))[..], [Output::Report { .. }]));
    let (key, height) = (bench.key(0), bench.world.state.height().next().next());
    assert!(bench.step(Input::Reported { key, answer: Settlement::Final(height, ()) }).is_empty());
    bench.world.pass(DurationMs::new(1));
    assert!(bench.look().is_empty(), "a block before");
    bench.world.pass(DurationMs::new(1));
    assert!(matches!(bench.look()[..], [Output::Report { .. }]), "that block does not have it");
}

#[test]
fn targets_run_side_by_side_up_to_the_bound_and_each_one_step_at_a_time() {
    let mut bench = Bench::new("acme", &[&["acme-north"], &["acme-south"]]);
    assert_eq!(bench.look().len(), 1, "the second stage is not due");
    let mut both = Bench::new("acme", &[&["acme-north"]]);
    both.state.config.parallel_max = 0;
    assert!(both.look().is_empty());
}

#[test]
fn an_unknown_outcome_is_resolved_by_reading_and_never_failed() {
    let mut bench = Bench::applying();
    assert!(bench.carried_out(Err(ProviderError::Unknown("cut".to_owned()))).is_empty());
    for _ in 0..20 {
        // A lease may run out in between; a new claim reads as well.
        if matches!(bench.pass(PAUSE_MAX)[..], [Output::Claim { .. }]) {
            bench.claim(0);
        }
        assert!(bench.read(Err(ProviderError::Retry("cannot read".to_owned()))).is_empty());
    }
    assert!(matches!(bench.pass(PAUSE_MAX)[..], [Output::Read { .. }]));
    let applied = bench.action(0);
    assert_eq!(*outcome(&bench.read(Ok(Some(applied)))), StepOutcome::Done);
}

#[test]
fn an_unknown_outcome_that_left_no_effect_goes_on_under_the_same_fence() {
    let mut bench = Bench::applying();
    let fence = bench.claim_of(0).fence;
    bench.carried_out(Err(ProviderError::Unknown("cut".to_owned())));
    assert_eq!(bench.state.wake_at(), Some(bench.now.after(PAUSE_FIRST)));
    assert!(matches!(bench.pass(PAUSE_FIRST)[..], [Output::Read { .. }]));
    let outputs = bench.read(Ok(None));
    assert!(matches!(&outputs[..], [Output::CarryOut { order, .. }] if order.fence == fence), "{outputs:?}");
}

#[test]
fn a_lease_that_ran_out_is_claimed_again_before_the_provider_is_called() {
    let mut bench = Bench::applying();
    bench.carried_out(Err(ProviderError::Unknown("cut".to_owned())));
    let lease = bench.claim_of(0).until.since(bench.now);
    assert!(matches!(bench.pass(lease)[..], [Output::Claim { .. }]));
}

#[test]
fn a_lease_that_runs_out_while_the_target_is_read_is_claimed_again() {
    let mut bench = Bench::applying();
    bench.carried_out(Err(ProviderError::Unknown("cut".to_owned())));
    assert!(matches!(bench.pass(PAUSE_MAX)[..], [Output::Read { .. }]));
    bench.now = bench.claim_of(0).until;
    assert!(matches!(bench.read(Ok(None))[..], [Output::Claim { .. }]));
}

/// The call may still be on its way: "nothing took effect" would be a lie once it arrives.
#[test]
fn while_an_outcome_is_unknown_no_failure_is_reported_under_the_same_claim() {
    let answers: [fn(&mut Bench) -> Vec<Output>; 3] = [
        |bench| bench.read(Ok(Some(Bench::stray()))),
        |bench| {
            assert!(matches!(bench.read(Ok(None))[..], [Output::CarryOut { .. }]));
            bench.carried_out(Err(ProviderError::Refused("no".to_owned())))
        },
        |bench| {
            assert!(matches!(bench.read(Ok(None))[..], [Output::CarryOut { .. }]));
            bench.carried_out(Err(ProviderError::Drift { expected: "v1".to_owned(), found: "v7".to_owned() }))
        },
    ];
    for (number, answer) in answers.into_iter().enumerate() {
        let mut bench = Bench::applying();
        bench.carried_out(Err(ProviderError::Unknown("cut".to_owned())));
        assert!(matches!(bench.pass(PAUSE_MAX)[..], [Output::Read { .. }]));
        assert!(answer(&mut bench).is_empty(), "answer {number}");
        // A new claim has a higher fence, which the late call does not pass: now it can be said.
        assert!(matches!(bench.pass_lease()[..], [Output::Claim { .. }]), "answer {number}");
        assert!(matches!(bench.claim(0)[..], [Output::Read { .. }]), "answer {number}");
        let outputs = answer(&mut bench);
        assert!(matches!(outcome(&outputs), StepOutcome::Failed { .. }), "answer {number}: {outputs:?}");
    }
}

#[test]
fn a_restarted_runner_that_may_have_called_under_its_claim_is_in_doubt() {
    let mut second = Bench::applying().restarted();
    assert!(matches!(second.look()[..], [Output::Read { .. }]));
    assert!(second.read(Ok(Some(Bench::stray()))).is_empty());
}

/// The report may be final where this node does not see it yet: an effect after it would be one that nobody knows of.
#[test]
fn after_a_failure_was_reported_the_provider_is_not_called_again_under_the_same_claim() {
    let mut bench = Bench::applying();
    let refusal = || ProviderError::Refused("no such artefact".to_owned());
    let failed = outcome(&bench.carried_out(Err(refusal()))).clone();
    let mut restarted = bench.restarted();
    assert_eq!(*outcome(&restarted.look()), failed);
    let key = bench.key(0);
    assert!(bench.step(Input::Reported { key, answer: Settlement::Open }).is_empty());
    assert!(bench.look().is_empty());
    assert_eq!(*outcome(&bench.pass(REFUSED_PAUSE)), failed);
    // Under a new claim it may be tried again: the ledger did not take the report.
    bench.step(Input::Reported { key, answer: Settlement::Open });
    assert!(matches!(bench.pass_lease()[..], [Output::Claim { .. }]));
    assert!(matches!(bench.claim(0)[..], [Output::Read { .. }]));
    assert!(matches!(bench.read(Ok(None))[..], [Output::CarryOut { .. }]));
}

#[test]
fn a_read_that_is_fenced_leaves_the_step_to_the_newer_claim() {
    let mut bench = Bench::applying();
    bench.carried_out(Err(ProviderError::Unknown("cut".to_owned())));
    assert!(matches!(bench.pass(PAUSE_MAX)[..], [Output::Read { .. }]));
    let fenced = ProviderError::Fenced { found: Fence::new(1), seen: Fence::new(2) };
    assert!(bench.read(Err(fenced)).is_empty());
    assert_eq!(bench.state.running().count(), 0);
}

#[test]
fn what_may_work_later_is_tried_a_bounded_number_of_times() {
    let mut bench = Bench::applying();
    for _ in 0..TRIES_MAX {
        assert!(bench.carried_out(Err(ProviderError::Retry("busy".to_owned()))).is_empty());
        assert!(matches!(bench.pass(PAUSE_MAX)[..], [Output::Read { .. }]));
        assert!(matches!(bench.read(Ok(None))[..], [Output::CarryOut { .. }]));
    }
    let outputs = bench.carried_out(Err(ProviderError::Retry("busy".to_owned())));
    assert!(matches!(outcome(&outputs), StepOutcome::Failed { retryable: true, .. }));
}

#[test]
fn a_refusal_fails_the_step_with_its_reason() {
    let mut bench = Bench::applying();
    let outputs = bench.carried_out(Err(ProviderError::Refused("no such artefact".to_owned())));
    let StepOutcome::Failed { reason, retryable } = outcome(&outputs) else { panic!("it must fail") };
    assert_eq!((reason.as_str(), *retryable), ("no such artefact", false));
}

#[test]
fn a_fenced_order_is_dropped_without_a_receipt() {
    let mut bench = Bench::applying();
    let fenced = ProviderError::Fenced { found: Fence::new(1), seen: Fence::new(2) };
    assert!(bench.carried_out(Err(fenced)).is_empty());
    assert_eq!(bench.state.running().count(), 0);
}

#[test]
fn a_restarted_runner_goes_on_under_its_claim_and_trusts_the_target_not_its_memory() {
    let mut first = Bench::applying();
    let mut second = first.restarted();
    assert!(matches!(second.look()[..], [Output::Read { .. }]));
    let applied = first.action(0);
    assert_eq!(*outcome(&second.read(Ok(Some(applied)))), StepOutcome::Done);
    assert!(first.look().is_empty());
}

#[test]
fn an_effect_that_the_journal_does_not_know_is_left_to_the_provider() {
    let mut bench = Bench::new("acme", &[&["acme-north"]]);
    bench.look();
    bench.claim(0);
    let applied = bench.action(0);
    assert!(matches!(bench.read(Ok(Some(applied)))[..], [Output::CarryOut { .. }]));
}

#[test]
fn a_refused_claim_is_left_alone_for_a_while() {
    let mut bench = Bench::new("acme", &[&["acme-north"]]);
    bench.look();
    let key = bench.key(0);
    assert!(bench.step(Input::Claimed { key, answer: Settlement::Open }).is_empty());
    assert!(bench.look().is_empty());
    assert_eq!(bench.state.wake_at(), Some(bench.now.after(REFUSED_PAUSE)));
    assert!(matches!(bench.pass(REFUSED_PAUSE)[..], [Output::Claim { .. }]));
}

#[test]
fn a_claim_of_another_node_is_left_alone_until_its_lease_runs_out() {
    let mut bench = Bench::new("acme", &[&["acme-north"]]);
    let call = Call::Claim { proposal: bench.id, step: 0 };
    bench.world.call("acme/executor", Role::Executor, call).unwrap();
    let until = bench.claim_of(0).until;
    bench.state.config.members = BTreeSet::from([member("acme/executor-2")]);
    assert!(bench.look().is_empty());
    assert_eq!(bench.state.wake_at(), Some(until));
    assert!(matches!(bench.pass(until.since(bench.now))[..], [Output::Claim { .. }]));
}

/// Not every provider knows what it did before: carrying it out again could be a second effect.
#[test]
fn what_another_executor_left_in_effect_is_not_carried_out_again() {
    let mut bench = Bench::taking_over();
    let applied = bench.action(0);
    assert_eq!(*outcome(&bench.read(Ok(Some(applied)))), StepOutcome::Done);
}

/// Nobody held the step when it asked for it; what it was granted, when another's claim had run out, follows that one.
#[test]
fn a_claim_that_waited_in_a_pool_follows_the_one_that_was_granted_before_it() {
    let mut bench = Bench::new("acme", &[&["acme-north"]]);
    bench.state.config.members = BTreeSet::from([member("acme/executor-2")]);
    assert!(matches!(bench.look()[..], [Output::Claim { .. }]));
    let call = Call::Claim { proposal: bench.id, step: 0 };
    bench.world.call("acme/executor", Role::Executor, call.clone()).unwrap();
    assert!(bench.pass_lease().is_empty());
    assert!(matches!(bench.take_over(call)[..], [Output::Read { .. }]));
    let applied = bench.action(0);
    assert_eq!(*outcome(&bench.read(Ok(Some(applied)))), StepOutcome::Done);
}

/// The rollback begins a stage of its own, perhaps in the very block of the claim: the time since says nothing of the step.
#[test]
fn a_claim_whose_stage_is_over_may_follow_another() {
    let mut bench = Bench::taking_over();
    let first = bench.grant_of(0);
    let abort = Call::Abort { proposal: bench.id, reason: line("enough") };
    bench.world.call("acme/executor", Role::Executor, abort).unwrap();
    assert_eq!(bench.world.state.proposal(bench.id).unwrap().stage, Stage::RollingBack);
    assert!(first.follows_another && bench.grant_of(0).follows_another);
}

/// It holds the claim, and does not remember whose it was before.
#[test]
fn nor_does_a_next_life_of_the_one_that_took_over_carry_it_out_again() {
    let mut bench = Bench::taking_over().restarted();
    assert!(matches!(bench.look()[..], [Output::Read { .. }]));
    let applied = bench.action(0);
    assert_eq!(*outcome(&bench.read(Ok(Some(applied)))), StepOutcome::Done);
}

/// Until the target was read under the new fence, the call of the one before may still take effect.
#[test]
fn a_step_that_another_held_does_not_fail_unread() {
    let unreadable = || Err(ProviderError::Retry("cannot read".to_owned()));
    let mut bench = Bench::taking_over();
    for _ in 0..=TRIES_MAX {
        assert!(bench.read(unreadable()).is_empty());
        assert!(matches!(bench.pass(PAUSE_MAX)[..], [Output::Read { .. }]));
    }
    let mut first = Bench::new("acme", &[&["acme-north"]]);
    first.look();
    first.claim(0);
    for _ in 0..TRIES_MAX {
        assert!(first.read(unreadable()).is_empty());
        assert!(matches!(first.pass(PAUSE_MAX)[..], [Output::Read { .. }]));
    }
    assert!(matches!(outcome(&first.read(unreadable())), StepOutcome::Failed { retryable: true, .. }));
}

/// What the ledger would refuse is not even signed: a key that may be another's is used for nothing.
#[test]
fn a_suspended_executor_does_nothing_until_the_emergency_is_over() {
    let mut bench = Bench::new("acme", &[&["acme-north"]]);
    let measure = althing_contracts::emergency::Measure::SuspendExecutor { member: member("acme/executor") };
    let emergency = bench.world.declare("acme/guardian", &[measure]).unwrap();
    bench.world.sign_emergency("birch/guardian", emergency).unwrap();
    bench.state.config.members = BTreeSet::from([member("acme/executor")]);
    let unsigned = bench.state.clone();
    assert!(matches!(bench.look()[..], [Output::Claim { .. }]), "two of four have signed");
    bench.state = unsigned;
    bench.world.sign_emergency("cedar/guardian", emergency).unwrap();
    assert!(bench.look().is_empty());
    bench.state.config.members.extend([member("acme/executor-2")]);
    let [Output::Claim { member: other, .. }] = &bench.look()[..] else { panic!("the other one takes it") };
    assert_eq!(*other, member("acme/executor-2"));
}
