//! Owns handing key files over to those who sign: members' keys to the signer, the consensus key to the ledger.

use std::sync::Arc;

use althing_actors::{
    ledger::{consensus::ConsensusKey, state::LedgerRole},
    signer::{state::SignerKeys, testimony::NodeKey},
};
use althing_contracts::genesis::Genesis;
use althing_netconfig::{
    config::{Config, JoinError},
    keys::{self, KeyPurpose, SecretKey},
};
use ed25519_zebra::SigningKey;

use super::NodeError;

/// The keys of one node.
pub(super) struct NodeKeys {
    pub(super) ledger: LedgerRole,
    pub(super) members: Arc<SignerKeys>,
    /// For testimony alone; the mesh has its own copy.
    pub(super) node: NodeKey,
}

/// Loads every key that the configuration names.
pub(super) fn load(config: &Config, genesis: &Genesis) -> Result<NodeKeys, NodeError> {
    let members = keys::load_members(&config.keys.directory, &config.node.org)?;
    let members = members.iter().map(|(member, role, key)| ((member.clone(), *role), signing_key(key)));
    let node = keys::load(&config.identity.node_key_file, KeyPurpose::Node)?;
    Ok(NodeKeys {
        ledger: ledger_role(config, genesis)?,
        members: Arc::new(SignerKeys::new(members)),
        node: NodeKey::from_seed(*node.seed()),
    })
}

fn ledger_role(config: &Config, genesis: &Genesis) -> Result<LedgerRole, JoinError> {
    let key = config.consensus_key(genesis)?;
    Ok(key.map_or(LedgerRole::Observer, |key| LedgerRole::Validator(ConsensusKey::from_seed(*key.seed()))))
}

fn signing_key(key: &SecretKey) -> SigningKey {
    SigningKey::from(*key.seed())
}
