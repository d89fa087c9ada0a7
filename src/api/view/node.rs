//! Owns how a node, its peers and the ledger's head are shown.

use althing_actors::ledger::message::LedgerView;
use althing_contracts::quantity::TimeMs;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::backend::{NodeFacts, NodeRole, Peer};

/// This node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NodeView {
    /// Its name.
    pub name: String,
    /// Whose it is.
    pub org: String,
    /// `validator` or `auditor`.
    pub role: String,
    /// Its libp2p identity.
    pub node: String,
    /// Version of this program.
    pub version: String,
    /// When it started, by its own clock.
    pub started_ms: u64,
    /// Whether it takes changes.
    pub takes_writes: bool,
    /// Where the ledger is.
    pub head: HeadView,
    /// Since when governance is dormant: nothing but what is routine, and an awakening, is taken; absent while it is awake.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dormant_since_ms: Option<u64>,
    /// Highest height that a peer has shown.
    pub highest_seen: u64,
    /// Round of consensus at the next height.
    pub round: u32,
    /// Peers connected.
    pub peers_connected: usize,
    /// Members whose keys this node holds.
    pub keys: Vec<KeyView>,
}

/// A key that this node signs with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyView {
    /// Whose.
    pub member: String,
    /// For what.
    pub role: String,
}

/// The last final block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct HeadView {
    /// The network's identity: the digest of its genesis.
    pub network: String,
    /// Height; 0 at genesis.
    pub height: u64,
    /// The block's time.
    pub time_ms: u64,
    /// The block's digest; absent at genesis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<String>,
    /// Root of the state after the block; absent at genesis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state_root: Option<String>,
    /// Validators whose signatures make it final.
    pub signatures: usize,
}

/// Another node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PeerView {
    /// Its name.
    pub name: String,
    /// Whose it is.
    pub org: String,
    /// `validator` or `auditor`.
    pub role: String,
    /// Its libp2p identity.
    pub node: String,
    /// Whether there is an admitted connection.
    pub connected: bool,
}

impl NodeRole {
    /// The role's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Validator => "validator",
            Self::Auditor => "auditor",
        }
    }
}

impl NodeView {
    /// Shows a node.
    pub fn new(facts: &NodeFacts, takes_writes: bool, view: &LedgerView, peers: &[Peer]) -> Self {
        let keys = facts.keys.iter();
        Self {
            name: facts.name.to_string(),
            org: facts.org.to_string(),
            role: facts.role.name().to_owned(),
            node: facts.node.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_ms: facts.started.get(),
            takes_writes,
            head: HeadView::new(view),
            dormant_since_ms: view.state.dormant_since().map(TimeMs::get),
            highest_seen: view.highest_seen.get(),
            round: view.round,
            peers_connected: peers.iter().filter(|peer| peer.connected).count(),
            keys: keys
                .map(|(member, role)| KeyView { member: member.to_string(), role: role.to_string() })
                .collect(),
        }
    }
}

impl HeadView {
    /// Shows the head of the ledger.
    pub fn new(view: &LedgerView) -> Self {
        let header = view.header.as_ref();
        Self {
            network: view.network.to_string(),
            height: view.state.height().get(),
            time_ms: view.state.time().get(),
            block: header.map(|header| header.digest().to_string()),
            state_root: header.map(|header| header.state_root.to_string()),
            signatures: view.certificate.as_ref().map_or(0, |certificate| certificate.precommits.len()),
        }
    }
}

impl From<&Peer> for PeerView {
    fn from(peer: &Peer) -> Self {
        Self {
            name: peer.name.to_string(),
            org: peer.org.to_string(),
            role: peer.role.name().to_owned(),
            node: peer.node.to_string(),
            connected: peer.connected,
        }
    }
}
