//! Owns the replacement of a member's key: the claim of a new one with its proof, the rules by which colleagues recover one that
//! is lost, and what they have said so far.
//!
//! People replace their keys by themselves, because a key that may be known to others cannot wait for a vote. The keys of
//! executors and auditors are replaced by a proposal: other organisations rely on what those say.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::{
    canonical,
    constitution::Threshold,
    digest::Digest,
    name::{MemberId, OrgId},
    quantity::{DurationMs, TimeMs},
    role::Role,
    signature::{PublicKey, Signature, SignatureError, Signed, SigningMessage, SigningPurpose},
};

/// Says that a member has another key for a role from here on; whoever has that key has signed it.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyClaim {
    /// Whose.
    pub member: MemberId,
    /// For which role.
    pub role: Role,
    /// The key in whose place it comes; a claim is void once that is not the member's any more.
    pub replaces: PublicKey,
    /// The new key.
    pub key: PublicKey,
    /// Signature of the new key over all of the above.
    pub proof: Signature,
}

impl KeyClaim {
    /// What the new key signs.
    #[must_use]
    pub fn signing_message(
        network: Digest,
        (member, role): (&MemberId, Role),
        replaces: PublicKey,
        key: PublicKey,
    ) -> SigningMessage {
        let claim = canonical::encode(&(member, role, replaces, key));
        SigningMessage::new(SigningPurpose::KeyClaim, network, &claim)
    }

    /// Checks that somebody has the new key and claims it for this.
    ///
    /// # Errors
    /// The proof is of another key, of another claim or for another network.
    pub fn verify(&self, network: Digest) -> Result<(), SignatureError> {
        let message = Self::signing_message(network, (&self.member, self.role), self.replaces, self.key);
        Signed { key: self.key, message, signature: self.proof }.verify()
    }
}

/// How colleagues recover a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecoveryRules {
    /// People who have to sign, of all others that the organisation has.
    pub colleagues: Threshold,
    /// And never fewer than this; an organisation with fewer others asks the mesh by a proposal.
    pub at_least: u8,
    /// Time for which a signature counts.
    pub signing: DurationMs,
    /// Time from the last signature that was needed until the key is another: in it, whoever has the old key refuses.
    pub delay: DurationMs,
}

impl RecoveryRules {
    /// How many of so many colleagues have to sign; `None` where they are too few.
    #[must_use]
    pub fn needed(&self, colleagues: usize) -> Option<usize> {
        let whole = u64::try_from(colleagues).unwrap_or(u64::MAX);
        let is_enough =
            |part: &usize| self.colleagues.is_passed_by(u64::try_from(*part).unwrap_or(u64::MAX), whole);
        (usize::from(self.at_least)..=colleagues).find(is_enough)
    }
}

/// What colleagues have said about one key of a member.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Recovery {
    /// The key that is said to be lost.
    pub replaces: PublicKey,
    /// Who has last signed which key in its place, and when.
    pub signatures: BTreeMap<MemberId, RecoverySignature>,
    /// What enough of them agree on.
    pub agreed: Option<Agreement>,
}

/// A colleague's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct RecoverySignature {
    /// The new key.
    pub key: PublicKey,
    /// When it was said.
    pub at: TimeMs,
}

/// A recovery that takes effect unless somebody stops it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Agreement {
    /// The new key.
    pub key: PublicKey,
    /// When it takes effect.
    pub due: TimeMs,
}

impl Recovery {
    /// One about which nobody has said anything.
    #[must_use]
    pub const fn of(replaces: PublicKey) -> Self {
        Self { replaces, signatures: BTreeMap::new(), agreed: None }
    }

    /// Who has signed this key so recently that it is heard at this time; whether they are still colleagues the ledger knows.
    pub fn signers(
        &self,
        key: PublicKey,
        rules: RecoveryRules,
        time: TimeMs,
    ) -> impl Iterator<Item = &MemberId> {
        let heard = move |signature: &RecoverySignature| {
            signature.key == key && time <= signature.at.after(rules.signing)
        };
        self.signatures.iter().filter(move |(_, signature)| heard(signature)).map(|(signer, _)| signer)
    }
}

/// Why a key is not replaced.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyRefusal {
    /// A key that people do not hold.
    #[error("the key of a member for the role {role} is replaced by a proposal, with the act set-member")]
    ByProposal {
        /// Which role.
        role: Role,
    },
    /// The claim is not the sender's, or not for the role in which it acts.
    #[error("with this key {member} replaces it and no other")]
    NotTheHolder {
        /// Whose the claim is.
        member: MemberId,
    },
    /// The key has been replaced, or was never the member's.
    #[error("the key that the claim replaces is not the one that {member} has for the role {role}")]
    Stale {
        /// Whose the claim is.
        member: MemberId,
        /// For which role.
        role: Role,
    },
    /// One key for two purposes.
    #[error("the new key is one that somebody on this mesh has or had; make one that nobody else has")]
    Taken,
    /// A proof that does not verify.
    #[error("the proof is not one of the new key, for this claim, on this mesh")]
    Proof,
    /// Somebody whom it does not concern.
    #[error("only another person of {org} may do this")]
    NotAColleague {
        /// The organisation.
        org: OrgId,
    },
    /// An organisation that cannot recover a key by itself.
    #[error(
        "{org} has {colleagues} other people, too few to recover a key by themselves: the members decide on another one by a \
         proposal, with the act set-member"
    )]
    TooFew {
        /// The organisation.
        org: OrgId,
        /// People that it has beside the member.
        colleagues: usize,
    },
    /// A key is about to take effect.
    #[error("enough have signed, and the key is another at {due}; that has to be stopped first")]
    Agreed {
        /// When.
        due: TimeMs,
    },
    /// Nothing to stop.
    #[error("{member} is not about to get another key for the role {role} by the sender's word")]
    Nothing {
        /// Whose.
        member: MemberId,
        /// For which role.
        role: Role,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quantity::Ratio;

    #[test]
    fn more_than_half_of_the_others_and_never_fewer_than_two() {
        let hour = DurationMs::from_hours(1);
        let colleagues = Threshold::MoreThan(Ratio::ONE_HALF);
        let rules = RecoveryRules { colleagues, at_least: 2, signing: hour, delay: hour };
        let needed: Vec<_> = (0..7).map(|others| rules.needed(others)).collect();
        assert_eq!(needed, [None, None, Some(2), Some(2), Some(3), Some(3), Some(4)]);
    }
}
