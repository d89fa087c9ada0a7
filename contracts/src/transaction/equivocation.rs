//! Owns the proof that a validator signed two different votes for one height, round and kind.

use crate::{
    certificate::{VoteKind, VoteStatement},
    digest::Digest,
    reject::Reject,
    signature::{Signature, Signed},
    transaction::{Equivocation, EquivocationKind},
};

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
