//! Owns the auditor's mailbox: wakes with each block, re-applies what is new in a pool, attests what is finished.
//!
//! The state is away while the pool works on it; whatever comes in the meantime waits in bounded places.

use std::{collections::BTreeSet, sync::Arc};

use actix::{
    Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, MessageResult, StreamHandler,
    WrapFuture,
};
use althing_contracts::{genesis::Genesis, quantity::Height, transaction::Call};
use tokio::sync::watch;
use tracing::{Instrument as _, error, info, warn};

use super::{
    alarm::Alarm,
    heads::Observed,
    message::{ObserveHead, ReadAlarms, ReadStatus, Stop},
    metrics::{self, Attestation, HeadOutcome},
    port::{AttestError, Attester, History},
    state::{AuditorConfig, AuditorError, AuditorState, AuditorStatus, ObserveError, Subject},
};
use crate::{
    causes::with_causes,
    failpoint,
    home::Home,
    ledger::message::{CertifiedBlock, LedgerFeed, LedgerView, ReadError},
    span,
    watcher::{Lifeline, StartError, Watched, Watcher},
};

/// Name of the actor in logs and metrics.
pub const NAME: &str = "auditor";
/// Requests that wait: a status reader or two, and heads from each neighbour.
const MAILBOX_LEN_MAX: usize = 256;
/// Heads that wait while the state is away; what is beyond is shown again by the next gossip.
const HEADS_WAITING_MAX: usize = 64;
/// Blocks re-applied at a time: a page of full blocks is a few seconds of work, after which heads get their turn.
const PAGE_LEN_MAX: usize = 64;

/// What the auditor needs.
#[derive(Clone)]
pub struct AuditorOptions {
    /// Who attests, and where files are kept.
    pub config: AuditorConfig,
    /// Where the second application begins: the auditor's own copy.
    pub genesis: Arc<Genesis>,
    /// The node's ledger.
    pub feed: LedgerFeed,
    /// The node's final blocks.
    pub history: Arc<dyn History>,
    /// Signs and submits; `None` makes a witness that only looks.
    pub attester: Option<Arc<dyn Attester>>,
    /// Where it runs, beside the pool that re-applies blocks.
    pub home: Arc<dyn Home>,
}

/// The auditor.
pub struct AuditorActor {
    options: AuditorOptions,
    state: Option<Box<AuditorState>>,
    status: AuditorStatus,
    alarms: Arc<Vec<Alarm>>,
    heads: Vec<ObserveHead>,
    in_flight: BTreeSet<Subject>,
    woken: bool,
    lifeline: Lifeline,
}

/// The view changed.
struct Viewed;

/// What the pool did.
struct Worked {
    state: Box<AuditorState>,
    outcome: Result<(), AuditorError>,
    due: Vec<(Subject, Call)>,
    is_caught_up: bool,
    read: Result<usize, ReadError>,
}

/// Starts the auditor under supervision.
///
/// # Errors
/// Its files or the genesis cannot be used.
pub fn start(watcher: &Watcher, options: AuditorOptions) -> Result<Watched<AuditorActor>, StartError> {
    metrics::describe();
    watcher.supervise(NAME, move |lifeline| {
        let state = AuditorState::open(&options.config, &options.genesis)?;
        let actor = AuditorActor::new(options.clone(), state, lifeline);
        Ok(options.home.start(move || actor))
    })
}

impl AuditorActor {
    fn new(options: AuditorOptions, state: AuditorState, lifeline: Lifeline) -> Self {
        Self {
            options,
            status: state.status(),
            alarms: Arc::new(state.alarms().to_vec()),
            state: Some(Box::new(state)),
            heads: Vec::new(),
            in_flight: BTreeSet::new(),
            woken: false,
            lifeline,
        }
    }

    /// Begins a round of work, or notes that one is due after the current one.
    fn wake(&mut self, ctx: &mut Context<Self>) {
        let Some(state) = self.state.take() else {
            self.woken = true;
            return;
        };
        self.woken = false;
        let work = Work {
            view: self.options.feed.view.borrow().clone(),
            heads: std::mem::take(&mut self.heads),
            in_flight: self.in_flight.clone(),
        };
        let done =
            work.run(state, self.options.history.clone(), Arc::clone(&self.options.home)).into_actor(self);
        ctx.spawn(done.map(|worked, actor, ctx| actor.worked(worked, ctx)));
    }

    fn worked(&mut self, worked: Worked, ctx: &mut Context<Self>) {
        let Worked { mut state, outcome, due, is_caught_up, read } = worked;
        self.report(&mut state);
        self.state = Some(state);
        if let Err(error) = outcome {
            error!(error = with_causes(&error), "auditor cannot go on");
            ctx.stop();
            return;
        }
        for (subject, call) in due {
            self.attest(subject, call, ctx);
        }
        if let Err(error) = &read {
            warn!(error = with_causes(error), "auditor cannot read the ledger's history");
        }
        let has_more = !is_caught_up && self.status.sound && read.is_ok_and(|count| count > 0);
        if has_more || self.woken || !self.heads.is_empty() {
            self.wake(ctx);
        }
    }

    fn report(&mut self, state: &mut AuditorState) {
        for alarm in state.take_raised() {
            error!(%alarm, "auditor raised an alarm");
            metrics::alarm(&alarm);
        }
        self.status = state.status();
        if self.alarms.len() != state.alarms().len() {
            self.alarms = Arc::new(state.alarms().to_vec());
        }
        metrics::status(&self.status);
    }

