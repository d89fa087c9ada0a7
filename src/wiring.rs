//! Owns one node: opens its keys, mesh, ledger, actors and API in the order in which they need each other, and ends
//! them in the reverse order. No rule lives here.

use std::{path::PathBuf, sync::Arc};

use actix::{Arbiter, ArbiterHandle};
use althing_actors::{
    auditor, executor,
    executor::{health::HttpProber, local::LocalProvider},
    failpoint,
    journal::Shelf,
    ledger::{
        LedgerHandle, LedgerOptions,
        consensus::Verdicts,
        state::{LedgerSettings, LedgerTiming, REMEMBERED_MAX},
        storage::FileStorage,
    },
    port::{self, Prober, Provider},
    proposal,
    signer::{
        self,
        submitter::{Submitter, SubmitterOptions},
    },
    watcher::{RestartLimits, StartError, Watched, Watcher},
};
use althing_contracts::{
    genesis::Genesis,
    name::{MemberId, Name},
    role::Role,
};
use althing_netconfig::{
    config::{Config, ConfigError, JoinError, NodeRole},
    genesis_file,
    keys::KeyError,
    mesh::{Mesh, MeshConfig, MeshError, MeshHandle},
};
use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use tokio::sync::{oneshot, watch};
use tracing::info;

use self::{
    backend::NodeBackend,
    mesh::BoundMesh,
    ports::{BoundAttester, BoundLedger},
    proof::Proof,
};
use crate::api::{Api, ApiConfig, listen::ListenError};

mod admission;
mod backend;
mod clock;
mod evidence;
mod heads;
mod keys;
mod mesh;
pub mod metrics;
mod ports;
mod proof;
mod targets;

