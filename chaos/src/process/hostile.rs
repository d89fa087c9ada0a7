//! Owns a peer that means harm: it joins a mesh of real daemons over libp2p, with a key of its own or with the key files
//! of a validator that is down, and says whatever a test has it say. Nothing that it is told is checked.

mod frames;
pub mod lie;

use std::{error::Error, path::Path, time::Duration};

use althing_actors::{
    ledger::{consensus::ConsensusKey, message::CertifiedBlock, wire::Message},
    sync::{SyncRequest, SyncResponse},
};
use althing_contracts::{
    block::{Block, Header},
    digest::Digest,
    genesis::Genesis,
    ledger,
    name::OrgId,
    quantity::Height,
    state::State,
    transaction::UnverifiedTransaction,
};
use althing_netconfig::{
    config::Config,
    genesis_file,
    identity::{Identity, NodeId},
    mesh::{Mesh, MeshConfig, MeshEvent, MeshEvents, MeshHandle},
};
use bytes::Bytes;
use tokio::{runtime::Runtime, time::timeout};

pub use frames::FramePeer;

/// Longest time for anything that this peer waits for.
const PATIENCE: Duration = Duration::from_secs(30);

/// What went wrong; a test has no use for more than the words.
pub type HostileError = Box<dyn Error + Send + Sync>;

/// A peer on the mesh that keeps to no rule but those of the transport.
#[derive(Debug)]
pub struct HostilePeer {
    runtime: Runtime,
    mesh: MeshHandle,
    events: MeshEvents,
    genesis: Genesis,
    consensus: Option<ConsensusKey>,
}

/// The last final block that a peer was given, with the state after it.
#[derive(Debug)]
pub struct Followed {
    /// The state after the block.
    pub state: State,
    /// The block's digest.
    pub block: Digest,
    /// The block's header; `None` at genesis.
    pub header: Option<Header>,
}

impl HostilePeer {
    /// Takes the place of a validator that is down: its addresses, its key on the mesh, its consensus key.
    ///
    /// # Errors
    /// The node's files cannot be used, or its addresses are taken.
    pub fn in_place_of(config: &Path) -> Result<Self, HostileError> {
        let (config, genesis) = read(config)?;
        let key = config.consensus_key(&genesis)?;
        let mesh = config.mesh(&genesis)?;
        Self::start(mesh, genesis, key.map(|key| ConsensusKey::from_seed(*key.seed())))
    }

    /// A node that no roster names, on its way to the node of `org`, which `config` tells where to find.
    ///
    /// # Errors
    /// The files cannot be used, or the system gives no port.
    pub fn stranger(config: &Path, org: &str) -> Result<Self, HostileError> {
        let (config, genesis) = read(config)?;
        let target = node_of(&genesis, org)?;
        let mut mesh = config.mesh(&genesis)?;
        mesh.identity = Identity::from_seed(&[0x5a; 32]);
        mesh.listen = vec!["/ip4/127.0.0.1/tcp/0".parse()?];
        mesh.bootstrap.retain(|(node, _)| *node == target);
        Self::start(mesh, genesis, None)
    }

    fn start(
        config: MeshConfig,
        genesis: Genesis,
        consensus: Option<ConsensusKey>,
    ) -> Result<Self, HostileError> {
        let runtime = runtime()?;
        let (mesh, events) = runtime.block_on(Mesh::start(config))?;
        Ok(Self { runtime, mesh, events, genesis, consensus })
    }

    /// Its name on the mesh.
    #[must_use]
    pub const fn node(&self) -> NodeId {
        self.mesh.local()
    }

    /// The network that it is on.
    #[must_use]
    pub fn network(&self) -> Digest {
        self.genesis.network()
    }

    /// The beginning of its mesh.
    #[must_use]
    pub const fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// The consensus key of the validator whose place it took.
    ///
    /// # Errors
    /// It is a stranger.
    pub fn consensus(&self) -> Result<&ConsensusKey, HostileError> {
        self.consensus.as_ref().ok_or_else(|| "a stranger has no consensus key".into())
    }

    /// The node of an organisation.
    ///
    /// # Errors
    /// The genesis has no such organisation.
    pub fn node_of(&self, org: &str) -> Result<NodeId, HostileError> {
        node_of(&self.genesis, org)
    }

    /// The nodes that let it in.
    #[must_use]
    pub fn peers(&self) -> Vec<NodeId> {
        self.mesh.peers()
    }

