//! Owns this validator's consensus key. Refuses to sign anything but votes and proposals.

use std::fmt;

use althing_contracts::{
    certificate::{ProposalStatement, VoteStatement},
    digest::Digest,
    signature::{PublicKey, Signature, SigningMessage},
};
use ed25519_zebra::SigningKey;

use crate::ledger::wire::{SignedProposal, SignedVote};

/// A validator's private key for consensus messages. Never printed, cleared from memory when dropped.
#[derive(Clone)]
pub struct ConsensusKey {
    /// Boxed, because the expanded key is ten times the seed.
    secret: Box<SigningKey>,
    public: PublicKey,
}

impl ConsensusKey {
    /// Takes the 32 bytes of an Ed25519 seed.
    #[must_use]
    pub fn from_seed(seed: [u8; 32]) -> Self {
        let secret = Box::new(SigningKey::from(seed));
        let public = PublicKey::Ed25519(secret.verification_key().into());
        Self { secret, public }
    }

    /// The public half, which the roster names.
    #[must_use]
    pub const fn public(&self) -> PublicKey {
        self.public
    }

    /// Signs a vote. The caller has asked [`super::guard::SigningGuard`] before.
    #[must_use]
    pub fn sign_vote(&self, statement: VoteStatement, network: Digest) -> SignedVote {
        let signature = self.sign(&statement.signing_message(network));
        SignedVote { statement, voter: self.public, signature }
    }

    /// Signs a proposal. The caller has asked [`super::guard::SigningGuard`] before.
    #[must_use]
    pub fn sign_proposal(&self, statement: ProposalStatement, network: Digest) -> SignedProposal {
        let signature = self.sign(&statement.signing_message(network));
        SignedProposal { statement, proposer: self.public, signature }
    }

    fn sign(&self, message: &SigningMessage) -> Signature {
        Signature::Ed25519(self.secret.sign(message.as_bytes()).to_bytes())
    }
}

impl Drop for ConsensusKey {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(self.secret.as_mut());
    }
}

impl fmt::Debug for ConsensusKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsensusKey").field("public", &self.public).finish_non_exhaustive()
    }
}
