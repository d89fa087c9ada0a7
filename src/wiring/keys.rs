//! Owns handing key files over to those who sign: members' keys to the signer, the consensus key to the ledger.

use std::sync::Arc;

use althing_actors::{
    ledger::{consensus::ConsensusKey, state::LedgerRole},
    signer::state::SignerKeys,
};
use althing_netconfig::{
    config::{Config, NodeRole},
    identity::Identity,
    keys::{self, KeyError, KeyPurpose, SecretKey},
};
use ed25519_consensus::SigningKey;

use super::NodeError;

/// The keys of one node.
pub(super) struct NodeKeys {
    pub(super) identity: Identity,
    pub(super) ledger: LedgerRole,
    pub(super) members: Arc<SignerKeys>,
}

/// Loads every key that the configuration names.
pub(super) fn load(config: &Config) -> Result<NodeKeys, NodeError> {
    let node = keys::load(&config.identity.node_key_file, KeyPurpose::Node)?;
    let identity = node.identity().expect("a key that was loaded for a node is a node's");
    let members = keys::load_members(&config.keys.directory, &config.node.org)?;
    let members = members.iter().map(|(member, role, key)| ((member.clone(), *role), signing_key(key)));
    Ok(NodeKeys { identity, ledger: ledger_role(config)?, members: Arc::new(SignerKeys::new(members)) })
}

fn ledger_role(config: &Config) -> Result<LedgerRole, KeyError> {
    match (config.node.role, &config.identity.consensus_key_file) {
        (NodeRole::Validator, Some(path)) => {
            let key = keys::load(path, KeyPurpose::Consensus)?;
            Ok(LedgerRole::Validator(ConsensusKey::from_seed(*key.seed())))
        }
        _ => Ok(LedgerRole::Observer),
    }
}

fn signing_key(key: &SecretKey) -> SigningKey {
    SigningKey::from(*key.seed())
}
