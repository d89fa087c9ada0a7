//! Owns who is in the simulated mesh: four organisations with a validator each, and a fifth node that only follows.

use std::collections::{BTreeMap, BTreeSet};

use althing_actors::ledger::{
    consensus::{ConsensusKey, Verdicts},
    state::{LedgerRole, LedgerSettings, LedgerTiming, REMEMBERED_MAX},
};
use althing_contracts::{
    genesis::{Genesis, ObserverRecord},
    name::{MemberId, OrgId},
    role::Role,
    testing::{TestKey, consensus_key, genesis, member, name, node_key, org, record},
};
use althing_netconfig::{
    identity::{Identity, NodeId},
    mesh::MeshConfig,
};

use crate::{provider, transport};

/// Validators.
pub const VALIDATORS: usize = 4;
/// Nodes: the last is the auditor's.
pub const NODES: usize = VALIDATORS + 1;
/// The node of the auditor.
pub const AUDITOR: usize = VALIDATORS;
/// The auditor's name among the observers.
const OBSERVER: &str = "watcher";

/// The beginning of the mesh: periods are short enough for whole lives, and each target has an address of its own.
#[must_use]
pub fn beginning() -> Genesis {
    let mut genesis = genesis(VALIDATORS);
    genesis.constitution = althing_chaos::simulation::constitution();
    for (target, record) in &mut genesis.targets {
        record.endpoints = vec![provider::endpoint_of(target)];
    }
    let observer = ObserverRecord { org: org(0), node: node_id(AUDITOR) };
    genesis.observers = BTreeMap::from([(name(OBSERVER), observer)]);
    for user in (0..NODES).map(user) {
        genesis.members.insert(user.clone(), record(&user, 0, &[Role::Author]));
    }
    genesis
}

/// The name of a node's host.
#[must_use]
pub fn host(node: usize) -> String {
    format!("node-{node}")
}

/// The organisation that runs a node.
#[must_use]
pub fn org_of(node: usize) -> OrgId {
    org(if node == AUDITOR { 0 } else { node })
}

fn key(node: usize) -> TestKey {
    if node == AUDITOR { node_key(OBSERVER) } else { node_key(org(node).as_str()) }
}

/// The name of a node on the mesh.
#[must_use]
pub fn node_id(node: usize) -> NodeId {
    key(node).public()
}

/// What the ledger of a node is told.
#[must_use]
pub fn settings(genesis: &Genesis, node: usize) -> LedgerSettings {
    let role = if node == AUDITOR {
        LedgerRole::Observer
    } else {
        LedgerRole::Validator(ConsensusKey::from_seed(consensus_key(org(node).as_str()).secret()))
    };
    LedgerSettings {
        genesis: genesis.clone(),
        node: node_id(node),
        role,
        timing: LedgerTiming::default(),
        remembered_max: REMEMBERED_MAX,
        verdicts: Verdicts::default(),
    }
}

/// What the mesh of a node is told; called where names of hosts can be looked up.
#[must_use]
pub fn mesh(genesis: &Genesis, node: usize) -> MeshConfig {
    MeshConfig {
        identity: Identity::from_seed(&key(node).secret()),
        network: genesis.network(),
        listen: vec![transport::listen_address()],
        bootstrap: (0..NODES).map(|other| (node_id(other), transport::address_of(&host(other)))).collect(),
        allow: (0..NODES).map(node_id).collect(),
        peers_max: 16,
    }
}

/// The member that uses a node from outside, with a key of its own.
#[must_use]
pub fn user(node: usize) -> MemberId {
    if node == AUDITOR {
        member(&format!("{}/follower", org(0)))
    } else {
        member(&format!("{}/user", org(node)))
    }
}

/// The members whose keys a node holds: those of its organisation at its validator, the auditor at the fifth node.
#[must_use]
pub fn holders(node: usize) -> BTreeSet<(MemberId, Role)> {
    let named = |name: &str| member(&format!("{}/{name}", org_of(node)));
    if node == AUDITOR {
        return BTreeSet::from([(auditor(), Role::Auditor)]);
    }
    let author = [Role::Author, Role::Reviewer, Role::Voter].map(|role| (named("author"), role));
    let others = [(named("guardian"), Role::Guardian), (named("executor"), Role::Executor)];
    author.into_iter().chain(others).collect()
}

/// The member in whose name the fifth node audits.
#[must_use]
pub fn auditor() -> MemberId {
    member(&format!("{}/auditor", org(0)))
}
