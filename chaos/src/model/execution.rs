//! Owns the model of an execution: two executors of one target with the real plan runner, crashes between intent,
//! effect and receipt, leases that run out, orders that reach the provider late, and an executor that lies.

mod moves;
mod provider;
mod runner;
mod scene;

use std::{collections::BTreeSet, hash::Hash, sync::Arc};

use althing_actors::{
    executor::state::{ExecutorConfig, Grant, Input, Settlement},
    port::{ProviderError, ProviderOrder},
};
use althing_contracts::{
    event::Event,
    name::{Line, OrgId},
    proposal::Work,
    quantity::{DurationMs, TimeMs},
    role::Role,
    stage::Stage,
    testing::{World, deploy, genesis, healthy, member, name, record, target, unhealthy},
    transaction::{Call, ProposalId, StepOutcome},
};
use stateright::{Model, Property};

use self::{
    provider::Provider,
    runner::{Runner, Waiting},
    scene::lost,
};
use super::{
    Outcome, Scope,
    governance::{approve, submit},
    ledger::{Answer, Beginning, Ledger},
    notary::Notary,
};

const FIRST: &str = "acme/executor";
const SECOND: &str = "acme/executor-2";
const JUDGE: &str = "birch/executor";
const GUARDIAN: &str = "birch/guardian";

/// The execution of one proposal.
struct Carrying {
    notary: Notary,
    initial: Ledger,
    id: ProposalId,
    limits: Limits,
    liar: bool,
    /// Executors see a block as soon as it is final, and not whenever they come to it.
    prompt: bool,
}

/// How often what goes wrong may go wrong on one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Limits {
    crashes: u8,
    /// Answers of the ledger or the provider that never come.
    losses: u8,
    /// Refusals by the provider that may pass, and unhealthy probes.
    failures: u8,
    /// What the liar may say.
    lies: u8,
}

/// The world around a ledger.
#[derive(Clone, PartialEq)]
struct Scene {
    ledger: Arc<Ledger>,
    now: TimeMs,
    runners: [Arc<Runner>; 2],
    provider: Provider,
    /// Orders under way of which nobody waits for the answer any more.
    late: Vec<Late>,
    left: Limits,
    /// What must never happen and did.
    wrong: Option<&'static str>,
}

/// An order under way.
#[derive(Clone)]
struct Late {
    order: Arc<ProviderOrder>,
    undo: bool,
}

/// What can happen next; a runner and an answer are named by their places.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Move {
    /// A runner sees the ledger as it is.
    Look(usize),
    /// What a runner asked for is done and answered.
    Answer(usize, usize),
    /// The provider's order, the probe: done, with the other of its two answers.
    Fail(usize, usize),
    /// What a runner asked for is done, and the answer is lost.
    Lose(usize, usize),
    /// The provider does not answer in time; the order is still under way.
    TimeOut(usize, usize),
    /// An order that nobody waits for reaches the provider.
    Arrive(usize),
    Crash(usize),
    /// The other organisation judges.
    Judge(bool),
    Veto,
    Abort,
    /// The liar claims whatever is due.
    LieClaim,
    /// The liar reports under the fence in force, whosever it is.
    LieReceipt(bool),
    /// The liar judges.
    LieHealth(bool),
    /// Nothing happens until something falls due.
    Pass,
}

pub(super) fn explore(scope: Scope, threads: usize, tell: &mut dyn FnMut(Outcome)) {
    let limits = |crashes, losses, failures, lies| Limits { crashes, losses, failures, lies };
    // Two runners in every order are more than can be seen to the end: each model is explored as far as this.
    let moves_max = match scope {
        Scope::Short => 400_000,
        Scope::Full => 1_500_000,
    };
    let (honest, late, lying) = match scope {
        Scope::Short => (limits(1, 0, 0, 0), limits(0, 0, 0, 0), limits(0, 0, 0, 2)),
        Scope::Full => (limits(1, 0, 1, 0), limits(1, 0, 0, 0), limits(0, 0, 1, 2)),
    };
    tell(Outcome::of("execution with two executors", Carrying::new(honest, false, true), threads, moves_max));
    tell(Outcome::of(
        "execution with executors that are behind",
        Carrying::new(late, false, false),
        threads,
        moves_max,
    ));
    tell(Outcome::of(
        "execution with a lying executor",
        Carrying::new(lying, true, true),
        threads,
        moves_max,
    ));
}