    fn attest(&mut self, subject: Subject, call: Call, ctx: &mut Context<Self>) {
        let Some(attester) = self.options.attester.clone() else { return };
        self.in_flight.insert(subject);
        let span = span::of(NAME, call.proposal());
        failpoint::reach("auditor.attest");
        let answer = async move { attester.attest(call).await }.instrument(span).into_actor(self);
        ctx.spawn(answer.map(move |result, actor, _| actor.attested(subject, result)));
    }

    /// A final attestation stays in flight until the auditor's own application shows it; any other outcome is
    /// judged again by the ledger's record at the next block.
    fn attested(&mut self, subject: Subject, result: Result<Height, AttestError>) {
        failpoint::reach("auditor.attested");
        let outcome = match result {
            Ok(height) => {
                info!(%subject, %height, "attested");
                metrics::attestation(Attestation::Final);
                return;
            }
            Err(AttestError::Unknown) => Attestation::Unknown,
            Err(error @ AttestError::Refused(_)) => {
                warn!(%subject, error = with_causes(&error), "attestation refused");
                Attestation::Refused
            }
        };
        metrics::attestation(outcome);
        self.in_flight.remove(&subject);
    }
}

/// One round of work, away from the actor.
struct Work {
    view: Arc<LedgerView>,
    heads: Vec<ObserveHead>,
    in_flight: BTreeSet<Subject>,
}

impl Work {
    fn shown(&self) -> Height {
        self.view.header.as_ref().map_or(Height::ZERO, |header| header.height)
    }

    async fn run(self, state: Box<AuditorState>, history: Arc<dyn History>, home: Arc<dyn Home>) -> Worked {
        let read = read_page(&*history, state.next_height(), self.shown()).await;
        let worked = home.compute(move || self.apply(state, read)).await;
        // A panic in the pool is the actor's own: the watcher starts it again from its files.
        worked.unwrap_or_else(|| std::panic::resume_unwind(Box::new("the second application panicked")))
    }

    fn apply(self, mut state: Box<AuditorState>, read: Result<Vec<CertifiedBlock>, ReadError>) -> Worked {
        let shown = self.shown();
        let blocks = read.as_deref().unwrap_or_default();
        let outcome = state.apply(blocks).and_then(|_| state.compare(&self.view));
        let outcome = outcome.and_then(|()| judge_heads(&mut state, self.heads));
        let is_caught_up = state.next_height() > shown;
        let due = if is_caught_up { state.due(&self.in_flight) } else { Vec::new() };
        Worked { state, outcome, due, is_caught_up, read: read.map(|blocks| blocks.len()) }
    }
}

/// Reads from `from` to `last`, at most [`PAGE_LEN_MAX`] blocks; a node may give fewer at a time than asked for.
async fn read_page(
    history: &dyn History,
    from: Height,
    last: Height,
) -> Result<Vec<CertifiedBlock>, ReadError> {
    let mut page = Vec::new();
    let mut next = from;
    while next <= last && page.len() < PAGE_LEN_MAX {
        let blocks = history.read_blocks(next, PAGE_LEN_MAX - page.len()).await?;
        if blocks.is_empty() {
            break;
        }
        next = Height::new(next.get() + blocks.len() as u64);
        page.extend(blocks);
    }
    Ok(page)
}

fn judge_heads(state: &mut AuditorState, heads: Vec<ObserveHead>) -> Result<(), AuditorError> {
    for ObserveHead { from, certificate } in heads {
        failpoint::reach("auditor.head");
        let outcome = match state.observe(certificate) {
            Ok(Observed::Agrees) => HeadOutcome::Agrees,
            Ok(Observed::Old | Observed::Unknown) => HeadOutcome::Old,
            Ok(Observed::Split(_)) => HeadOutcome::Split,
            Err(ObserveError::Certificate(error)) => {
                warn!(%from, %error, "a head proves nothing");
                HeadOutcome::Invalid
            }
            Err(ObserveError::Auditor(error)) => return Err(error),
        };
        metrics::head(outcome);
    }
    Ok(())
}

impl Actor for AuditorActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_LEN_MAX);
        ctx.add_stream(views(self.options.feed.view.clone()));
        self.wake(ctx);
    }
}

fn views(view: watch::Receiver<Arc<LedgerView>>) -> impl futures::Stream<Item = Viewed> {
    futures::stream::unfold(view, |mut view| async {
        view.changed().await.ok()?;
        Some((Viewed, view))
    })
}

impl StreamHandler<Viewed> for AuditorActor {
    fn handle(&mut self, Viewed: Viewed, ctx: &mut Self::Context) {
        self.wake(ctx);
    }

    /// The ledger is gone for good, so nothing is left to audit.
    fn finished(&mut self, ctx: &mut Self::Context) {
        self.lifeline.stop();
        ctx.stop();
    }
}

impl Handler<ReadStatus> for AuditorActor {
    type Result = MessageResult<ReadStatus>;

    fn handle(&mut self, _: ReadStatus, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.status.clone())
    }
}

impl Handler<ReadAlarms> for AuditorActor {
    type Result = MessageResult<ReadAlarms>;

    fn handle(&mut self, _: ReadAlarms, _: &mut Self::Context) -> Self::Result {
        MessageResult(Arc::clone(&self.alarms))
    }
}

impl Handler<ObserveHead> for AuditorActor {
    type Result = ();

    fn handle(&mut self, head: ObserveHead, ctx: &mut Self::Context) {
        if self.heads.len() >= HEADS_WAITING_MAX {
            metrics::head(HeadOutcome::NoRoom);
            return;
        }
        self.heads.push(head);
        self.wake(ctx);
    }
}

impl Handler<Stop> for AuditorActor {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        self.lifeline.stop();
        ctx.stop();
    }
}

#[cfg(test)]
mod tests;
