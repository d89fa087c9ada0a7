//! Owns the node's identity on the mesh: an Ed25519 key, its [`NodeId`] and the libp2p name of it.
//!
//! Refuses peers whose libp2p name does not contain an Ed25519 key: they cannot be in a roster.

use std::fmt;

use althing_contracts::signature::PublicKey;
use libp2p::{
    PeerId,
    identity::{self, Keypair, ed25519},
};
use zeroize::Zeroizing;

/// A node, by the public key of its libp2p identity.
pub type NodeId = PublicKey;

/// Multihash code of the identity "hash": the digest is the value itself.
const MULTIHASH_IDENTITY: u64 = 0;

/// The key pair that proves who this node is on every connection.
#[derive(Clone)]
pub struct Identity {
    keypair: Keypair,
    node_id: NodeId,
}

/// A public key that is no point on the curve, so no node can prove that it holds it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{node} is not a valid Ed25519 public key; correct it in the roster or the bootstrap list")]
pub struct InvalidNodeId {
    /// As given.
    pub node: NodeId,
}

impl Identity {
    /// The identity of a 32-byte Ed25519 seed.
    ///
    /// # Panics
    /// Never: every 32 bytes are a seed.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        let mut copy = Zeroizing::new(*seed);
        let secret = ed25519::SecretKey::try_from_bytes(copy.as_mut_slice())
            .expect("every 32 bytes are an Ed25519 seed");
        let pair = ed25519::Keypair::from(secret);
        let node_id = NodeId::Ed25519(pair.public().to_bytes());
        Self { keypair: pair.into(), node_id }
    }

    /// The public key by which others know this node.
    #[must_use]
    pub const fn node_id(&self) -> NodeId {
        self.node_id
    }

    pub(crate) fn keypair(&self) -> Keypair {
        self.keypair.clone()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Identity({})", self.node_id)
    }
}

/// The libp2p name of a node.
///
/// # Errors
/// The key is not a point on the curve.
pub fn peer_id(node: NodeId) -> Result<PeerId, InvalidNodeId> {
    let NodeId::Ed25519(bytes) = node;
    let key = ed25519::PublicKey::try_from_bytes(&bytes).map_err(|_| InvalidNodeId { node })?;
    Ok(identity::PublicKey::from(key).to_peer_id())
}

/// The node behind a libp2p name, if the name contains an Ed25519 key.
#[must_use]
pub fn node_id(peer: &PeerId) -> Option<NodeId> {
    let hash = peer.as_ref();
    if hash.code() != MULTIHASH_IDENTITY {
        return None;
    }
    let key = identity::PublicKey::try_decode_protobuf(hash.digest()).ok()?;
    Some(NodeId::Ed25519(key.try_into_ed25519().ok()?.to_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_id_and_its_peer_id_name_the_same_key() {
        let identity = Identity::from_seed(&[7; 32]);
        let peer = peer_id(identity.node_id()).unwrap();
        assert_eq!(peer, identity.keypair().public().to_peer_id());
        assert_eq!(node_id(&peer), Some(identity.node_id()));
    }

    #[test]
    fn the_public_key_is_the_one_that_contracts_derive() {
        let signing = ed25519_zebra::SigningKey::from([7; 32]);
        let expected = NodeId::Ed25519(signing.verification_key().into());
        assert_eq!(Identity::from_seed(&[7; 32]).node_id(), expected);
    }

    #[test]
    fn bytes_that_are_no_point_are_refused() {
        let node = NodeId::Ed25519([2; 32]);
        assert_eq!(peer_id(node), Err(InvalidNodeId { node }));
    }

    #[test]
    fn a_peer_id_that_hides_its_key_is_no_node() {
        assert_eq!(node_id(&PeerId::random()), None);
    }

    #[test]
    fn debug_output_shows_no_secret() {
        let text = format!("{:?}", Identity::from_seed(&[7; 32]));
        assert!(!text.contains(&hex::encode([7; 32])), "{text}");
    }
}