impl Carrying {
    fn new(limits: Limits, liar: bool, prompt: bool) -> Self {
        let mut genesis = genesis(4);
        let other = member(SECOND);
        genesis.members.insert(other.clone(), record(&other, 0, &[Role::Executor]));
        if let Some(target) = genesis.targets.get_mut(&target("acme-north")) {
            target.executors.insert(other);
        }
        genesis.constitution.classification.routine_targets_max = 0;
        for track in genesis.constitution.tracks.values_mut() {
            (track.lease, track.stage) = (DurationMs::new(2_000), DurationMs::new(3_000));
            (track.execute_by, track.retries) = (DurationMs::new(1_000), 1);
        }
        let mut beginning = Beginning::new(World::with(genesis));
        let id = submit(&mut beginning, "acme/author", deploy("2", &[&["acme-north"]]));
        approve(&mut beginning, id);
        let deadlines = if limits.lies + limits.failures > 0 { 2 } else { 3 };
        for _ in 0..deadlines {
            beginning.pass_to_deadline();
        }
        let (initial, notary) = beginning.into_parts();
        Self { notary, initial, id, limits, liar, prompt }
    }

    fn config(member_name: &str) -> ExecutorConfig {
        ExecutorConfig {
            org: OrgId::new("acme").expect("a sound name"),
            members: BTreeSet::from([member(member_name)]),
            providers: BTreeSet::from([name("local")]),
            parallel_max: 1,
        }
    }

    /// The scene after a call, if the ledger takes it; what it caused; whether it had taken effect before.
    fn call(&self, scene: &Scene, sender: &str, role: Role, call: Call) -> (Option<Scene>, Vec<Event>, bool) {
        let transaction = self.notary.sign(&scene.ledger.state, sender, role, call);
        let at = scene.now.max(scene.ledger.soon());
        match scene.ledger.block(at, Some(&transaction)) {
            Answer::Taken(ledger, events) => {
                let mut next = Scene { now: at, ledger: Arc::from(ledger), ..scene.clone() };
                next.judge_end(self.id);
                (Some(next), events, false)
            }
            Answer::Same => (None, Vec::new(), true),
            Answer::Refused => (None, Vec::new(), false),
        }
    }

    fn act(&self, scene: &Scene, sender: &str, role: Role, call: Call) -> Option<Scene> {
        self.call(scene, sender, role, call).0
    }

    /// Does what a runner asked for, and answers unless the answer is lost.
    fn answer(&self, scene: &Scene, by: usize, place: usize, answered: bool) -> Option<Scene> {
        let waiting = scene.runners[by].waiting.get(place)?.clone();
        let (mut next, input) = match &waiting {
            Waiting::Read(key, fence) => {
                let mut next = scene.clone();
                let found = next.provider.read(*fence);
                (next, Input::Read { key: *key, found })
            }
            Waiting::CarryOut(key, order) => {
                let mut next = scene.clone();
                let effect = next.carry_out(self.id, order, key.undo);
                (next, Input::CarriedOut { key: *key, effect })
            }
            Waiting::Claim(..) | Waiting::Report(..) | Waiting::Attest(..) => self.settle(scene, &waiting)?,
        };
        let input = if answered { input } else { lost(&waiting)? };
        let now = next.now;
        let runner = Arc::make_mut(&mut next.runners[by]);
        runner.waiting.remove(place);
        runner.feed(now, input);
        Some(next)
    }

    /// Brings a call to the ledger and yields what the runner is told.
    fn settle(&self, scene: &Scene, waiting: &Waiting) -> Option<(Scene, Input)> {
        let (sender, call) = waiting.call()?;
        let (next, events, repeated) = self.call(scene, sender.as_str(), Role::Executor, call);
        let is_final = repeated || next.is_some();
        let next = next.unwrap_or_else(|| scene.clone());
        let (height, time) = (next.ledger.state.height(), next.ledger.state.time());
        let settled = if is_final { Settlement::Final(height, ()) } else { Settlement::Open };
        let input = match waiting {
            Waiting::Claim(key, _) => {
                let proposal = next.ledger.proposal(self.id);
                let granted = events.iter().find_map(|event| match event {
                    Event::StepClaimed { step, fence, undo, .. }
                        if (*step, *undo) == (key.step, key.undo) =>
                    {
                        Some(Grant::of(proposal, *key, *fence, time.after(proposal.parameters.lease)))
                    }
                    _ => None,
                });
                let answer = if is_final { Settlement::Final(height, granted) } else { Settlement::Open };
                Input::Claimed { key: *key, answer }
            }
            Waiting::Report(key, ..) => Input::Reported { key: *key, answer: settled },
            Waiting::Attest(_, key, _) => Input::Attested { key: *key, answer: settled },
            _ => return None,
        };
        Some((next, input))
    }

