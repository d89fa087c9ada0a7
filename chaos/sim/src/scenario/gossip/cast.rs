//! Owns who plays: forty honest nodes of a sparse mesh, three of them surrounded, and forty peers that mean harm; and what
//! each of them knows of the others.

use std::collections::BTreeSet;

use althing_contracts::{
    digest::{Digest, Purpose},
    testing::TestKey,
};
use althing_netconfig::{
    identity::{Identity, NodeId},
    mesh::{MeshConfig, Multiaddr},
};
use libp2p::identity::Keypair;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use crate::transport;

/// Honest nodes.
pub(super) const HONEST: usize = 40;
/// Honest nodes that start under attack and know more hostile addresses than honest ones: the first of them.
pub(super) const VICTIMS: usize = 3;
/// Honest nodes whose addresses an honest node knows.
const KNOWN: usize = 6;
/// Honest nodes whose addresses a victim knows.
const KNOWN_TO_VICTIM: usize = 2;
/// Honest nodes for whose addresses a victim was given those of hostile ones.
const FORGED_FOR_VICTIM: usize = 8;

/// What a hostile peer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// A stranger with a key of its own: shakes hands with everyone, again and again.
    Knocker,
    /// A stranger that opens connections, never says a word, and lets those who dial it wait.
    Idler,
    /// A stranger that says garbage where a handshake begins.
    Babbler,
    /// Admitted: takes part in gossip and passes nothing on.
    Sink,
    /// Admitted: publishes far above its rate.
    Flooder,
    /// Admitted: publishes what the application refuses.
    Spammer,
    /// Admitted: fills direct streams and asks without a pause.
    Torrent,
    /// Admitted: writes frames of gossip that no honest node writes.
    Garbler,
}

/// How many play what: forty.
const PARTS: [(Part, usize); 8] = [
    (Part::Knocker, 10),
    (Part::Idler, 6),
    (Part::Babbler, 4),
    (Part::Sink, 8),
    (Part::Flooder, 2),
    (Part::Spammer, 4),
    (Part::Torrent, 2),
    (Part::Garbler, 4),
];

impl Part {
    const fn name(self) -> &'static str {
        match self {
            Self::Knocker => "knocker",
            Self::Idler => "idler",
            Self::Babbler => "babbler",
            Self::Sink => "sink",
            Self::Flooder => "flooder",
            Self::Spammer => "spammer",
            Self::Torrent => "torrent",
            Self::Garbler => "garbler",
        }
    }

    const fn is_admitted(self) -> bool {
        !matches!(self, Self::Knocker | Self::Idler | Self::Babbler)
    }
}

/// A hostile peer.
#[derive(Debug, Clone)]
pub(super) struct Hostile {
    pub(super) part: Part,
    pub(super) host: String,
}

/// Everyone, and who knows whom.
#[derive(Debug)]
pub(super) struct Cast {
    pub(super) hostile: Vec<Hostile>,
    /// Which host each honest node is told to dial for which honest node.
    known: Vec<Vec<(usize, String)>>,
}

/// The host of an honest node.
pub(super) fn host(honest: usize) -> String {
    format!("node-{honest}")
}

pub(super) fn identity(host: &str) -> Identity {
    Identity::from_seed(&TestKey::of(host).secret())
}

/// The key of a host, for those who do without the real mesh.
pub(super) fn keypair(host: &str) -> Keypair {
    Keypair::ed25519_from_bytes(TestKey::of(host).secret()).expect("32 bytes are a key")
}

pub(super) fn node_id(host: &str) -> NodeId {
    identity(host).node_id()
}

pub(super) fn network() -> Digest {
    Digest::of(Purpose::Genesis, b"simulated")
}

impl Cast {
    /// The cast of a seed.
    pub(super) fn draw(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed ^ 0x0060_5517);
        let of_part = |(part, count): (Part, usize)| {
            (0..count).map(move |index| Hostile { part, host: format!("{}-{index}", part.name()) })
        };
        let hostile: Vec<Hostile> = PARTS.into_iter().flat_map(of_part).collect();
        let known = (0..HONEST).map(|node| known(node, &hostile, &mut random)).collect();
        Self { hostile, known }
    }

    /// Admitted nodes: the honest ones and the observers that turned hostile.
    fn allowed(&self) -> Vec<NodeId> {
        let admitted =
            self.hostile.iter().filter(|peer| peer.part.is_admitted()).map(|peer| peer.host.clone());
        (0..HONEST).map(host).chain(admitted).map(|host| node_id(&host)).collect()
    }

    /// The mesh of an honest node; called where names of hosts can be looked up.
    pub(super) fn honest(&self, node: usize) -> MeshConfig {
        let dial = |(of, at): &(usize, String)| (node_id(&host(*of)), transport::address_of(at));
        self.mesh(&host(node), self.known[node].iter().map(dial).collect())
    }

    /// The real mesh in hostile hands: it dials everyone.
    pub(super) fn admitted(&self, peer: &Hostile) -> MeshConfig {
        let everyone = (0..HONEST).map(host).map(|host| (node_id(&host), transport::address_of(&host)));
        self.mesh(&peer.host, everyone.collect())
    }

    fn mesh(&self, host: &str, bootstrap: Vec<(NodeId, Multiaddr)>) -> MeshConfig {
        let allow = self.allowed();
        MeshConfig {
            identity: identity(host),
            network: network(),
            listen: vec![transport::listen_address()],
            bootstrap,
            peers_max: u32::try_from(allow.len()).expect("a small mesh"),
            allow,
        }
    }
}

/// A ring through all who are not surrounded, and random chords; of the victims nobody knows an address.
fn known(node: usize, hostile: &[Hostile], random: &mut StdRng) -> Vec<(usize, String)> {
    let mut chosen = BTreeSet::new();
    let count = if node < VICTIMS { KNOWN_TO_VICTIM } else { KNOWN };
    if node >= VICTIMS {
        chosen.insert(if node + 1 == HONEST { VICTIMS } else { node + 1 });
    }
    while chosen.len() < count {
        let other = random.random_range(VICTIMS..HONEST);
        if other != node {
            chosen.insert(other);
        }
    }
    let mut known: Vec<(usize, String)> = chosen.iter().map(|other| (*other, host(*other))).collect();
    if node < VICTIMS {
        let others = (VICTIMS..HONEST).filter(|other| !chosen.contains(other)).take(FORGED_FOR_VICTIM);
        let liars = hostile.iter().filter(|peer| matches!(peer.part, Part::Idler | Part::Sink)).cycle();
        known.extend(others.zip(liars).map(|(other, liar)| (other, liar.host.clone())));
    }
    known
}
