//! Owns the proof that a validator signed two different votes for one height, round and kind.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::{
    certificate::{VoteKind, VoteStatement},
    digest::Digest,
    quantity::{Height, Round},
    reject::Reject,
    signature::{PublicKey, Signature, Signed},
};

/// Two different signed consensus messages of one validator for one height, round and kind.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Equivocation {
    /// The validator's consensus key.
    pub validator: PublicKey,
    /// Height of both messages.
    pub height: Height,
    /// Round of both messages.
    pub round: Round,
    /// Kind of both messages.
    pub kind: EquivocationKind,
    /// What the first one names; `None` is nil.
    pub first: Option<Digest>,
    /// Signature of the first.
    pub first_signature: Signature,
    /// What the second one names; `None` is nil.
    pub second: Option<Digest>,
    /// Signature of the second.
    pub second_signature: Signature,
}

/// Kind of a doubly signed message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum EquivocationKind {
    /// Two prevotes.
    Prevote,
    /// Two precommits.
    Precommit,
}

impl Equivocation {
    /// Checks both signatures; the caller checks that the key is a validator's.
    ///
    /// # Errors
    /// Says what the evidence does not show.
    pub fn verify(&self, network: Digest) -> Result<(), Reject> {
        if self.first == self.second {
            return Err(Reject::Evidence { problem: "both votes name the same block" });
        }
        self.verify_one(network, self.first, self.first_signature)?;
        self.verify_one(network, self.second, self.second_signature)
    }

    fn verify_one(&self, network: Digest, block: Option<Digest>, signature: Signature) -> Result<(), Reject> {
        let kind = match self.kind {
            EquivocationKind::Prevote => VoteKind::Prevote,
            EquivocationKind::Precommit => VoteKind::Precommit,
        };
        let statement = VoteStatement { kind, height: self.height, round: self.round, block };
        let signed = Signed { key: self.validator, message: statement.signing_message(network), signature };
        signed.verify().map_err(|_| Reject::Evidence { problem: "a signature does not verify" })
    }
}
