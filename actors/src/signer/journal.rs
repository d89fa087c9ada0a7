//! Owns the record of every use of a member's key: what an auditor compares with the ledger.

use althing_contracts::{
    digest::Digest,
    name::MemberId,
    quantity::{Sequence, TimeMs},
    role::Role,
    transaction::{Call, TransactionId},
};
use borsh::{BorshDeserialize, BorshSerialize};

use crate::journal::{Journal, JournalError, Kind, Place};

/// Name of the file.
pub const FILE: &str = "signer.journal";
/// Kind of the file.
pub const KEY_USE_JOURNAL: Kind = *b"key-use ";

/// What a key was used for. Tags are part of the format; a retired one is never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum KeyUse {
    /// Opening a proposal.
    Submission,
    /// Replacing a proposal's content.
    Revision,
    /// Withdrawing a proposal.
    Cancellation,
    /// A sign-off or its refusal.
    Review,
    /// A ballot.
    Ballot,
    /// A guardian's veto.
    Veto,
    /// Taking a step.
    Claim,
    /// Reporting a step.
    Receipt,
    /// Judging a target's health.
    Health,
    /// Taking a failed execution up again.
    Resumption,
    /// Giving an execution up.
    Abortion,
    /// An auditor's verdict.
    Attestation,
    /// Evidence against a validator.
    Equivocation,
    /// A guardian's signature under a decision.
    Cosignature,
    /// Declaring an emergency.
    Declaration,
    /// A guardian's signature under an emergency.
    EmergencySignature,
    /// Ending an emergency.
    EmergencyEnd,
    /// An auditor's verdict over an emergency.
    EmergencyAttestation,
    /// Letting another voter speak for it.
    Delegation,
    /// Speaking for itself again.
    Revocation,
    /// Another key in the place of this one.
    KeyReplacement,
    /// A word for another key of a colleague.
    Recovery,
    /// A word against another key, or taking one for it back.
    RecoveryStop,
}

/// One use of a key.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum KeyUseRecord {
    /// Version 1.
    V1 {
        /// By the node's clock.
        time: TimeMs,
        /// What for.
        purpose: KeyUse,
        /// Whose key.
        member: MemberId,
        /// Which key.
        role: Role,
        /// The transaction's sequence.
        sequence: Sequence,
        /// The signed transaction.
        transaction: TransactionId,
        /// Digest of what was signed.
        body: Digest,
    },
}

impl KeyUse {
    /// What a call uses a key for.
    pub const fn of(call: &Call) -> Self {
        match call {
            Call::Submit { .. } => Self::Submission,
            Call::Revise { .. } => Self::Revision,
            Call::Cancel { .. } => Self::Cancellation,
            Call::Review { .. } => Self::Review,
            Call::Vote { .. } | Call::VoteBatch { .. } => Self::Ballot,
            Call::Veto { .. } => Self::Veto,
            Call::Claim { .. } => Self::Claim,
            Call::Receipt { .. } => Self::Receipt,
            Call::AttestHealth { .. } => Self::Health,
            Call::Resume { .. } => Self::Resumption,
            Call::Abort { .. } => Self::Abortion,
            Call::Attest { .. } => Self::Attestation,
            Call::ReportEquivocation { .. } => Self::Equivocation,
            Call::Cosign { .. } => Self::Cosignature,
            Call::DeclareEmergency { .. } => Self::Declaration,
            Call::SignEmergency { .. } => Self::EmergencySignature,
            Call::EndEmergency { .. } => Self::EmergencyEnd,
            Call::AttestEmergency { .. } => Self::EmergencyAttestation,
            Call::Delegate { .. } => Self::Delegation,
            Call::Revoke { .. } => Self::Revocation,
            Call::ReplaceKey { .. } => Self::KeyReplacement,
            Call::SignRecovery { .. } => Self::Recovery,
            Call::StopRecovery { .. } => Self::RecoveryStop,
        }
    }

