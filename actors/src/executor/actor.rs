//! Owns the executor's mailbox: follows the ledger's views, makes each intent and outcome durable before it is acted
//! on, and carries the answers of ledger, providers and probes back to the plan runner.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use actix::{
    Actor, ActorContext, ActorFutureExt, ArbiterHandle, AsyncContext, Context, Handler, SpawnHandle,
    StreamHandler, WrapFuture,
};
use althing_contracts::{
    digest::{Digest, Purpose},
    event::Event,
    name::{Name, OrgId, TargetId},
    quantity::{Fence, TimeMs},
    reject::Reject,
    role::Role,
    state::State,
    transaction::{Call, HealthReport, StepOutcome},
};
use futures::stream;
use tokio::sync::watch;
use tracing::{Instrument as _, debug, error, info, warn};

use super::{
    health::Prober,
    journal::{self, Entry, IntentRecord, StepKey},
    message::{Running, Stop},
    metrics,
    state::{ExecutorConfig, ExecutorState, Input, JudgeKey, Output, Settlement},
};
use crate::{
    journal::Journal,
    ledger::message::{Final, LedgerView},
    port::{Clock, Evidence, LedgerPort, Provider, ProviderError},
    signer::submitter::{ActError, Submitter},
    span,
    watcher::{Lifeline, StartError, Watched, Watcher},
};

/// Name of the actor in logs and metrics.
pub const NAME: &str = "executor";
/// Messages that wait: the executor is asked by people only.
const MAILBOX_LEN_MAX: usize = 64;

/// What the executor needs.
#[derive(Clone)]
pub struct ExecutorOptions {
    /// The organisation whose targets it acts on.
    pub org: OrgId,
    /// File of the intent journal.
    pub journal: PathBuf,
    /// Targets that are acted on side by side.
    pub parallel_max: usize,
    /// Providers of this node.
    pub providers: Vec<Arc<dyn Provider>>,
    /// Probes targets of other organisations, and its own.
    pub prober: Prober,
    /// Signs and submits for the executors whose keys the node holds.
    pub submitter: Submitter,
    /// The ledger that gives the orders.
    pub ledger: Arc<dyn LedgerPort>,
    /// Judges leases and windows while the ledger is idle.
    pub clock: Arc<dyn Clock>,
    /// Where it runs; the journal's disk writes make it wait, so it should have its own.
    pub arbiter: ArbiterHandle,
}

/// The executor.
pub struct ExecutorActor {
    state: ExecutorState,
    journal: Journal<IntentRecord>,
    providers: BTreeMap<Name, Arc<dyn Provider>>,
    options: ExecutorOptions,
    timer: Option<SpawnHandle>,
    lifeline: Lifeline,
}

/// Starts the executor under supervision.
///
/// # Errors
/// The journal cannot be opened or its chain is broken, or a provider's name is none.
pub fn start(watcher: &Watcher, options: ExecutorOptions) -> Result<Watched<ExecutorActor>, StartError> {
    metrics::describe();
    watcher.supervise(NAME, move |lifeline| {
        let actor = ExecutorActor::open(options.clone(), lifeline)?;
        Ok(ExecutorActor::start_in_arbiter(&options.arbiter, move |_| actor))
    })
}

impl ExecutorActor {
    fn open(options: ExecutorOptions, lifeline: Lifeline) -> Result<Self, StartError> {
        let (journal, intents) = journal::open(&options.journal)?;
        let named = |provider: &Arc<dyn Provider>| Ok((Name::new(provider.name())?, Arc::clone(provider)));
        let providers =
            options.providers.iter().map(named).collect::<Result<BTreeMap<_, _>, StartError>>()?;
        let members: BTreeSet<_> = options
            .submitter
            .members(Role::Executor)
            .filter(|member| member.org() == options.org)
            .cloned()
            .collect();
        let config = ExecutorConfig {
            org: options.org.clone(),
            members,
            providers: providers.keys().cloned().collect(),
            parallel_max: options.parallel_max,
        };
        let state = ExecutorState::new(config, intents);
        Ok(Self { state, journal, providers, options, timer: None, lifeline })
    }

    fn feed(&mut self, input: Input, ctx: &mut Context<Self>) {
        let outputs = self.state.step(self.options.clock.now(), input);
        metrics::running(self.state.running().count());
        for output in outputs {
            self.perform(output, ctx);
        }
        self.set_timer(ctx);
    }