    /// Waits until the nodes of these organisations have let it in.
    ///
    /// # Errors
    /// One of them does not within half a minute.
    pub fn wait_connected(&mut self, orgs: &[&str]) -> Result<(), HostileError> {
        let wanted = orgs.iter().map(|org| self.node_of(org)).collect::<Result<Vec<_>, _>>()?;
        self.wait(|mesh, _| wanted.iter().all(|node| mesh.peers().contains(node)))
    }

    /// Waits until a node has thrown it out.
    ///
    /// # Errors
    /// It does not within half a minute.
    pub fn wait_thrown_out(&mut self, org: &str) -> Result<(), HostileError> {
        let by = self.node_of(org)?;
        self.wait(|mesh, _| !mesh.peers().contains(&by))
    }

    /// Sends bytes on the direct stream to the node of an organisation.
    ///
    /// # Errors
    /// It is not connected, or the transport itself refuses the length.
    pub fn send(&self, org: &str, message: Bytes) -> Result<(), HostileError> {
        if self.mesh.send(self.node_of(org)?, message) { Ok(()) } else { Err("the mesh took nothing".into()) }
    }

    /// Sends a message of the ledger.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub fn say(&self, org: &str, message: Message) -> Result<(), HostileError> {
        self.send(org, althing_actors::ledger::wire::LedgerMessage::encode(message))
    }

    /// Reads the whole ledger from a node and applies it, as an honest node would.
    ///
    /// # Errors
    /// The node gives no answer, or a block that does not follow.
    pub fn follow(&self, org: &str) -> Result<Followed, HostileError> {
        let state = State::genesis(&self.genesis)?;
        let mut followed = Followed { state, block: Digest::ZERO, header: None };
        self.advance(org, &mut followed)?;
        Ok(followed)
    }

    /// Reads on from where it is.
    ///
    /// # Errors
    /// As [`Self::follow`].
    pub fn advance(&self, org: &str, followed: &mut Followed) -> Result<(), HostileError> {
        loop {
            let blocks = self.blocks(org, followed.state.height().next())?;
            if blocks.is_empty() {
                return Ok(());
            }
            for CertifiedBlock { block, .. } in blocks {
                followed.take(&Block::decode(&block)?)?;
            }
        }
    }

    /// The organisations whose validators it is not.
    #[must_use]
    pub fn others(&self) -> Vec<String> {
        let own = self.node();
        let organisations = self.genesis.organisations.iter();
        let others = organisations.filter(|(_, organisation)| organisation.validator.node != own);
        others.map(|(org, _)| org.to_string()).collect()
    }

    fn blocks(&self, org: &str, from: Height) -> Result<Vec<CertifiedBlock>, HostileError> {
        let request = SyncRequest::V1 { from }.encode();
        let answer = self.runtime.block_on(self.mesh.request(self.node_of(org)?, request))?;
        Ok(SyncResponse::decode(&answer)?)
    }

    /// Waits, event by event, until `holds`.
    fn wait(&mut self, holds: impl Fn(&MeshHandle, Option<&MeshEvent>) -> bool) -> Result<(), HostileError> {
        let Self { runtime, mesh, events, .. } = self;
        let waited = async {
            let mut last = None;
            while !holds(mesh, last.as_ref()) {
                last = Some(events.recv().await.ok_or("the mesh has stopped")?);
            }
            Ok(())
        };
        runtime.block_on(async { timeout(PATIENCE, waited).await })?
    }
}

impl Followed {
    fn take(&mut self, block: &Block) -> Result<(), HostileError> {
        let network = self.state.network();
        let verified = block
            .transactions()
            .iter()
            .map(|bytes| Ok::<_, HostileError>(UnverifiedTransaction::decode(bytes, network)?.verify()?));
        let transactions = verified.collect::<Result<Vec<_>, _>>()?;
        self.state = ledger::execute(&self.state, block.header(), &transactions)?.state;
        self.block = block.digest();
        self.header = Some(block.header().clone());
        Ok(())
    }
}

fn read(config: &Path) -> Result<(Config, Genesis), HostileError> {
    let config = Config::load(config, [])?.config;
    let genesis = genesis_file::read(&config.node.genesis)?;
    Ok((config, genesis))
}

fn node_of(genesis: &Genesis, org: &str) -> Result<NodeId, HostileError> {
    let organisation = genesis.organisations.get(&OrgId::new(org)?);
    organisation.map(|known| known.validator.node).ok_or_else(|| format!("no {org} in the genesis").into())
}

fn runtime() -> Result<Runtime, HostileError> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?)
}
