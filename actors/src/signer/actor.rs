//! Owns the signer's mailbox. It runs on an arbiter of its own because signatures wait for the disk: those that were
//! asked for while it was busy are recorded together, with one sync.

use std::sync::Arc;

use actix::{Actor, ActorContext, ActorFutureExt, AsyncContext, Context, Handler, MessageResult, WrapFuture};
use tokio::sync::oneshot;

use super::{
    journal,
    keys::KeyStore,
    message::{Sign, SignError, SignedTransaction, Stop},
    metrics,
    state::SignerState,
};
use crate::{
    failpoint,
    home::Home,
    journal::Shelf,
    ledger::message::LedgerFeed,
    port::Clock,
    watcher::{Lifeline, StartError, Watched, Watcher},
};

/// Name of the actor in logs and metrics.
pub const NAME: &str = "signer";
/// Requests that wait: each caller has one, and the submitter has one a key.
const MAILBOX_LEN_MAX: usize = 256;

/// What the signer needs.
#[derive(Clone)]
pub struct SignerOptions {
    /// The members' keys.
    pub keys: Arc<dyn KeyStore>,
    /// Where the key-use journal is, as [`journal::FILE`].
    pub shelf: Shelf,
    /// The node's own ledger.
    pub feed: LedgerFeed,
    /// Dates the records of the journal.
    pub clock: Arc<dyn Clock>,
    /// Where it runs.
    pub home: Arc<dyn Home>,
}

/// The signer.
pub struct SignerActor {
    state: SignerState,
    feed: LedgerFeed,
    clock: Arc<dyn Clock>,
    /// Signatures whose use is not durable yet.
    unrecorded: Vec<(SignedTransaction, oneshot::Sender<Result<SignedTransaction, SignError>>)>,
    lifeline: Lifeline,
}

/// Starts the signer under supervision.
///
/// # Errors
/// The keys cannot be read; the journal cannot be opened or its chain is broken.
pub fn start(watcher: &Watcher, options: SignerOptions) -> Result<Watched<SignerActor>, StartError> {
    metrics::describe();
    watcher.supervise(NAME, move |lifeline| {
        let SignerOptions { keys, shelf, feed, clock, home } = options.clone();
        let state = SignerState::open(keys, journal::open(shelf.place(journal::FILE)?)?)?;
        let actor = SignerActor { state, feed, clock, unrecorded: Vec::new(), lifeline };
        Ok(home.start(move || actor))
    })
}

impl Actor for SignerActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_LEN_MAX);
    }
}

impl SignerActor {
    /// Keeps a signature until its use is durable; the first of a group has it recorded once the mailbox is empty.
    fn keep(
        &mut self,
        signed: SignedTransaction,
        reply: oneshot::Sender<Result<SignedTransaction, SignError>>,
        ctx: &mut Context<Self>,
    ) {
        if self.unrecorded.is_empty() {
            let mailbox_is_empty = std::future::ready(()).into_actor(self);
            ctx.spawn(mailbox_is_empty.map(|(), this, _| this.record()));
        }
        self.unrecorded.push((signed, reply));
        if self.state.is_group_full() {
            self.record();
        }
    }

    /// Records the group and gives its signatures out.
    fn record(&mut self) {
        failpoint::reach("signer.record");
        for (signed, reply) in std::mem::take(&mut self.unrecorded) {
            // After the first of a group this does nothing, or says again that the journal failed.
            let recorded = self.state.record();
            failpoint::reach("signer.recorded");
            // The asker may have gone.
            let _gone = reply.send(recorded.map(|()| signed).map_err(SignError::from));
        }
    }
}

impl Handler<Sign> for SignerActor {
    type Result = MessageResult<Sign>;

    fn handle(&mut self, request: Sign, ctx: &mut Self::Context) -> Self::Result {
        let _span = request.span.clone().entered();
        let (reply, answer) = oneshot::channel();
        let view = self.feed.view.borrow().clone();
        match self.state.sign(request, &view.state, self.clock.now()) {
            Ok(signed) => self.keep(signed, reply, ctx),
            Err(refused) => {
                // The asker may have gone.
                let _gone = reply.send(Err(refused));
            }
        }
        MessageResult(answer)
    }
}

impl Handler<Stop> for SignerActor {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        self.record();
        self.lifeline.stop();
        ctx.stop();
    }
}
