//! Owns finality: what a consensus vote says, the certificate made of precommits, and its verification.
//!
//! A certificate proves a block final to anyone who knows the roster; it needs no network and no node.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::{
    canonical,
    digest::{Digest, Purpose},
    genesis::OrganisationRecord,
    name::OrgId,
    quantity::{Height, Round, Weight},
    signature::{PublicKey, Signature, Signed, SigningMessage, SigningPurpose},
};

/// Kind of a consensus vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum VoteKind {
    /// First vote of a round.
    Prevote,
    /// Second vote of a round; more than two thirds of these for one block decide it.
    Precommit,
}

/// The statement that a validator signs in a vote (Buchman, Kwon, Milosevic 2018, §III).
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct VoteStatement {
    /// Prevote or precommit.
    pub kind: VoteKind,
    /// Height voted on.
    pub height: Height,
    /// Round voted in.
    pub round: Round,
    /// The block, or `None` for nil.
    pub block: Option<Digest>,
}

impl VoteStatement {
    /// The bytes to sign in `network`.
    #[must_use]
    pub fn signing_message(&self, network: Digest) -> SigningMessage {
        SigningMessage::new(SigningPurpose::ConsensusVote, network, &canonical::encode(self))
    }
}

/// The statement that a proposer signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct ProposalStatement {
    /// Height proposed for.
    pub height: Height,
    /// Round proposed in.
    pub round: Round,
    /// The block.
    pub block: Digest,
    /// The earlier round in which the block had a polka, if any.
    pub polka_round: Option<Round>,
}

impl ProposalStatement {
    /// The bytes to sign in `network`.
    #[must_use]
    pub fn signing_message(&self, network: Digest) -> SigningMessage {
        SigningMessage::new(SigningPurpose::ConsensusProposal, network, &canonical::encode(self))
    }
}

/// A validator of the roster.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Validator {
    /// Whose it is.
    pub org: OrgId,
    /// The libp2p key of its node.
    pub node: PublicKey,
    /// The key that signs consensus messages.
    pub consensus: PublicKey,
    /// Weight of its organisation.
    pub weight: Weight,
}

/// The validators of a height, in the order of their consensus keys.
#[derive(Debug, Clone, Default, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Roster(Vec<Validator>);

impl Roster {
    /// Sorts validators into a roster.
    #[must_use]
    pub fn new(mut validators: Vec<Validator>) -> Self {
        validators.sort_by_key(|validator| validator.consensus);
        Self(validators)
    }

    /// The validators of organisations, by name.
    pub(crate) fn of<'a>(organisations: impl Iterator<Item = (&'a OrgId, &'a OrganisationRecord)>) -> Self {
        let validators = organisations.map(|(org, record)| Validator {
            org: org.clone(),
            node: record.validator.node,
            consensus: record.validator.consensus,
            weight: record.weight,
        });
        Self::new(validators.collect())
    }

    /// The validators in order.
    #[must_use]
    pub fn validators(&self) -> &[Validator] {
        &self.0
    }

    /// The validator with this consensus key.
    #[must_use]
    pub fn by_consensus_key(&self, key: PublicKey) -> Option<&Validator> {
        let index = self.0.binary_search_by_key(&key, |validator| validator.consensus).ok()?;
        self.0.get(index)
    }

    /// The sum of all weights.
    #[must_use]
    pub fn total_weight(&self) -> Weight {
        self.0.iter().fold(Weight::ZERO, |sum, validator| sum.saturating_add(validator.weight))
    }

    /// The weight here of the validators that another roster has too.
    #[must_use]
    pub fn weight_on(&self, other: &Self) -> Weight {
        let stay = self.0.iter().filter(|validator| other.by_consensus_key(validator.consensus).is_some());
        stay.fold(Weight::ZERO, |sum, validator| sum.saturating_add(validator.weight))
    }

    /// The digest that headers carry.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of_object(Purpose::Roster, self)
    }
}

/// More than two thirds of the roster's weight precommitted to one block.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Certificate {
    /// The decided height.
    pub height: Height,
    /// The deciding round.
    pub round: Round,
    /// The decided block.
    pub block: Digest,
    /// Precommits by consensus key.
    pub precommits: BTreeMap<PublicKey, Signature>,
}

/// Why a certificate proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// A signer who is not a validator of the height.
    #[error("{key} signed height {height} but is not on the roster")]
    Stranger {
        /// Who.
        key: PublicKey,
        /// Where.
        height: Height,
    },
    /// A precommit that does not verify.
    #[error("the precommit of {key} at height {height} does not verify")]
    Signature {
        /// Whose.
        key: PublicKey,
        /// Where.
        height: Height,
    },
    /// Not more than two thirds.
    #[error("height {height} has {signed} of {total} weight; more than two thirds are needed")]
    Weight {
        /// Where.
        height: Height,
        /// Weight that signed.
        signed: Weight,
        /// Weight of the roster.
        total: Weight,
    },
}

/// Whether `part` is more than two thirds of `total`, the quorum of every certificate.
#[must_use]
pub fn is_quorum(part: Weight, total: Weight) -> bool {
    u128::from(part.get()).saturating_mul(3) > u128::from(total.get()).saturating_mul(2)
}

impl Certificate {
    /// Checks every signature and the quorum.
    ///
    /// # Errors
    /// Names the first signer or sum that does not hold.
    pub fn verify(&self, network: Digest, roster: &Roster) -> Result<(), CertificateError> {
        let signed = self.weight(roster)?;
        for item in self.signed(network) {
            item.verify().map_err(|_| CertificateError::Signature { key: item.key, height: self.height })?;
        }
        self.check_quorum(signed, roster.total_weight())
    }

    /// Checks signers and quorum but leaves the signatures of [`Self::signed`] to the caller's batch.
    ///
    /// # Errors
    /// Names the stranger or the missing weight.
    pub fn verify_shape(&self, roster: &Roster) -> Result<(), CertificateError> {
        let signed = self.weight(roster)?;
        self.check_quorum(signed, roster.total_weight())
    }

    /// The signatures to check.
    pub fn signed(&self, network: Digest) -> impl Iterator<Item = Signed> + '_ {
        let statement = VoteStatement {
            kind: VoteKind::Precommit,
            height: self.height,
            round: self.round,
            block: Some(self.block),
        };
        let message = statement.signing_message(network);
        self.precommits.iter().map(move |(key, signature)| Signed {
            key: *key,
            message,
            signature: *signature,
        })
    }

    fn weight(&self, roster: &Roster) -> Result<Weight, CertificateError> {
        self.precommits.keys().try_fold(Weight::ZERO, |sum, key| {
            let validator = roster
                .by_consensus_key(*key)
                .ok_or(CertificateError::Stranger { key: *key, height: self.height })?;
            Ok(sum.saturating_add(validator.weight))
        })
    }

    fn check_quorum(&self, signed: Weight, total: Weight) -> Result<(), CertificateError> {
        if is_quorum(signed, total) {
            Ok(())
        } else {
            Err(CertificateError::Weight { height: self.height, signed, total })
        }
    }
}

#[cfg(test)]
mod tests;
