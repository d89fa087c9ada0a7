//! Owns the way others reach the ledger: submit, follow, read, stop. Signatures are checked before the ledger's mailbox,
//! so that nothing unverified waits in it.

use std::{sync::Arc, time::Duration};

use althing_contracts::{
    digest::Digest,
    event::EventRecord,
    genesis::GenesisError,
    quantity::{EventSequence, Height},
    state::State,
    transaction::Equivocation,
};
use futures::{StreamExt as _, stream::BoxStream};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

use super::{
    actor::{Inbound, LedgerActor, Stop},
    admission::{self, SUBMISSIONS_MAX, Submission},
    message::{
        CertifiedBlock, Final, LedgerFeed, LedgerView, ReadBlocks, ReadError, ReadEvents, ShownHead,
        SubmitError,
    },
    metrics,
    state::LedgerSettings,
    storage::Storage,
};
use crate::{
    home::Home,
    port::{Clock, Mesh, MeshEvent},
    watcher::{StartError, Watched, Watcher},
};

/// Name of the actor in logs and metrics.
pub const NAME: &str = "ledger";
/// How long [`LedgerHandle::submit`] waits for finality.
pub const SUBMIT_DEADLINE: Duration = Duration::from_secs(30);
/// Batches of events that a slow reader may lag behind before it has to read from the index.
const EVENT_BATCHES_MAX: usize = 1_024;
/// Evidence that waits for its reporter; more of it says nothing new.
const EVIDENCE_MAX: usize = 64;
/// Heads that wait for an auditor; later ones say more.
const HEADS_MAX: usize = 256;
/// Mesh events handled with one sync of the log.
const INBOUND_BATCH_MAX: usize = 64;

/// What the ledger needs.
pub struct LedgerOptions {
    /// Genesis, role and time limits.
    pub settings: LedgerSettings,
    /// Where it keeps what it must not forget.
    pub storage: Arc<dyn Storage>,
    /// The mesh.
    pub mesh: Arc<dyn Mesh>,
    /// What the mesh tells, in order; ends with the mesh.
    pub events: BoxStream<'static, MeshEvent>,
    /// The wall clock.
    pub clock: Arc<dyn Clock>,
    /// A thread of its own: it waits for the disk.
    pub home: Arc<dyn Home>,
}

/// What every life of the actor needs, and what outlives each of them.
#[derive(Clone)]
pub(super) struct Surroundings {
    pub(super) settings: LedgerSettings,
    pub(super) storage: Arc<dyn Storage>,
    pub(super) home: Arc<dyn Home>,
    pub(super) mesh: Arc<dyn Mesh>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) outlets: Arc<Outlets>,
}

/// Where the ledger's news goes.
pub(super) struct Outlets {
    pub(super) view: watch::Sender<Arc<LedgerView>>,
    pub(super) events: broadcast::Sender<super::message::EventBatch>,
    pub(super) evidence: broadcast::Sender<Equivocation>,
    pub(super) heads: broadcast::Sender<ShownHead>,
    pub(super) failure: watch::Sender<Option<Arc<str>>>,
}

/// The ledger of this node. Cloned freely.
#[derive(Clone)]
pub struct LedgerHandle {
    network: Digest,
    submissions: mpsc::Sender<Submission>,
    actor: Watched<LedgerActor>,
    outlets: Arc<Outlets>,
}

impl std::fmt::Debug for LedgerHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LedgerHandle").field("network", &self.network).finish_non_exhaustive()
    }
}

impl LedgerHandle {
    /// Opens the store and starts the ledger under supervision.
    ///
    /// # Errors
    /// The genesis or the data directory cannot be used.
    pub fn start(watcher: &Watcher, options: LedgerOptions) -> Result<Self, StartError> {
        metrics::describe();
        let LedgerOptions { settings, storage, mesh, events, clock, home } = options;
        let network = settings.genesis.network();
        let outlets = Arc::new(Outlets::new(&settings, network)?);
        let surroundings = Surroundings {
            settings,
            storage,
            home: Arc::clone(&home),
            mesh,
            clock,
            outlets: Arc::clone(&outlets),
        };
        let actor = watcher
            .supervise(NAME, move |lifeline| LedgerActor::start_at_home(surroundings.clone(), lifeline))?;
        // On the ledger's own thread: an event wakes one thread, and the next batch gathers while this one is handled.
        home.spawn(pump(events, actor.clone()));
        let (submissions, submitted) = mpsc::channel(SUBMISSIONS_MAX);
        home.spawn(admission::run(submitted, actor.clone(), network, Arc::clone(&home)));
        Ok(Self { network, submissions, actor, outlets })
    }

