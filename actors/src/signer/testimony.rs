//! Owns what a node testifies about the use of its members' keys: its whole journal, under a statement that the node
//! signs, so that two statements of which neither continues the other convict it. Refuses to sign anything else.

use std::{collections::BTreeSet, fmt, path::PathBuf};

use althing_contracts::{
    canonical,
    digest::Digest,
    name::MemberId,
    role::Role,
    signature::{PublicKey, Signature, Signed, SigningMessage, SigningPurpose},
};
use borsh::{BorshDeserialize, BorshSerialize};
use ed25519_zebra::SigningKey;

use super::journal::{KEY_USE_JOURNAL, KeyUseRecord};
use crate::journal::{Journal, JournalError, Tip};

/// What a node states of the uses of its keys. The variant is the version of the layout.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum KeyUseStatement {
    /// Version 1.
    V1 {
        /// The node, by its key on the mesh.
        node: PublicKey,
        /// The keys that it holds.
        keys: BTreeSet<(MemberId, Role)>,
        /// How often they were used so far.
        uses: u64,
        /// Digest of the last use, which covers all before it.
        head: Digest,
    },
}

/// A statement with the node's signature.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedKeyUses {
    /// What is signed.
    pub statement: KeyUseStatement,
    /// By the node's key on the mesh.
    pub signature: Signature,
}

/// The node's own key, as far as it testifies. Never printed, cleared from memory when dropped.
pub struct NodeKey(Box<SigningKey>);

/// A node that can testify.
#[derive(Debug)]
pub struct KeyUseWitness {
    key: NodeKey,
    network: Digest,
    keys: BTreeSet<(MemberId, Role)>,
    journal: PathBuf,
}

impl KeyUseStatement {
    /// The bytes to sign in `network`.
    #[must_use]
    pub fn signing_message(&self, network: Digest) -> SigningMessage {
        SigningMessage::new(SigningPurpose::KeyUses, network, &canonical::encode(self))
    }
}

impl SignedKeyUses {
    /// What has to be checked in `network`.
    #[must_use]
    pub fn signed(&self, network: Digest) -> Signed {
        let KeyUseStatement::V1 { node, .. } = &self.statement;
        Signed { key: *node, message: self.statement.signing_message(network), signature: self.signature }
    }
}

impl NodeKey {
    /// Takes the 32 bytes of an Ed25519 seed.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(Box::new(SigningKey::from(seed)))
    }

    /// The public half, by which the mesh knows the node.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey::Ed25519(self.0.verification_key().into())
    }

    /// Signs a statement about the use of the node's keys.
    #[must_use]
    pub fn sign_key_uses(&self, statement: KeyUseStatement, network: Digest) -> SignedKeyUses {
        let message = statement.signing_message(network);
        let signature = Signature::Ed25519(self.0.sign(message.as_bytes()).to_bytes());
        SignedKeyUses { statement, signature }
    }
}

impl Drop for NodeKey {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(self.0.as_mut());
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeKey({})", self.public())
    }
}

impl KeyUseWitness {
    /// A node with its key, the members' keys that it holds and the journal of their use.
    #[must_use]
    pub fn new(
        key: NodeKey,
        network: Digest,
        keys: impl IntoIterator<Item = (MemberId, Role)>,
        journal: PathBuf,
    ) -> Self {
        Self { key, network, keys: keys.into_iter().collect(), journal }
    }

    /// States what the journal holds at this moment: every use that was given out, and perhaps some that were not.
    ///
    /// # Errors
    /// The journal cannot be read or its chain is broken.
    pub fn testify(&self) -> Result<SignedKeyUses, JournalError> {
        let Tip { records, head } = self.read(|_| ())?;
        let (node, keys) = (self.key.public(), self.keys.clone());
        let statement = KeyUseStatement::V1 { node, keys, uses: records, head };
        Ok(self.key.sign_key_uses(statement, self.network))
    }

    /// Hands out every use in order, later ones than those of a statement included.
    ///
    /// # Errors
    /// The journal cannot be read or its chain is broken.
    pub fn read(&self, each: impl FnMut(KeyUseRecord)) -> Result<Tip, JournalError> {
        Journal::read(&self.journal, KEY_USE_JOURNAL, each)
    }
}
