//! Owns the step from a node's configuration and its genesis to the mesh that it joins. Refuses a node that the
//! genesis does not name in its role, unless it says that it joined later: the others would refuse it anyway, with less to say.

use althing_contracts::genesis::Genesis;

use super::{Config, NodeRole};
use crate::{
    genesis_file,
    identity::NodeId,
    keys::{self, KeyError, KeyPurpose, SecretKey},
    mesh::MeshConfig,
};

/// Why a node cannot join the mesh of a genesis.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// A key was not loaded.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The genesis knows another key or none.
    #[error(
        "the genesis names no {role} of {org} with the key {key}; check `node.org`, `node.role`, \
         `node.genesis` and the files in `[identity]`; a node that a later decision admits sets `node.joined_later`"
    )]
    NotNamed {
        /// In which role.
        role: &'static str,
        /// Of which organisation.
        org: String,
        /// With which key.
        key: NodeId,
    },
}

impl Config {
    /// Loads the node's key and says how it joins the mesh of `genesis`.
    ///
    /// # Errors
    /// The key cannot be loaded, or the genesis does not name it in this role and it did not join later.
    pub fn mesh(&self, genesis: &Genesis) -> Result<MeshConfig, JoinError> {
        let key = keys::load(&self.identity.node_key_file, KeyPurpose::Node)?;
        let org = &self.node.org;
        let (role, named) = match self.node.role {
            NodeRole::Validator => {
                let organisation = genesis.organisations.get(org);
                ("validator node", organisation.is_some_and(|known| known.validator.node == key.public()))
            }
            NodeRole::Auditor => {
                let mut own = genesis.observers.values().filter(|observer| observer.org == *org);
                ("observer node", own.any(|observer| observer.node == key.public()))
            }
        };
        let named = named || self.node.joined_later;
        let identity = key.identity().filter(|_| named).ok_or_else(|| self.not_named(role, &key))?;
        Ok(MeshConfig {
            identity,
            network: genesis.network(),
            listen: self.p2p.listen.clone(),
            bootstrap: self.p2p.bootstrap.iter().map(|known| (known.node, known.address.clone())).collect(),
            allow: genesis_file::nodes(genesis),
            peers_max: self.p2p.max_peers,
        })
    }

    /// Loads the validator's consensus key; `None` for an auditor.
    ///
    /// # Errors
    /// The key cannot be loaded, or the genesis does not name it and the node did not join later.
    pub fn consensus_key(&self, genesis: &Genesis) -> Result<Option<SecretKey>, JoinError> {
        let Some(path) = &self.identity.consensus_key_file else { return Ok(None) };
        let key = keys::load(path, KeyPurpose::Consensus)?;
        let organisation = genesis.organisations.get(&self.node.org);
        let named = organisation.is_some_and(|known| known.validator.consensus == key.public());
        if named || self.node.joined_later {
            return Ok(Some(key));
        }
        Err(self.not_named("validator", &key))
    }

    fn not_named(&self, role: &'static str, key: &SecretKey) -> JoinError {
        JoinError::NotNamed { role, org: self.node.org.to_string(), key: key.public() }
    }
}
