//! Owns the executor's mailbox: follows the ledger's views, makes each intent and outcome durable before it is acted
//! on, and carries the answers of ledger, providers and probes back to the plan runner.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, SpawnHandle, StreamHandler,
    WrapFuture,
};
use althing_contracts::{
    name::{Name, OrgId, TargetId},
    reject::Reject,
    role::Role,
    transaction::StepOutcome,
};
use futures::stream;
use tokio::sync::watch;
use tracing::{Instrument as _, debug, error, info, warn};

use super::{
    journal::{self, StepKey},
    message::{Running, Stop},
    metrics,
    runner::{self, Runner},
    state::{ExecutorConfig, Grant, Input, Output, Settlement},
};
use crate::{
    failpoint,
    home::Home,
    journal::Shelf,
    ledger::message::{Final, LedgerView},
    port::{Clock, LedgerPort, Prober, Provider, ProviderError},
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
    /// Where the intent journal is, as [`journal::FILE`].
    pub shelf: Shelf,
    /// Targets that are acted on side by side.
    pub parallel_max: usize,
    /// Providers of this node.
    pub providers: Vec<Arc<dyn Provider>>,
    /// Probes targets of other organisations, and its own.
    pub prober: Arc<dyn Prober>,
    /// Signs and submits for the executors whose keys the node holds.
    pub submitter: Submitter,
    /// The ledger that gives the orders.
    pub ledger: Arc<dyn LedgerPort>,
    /// Judges leases and windows while the ledger is idle.
    pub clock: Arc<dyn Clock>,
    /// Where it runs; the journal's disk writes make it wait, so it should have its own.
    pub home: Arc<dyn Home>,
}

/// The executor.
pub struct ExecutorActor {
    runner: Runner,
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
        Ok(options.home.start(move || actor))
    })
}

impl ExecutorActor {
    fn open(options: ExecutorOptions, lifeline: Lifeline) -> Result<Self, StartError> {
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
        let runner = Runner::open(config, options.shelf.place(journal::FILE)?)?;
        Ok(Self { runner, providers, options, timer: None, lifeline })
    }

    fn feed(&mut self, input: Input, ctx: &mut Context<Self>) {
        let outputs = match self.runner.step(self.options.clock.now(), input) {
            Ok(outputs) => outputs,
            Err(error) => {
                error!(%error, "the intent journal cannot be written, the executor starts again");
                ctx.terminate();
                return;
            }
        };
        metrics::running(self.runner.running().count());
        for output in outputs {
            self.perform(output, ctx);
        }
        self.set_timer(ctx);
    }

    fn set_timer(&mut self, ctx: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        if let Some(at) = self.runner.wake_at() {
            let pause = at.since(self.options.clock.now()).get().max(1);
            let tick = |this: &mut Self, ctx: &mut Context<Self>| this.feed(Input::Tick, ctx);
            self.timer = Some(ctx.run_later(Duration::from_millis(pause), tick));
        }
    }

    fn perform(&mut self, output: Output, ctx: &mut Context<Self>) {
        let _span = span::of(NAME, Some(output.proposal())).entered();
        match output {
            Output::Claim { key, .. } => {
                failpoint::reach("executor.claim");
                self.submit(&output, ctx, move |this, answer| {
                    failpoint::reach("executor.claimed");
                    Input::Claimed { key, answer: this.granted(key, answer) }
                });
            }
            Output::Read { key, provider, target, resource, fence } => {
                let provider = self.provider(&provider);
                failpoint::reach("executor.read");
                let read = async move { provider?.read(&target, &resource, fence).await };
                self.spawn(ctx, read, move |_, found| {
                    failpoint::reach("executor.found");
                    Input::Read { key, found }
                });
            }
            Output::CarryOut { key, provider, order, since_due } => {
                metrics::due_to_provider(Duration::from_millis(since_due.get()));
                let provider = self.provider(&provider);
                let call = async move {
                    let provider = provider?;
                    failpoint::reach("executor.call");
                    if key.undo { provider.undo(&order).await } else { provider.apply(&order).await }
                };
                self.spawn(ctx, call, move |_, effect| {
                    failpoint::reach("executor.called");
                    if let Err(ProviderError::Unknown(reason)) = &effect {
                        metrics::unknown();
                        warn!(%key, reason, "outcome unknown, reading the target");
                    }
                    Input::CarriedOut { key, effect }
                });
            }
            Output::Report { key, fence, ref outcome, .. } => {
                metrics::reported(key.undo, *outcome == StepOutcome::Done);
                info!(%key, %fence, ?outcome, "step carried out");
                failpoint::reach("executor.report");
                self.submit(&output, ctx, move |_, answer| {
                    failpoint::reach("executor.reported");
                    Input::Reported { key, answer: settled("receipt", answer) }
                });
            }
            Output::Probe { key, probe } => {
                let prober = Arc::clone(&self.options.prober);
                failpoint::reach("executor.probe");
                let measure = async move {
                    match (probe.without_requests(), &probe.check) {
                        (None, Some(check)) => Some(prober.probe(&probe.endpoints, check).await),
                        (said, _) => said,
                    }
                };
                self.spawn_some(ctx, measure, move |health| {
                    failpoint::reach("executor.probed");
                    Input::Probed { key, health }
                });
            }
            Output::Attest { key, ref health, .. } => {
                metrics::attested(health.healthy);
                info!(proposal_id = %key.proposal, step = key.step, healthy = health.healthy, "target judged");
                failpoint::reach("executor.attest");
                self.submit(&output, ctx, move |_, answer| {
                    failpoint::reach("executor.attested");
                    Input::Attested { key, answer: settled("attestation", answer) }
                });
            }
        }
    }

    /// Asks the ledger what an output asks of it.
    fn submit(
        &self,
        output: &Output,
        ctx: &mut Context<Self>,
        answer: impl FnOnce(&mut Self, Result<Final, ActError>) -> Input + 'static,
    ) {
        let Some((member, call)) = output.call() else { return };
        let (submitter, member) = (self.options.submitter.clone(), member.clone());
        let act = async move { submitter.act(&member, Role::Executor, call).await };
        self.spawn(ctx, act, answer);
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

    fn granted(&self, key: StepKey, answer: Result<Final, ActError>) -> Settlement<Option<Grant>> {
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) => {
                debug!(%key, %error, "claim not taken");
                return Settlement::Open;
            }
        };
        let view = self.options.ledger.feed().view.borrow().clone();
        runner::granted(&view.state, key, &answer)
    }
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
        self.runner.running().map(|(target, key)| (target.clone(), key)).collect()
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