    fn set_timer(&mut self, ctx: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        if let Some(at) = self.state.wake_at() {
            let pause = at.since(self.options.clock.now()).get().max(1);
            let tick = |this: &mut Self, ctx: &mut Context<Self>| this.feed(Input::Tick, ctx);
            self.timer = Some(ctx.run_later(Duration::from_millis(pause), tick));
        }
    }

    fn perform(&mut self, output: Output, ctx: &mut Context<Self>) {
        let _span = span::of(NAME, Some(output.proposal())).entered();
        match output {
            Output::Claim { key, member } => {
                let call = Call::Claim { proposal: key.proposal, step: key.step };
                let submitter = self.options.submitter.clone();
                let claim = async move { submitter.act(&member, Role::Executor, call).await };
                self.spawn(ctx, claim, move |this, answer| Input::Claimed {
                    key,
                    answer: this.granted(key, answer),
                });
            }
            Output::Read { key, provider, target, resource } => {
                let provider = self.provider(&provider);
                let read = async move { provider?.read(&target, &resource).await };
                self.spawn(ctx, read, move |_, found| Input::Read { key, found });
            }
            Output::CarryOut { key, provider, order, since_due } => {
                let entry = Entry::Intent {
                    target: order.target.id.clone(),
                    idempotency_key: order.idempotency_key.clone(),
                    action: order.action.clone(),
                    expect: order.expect.clone(),
                };
                if !self.record(key, order.fence, entry, ctx) {
                    return;
                }
                metrics::due_to_provider(Duration::from_millis(since_due.get()));
                let provider = self.provider(&provider);
                let call = async move {
                    let provider = provider?;
                    if key.undo { provider.undo(&order).await } else { provider.apply(&order).await }
                };
                self.spawn(ctx, call, move |_, effect| {
                    if let Err(ProviderError::Unknown(reason)) = &effect {
                        metrics::unknown();
                        warn!(%key, reason, "outcome unknown, reading the target");
                    }
                    Input::CarriedOut { key, effect }
                });
            }
            Output::Report { key, member, fence, outcome, evidence } => {
                let entry = Entry::Outcome { outcome: outcome.clone(), facts: evidence.facts.clone() };
                if !self.record(key, fence, entry, ctx) {
                    return;
                }
                metrics::reported(key.undo, outcome == StepOutcome::Done);
                info!(%key, %fence, ?outcome, "step carried out");
                let call = receipt(key, fence, outcome, &evidence);
                let submitter = self.options.submitter.clone();
                let report = async move { submitter.act(&member, Role::Executor, call).await };
                self.spawn(ctx, report, move |_, answer| Input::Reported {
                    key,
                    answer: settled("receipt", answer),
                });
            }
            Output::Probe { key, probe } => {
                let prober = self.options.prober.clone();
                let measure = async move {
                    match (probe.without_requests(), &probe.check) {
                        (None, Some(check)) => Some(prober.probe(&probe.endpoints, check).await),
                        (said, _) => said,
                    }
                };
                self.spawn_some(ctx, measure, move |health| Input::Probed { key, health });
            }
            Output::Attest { member, key, health } => {
                metrics::attested(health.healthy);
                info!(proposal_id = %key.proposal, step = key.step, healthy = health.healthy, "target judged");
                let call = attestation(key, health);
                let submitter = self.options.submitter.clone();
                let attest = async move { submitter.act(&member, Role::Executor, call).await };
                self.spawn(ctx, attest, move |_, answer| Input::Attested {
                    key,
                    answer: settled("attestation", answer),
                });
            }
        }
    }

