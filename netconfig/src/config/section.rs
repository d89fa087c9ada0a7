//! Owns the sections of a node's configuration and their defaults.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use althing_contracts::{
    name::{Name, OrgId, TargetId},
    signature::PublicKey,
};
use libp2p::Multiaddr;
use serde::{Deserialize, Serialize};

/// A node's configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Version of this form, 1.
    pub schema: u16,
    /// Who this node is and where it keeps its data.
    pub node: NodeSection,
    /// The node's own keys.
    pub identity: IdentitySection,
    /// The mesh.
    pub p2p: P2pSection,
    /// Where people and tools reach this node.
    #[serde(default)]
    pub api: ApiSection,
    /// Where the machine's operators look at this node.
    #[serde(default)]
    pub admin: AdminSection,
    /// Where members' keys are.
    pub keys: KeysSection,
    /// What this node may do to targets.
    #[serde(default)]
    pub executor: ExecutorSection,
}

/// `[node]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeSection {
    /// The node's name, for people.
    pub name: Name,
    /// Whose it is.
    pub org: OrgId,
    /// What it does.
    pub role: NodeRole,
    /// Where it keeps log, index and journals.
    pub data_dir: PathBuf,
    /// The genesis document of its mesh.
    pub genesis: PathBuf,
    /// Whether it joined by a decision of the mesh, so that the genesis does not name it or its keys.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub joined_later: bool,
}

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeRole {
    /// Decides blocks.
    Validator,
    /// Reads and checks.
    Auditor,
}

/// `[identity]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentitySection {
    /// The key of the node on the mesh.
    pub node_key_file: PathBuf,
    /// The key that signs consensus messages; a validator has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consensus_key_file: Option<PathBuf>,
}

/// `[p2p]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct P2pSection {
    /// Addresses to listen on; port 0 is any free port.
    pub listen: Vec<Multiaddr>,
    /// Nodes to dial.
    #[serde(default)]
    pub bootstrap: Vec<BootstrapSection>,
    /// Most nodes connected at once.
    #[serde(default = "default_max_peers")]
    pub max_peers: u32,
}

/// `[[p2p.bootstrap]]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BootstrapSection {
    /// The node's public key.
    pub node: PublicKey,
    /// Where it listens.
    pub address: Multiaddr,
}

/// `[api]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiSection {
    /// Unix socket; who may open it is who may use the API.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<PathBuf>,
    /// A loopback address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
}

/// `[admin]`
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AdminSection {
    /// A loopback address for `/livez`, `/readyz` and `/metrics`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listen: Option<SocketAddr>,
}

/// `[keys]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeysSection {
    /// What holds members' keys.
    pub backend: KeysBackend,
    /// The directory of the files.
    pub directory: PathBuf,
}

/// What holds members' keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeysBackend {
    /// Private files.
    File,
}

/// `[executor]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecutorSection {
    /// Whether this node carries out steps on the targets below.
    #[serde(default)]
    pub enabled: bool,
    /// Most steps at once.
    #[serde(default = "default_max_parallel")]
    pub max_parallel: u16,
    /// What the provider `local` may do on each target.
    #[serde(default)]
    pub targets: BTreeMap<TargetId, TargetSection>,
}

/// `[executor.targets.TARGET]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetSection {
    /// Where the provider keeps the target's state, artefacts and logs; nobody else writes there.
    pub root: PathBuf,
    /// Where artefacts are looked for, by digest.
    pub artefacts: PathBuf,
    /// Services that may be deployed, with the one command that runs each.
    #[serde(default)]
    pub commands: BTreeMap<Name, CommandSection>,
    /// Files that may be configured; a relative path is below `root`.
    #[serde(default)]
    pub files: BTreeMap<Name, PathBuf>,
    /// Most instances of one service.
    #[serde(default = "default_instances_max")]
    pub instances_max: u8,
    /// Size in bytes at which an instance's log is cut.
    #[serde(default = "default_log_len_max")]
    pub log_len_max: u64,
    /// Longest time from the start of an instance to its first accepted connection, in milliseconds.
    #[serde(default = "default_ready_within_ms")]
    pub ready_within_ms: u64,
    /// Time between asking an instance to end and ending it, in milliseconds.
    #[serde(default = "default_stop_within_ms")]
    pub stop_within_ms: u64,
}

/// `[executor.targets.TARGET.commands.SERVICE]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommandSection {
    /// Absolute path of the program, or `{artefact}` to run the artefact itself.
    pub program: String,
    /// Fixed arguments, with the placeholders of the provider.
    #[serde(default)]
    pub args: Vec<String>,
}

impl Default for ExecutorSection {
    fn default() -> Self {
        Self { enabled: false, max_parallel: default_max_parallel(), targets: BTreeMap::new() }
    }
}

impl TargetSection {
    /// A target on which nothing is allowed yet, with the default bounds.
    #[must_use]
    pub const fn new(root: PathBuf, artefacts: PathBuf) -> Self {
        Self {
            root,
            artefacts,
            commands: BTreeMap::new(),
            files: BTreeMap::new(),
            instances_max: default_instances_max(),
            log_len_max: default_log_len_max(),
            ready_within_ms: default_ready_within_ms(),
            stop_within_ms: default_stop_within_ms(),
        }
    }
}

const fn default_max_peers() -> u32 {
    256
}

const fn default_max_parallel() -> u16 {
    4
}

const fn default_instances_max() -> u8 {
    16
}

const fn default_log_len_max() -> u64 {
    1024 * 1024
}

const fn default_ready_within_ms() -> u64 {
    10_000
}

const fn default_stop_within_ms() -> u64 {
    2_000
}
