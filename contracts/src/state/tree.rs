//! Owns the authenticated map: a Jellyfish Merkle tree over the state's leaves, in memory, newest version only.
//!
//! Copies share nodes; nodes that a newer version replaced are dropped at once. The root depends on the
//! leaves alone, not on the order in which they came, so that a state read from a snapshot has the same root.

use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};
use jmt::{
    JellyfishMerkleTree, KeyHash, RootHash, Version,
    proof::SparseMerkleProof,
    storage::{LeafNode, Node, NodeKey, TreeReader},
};
use sha2::Sha256;

use crate::{
    canonical,
    digest::Digest,
    shared_map::SharedMap,
    state::leaf::{LeafKey, ProposalSummary},
    transaction::ProposalId,
};

/// The tree's nodes and its version.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    nodes: Nodes,
    next_version: Version,
    root: Digest,
}

#[derive(Debug, Clone, Default)]
struct Nodes(SharedMap<NodeKey, Arc<Node>>);

impl TreeReader for Nodes {
    fn get_node_option(&self, key: &NodeKey) -> Result<Option<Node>, anyhow::Error> {
        Ok(self.0.get(key).map(|node| Node::clone(node)))
    }

    // A proof carries no value: the prover has it from the record itself.
    fn get_value_option(&self, _: Version, _: KeyHash) -> Result<Option<Vec<u8>>, anyhow::Error> {
        Ok(Some(Vec::new()))
    }

    fn get_rightmost_leaf(&self) -> Result<Option<(NodeKey, LeafNode)>, anyhow::Error> {
        Ok(None)
    }
}

impl Tree {
    /// Puts leaves, takes those without a value away, and yields the new root.
    pub(crate) fn put(&mut self, leaves: Vec<(LeafKey, Option<Vec<u8>>)>) -> Digest {
        if leaves.is_empty() {
            return self.root;
        }
        let values = leaves.into_iter().map(|(key, value)| (key_hash(&key), value));
        let tree = JellyfishMerkleTree::<_, Sha256>::new(&self.nodes);
        // An error means that a node is missing, which a complete store cannot have. The zero root that it
        // leaves behind is one that no other validator finds, so the block is refused.
        let Ok((RootHash(root), batch)) = tree.put_value_set(values, self.next_version) else {
            return Digest::ZERO;
        };
        for stale in &batch.stale_node_index_batch {
            self.nodes.0.remove(&stale.node_key);
        }
        for (key, node) in batch.node_batch.nodes() {
            self.nodes.0.insert(key.clone(), Arc::new(node.clone()));
        }
        self.next_version = self.next_version.saturating_add(1);
        self.root = Digest::from_bytes(root);
        self.root
    }

    /// The path from a leaf to the last root.
    pub(crate) fn prove(&self, key: &LeafKey) -> Option<SparseMerkleProof<Sha256>> {
        let version = self.next_version.checked_sub(1)?;
        let tree = JellyfishMerkleTree::<_, Sha256>::new(&self.nodes);
        tree.get_with_proof(key_hash(key), version).ok().map(|(_, proof)| proof)
    }
}

fn key_hash(key: &LeafKey) -> KeyHash {
    KeyHash::with::<Sha256>(canonical::encode(key))
}

/// Largest encoded proof: 256 siblings of a tree of any size, and a summary.
pub const STAGE_PROOF_LEN_MAX: usize = 64 * 1024;

/// Shows to anyone who trusts a state root where one proposal stands; needs no network and no node.
#[derive(Debug, Clone, PartialEq, BorshSerialize, BorshDeserialize)]
pub struct StageProof {
    /// What is shown.
    pub summary: ProposalSummary,
    /// The path to the root: a Jellyfish Merkle proof with SHA-256.
    pub path: SparseMerkleProof<Sha256>,
}

/// The proof does not lead to the root.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the proof for proposal {proposal} does not lead to the state root {root}")]
pub struct StageProofError {
    /// What it speaks of.
    pub proposal: ProposalId,
    /// The root that was trusted.
    pub root: Digest,
}

impl StageProof {
    /// Checks the path and yields the summary that the root commits to.
    ///
    /// # Errors
    /// The path does not lead from this summary to `root`.
    pub fn verify(&self, root: Digest) -> Result<&ProposalSummary, StageProofError> {
        let key = key_hash(&LeafKey::Proposal(self.summary.id));
        let value = canonical::encode(&self.summary);
        self.path
            .verify_existence(RootHash(*root.as_bytes()), key, value)
            .map_err(|_| StageProofError { proposal: self.summary.id, root })?;
        Ok(&self.summary)
    }

    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        canonical::encode(self)
    }

    /// Decodes bytes from outside.
    ///
    /// # Errors
    /// Refuses oversized and non-canonical bytes.
    pub fn decode(bytes: &[u8]) -> Result<Self, canonical::DecodeError> {
        canonical::decode(bytes, STAGE_PROOF_LEN_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_that_lost_a_node_yields_the_root_that_nobody_finds() {
        let key = |n: u8| LeafKey::Proposal(ProposalId::from_digest(Digest::from_bytes([n; 32])));
        let leaf = |n: u8| (key(n), Some(vec![n]));
        let mut tree = Tree::default();
        assert_ne!(tree.put(vec![leaf(1), leaf(2)]), Digest::ZERO);
        let kept = tree.nodes.0.iter().filter(|(_, node)| matches!(***node, Node::Internal(_)));
        tree.nodes.0 = kept.map(|(key, node)| (key.clone(), Arc::clone(node))).collect();
        assert_eq!(tree.put(vec![leaf(1)]), Digest::ZERO);
    }
}
