//! Owns the mesh's face to the node: start it, send, publish, ask, cordon, stop.
//!
//! The mesh carries opaque bytes between named nodes and judges nothing in them. Loss is possible everywhere;
//! the node repeats what matters. No call of [`MeshHandle`] but `request` and the operator's waits for a peer.

pub mod metrics;

mod admission;
mod behaviour;
mod direct;
mod event;
mod gossip;
mod handshake;
mod listen;
mod redial;
mod request;
mod task;
mod transport;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Instant,
};

use althing_contracts::digest::Digest;
use bytes::Bytes;
use futures::{AsyncRead, AsyncWrite};
pub use libp2p::Multiaddr;
use libp2p::PeerId;
use tokio::sync::{mpsc, oneshot};

use self::{
    behaviour::Protocols,
    direct::{Direct, Outboxes},
    gossip::Topics,
    metrics as names,
    redial::Redial,
    task::{Command, Pending, Task},
    transport::Transport,
};
pub use self::{
    direct::{FRAME_LEN_MAX, QUEUE_BYTES_MAX, QUEUE_LEN_MAX},
    event::{EVENTS_MAX, MeshEvent, MeshEvents, RequestError, Topic, Verdict},
    gossip::{GOSSIP_MESSAGE_LEN_MAX, GOSSIP_TRANSMIT_LEN_MAX, VERDICT_WAIT_MAX},
    listen::{DialAddressError, check_dial_address},
    request::{REQUEST_LEN_MAX, REQUEST_TIMEOUT, RESPONSE_LEN_MAX},
};
use crate::identity::{self, Identity, InvalidNodeId, NodeId};

/// Commands that wait for the swarm's task.
const COMMANDS_MAX: usize = 4_096;

/// Who a node is on which mesh.
#[derive(Debug, Clone)]
pub struct MeshConfig {
    /// Proves who this node is.
    pub identity: Identity,
    /// The digest of the genesis; nodes of another network are refused.
    pub network: Digest,
    /// Where to listen, such as `/ip4/127.0.0.1/tcp/7000` or `/ip4/127.0.0.1/udp/7000/quic-v1`; port 0 is any
    /// free port.
    pub listen: Vec<Multiaddr>,
    /// Nodes that are dialled and dialled again until they are connected.
    pub bootstrap: Vec<(NodeId, Multiaddr)>,
    /// Nodes that may connect until [`MeshHandle::allow`] says otherwise. The node itself may be among them.
    pub allow: Vec<NodeId>,
    /// Most nodes connected at once.
    pub peers_max: u32,
}

