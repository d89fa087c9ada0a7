//! Owns the composition of the swarm: behaviours, limits and protocol names of one network.

use std::{collections::HashSet, time::Duration};

use althing_contracts::digest::Digest;
use libp2p::{
    PeerId, StreamProtocol, Swarm, SwarmBuilder, connection_limits, identify, identity::Keypair, ping,
    swarm::NetworkBehaviour,
};

use super::{
    admission,
    gossip::{self, Topics},
    handshake, request,
    transport::Transport,
};

/// Connections to one peer: two while two nodes dial each other at the same moment, and as many again while one of them was
/// killed and the other has not yet seen the old ones end, which takes QUIC ten seconds.
const CONNECTIONS_PER_PEER_MAX: u32 = 4;
/// Dials under way at once; those that others begin have places in [`handshake`].
const DIALS_PENDING_MAX: u32 = 64;
/// Streams negotiating at once on one connection.
const STREAMS_NEGOTIATING_MAX: usize = 64;
/// How often a peer is asked whether it lives, and how long it may take to answer: a link that went dark has to be noticed
/// and dialled again before a mesh that healed counts as slow, which is ten seconds.
const PING_INTERVAL: Duration = Duration::from_secs(2);
const PING_TIMEOUT: Duration = Duration::from_secs(4);
/// Longest time between two answers on a connection that lives: the pause, the answer, and half a second to spare.
pub(super) const SILENCE_MAX: Duration = Duration::from_millis(6_500);
const _: () = assert!(SILENCE_MAX.as_millis() > PING_INTERVAL.as_millis() + PING_TIMEOUT.as_millis());
/// Connections are kept by the list of nodes, never closed for being idle.
const IDLE_TIMEOUT: Duration = Duration::from_hours(365 * 24);

/// All behaviours. `admission`, `handshake` and `limits` come first, so that a refused connection reaches no other.
#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    pub(super) admission: admission::Behaviour,
    pub(super) handshake: handshake::Behaviour,
    pub(super) limits: connection_limits::Behaviour,
    pub(super) identify: identify::Behaviour,
    pub(super) ping: ping::Behaviour,
    pub(super) gossip: gossip::Behaviour,
    pub(super) request: request::Behaviour,
    pub(super) stream: libp2p_stream::Behaviour,
}

/// The names under which two nodes of the same network find each other; another network has none in common.
#[derive(Debug, Clone)]
pub(super) struct Protocols {
    pub(super) network: String,
    pub(super) direct: StreamProtocol,
    pub(super) request: StreamProtocol,
    pub(super) identify: String,
}

impl Protocols {
    /// 64 bits of the network's digest are enough to keep honest networks apart; signatures bind all of it.
    pub(super) fn of(network: Digest) -> Self {
        let network = hex::encode(&network.as_bytes()[..8]);
        let name = |what: &str| {
            StreamProtocol::try_from_owned(format!("/althing/{network}/{what}/1"))
                .expect("the name begins with a slash")
        };
        Self {
            direct: name("direct"),
            request: name("request"),
            identify: format!("/althing/{network}/1"),
            network,
        }
    }
}

/// Builds a swarm over a transport; it listens nowhere yet.
pub(super) fn swarm(
    keypair: Keypair,
    transport: Transport,
    allowed: HashSet<PeerId>,
    handshake: handshake::Behaviour,
    peers_max: u32,
    protocols: &Protocols,
    topics: &Topics,
) -> Result<Swarm<Behaviour>, String> {
    let behaviour = behaviour(&keypair, allowed, handshake, peers_max, protocols, topics)?;
    let swarm = SwarmBuilder::with_existing_identity(keypair)
        .with_tokio()
        .with_other_transport(|_| transport)
        .map_err(|error| error.to_string())?
        .with_behaviour(|_| behaviour)
        .map_err(|error| error.to_string())?
        .with_swarm_config(|config| {
            config
                .with_idle_connection_timeout(IDLE_TIMEOUT)
                .with_max_negotiating_inbound_streams(STREAMS_NEGOTIATING_MAX)
        })
        .build();
    Ok(swarm)
}

/// The name of this run of the node: a peer that hears another one knows that the connections of the last run
/// lead nowhere, long before they time out.
fn incarnation() -> Result<String, String> {
    let mut run = [0; 8];
    getrandom::fill(&mut run).map_err(|error| error.to_string())?;
    Ok(format!("althing/{} {}", env!("CARGO_PKG_VERSION"), hex::encode(run)))
}

fn behaviour(
    keypair: &Keypair,
    allowed: HashSet<PeerId>,
    handshake: handshake::Behaviour,
    peers_max: u32,
    protocols: &Protocols,
    topics: &Topics,
) -> Result<Behaviour, String> {
    let limits = connection_limits::ConnectionLimits::default()
        .with_max_pending_outgoing(Some(DIALS_PENDING_MAX))
        .with_max_established_per_peer(Some(CONNECTIONS_PER_PEER_MAX))
        .with_max_established(Some(peers_max.saturating_mul(CONNECTIONS_PER_PEER_MAX)));
    let identify = identify::Config::new(protocols.identify.clone(), keypair.public())
        .with_agent_version(incarnation()?)
        .with_cache_size(0);
    Ok(Behaviour {
        admission: admission::Behaviour::new(allowed),
        handshake,
        limits: connection_limits::Behaviour::new(limits),
        identify: identify::Behaviour::new(identify),
        ping: ping::Behaviour::new(
            ping::Config::new().with_interval(PING_INTERVAL).with_timeout(PING_TIMEOUT),
        ),
        gossip: gossip::behaviour(&protocols.network, topics)?,
        request: request::behaviour(protocols.request.clone()),
        stream: libp2p_stream::Behaviour::new(),
    })
}