    /// The other of two answers: the provider refuses for now, the probe finds the target ill.
    fn fail(scene: &Scene, by: usize, place: usize) -> Option<Scene> {
        let input = match scene.runners[by].waiting.get(place)? {
            Waiting::CarryOut(key, _) => {
                let effect = Err(ProviderError::Refused("it cannot be done".to_owned()));
                Input::CarriedOut { key: *key, effect }
            }
            _ => return None,
        };
        let mut next = scene.clone();
        next.left.failures = next.left.failures.checked_sub(1)?;
        let now = next.now;
        let runner = Arc::make_mut(&mut next.runners[by]);
        runner.waiting.remove(place);
        runner.feed(now, input);
        Some(next)
    }

    /// The provider is called and does not answer in time.
    fn time_out(scene: &Scene, by: usize, place: usize) -> Option<Scene> {
        let Waiting::CarryOut(key, order) = scene.runners[by].waiting.get(place)?.clone() else {
            return None;
        };
        let mut next = scene.clone();
        next.left.losses = next.left.losses.checked_sub(1)?;
        next.late.push(Late { order, undo: key.undo });
        let now = next.now;
        let runner = Arc::make_mut(&mut next.runners[by]);
        runner.waiting.remove(place);
        let effect = Err(ProviderError::Unknown("no answer".to_owned()));
        runner.feed(now, Input::CarriedOut { key, effect });
        Some(next)
    }

    fn crash(scene: &Scene, by: usize) -> Option<Scene> {
        let mut next = scene.clone();
        next.left.crashes = next.left.crashes.checked_sub(1)?;
        let runner = Arc::make_mut(&mut next.runners[by]);
        let under_way = runner.waiting.iter().filter_map(|waiting| match waiting {
            Waiting::CarryOut(key, order) => Some(Late { order: Arc::clone(order), undo: key.undo }),
            _ => None,
        });
        next.late.extend(under_way);
        runner.crash(Self::config(runner.member));
        let (now, state) = (next.now, next.ledger.state.clone());
        runner.look(now, &state);
        Some(next)
    }

    fn lie(&self, scene: &Scene, call: Call) -> Option<Scene> {
        let mut next = self.act(scene, SECOND, Role::Executor, call)?;
        next.left.lies = next.left.lies.checked_sub(1)?;
        Some(next)
    }

    fn lie_receipt(&self, scene: &Scene, done: bool) -> Option<Scene> {
        let fence = scene.ledger.proposal(self.id).execution.steps[0].claim.as_ref()?.fence;
        let failed = || StepOutcome::Failed { reason: Line::shortened("a lie"), retryable: false };
        let outcome = if done { StepOutcome::Done } else { failed() };
        let evidence = althing_contracts::digest::Digest::ZERO;
        self.lie(scene, Call::Receipt { proposal: self.id, step: 0, fence, outcome, evidence })
    }

    fn judge(&self, scene: &Scene, sender: &str, is_healthy: bool) -> Option<Scene> {
        let stage = scene.ledger.state.orders().into_iter().find_map(|order| match order.work {
            Work::Judge { stage, .. } => Some(stage),
            Work::Step { .. } => None,
        })?;
        let health = if is_healthy { healthy() } else { unhealthy() };
        let call = Call::AttestHealth { proposal: self.id, stage, step: 0, health };
        self.act(scene, sender, Role::Executor, call)
    }

    /// The next instant at which a timer, a lease or a runner's pause is over.
    fn pass(&self, scene: &Scene) -> Option<Scene> {
        let steps = &scene.ledger.proposal(self.id).execution.steps;
        let leases = steps.iter().filter_map(|step| step.claim.as_ref().map(|claim| claim.until));
        let wakes = scene.runners.iter().filter_map(|runner| runner.wake);
        let later = leases.chain(wakes).filter(|at| *at > scene.now).min();
        let due = scene.ledger.state.next_deadline();
        let at = [later, due].into_iter().flatten().min()?.max(scene.ledger.soon());
        let mut next = Scene { now: at, ..scene.clone() };
        if due.is_some_and(|due| due <= at) {
            next.ledger = Arc::new(scene.ledger.block(at, None).taken()?);
            next.judge_end(self.id);
        }
        for runner in &mut next.runners {
            if runner.wake.is_some_and(|wake| wake <= at) {
                Arc::make_mut(runner).feed(at, Input::Tick);
            }
        }
        Some(next)
    }
}

