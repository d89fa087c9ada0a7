//! Owns the signer's mailbox. It runs on an arbiter of its own because each signature waits for the disk.

use std::{path::PathBuf, sync::Arc};

use actix::{Actor, ActorContext, ArbiterHandle, Context, Handler};

use super::{
    journal,
    message::{Sign, SignError, SignedTransaction, Stop},
    metrics,
    state::{SignerKeys, SignerState},
};
use crate::{
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
    pub keys: Arc<SignerKeys>,
    /// File of the key-use journal.
    pub journal: PathBuf,
    /// The node's own ledger.
    pub feed: LedgerFeed,
    /// Dates the records of the journal.
    pub clock: Arc<dyn Clock>,
    /// Where it runs.
    pub arbiter: ArbiterHandle,
}

/// The signer.
pub struct SignerActor {
    state: SignerState,
    feed: LedgerFeed,
    clock: Arc<dyn Clock>,
    lifeline: Lifeline,
}

/// Starts the signer under supervision.
///
/// # Errors
/// The journal cannot be opened or its chain is broken.
pub fn start(watcher: &Watcher, options: SignerOptions) -> Result<Watched<SignerActor>, StartError> {
    metrics::describe();
    watcher.supervise(NAME, move |lifeline| {
        let SignerOptions { keys, journal, feed, clock, arbiter } = options.clone();
        let state = SignerState::new(keys, journal::open(&journal)?);
        let actor = SignerActor { state, feed, clock, lifeline };
        Ok(SignerActor::start_in_arbiter(&arbiter, move |_| actor))
    })
}

impl Actor for SignerActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_LEN_MAX);
    }
}

impl Handler<Sign> for SignerActor {
    type Result = Result<SignedTransaction, SignError>;

    fn handle(&mut self, request: Sign, _: &mut Self::Context) -> Self::Result {
        let _span = request.span.clone().entered();
        let view = self.feed.view.borrow().clone();
        self.state.sign(request, &view.state, self.clock.now())
    }
}

impl Handler<Stop> for SignerActor {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        self.lifeline.stop();
        ctx.stop();
    }
}
