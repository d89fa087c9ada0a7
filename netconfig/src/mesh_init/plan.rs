//! Owns what a mesh is made from: organisations, sites, auditors, ports, rules.

use std::{collections::BTreeMap, path::PathBuf};

use althing_contracts::{
    constitution::Constitution,
    genesis::Tier,
    name::{Name, OrgId, TargetId},
    quantity::TimeMs,
};
use libp2p::Multiaddr;

use crate::config::CommandSection;

/// How nodes talk to each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Transport {
    /// QUIC over UDP: the shorter round trip (half of TCP's on loopback) and the shorter handshake.
    #[default]
    Quic,
    /// TCP with noise and yamux: where UDP is not let through, or bulk matters more than latency.
    Tcp,
}

/// A mesh to be written.
#[derive(Debug, Clone)]
pub struct MeshPlan {
    /// Its name, for people.
    pub name: Name,
    /// Time of height 0.
    pub time: TimeMs,
    /// The rules in force.
    pub constitution: Constitution,
    /// The organisations, each with one validator and five members.
    pub organisations: Vec<OrganisationPlan>,
    /// How many auditor nodes; the first belongs to the first organisation, the second to the second, and so on.
    pub auditors: usize,
    /// First loopback port; 0 for free ports.
    pub port_base: u16,
    /// How nodes talk to each other.
    pub transport: Transport,
}

/// An organisation to be written.
#[derive(Debug, Clone)]
pub struct OrganisationPlan {
    /// Its name.
    pub id: OrgId,
    /// What it runs.
    pub targets: Vec<TargetPlan>,
}

/// A target of the provider `local`.
#[derive(Debug, Clone)]
pub struct TargetPlan {
    /// Its name.
    pub id: TargetId,
    /// Where it is said to be.
    pub jurisdiction: Name,
    /// How much depends on it.
    pub tier: Tier,
    /// Service instances, each with an endpoint of its own; 0 when it serves nothing.
    pub instances: u8,
    /// Where artefacts are looked for; a relative path is below the organisation's directory.
    pub artefacts: PathBuf,
    /// Services that may be deployed.
    pub commands: BTreeMap<Name, CommandSection>,
    /// Files that may be configured.
    pub files: BTreeMap<Name, PathBuf>,
}

impl Transport {
    /// The loopback address of a port.
    pub(super) fn loopback(self, port: u16) -> Multiaddr {
        let text = match self {
            Self::Quic => format!("/ip4/127.0.0.1/udp/{port}/quic-v1"),
            Self::Tcp => format!("/ip4/127.0.0.1/tcp/{port}"),
        };
        text.parse().expect("an address made of a port is well formed")
    }
}
