//! Owns handing key files over to those who sign: members' keys to the signer, the consensus key to the ledger.

use std::{path::PathBuf, sync::Arc};

use althing_actors::{
    ledger::{consensus::ConsensusKey, state::LedgerRole},
    signer::{
        keys::{KeyStore, KeyStoreError, SignerKeys},
        testimony::NodeKey,
    },
};
use althing_contracts::{genesis::Genesis, name::OrgId};
use althing_netconfig::{
    config::{Config, JoinError},
    keys::{self, KeyError, KeyPurpose, SecretKey},
};
use ed25519_zebra::SigningKey;

use super::NodeError;

/// The keys of one node.
pub(super) struct NodeKeys {
    pub(super) ledger: LedgerRole,
    pub(super) members: Arc<SignerKeys>,
    pub(super) store: Arc<dyn KeyStore>,
    /// For testimony alone; the mesh has its own copy.
    pub(super) node: NodeKey,
}

/// Loads every key that the configuration names.
pub(super) fn load(config: &Config, genesis: &Genesis) -> Result<NodeKeys, NodeError> {
    let store = KeyDirectory { directory: config.keys.directory.clone(), org: config.node.org.clone() };
    let node = keys::load(&config.identity.node_key_file, KeyPurpose::Node)?;
    Ok(NodeKeys {
        ledger: ledger_role(config, genesis)?,
        members: Arc::new(store.read()?),
        store: Arc::new(store),
        node: NodeKey::from_seed(*node.seed()),
    })
}

/// The directory of members' keys, as the configuration names it.
struct KeyDirectory {
    directory: PathBuf,
    org: OrgId,
}

impl KeyDirectory {
    fn read(&self) -> Result<SignerKeys, KeyError> {
        let members = keys::load_members(&self.directory, &self.org)?;
        let keys = members.iter().map(|(member, role, key)| ((member.clone(), *role), signing_key(key)));
        Ok(SignerKeys::new(keys))
    }
}

impl KeyStore for KeyDirectory {
    fn load(&self) -> Result<Arc<SignerKeys>, KeyStoreError> {
        self.read().map(Arc::new).map_err(|error| KeyStoreError(Box::new(error)))
    }
}

fn ledger_role(config: &Config, genesis: &Genesis) -> Result<LedgerRole, JoinError> {
    let key = config.consensus_key(genesis)?;
    Ok(key.map_or(LedgerRole::Observer, |key| LedgerRole::Validator(ConsensusKey::from_seed(*key.seed()))))
}

fn signing_key(key: &SecretKey) -> SigningKey {
    SigningKey::from(*key.seed())
}