    fn spawn<T: 'static>(
        &self,
        ctx: &mut Context<Self>,
        work: impl Future<Output = T> + 'static,
        answer: impl FnOnce(&mut Self, T) -> Input + 'static,
    ) {
        let fed = work.in_current_span().into_actor(self).map(move |result, this, ctx| {
            let input = answer(this, result);
            this.feed(input, ctx);
        });
        ctx.spawn(fed);
    }

    fn spawn_some<T: 'static>(
        &self,
        ctx: &mut Context<Self>,
        work: impl Future<Output = Option<T>> + 'static,
        answer: impl FnOnce(T) -> Input + 'static,
    ) {
        let fed = work.in_current_span().into_actor(self).map(move |result, this, ctx| {
            if let Some(result) = result {
                this.feed(answer(result), ctx);
            }
        });
        ctx.spawn(fed);
    }

    fn provider(&self, name: &Name) -> Result<Arc<dyn Provider>, ProviderError> {
        let missing = || ProviderError::Refused(format!("this node has no provider {name}"));
        self.providers.get(name).cloned().ok_or_else(missing)
    }

    /// Makes an entry durable. Without it nothing may follow: the actor ends and starts again from what is on disk.
    fn record(&mut self, key: StepKey, fence: Fence, entry: Entry, ctx: &mut Context<Self>) -> bool {
        let record = IntentRecord::V1 { time: self.options.clock.now(), key, fence, entry };
        match self.journal.append(&record) {
            Ok(_) => true,
            Err(error) => {
                error!(%key, %error, "the intent journal cannot be written, the executor starts again");
                ctx.terminate();
                false
            }
        }
    }

    fn granted(&self, key: StepKey, answer: Result<Final, ActError>) -> Settlement<Option<(Fence, TimeMs)>> {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                debug!(%key, %error, "claim not taken");
                return Settlement::Open;
            }
        };
        let fence = answer.events.iter().find_map(|event| match event {
            Event::StepClaimed { proposal, step, fence, undo, .. }
                if (*proposal, *step, *undo) == (key.proposal, key.step, key.undo) =>
            {
                Some(*fence)
            }
            _ => None,
        });
        let view = self.options.ledger.feed().view.borrow().clone();
        let until = lease_end(&view.state, key, answer.time);
        Settlement::Final(answer.height, fence.map(|fence| (fence, until)))
    }
}

/// The lease of a claim that was granted at `time`.
fn lease_end(state: &State, key: StepKey, time: TimeMs) -> TimeMs {
    state.proposal(key.proposal).map_or(time, |proposal| time.after(proposal.parameters.lease))
}

fn receipt(key: StepKey, fence: Fence, outcome: StepOutcome, evidence: &Evidence) -> Call {
    let evidence = Digest::of_object(Purpose::Evidence, &evidence.facts);
    Call::Receipt { proposal: key.proposal, step: key.step, fence, outcome, evidence }
}

const fn attestation(key: JudgeKey, health: HealthReport) -> Call {
    Call::AttestHealth { proposal: key.proposal, stage: key.stage, step: key.step, health }
}

fn settled(what: &'static str, answer: Result<Final, ActError>) -> Settlement<()> {
    match answer {
        Ok(answer) => Settlement::Final(answer.height, ()),
        // Another organisation's word came first, and the proposal is elsewhere by it.
        Err(error) if matches!(error.reject(), Some(Reject::IllegalMove { .. })) => {
            debug!(what, %error, "the ledger has moved on");
            Settlement::Open
        }
        Err(error) => {
            warn!(what, %error, "not taken by the ledger");
            Settlement::Open
        }
    }
}

fn views(mut view: watch::Receiver<Arc<LedgerView>>) -> impl stream::Stream<Item = Arc<LedgerView>> {
    view.mark_changed();
    stream::unfold(view, |mut view| async move {
        view.changed().await.ok()?;
        let next = view.borrow_and_update().clone();
        Some((next, view))
    })
}

impl Actor for ExecutorActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_LEN_MAX);
        ctx.add_stream(views(self.options.ledger.feed().view));
    }
}

impl StreamHandler<Arc<LedgerView>> for ExecutorActor {
    fn handle(&mut self, view: Arc<LedgerView>, ctx: &mut Self::Context) {
        self.feed(Input::View(view), ctx);
    }

    fn finished(&mut self, ctx: &mut Self::Context) {
        warn!("the ledger has stopped, so the executor does");
        self.lifeline.stop();
        ctx.stop();
    }
}

impl Handler<Running> for ExecutorActor {
    type Result = Vec<(TargetId, StepKey)>;

    fn handle(&mut self, _: Running, _: &mut Self::Context) -> Self::Result {
        self.state.running().map(|(target, key)| (target.clone(), key)).collect()
    }
}

impl Handler<Stop> for ExecutorActor {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        self.lifeline.stop();
        ctx.stop();
    }
}

#[cfg(test)]
mod tests;