pub use clock::SystemClock;

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The genesis document.
    #[error(transparent)]
    Genesis(#[from] ConfigError),
    /// A member's key file.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The node's own keys, or its place in the mesh.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// The mesh.
    #[error(transparent)]
    Mesh(#[from] MeshError),
    /// A part of the node.
    #[error("the {part} does not start")]
    Part {
        /// Which.
        part: &'static str,
        /// Why.
        #[source]
        source: StartError,
    },
    /// The API.
    #[error(transparent)]
    Api(#[from] ListenError),
}

/// A running node.
pub struct Node {
    name: Name,
    mesh: MeshHandle,
    ledger: LedgerHandle,
    local: Option<LocalProvider>,
    actors: Actors,
    api: Api,
    arbiters: Vec<Arbiter>,
}

/// The supervised actors around the ledger.
struct Actors {
    signer: Watched<signer::actor::SignerActor>,
    desk: Watched<proposal::actor::ProposalDesk>,
    executor: Option<Watched<executor::actor::ExecutorActor>>,
    auditor: Option<Watched<auditor::actor::AuditorActor>>,
}

/// What the parts of a node share while it starts.
struct Parts {
    config: Config,
    genesis: Arc<Genesis>,
    watcher: Watcher,
    ledger: Arc<BoundLedger>,
    submitter: Submitter,
    prober: Arc<dyn Prober>,
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Node").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Node {
    /// Starts a node inside an actix system over a multi-thread runtime.
    ///
    /// # Errors
    /// Names the part that does not start; what had started ends with the process.
    pub async fn start(config: Config) -> Result<Self, NodeError> {
        let genesis = Arc::new(genesis_file::read(&config.node.genesis)?);
        let mesh_config = config.mesh(&genesis)?;
        let keys = keys::load(&config, &genesis)?;
        failpoint::reach("daemon.start.keys");
        let node = mesh_config.identity.node_id();
        let watcher = Watcher::new(RestartLimits::default());
        let mut arbiters = Vec::new();
        let (mesh, inbound) = start_mesh(mesh_config, &arbiter(&mut arbiters)).await?;
        failpoint::reach("daemon.start.mesh");
        let options = LedgerOptions {
            settings: LedgerSettings {
                genesis: (*genesis).clone(),
                node,
                role: keys.ledger,
                timing: LedgerTiming::default(),
                remembered_max: REMEMBERED_MAX,
                verdicts: Verdicts::default(),
            },
            storage: Arc::new(FileStorage(config.node.data_dir.clone())),
            mesh: Arc::new(BoundMesh(mesh.clone())),
            events: inbound,
            clock: clock::system(),
            home: Arc::new(arbiter(&mut arbiters)),
        };
        let ledger = part("ledger", LedgerHandle::start(&watcher, options))?;
        failpoint::reach("daemon.start.ledger");
        let signing = arbiter(&mut arbiters);
        let signer_options = signer::actor::SignerOptions {
            keys: keys.store,
            shelf: Shelf::directory(config.node.data_dir.clone()),
            feed: ledger.feed(),
            clock: clock::system(),
            home: Arc::new(signing.clone()),
        };
        let signer = part("signer", signer::actor::start(&watcher, signer_options))?;
        failpoint::reach("daemon.start.signer");
        proposal::stages::follow(ledger.feed().events.subscribe());
        let dialled = config.p2p.bootstrap.iter().map(|known| known.node).collect();
        admission::follow(ledger.feed().view, mesh.clone(), dialled);
        let bound = Arc::new(BoundLedger(ledger.clone()));
        let submitter_options = SubmitterOptions {
            signer: signer.clone(),
            ledger: bound.clone(),
            clock: clock::system(),
            read_only: watcher.read_only(),
            home: Arc::new(signing),
        };
        let submitter = Submitter::start(keys.members.holders(), &submitter_options);
        evidence::report(ledger.evidence(), keys.members.holders(), submitter.clone());
        let prober = Arc::new(part("prober", HttpProber::new().map_err(Into::into))?);
        let parts = Parts { config, genesis, watcher, ledger: bound, submitter, prober };
        let local = parts.local_provider()?;
        failpoint::reach("daemon.start.provider");
        let actors = parts.actors(signer, local.as_ref(), &mut arbiters)?;
        failpoint::reach("daemon.start.actors");
        let proof = parts.proof(keys.node, keys.members.holders(), actors.auditor.clone());
        let backend = NodeBackend::new(&parts, &mesh, keys.members.holders(), proof);
        let api = Api::start(&api_config(&parts.config), Arc::new(backend))?;
        failpoint::reach("daemon.start.api");
        let name = parts.config.node.name;
        info!(node = %name, places = ?api.places, "node started");
        Ok(Self { name, mesh, ledger, local, actors, api, arbiters })
    }

    /// The node's name.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// Where its API listens.
    #[must_use]
    pub const fn places(&self) -> &ApiConfig {
        &self.api.places
    }

    /// Its ledger.
    #[must_use]
    pub const fn ledger(&self) -> &LedgerHandle {
        &self.ledger
    }

    /// Its mesh.
    #[must_use]
    pub const fn mesh(&self) -> &MeshHandle {
        &self.mesh
    }

    /// Says why the process has to stop, once it has to.
    #[must_use]
    pub fn failure(&self) -> watch::Receiver<Option<Arc<str>>> {
        self.ledger.failure()
    }

    /// Ends the services that the node's provider started, for a mesh that ends with its process.
    pub async fn stop_services(&self) {
        if let Some(local) = &self.local {
            local.shutdown_services().await;
        }
    }

    /// Takes the node off the mesh in the middle of what it does, then ends it; its peers only see it gone.
    pub async fn kill(self) {
        self.mesh.shutdown().await;
        self.stop().await;
    }

    /// Ends the node in order: no new requests, no new work, everything written, peers told.
    pub async fn stop(self) {
        failpoint::reach("daemon.stop");
        self.api.stop().await;
        failpoint::reach("daemon.stop.api");
        // An actor that is gone has ended already.
        if let Some(auditor) = &self.actors.auditor {
            let _gone = auditor.send(auditor::message::Stop).await;
        }
        if let Some(executor) = &self.actors.executor {
            let _gone = executor.send(executor::message::Stop).await;
        }
        let _gone = self.actors.desk.send(proposal::message::Stop).await;
        let _gone = self.actors.signer.send(signer::message::Stop).await;
        failpoint::reach("daemon.stop.actors");
        self.ledger.shutdown().await;
        failpoint::reach("daemon.stop.ledger");
        self.mesh.shutdown().await;
        failpoint::reach("daemon.stop.mesh");
        for arbiter in &self.arbiters {
            arbiter.stop();
        }
        info!(node = %self.name, "node stopped");
    }
}

impl Parts {
    fn local_provider(&self) -> Result<Option<LocalProvider>, NodeError> {
        let section = &self.config.executor;
        if !section.enabled {
            return Ok(None);
        }
        let targets = targets::local(&section.targets);
        let opened = LocalProvider::open(targets, &clock::system(), Arc::clone(&self.prober));
        part("provider local", opened.map_err(Into::into)).map(Some)
    }

    fn actors(
        &self,
        signer: Watched<signer::actor::SignerActor>,
        local: Option<&LocalProvider>,
        arbiters: &mut Vec<Arbiter>,
    ) -> Result<Actors, NodeError> {
        let providers: Vec<Arc<dyn Provider>> =
            local.into_iter().map(|local| Arc::new(local.clone()) as Arc<dyn Provider>).collect();
        let desk = proposal::actor::DeskOptions {
            org: self.config.node.org.clone(),
            providers: providers.clone(),
            submitter: self.submitter.clone(),
            ledger: self.ledger.clone(),
            home: Arc::new(arbiter(arbiters)),
        };
        let desk = part("proposal desk", proposal::actor::start(&self.watcher, desk))?;
        let executor = match local {
            Some(_) => Some(self.executor(providers, arbiters)?),
            None => None,
        };
        let auditor = match self.config.node.role {
            NodeRole::Auditor => Some(self.auditor()?),
            NodeRole::Validator => None,
        };
        Ok(Actors { signer, desk, executor, auditor })
    }

    fn executor(
        &self,
        providers: Vec<Arc<dyn Provider>>,
        arbiters: &mut Vec<Arbiter>,
    ) -> Result<Watched<executor::actor::ExecutorActor>, NodeError> {
        let options = executor::actor::ExecutorOptions {
            org: self.config.node.org.clone(),
            shelf: Shelf::directory(self.config.node.data_dir.clone()),
            parallel_max: usize::from(self.config.executor.max_parallel),
            providers,
            prober: self.prober.clone(),
            submitter: self.submitter.clone(),
            ledger: self.ledger.clone(),
            clock: clock::system(),
            home: Arc::new(arbiter(arbiters)),
        };
        part("executor", executor::actor::start(&self.watcher, options))
    }

    fn proof<'a>(
        &self,
        key: signer::testimony::NodeKey,
        holders: impl Iterator<Item = &'a (MemberId, Role)>,
        auditor: Option<Watched<auditor::actor::AuditorActor>>,
    ) -> Proof {
        Proof::new(key, self.genesis.network(), holders, key_use_journal(&self.config), auditor)
    }

    fn auditor(&self) -> Result<Watched<auditor::actor::AuditorActor>, NodeError> {
        let member: Option<MemberId> = self.submitter.members(Role::Auditor).next().cloned();
        let attester = member.clone().map(|member| {
            let submitter = self.submitter.clone();
            Arc::new(BoundAttester { member, submitter }) as Arc<dyn auditor::port::Attester>
        });
        let files = Shelf::directory(self.config.node.data_dir.join("auditor"));
        let options = auditor::actor::AuditorOptions {
            config: auditor::state::AuditorConfig { member, shelf: files },
            genesis: self.genesis.clone(),
            feed: self.ledger.0.feed(),
            history: self.ledger.clone(),
            attester,
            home: Arc::new(Arbiter::current()),
        };
        let auditor = part("auditor", auditor::actor::start(&self.watcher, options))?;
        heads::show(self.ledger.0.heads(), auditor.clone());
        Ok(auditor)
    }
}

/// Starts the mesh on a thread of its own: its many small tasks wake one another without waking other threads.
async fn start_mesh(
    config: MeshConfig,
    thread: &ArbiterHandle,
) -> Result<(MeshHandle, BoxStream<'static, port::MeshEvent>), MeshError> {
    let (started, start) = oneshot::channel();
    thread.spawn(async move {
        // Whoever starts the node may have given up.
        let _gone = started.send(Mesh::start(config).await);
    });
    let (mesh, events) = start.await.map_err(|_| MeshError::Setup("its thread has ended".into()))??;
    let inbound = stream::unfold(events, |mut events| async {
        let event = events.recv().await?;
        Some((mesh::inward(event), events))
    });
    Ok((mesh, inbound.boxed()))
}

/// Where the signer keeps the uses of the members' keys.
fn key_use_journal(config: &Config) -> PathBuf {
    config.node.data_dir.join(signer::journal::FILE)
}

fn api_config(config: &Config) -> ApiConfig {
    ApiConfig { socket: config.api.socket.clone(), address: config.api.listen, admin: config.admin.listen }
}

fn part<T>(part: &'static str, started: Result<T, StartError>) -> Result<T, NodeError> {
    started.map_err(|source| NodeError::Part { part, source })
}

fn arbiter(arbiters: &mut Vec<Arbiter>) -> ArbiterHandle {
    let arbiter = Arbiter::new();
    let handle = arbiter.handle();
    arbiters.push(arbiter);
    handle
}
