//! Owns a peer that writes the bytes of direct streams itself: frames that the mesh of an honest node cannot send.

use std::{fmt, io, path::Path};

use althing_netconfig::{
    identity::{self, NodeId},
    keys::{self, KeyPurpose},
};
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::{
    PeerId, Stream, StreamProtocol, Swarm, SwarmBuilder, identify,
    identity::Keypair,
    noise, ping,
    swarm::{NetworkBehaviour, SwarmEvent},
    tcp, yamux,
};
use tokio::{runtime::Runtime, time::timeout};

use super::{HostileError, PATIENCE, node_of, read, runtime};

#[derive(NetworkBehaviour)]
struct Protocols {
    stream: libp2p_stream::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
}

/// A bare swarm with a validator's key, connected to one node.
pub struct FramePeer {
    runtime: Runtime,
    node: NodeId,
    control: libp2p_stream::Control,
    target: PeerId,
    protocol: StreamProtocol,
}

impl FramePeer {
    /// Takes the place of a validator that is down and connects to the node of `org`.
    ///
    /// # Errors
    /// The node's files cannot be used, or the other node does not let it in.
    pub fn in_place_of(config: &Path, org: &str) -> Result<Self, HostileError> {
        let (config, genesis) = read(config)?;
        let node = node_of(&genesis, org)?;
        let mesh = config.mesh(&genesis)?;
        let known = mesh.bootstrap.iter().find(|(known, _)| *known == node);
        let (_, address) = known.ok_or_else(|| format!("the address of {org} is not configured"))?;
        let network = hex::encode(&mesh.network.as_bytes()[..8]);
        let runtime = runtime()?;
        let target = identity::peer_id(node)?;
        let key = keys::load(&config.identity.node_key_file, KeyPurpose::Node)?;
        let keypair = Keypair::ed25519_from_bytes(*key.seed())?;
        let connected = async {
            let mut swarm = swarm(keypair, format!("/althing/{network}/1"))?;
            swarm.dial(address.clone())?;
            while !matches!(swarm.select_next_some().await, SwarmEvent::ConnectionEstablished { .. }) {}
            let control = swarm.behaviour().stream.new_control();
            tokio::spawn(async move { while swarm.next().await.is_some() {} });
            Ok::<_, HostileError>(control)
        };
        let control = runtime.block_on(async { timeout(PATIENCE, connected).await })??;
        let protocol = StreamProtocol::try_from_owned(format!("/althing/{network}/direct/1"))?;
        Ok(Self { runtime, node: key.public(), control, target, protocol })
    }

    /// Its name on the mesh.
    #[must_use]
    pub const fn node(&self) -> NodeId {
        self.node
    }

    /// Opens a stream, writes bytes as they are, and waits until the node closes the stream.
    ///
    /// # Errors
    /// The node does not take the stream, or does not close it within half a minute.
    pub fn write_until_closed(&mut self, bytes: &[u8]) -> Result<(), HostileError> {
        let Self { runtime, control, target, protocol, .. } = self;
        let written = async {
            let mut stream = control.open_stream(*target, protocol.clone()).await?;
            stream.read_exact(&mut [0; 1]).await?;
            // A node that has read enough closes while this peer still writes.
            let _closed = write(&mut stream, bytes).await;
            let mut rest = Vec::new();
            let _closed = stream.read_to_end(&mut rest).await;
            if rest.is_empty() { Ok(()) } else { Err(format!("the node answered {rest:?}").into()) }
        };
        runtime.block_on(async { timeout(PATIENCE, written).await })?
    }
}

impl fmt::Debug for FramePeer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FramePeer").field("node", &self.node).finish_non_exhaustive()
    }
}

async fn write(stream: &mut Stream, bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}

fn swarm(keypair: Keypair, version: String) -> Result<Swarm<Protocols>, HostileError> {
    let swarm = SwarmBuilder::with_existing_identity(keypair)
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)?
        .with_quic()
        .with_behaviour(|key| Protocols {
            stream: libp2p_stream::Behaviour::new(),
            identify: identify::Behaviour::new(identify::Config::new(version, key.public())),
            ping: ping::Behaviour::default(),
        })?
        .with_swarm_config(|config| config.with_idle_connection_timeout(PATIENCE))
        .build();
    Ok(swarm)
}