    /// Whether a key of this role may be used for it.
    pub fn fits(self, role: Role) -> bool {
        match self {
            Self::Submission | Self::Revision | Self::Cancellation => role == Role::Author,
            Self::Review => role == Role::Reviewer,
            Self::Ballot | Self::Delegation | Self::Revocation => role == Role::Voter,
            Self::Veto | Self::Cosignature | Self::Declaration | Self::EmergencySignature => {
                role == Role::Guardian
            }
            Self::Claim | Self::Receipt | Self::Health | Self::Abortion => role == Role::Executor,
            Self::Resumption => matches!(role, Role::Executor | Role::Author),
            Self::Attestation | Self::EmergencyAttestation => role == Role::Auditor,
            Self::Equivocation | Self::EmergencyEnd => role != Role::Auditor,
            Self::KeyReplacement | Self::Recovery | Self::RecoveryStop => role.is_personal(),
        }
    }

    /// The purpose's name in messages and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Submission => "submission",
            Self::Revision => "revision",
            Self::Cancellation => "cancellation",
            Self::Review => "review",
            Self::Ballot => "ballot",
            Self::Veto => "veto",
            Self::Claim => "claim",
            Self::Receipt => "receipt",
            Self::Health => "health attestation",
            Self::Resumption => "resumption",
            Self::Abortion => "abortion",
            Self::Attestation => "attestation",
            Self::Equivocation => "report of equivocation",
            Self::Cosignature => "co-signature",
            Self::Declaration => "declaration of an emergency",
            Self::EmergencySignature => "signature under an emergency",
            Self::EmergencyEnd => "end of an emergency",
            Self::EmergencyAttestation => "attestation of an emergency",
            Self::Delegation => "delegation",
            Self::Revocation => "revocation of a delegation",
            Self::KeyReplacement => "replacement of a key",
            Self::Recovery => "recovery of a key",
            Self::RecoveryStop => "refusal of a recovery",
        }
    }

    /// Every purpose, in the order of its tag.
    pub const ALL: [Self; 23] = [
        Self::Submission,
        Self::Revision,
        Self::Cancellation,
        Self::Review,
        Self::Ballot,
        Self::Veto,
        Self::Claim,
        Self::Receipt,
        Self::Health,
        Self::Resumption,
        Self::Abortion,
        Self::Attestation,
        Self::Equivocation,
        Self::Cosignature,
        Self::Declaration,
        Self::EmergencySignature,
        Self::EmergencyEnd,
        Self::EmergencyAttestation,
        Self::Delegation,
        Self::Revocation,
        Self::KeyReplacement,
        Self::Recovery,
        Self::RecoveryStop,
    ];
}

impl std::fmt::Display for KeyUse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// Opens the journal for writing and verifies its whole chain.
///
/// # Errors
/// The disk fails or the chain is broken.
pub fn open(place: impl Into<Place>) -> Result<Journal<KeyUseRecord>, JournalError> {
    Journal::open(place, KEY_USE_JOURNAL, |_| ()).map(|(journal, _)| journal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_record_is_format_1() {
        let record = KeyUseRecord::V1 {
            time: TimeMs::new(1),
            purpose: KeyUse::Ballot,
            member: MemberId::new("acme/vera").unwrap(),
            role: Role::Voter,
            sequence: Sequence::new(7),
            transaction: Digest::from_bytes([1; 32]),
            body: Digest::from_bytes([2; 32]),
        };
        let expected = [
            "00",
            "0100000000000000",
            "04",
            "0900000061636d652f76657261",
            "02",
            "0700000000000000",
            &"01".repeat(32),
            &"02".repeat(32),
        ];
        assert_eq!(hex::encode(borsh::to_vec(&record).unwrap()), expected.concat());
    }

    #[test]
    fn tags_are_in_the_order_of_the_list() {
        for (tag, purpose) in KeyUse::ALL.iter().enumerate() {
            assert_eq!(borsh::to_vec(purpose).unwrap(), [u8::try_from(tag).unwrap()]);
        }
    }
}