impl Model for Carrying {
    type State = Scene;
    type Action = Move;

    fn init_states(&self) -> Vec<Scene> {
        let runner = |name: &'static str| {
            let mut runner = Runner::new(name, Self::config(name));
            runner.look(self.initial.state.time(), &self.initial.state);
            Arc::new(runner)
        };
        vec![Scene {
            ledger: Arc::new(self.initial.clone()),
            now: self.initial.state.time(),
            runners: [runner(FIRST), runner(SECOND)],
            provider: Provider::new(None),
            late: Vec::new(),
            left: self.limits,
            wrong: None,
        }]
    }

    fn actions(&self, scene: &Scene, moves: &mut Vec<Move>) {
        moves.extend((0..scene.late.len()).map(Move::Arrive));
        let stage = scene.ledger.stage(self.id);
        if stage.is_terminal() || matches!(stage, Stage::Auditing | Stage::Disputed) {
            return;
        }
        let honest = if self.liar { 0..1 } else { 0..2 };
        for by in honest {
            if !self.prompt {
                moves.push(Move::Look(by));
            }
            moves.push(Move::Crash(by));
            for place in 0..scene.runners[by].waiting.len() {
                moves.extend([
                    Move::Answer(by, place),
                    Move::Fail(by, place),
                    Move::Lose(by, place),
                    Move::TimeOut(by, place),
                ]);
            }
        }
        moves.extend([Move::Judge(true), Move::Judge(false), Move::Veto, Move::Abort, Move::Pass]);
        if self.liar {
            moves.extend([Move::LieClaim, Move::LieReceipt(true), Move::LieReceipt(false)]);
            moves.extend([Move::LieHealth(true), Move::LieHealth(false)]);
        }
    }

    fn next_state(&self, scene: &Scene, action: Move) -> Option<Scene> {
        let mut next = self.make(scene, action)?;
        if self.prompt && next.ledger != scene.ledger {
            let (now, honest) = (next.now, if self.liar { 1 } else { 2 });
            for runner in next.runners.iter_mut().take(honest) {
                Arc::make_mut(runner).look(now, &next.ledger.state);
            }
        }
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = vec![
            Property::always("every event is a move that the model allows", |_, scene: &Scene| {
                scene.ledger.deviation.is_none()
            }),
            Property::always("every order takes effect at most once", |_, scene: &Scene| {
                scene.provider.is_once_each()
            }),
            Property::always("no effect without approval, timelock and plan", |_, scene: &Scene| {
                scene.wrong != Some("an effect without approval, timelock or plan")
            }),
            Property::always("no effect after the end", |_, scene: &Scene| {
                scene.wrong != Some("an effect after the end")
            }),
            Property::sometimes("it is executed", |model: &Self, scene: &Scene| {
                model.ended(scene, Stage::Executed)
            }),
            Property::sometimes("it is rolled back", |model: &Self, scene: &Scene| {
                model.ended(scene, Stage::RolledBack)
            }),
            Property::sometimes("its rollback fails", |model: &Self, scene: &Scene| {
                model.ended(scene, Stage::RollbackFailed)
            }),
            Property::sometimes("it is vetoed", |model: &Self, scene: &Scene| {
                scene.ledger.stage(model.id) == Stage::Vetoed
            }),
            Property::sometimes("it expires", |model: &Self, scene: &Scene| {
                scene.ledger.stage(model.id) == Stage::Expired
            }),
            Property::sometimes("a second claim has a higher fence", |model: &Self, scene: &Scene| {
                let claim = scene.ledger.proposal(model.id).execution.steps[0].claim.as_ref();
                claim.is_some_and(|claim| claim.fence.get() > 1 && !claim.undo)
            }),
        ];
        if self.limits.failures > 0 {
            properties.push(Property::sometimes("it fails", |model: &Self, scene: &Scene| {
                scene.ledger.stage(model.id) == Stage::Failed || model.ended(scene, Stage::Failed)
            }));
        }
        if !self.liar {
            properties
                .push(Property::always("at the end the target is as the ledger says", |_, scene: &Scene| {
                    scene.wrong != Some("the target is not as the ledger says at the end")
                }));
        }
        properties
    }
}