    /// Takes a signed transaction and answers when it is final, refused or given up.
    ///
    /// # Errors
    /// See [`SubmitError`]; after `Unknown`, asking again with the same bytes is safe.
    pub async fn submit(&self, transaction: Vec<u8>) -> Result<Final, SubmitError> {
        let (reply, answer) = oneshot::channel();
        let submission = Submission { bytes: transaction, reply };
        self.submissions.send(submission).await.map_err(|_| SubmitError::Unknown)?;
        match tokio::time::timeout(SUBMIT_DEADLINE, answer).await {
            Ok(Ok(outcome)) => outcome,
            // The ledger was restarted, or takes long: either way it may still become final.
            Ok(Err(_)) | Err(_) => Err(SubmitError::Unknown),
        }
    }

    /// Where the ledger is followed.
    #[must_use]
    pub fn feed(&self) -> LedgerFeed {
        LedgerFeed { view: self.outlets.view.subscribe(), events: self.outlets.events.clone() }
    }

    /// Double signatures as they are found, each with its proof.
    #[must_use]
    pub fn evidence(&self) -> broadcast::Receiver<Equivocation> {
        self.outlets.evidence.subscribe()
    }

    /// Heads that other nodes show, each with a certificate that verifies and each once.
    #[must_use]
    pub fn heads(&self) -> broadcast::Receiver<ShownHead> {
        self.outlets.heads.subscribe()
    }

    /// Says why the process has to stop, once it has to.
    #[must_use]
    pub fn failure(&self) -> watch::Receiver<Option<Arc<str>>> {
        self.outlets.failure.subscribe()
    }

    /// Reads final events after a number.
    ///
    /// # Errors
    /// The store failed.
    pub async fn read_events(
        &self,
        after: EventSequence,
        limit: usize,
    ) -> Result<Vec<EventRecord>, ReadError> {
        self.actor.send(ReadEvents { after, limit }).await.map_err(unavailable)?
    }

    /// Reads final blocks from a height on, in order; fewer at the end of the ledger or of a large answer.
    ///
    /// # Errors
    /// The store failed.
    pub async fn read_blocks(&self, from: Height, limit: usize) -> Result<Vec<CertifiedBlock>, ReadError> {
        self.actor.send(ReadBlocks { from, limit }).await.map_err(unavailable)?
    }

    /// Ends the ledger in order: everything final is in the log and in the index on return,
    /// and the data directory is free.
    pub async fn shutdown(&self) {
        // An actor that is gone has ended already; its store was closed when it was dropped.
        if let Ok(ended) = self.actor.send(Stop).await {
            // It says nothing: it closes when the actor is dropped.
            let _closed = ended.await;
        }
    }

    /// The supervised actor, for tests that break it.
    #[cfg(test)]
    pub(super) const fn actor(&self) -> &Watched<LedgerActor> {
        &self.actor
    }
}

impl Outlets {
    fn new(settings: &LedgerSettings, network: Digest) -> Result<Self, GenesisError> {
        let state = State::genesis(&settings.genesis)?;
        let view = LedgerView {
            network,
            state,
            header: None,
            certificate: None,
            highest_seen: Height::ZERO,
            round: 0,
            clock_offset_ms: None,
        };
        Ok(Self {
            view: watch::Sender::new(Arc::new(view)),
            events: broadcast::Sender::new(EVENT_BATCHES_MAX),
            evidence: broadcast::Sender::new(EVIDENCE_MAX),
            heads: broadcast::Sender::new(HEADS_MAX),
            failure: watch::Sender::new(None),
        })
    }
}

/// Carries what the mesh tells to whichever life of the ledger there is; waits while it is busy, so that the mesh
/// holds its peers back.
async fn pump(events: BoxStream<'static, MeshEvent>, actor: Watched<LedgerActor>) {
    let mut batches = events.ready_chunks(INBOUND_BATCH_MAX);
    while let Some(batch) = batches.next().await {
        if actor.send(Inbound(batch)).await.is_err() {
            metrics::inbound_lost();
        }
    }
}

fn unavailable(error: crate::watcher::ActorUnavailable) -> ReadError {
    ReadError::Store(std::io::Error::other(error))
}