/// Why a mesh does not start.
#[derive(Debug, thiserror::Error)]
pub enum MeshError {
    /// Another process listens there.
    #[error(
        "the address {address} is in use by another process; stop that process, or set another address or \
         port 0 in `p2p.listen`"
    )]
    AddressInUse {
        /// As configured.
        address: Multiaddr,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {reason}; set an address of this machine in `p2p.listen`")]
    Listen {
        /// As configured.
        address: Multiaddr,
        /// What the system says.
        reason: String,
    },
    /// A bootstrap address cannot be dialled.
    #[error("cannot dial {node}; correct its address in `p2p.bootstrap`")]
    Dial {
        /// Whose address.
        node: NodeId,
        /// What is wrong with it.
        #[source]
        source: DialAddressError,
    },
    /// A key in the allow-list or the bootstrap list.
    #[error(transparent)]
    InvalidNodeId(#[from] InvalidNodeId),
    /// The swarm could not be built.
    #[error("the mesh cannot be set up: {0}")]
    Setup(String),
}

/// The mesh of one node.
#[derive(Debug)]
pub struct Mesh;

impl Mesh {
    /// Binds every address, then runs the swarm as a task of the current tokio runtime.
    ///
    /// # Errors
    /// An address is in use or not of this machine, or a key is invalid.
    pub async fn start(config: MeshConfig) -> Result<(MeshHandle, MeshEvents), MeshError> {
        listen::probe(&config.listen)?;
        let transport = transport::system(&config.identity.keypair());
        Self::run(config, transport.map_err(|error| MeshError::Setup(error.to_string()))?).await
    }

    /// As [`Self::start`], over streams of bytes that someone else carries. They are secured as TCP's are.
    ///
    /// # Errors
    /// `streams` cannot listen on an address, or a key is invalid.
    pub async fn start_over<T>(config: MeshConfig, streams: T) -> Result<(MeshHandle, MeshEvents), MeshError>
    where
        T: libp2p::Transport + Send + Unpin + 'static,
        T::Output: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T::Error: Send + Sync + 'static,
        T::Dial: Send + 'static,
        T::ListenerUpgrade: Send + 'static,
    {
        let transport = transport::secured(streams, &config.identity.keypair());
        Self::run(config, transport.map_err(|error| MeshError::Setup(error.to_string()))?).await
    }

    async fn run(config: MeshConfig, transport: Transport) -> Result<(MeshHandle, MeshEvents), MeshError> {
        names::register();
        let protocols = Protocols::of(config.network);
        let topics = Topics::of(&protocols.network);
        let local = config.identity.node_id();
        let allowed = allowed_peers(&config.allow, local)?;
        let bootstrap = bootstrap_peers(config.bootstrap)?;
        let handshakes = handshake::Behaviour::new(bootstrap.iter().map(|(_, address)| address));
        let keypair = config.identity.keypair();
        let mut swarm = behaviour::swarm(
            keypair,
            transport::ending(transport),
            allowed,
            handshakes,
            config.peers_max,
            &protocols,
            &topics,
        )
        .map_err(MeshError::Setup)?;
        let bound = listen::listen(&mut swarm, &config.listen).await?;

        let (lanes, events) = event::lanes();
        let (commands, commanded) = mpsc::channel(COMMANDS_MAX);
        let outboxes = Arc::new(Outboxes::default());
        let control = swarm.behaviour().stream.new_control();
        let direct =
            Direct::start(control, protocols.direct.clone(), Arc::clone(&outboxes), lanes.direct.clone());
        let redial = Redial::new(*swarm.local_peer_id(), bootstrap, Instant::now());
        let task = Task {
            swarm,
            early: bound.early,
            commands: commanded,
            events: lanes,
            protocols,
            topics,
            redial,
            direct,
            outboxes: Arc::clone(&outboxes),
            links: HashMap::new(),
            pending: Pending::default(),
        };
        tokio::spawn(task.run());
        Ok((MeshHandle { local, addresses: bound.addresses.into(), outboxes, commands }, events))
    }
}

/// The node's side of its mesh; cheap to clone. The mesh stops when [`MeshHandle::shutdown`] is called or the
/// last handle is dropped.
#[derive(Debug, Clone)]
pub struct MeshHandle {
    local: NodeId,
    addresses: Arc<[Multiaddr]>,
    outboxes: Arc<Outboxes>,
    commands: mpsc::Sender<Command>,
}

impl MeshHandle {
    /// This node.
    #[must_use]
    pub const fn local(&self) -> NodeId {
        self.local
    }

    /// Where the node listens, with the ports that the system chose.
    #[must_use]
    pub fn listen_addresses(&self) -> &[Multiaddr] {
        &self.addresses
    }

    /// The nodes connected and admitted, in no order.
    #[must_use]
    pub fn peers(&self) -> Vec<NodeId> {
        self.outboxes.nodes()
    }

    /// Queues 1 to [`FRAME_LEN_MAX`] bytes on the ordered stream to one node. `false` when the node is not
    /// connected, its queue is full or the length is not allowed; each is counted. Never waits.
    #[must_use]
    pub fn send(&self, to: NodeId, message: Bytes) -> bool {
        let queued = self.outboxes.offer(&to, message);
        queued.inspect_err(|refused| names::count(names::DIRECT_DROPPED_TOTAL, refused.reason())).is_ok()
    }

    /// Queues up to [`GOSSIP_MESSAGE_LEN_MAX`] bytes for a gossip topic. `true` means queued, not delivered;
    /// equal bytes within 10 s are not sent again. Never waits.
    #[must_use]
    pub fn publish(&self, topic: Topic, message: Bytes) -> bool {
        if message.len() > GOSSIP_MESSAGE_LEN_MAX {
            names::count(names::GOSSIP_DROPPED_TOTAL, "oversized");
            return false;
        }
        let queued = self.commands.try_send(Command::Publish(topic, message));
        queued.inspect_err(|_| names::count(names::GOSSIP_DROPPED_TOTAL, "queue_full")).is_ok()
    }

    /// Asks one node and waits for its answer, at most [`REQUEST_TIMEOUT`].
    ///
    /// # Errors
    /// The node is not connected, did not answer in time or refused; the request is too long.
    pub async fn request(&self, to: NodeId, request: Bytes) -> Result<Bytes, RequestError> {
        if request.len() > REQUEST_LEN_MAX {
            let len = request.len();
            return Err(RequestError::Refused(format!("the request has {len} bytes of {REQUEST_LEN_MAX}")));
        }
        let (reply, answer) = oneshot::channel();
        let asked = self.commands.send(Command::Request(to, request, reply)).await;
        asked.map_err(|_| RequestError::NotConnected)?;
        answer.await.unwrap_or(Err(RequestError::NotConnected))
    }

    /// Lets these nodes in from now on and nobody else, and closes the connections to others. A name without a valid key is
    /// left out: no node can prove it.
    pub async fn allow(&self, nodes: impl Iterator<Item = NodeId>) {
        let peers = nodes.filter(|node| *node != self.local).filter_map(|node| identity::peer_id(node).ok());
        let peers: HashSet<PeerId> = peers.collect();
        self.tell(|done| Command::Allow(peers, done)).await;
    }

    /// Closes the connections to a node and refuses new ones in both directions, until [`Self::uncordon`].
    pub async fn cordon(&self, node: NodeId) {
        self.tell(|done| Command::Cordon(node, done)).await;
    }

    /// Takes a cordon, or a ban for misbehaviour, back and dials the node if its address is known.
    pub async fn uncordon(&self, node: NodeId) {
        self.tell(|done| Command::Uncordon(node, done)).await;
    }

    /// Reports that a node sent what no honest node sends. Its gossip counts for less; after 8 reports it is
    /// disconnected and refused for a minute.
    pub fn report_misbehaviour(&self, node: NodeId) {
        // A full queue drops the report: the next offence is reported again.
        let _full = self.commands.try_send(Command::Misbehaviour(node));
    }

    /// The gossip score of a neighbour: above 0 it was useful, below −100 it is not heard.
    pub async fn gossip_score(&self, node: NodeId) -> Option<f64> {
        let (reply, score) = oneshot::channel();
        self.commands.send(Command::Score(node, reply)).await.ok()?;
        score.await.ok()?
    }

    /// Closes every connection and returns when peers have been told, at most half a second later.
    pub async fn shutdown(&self) {
        self.tell(Command::Shutdown).await;
    }

    /// Sends a command and waits until it has been done, or the mesh is gone.
    async fn tell(&self, command: impl FnOnce(oneshot::Sender<()>) -> Command) {
        let (done, wait) = oneshot::channel();
        if self.commands.send(command(done)).await.is_ok() {
            let _gone = wait.await;
        }
    }
}

fn allowed_peers(allow: &[NodeId], local: NodeId) -> Result<HashSet<PeerId>, InvalidNodeId> {
    allow.iter().filter(|node| **node != local).map(|node| identity::peer_id(*node)).collect()
}

fn bootstrap_peers(bootstrap: Vec<(NodeId, Multiaddr)>) -> Result<Vec<(PeerId, Multiaddr)>, MeshError> {
    let checked = bootstrap.into_iter().map(|(node, address)| {
        check_dial_address(&address).map_err(|source| MeshError::Dial { node, source })?;
        Ok((identity::peer_id(node)?, address))
    });
    checked.collect()
}
