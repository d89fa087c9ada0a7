//! Owns the transaction: the one form in which a person, executor or auditor changes the ledger.
//!
//! The bytes received are the bytes stored, hashed and forwarded. Refuses any encoding but the canonical one.

use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};

mod equivocation;
mod statement;

pub use equivocation::{Equivocation, EquivocationKind};
pub use statement::{AuditVerdict, Choice, Edition, HealthReport, ReviewVerdict, StepOutcome};

use crate::{
    canonical::{self, DecodeError},
    constitution::Track,
    digest::{Digest, Purpose},
    document::{DOCUMENT_LEN_MAX, ProposalDocument},
    emergency::{Declaration, EmergencyId},
    name::{Line, MemberId},
    quantity::{Fence, Height, Revision, Sequence, TimeMs},
    recovery::KeyClaim,
    role::Role,
    signature::{PublicKey, Signature, SignatureError, Signed, SigningMessage, SigningPurpose},
};

/// Largest transaction in bytes: a full document with its envelope.
pub const TRANSACTION_LEN_MAX: usize = DOCUMENT_LEN_MAX + 4 * 1024;

/// Names a proposal: digest of (network, author, author's sequence, document), so no one can take another's id.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    BorshSerialize,
    BorshDeserialize,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(transparent)]
pub struct ProposalId(Digest);

impl ProposalId {
    /// Derives the id of a submission.
    #[must_use]
    pub fn derive(network: Digest, author: &MemberId, sequence: Sequence, document: Digest) -> Self {
        Self(Digest::of_object(Purpose::Proposal, &(network, author, sequence, document)))
    }

    /// Wraps a digest that names a proposal.
    #[must_use]
    pub const fn from_digest(digest: Digest) -> Self {
        Self(digest)
    }

    /// The digest.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.0
    }
}

impl std::fmt::Display for ProposalId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// What a sender signs.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct TransactionBody {
    /// Who acts.
    pub sender: MemberId,
    /// In which role; the key must be the sender's key for it.
    pub role: Role,
    /// One above the sender's last in this role.
    pub sequence: Sequence,
    /// The transaction has no effect in a block later than this.
    pub not_after: TimeMs,
    /// What is asked.
    pub call: Call,
}

/// What a transaction asks for. Tags are part of the wire format; a retired one is never reused.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Call {
    /// Author: opens a proposal.
    Submit {
        /// The change.
        document: ProposalDocument,
        /// Hash of the plan that the author saw; refused when the plan has moved.
        plan_hash: Digest,
    },
    /// Author: replaces the content during review; earlier sign-offs are void.
    Revise {
        /// Which proposal.
        proposal: ProposalId,
        /// The revision that this replaces.
        replaces: Revision,
        /// The new content.
        document: ProposalDocument,
        /// Hash of the new plan.
        plan_hash: Digest,
    },
    /// Author, or anyone when the author lost standing: withdraws before the queue.
    Cancel {
        /// Which proposal.
        proposal: ProposalId,
        /// Why.
        reason: Line,
    },
    /// Reviewer: signs off or refuses.
    Review {
        /// Which proposal.
        proposal: ProposalId,
        /// Which revision.
        revision: Revision,
        /// The plan that was reviewed.
        plan_hash: Digest,
        /// The reviewer's verdict.
        verdict: ReviewVerdict,
        /// Remark.
        reason: Line,
    },
    /// Voter: one ballot for one revision.
    Vote {
        /// Which proposal.
        proposal: ProposalId,
        /// Which revision.
        revision: Revision,
        /// The plan that is voted on.
        plan_hash: Digest,
        /// The choice.
        choice: Choice,
    },
    /// Guardian: stops a queued proposal.
    Veto {
        /// Which proposal.
        proposal: ProposalId,
        /// Why.
        reason: Line,
    },
    /// Executor: takes a step and gets a fence. A second claim is possible only when the lease ran out.
    Claim {
        /// Which proposal.
        proposal: ProposalId,
        /// Index of the step in the plan.
        step: u16,
    },
    /// Executor: reports one step's outcome under its fence.
    Receipt {
        /// Which proposal.
        proposal: ProposalId,
        /// Index of the step in the plan.
        step: u16,
        /// The fence of the claim.
        fence: Fence,
        /// What happened.
        outcome: StepOutcome,
        /// Digest of the evidence that the executor keeps.
        evidence: Digest,
    },
    /// Executor of the owner or of another organisation: judges one target of the current stage.
    AttestHealth {
        /// Which proposal.
        proposal: ProposalId,
        /// Index of the stage judged; the number of stages stands for the final verification.
        stage: u8,
        /// Index of the step whose target was probed.
        step: u16,
        /// What was measured.
        health: HealthReport,
    },
    /// Executor or author: continues a failed execution within its retry budget.
    Resume {
        /// Which proposal.
        proposal: ProposalId,
    },
    /// Executor of an owner: gives a running execution up and rolls it back.
    Abort {
        /// Which proposal.
        proposal: ProposalId,
        /// Why.
        reason: Line,
    },
    /// Auditor: the verdict over a finished proposal.
    Attest {
        /// Which proposal.
        proposal: ProposalId,
        /// The auditor's finding.
        verdict: AuditVerdict,
        /// The height up to which the auditor re-applied the ledger.
        height: Height,
        /// The block at that height, as a witness against split views.
        block: Digest,
    },
    /// Any node's member: two conflicting signatures of one validator.
    ReportEquivocation {
        /// The evidence.
        evidence: Box<Equivocation>,
    },
    /// Guardian: signs a queued proposal whose track asks for it.
    Cosign {
        /// Which proposal.
        proposal: ProposalId,
        /// Which revision.
        revision: Revision,
        /// The plan that is signed.
        plan_hash: Digest,
    },
    /// Guardian: declares an emergency, and signs it.
    DeclareEmergency {
        /// What is ordered, why, and until when.
        declaration: Declaration,
    },
    /// Guardian: signs an emergency that another declared.
    SignEmergency {
        /// Which; names the exact content.
        emergency: EmergencyId,
    },
    /// Guardian who signed it: takes it back. Anyone but an auditor: ends one whose time is over.
    EndEmergency {
        /// Which.
        emergency: EmergencyId,
    },
    /// Auditor: the verdict over the use of an emergency.
    AttestEmergency {
        /// Which.
        emergency: EmergencyId,
        /// The auditor's finding.
        verdict: AuditVerdict,
        /// The height up to which the auditor re-applied the ledger.
        height: Height,
        /// The block at that height, as a witness against split views.
        block: Digest,
    },
    /// Voter: lets another voter speak for it in votes that begin after the activation delay; an own ballot goes before.
    Delegate {
        /// On which track; on every one when absent.
        track: Option<Track>,
        /// The other voter.
        to: MemberId,
        /// From when on the voter speaks for itself again.
        expires: TimeMs,
    },
    /// Voter: speaks for itself again in every vote that begins later.
    Revoke {
        /// On which track; on every one when absent.
        track: Option<Track>,
    },
    /// Whoever holds a key: has another one in its place from here on.
    ReplaceKey {
        /// The new key, which replaces the one that signs this.
        claim: KeyClaim,
    },
    /// Person of the same organisation: says that a colleague's key is lost, and which one comes in its place.
    SignRecovery {
        /// The new key.
        claim: KeyClaim,
    },
    /// Whoever holds the key refuses a recovery, and whoever signed one takes its word back.
    StopRecovery {
        /// Whose key.
        member: MemberId,
        /// Which one.
        role: Role,
    },
    /// Voter: one ballot for several proposals of the routine track, for all of them or for none.
    VoteBatch {
        /// Which editions.
        editions: Vec<Edition>,
        /// The choice.
        choice: Choice,
    },
}

/// A body with the key and signature of its sender. The variant is the version of the wire format.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum Transaction {
    /// Version 3.
    V3 {
        /// What was signed.
        body: TransactionBody,
        /// The signer's public key, so that signatures can be checked in batches before any state is read.
        key: PublicKey,
        /// The signature over the body.
        signature: Signature,
    } = 2,
}

/// Names a transaction: the digest of its bytes.
pub type TransactionId = Digest;

/// A transaction whose signature was checked; the only form that [`crate::state::State`] takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedTransaction {
    id: TransactionId,
    key: PublicKey,
    /// Shared: the transaction waits, is built into a block and executed from one copy.
    body: Arc<TransactionBody>,
}

/// A decoded transaction whose signature has not been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnverifiedTransaction {
    id: TransactionId,
    body: TransactionBody,
    signed: (PublicKey, SigningMessage, Signature),
}

impl Call {
    /// The proposal that is spoken of; `None` for one that is about to be opened, and for what is about none.
    #[must_use]
    pub const fn proposal(&self) -> Option<ProposalId> {
        match self {
            Self::Submit { .. }
            | Self::ReportEquivocation { .. }
            | Self::DeclareEmergency { .. }
            | Self::SignEmergency { .. }
            | Self::EndEmergency { .. }
            | Self::AttestEmergency { .. }
            | Self::Delegate { .. }
            | Self::Revoke { .. }
            | Self::VoteBatch { .. }
            | Self::ReplaceKey { .. }
            | Self::SignRecovery { .. }
            | Self::StopRecovery { .. } => None,
            Self::Revise { proposal, .. }
            | Self::Cancel { proposal, .. }
            | Self::Review { proposal, .. }
            | Self::Vote { proposal, .. }
            | Self::Veto { proposal, .. }
            | Self::Claim { proposal, .. }
            | Self::Receipt { proposal, .. }
            | Self::AttestHealth { proposal, .. }
            | Self::Resume { proposal }
            | Self::Abort { proposal, .. }
            | Self::Attest { proposal, .. }
            | Self::Cosign { proposal, .. } => Some(*proposal),
        }
    }
}

impl TransactionBody {
    /// The bytes to sign in `network`.
    #[must_use]
    pub fn signing_message(&self, network: Digest) -> SigningMessage {
        SigningMessage::new(SigningPurpose::Transaction, network, &canonical::encode(self))
    }
}

impl Transaction {
    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        canonical::encode(self)
    }
}

impl UnverifiedTransaction {
    /// Decodes bytes from outside.
    ///
    /// # Errors
    /// Refuses oversized, truncated, trailing and non-canonical bytes.
    pub fn decode(bytes: &[u8], network: Digest) -> Result<Self, DecodeError> {
        let Transaction::V3 { body, key, signature } = canonical::decode(bytes, TRANSACTION_LEN_MAX)?;
        let message = body.signing_message(network);
        Ok(Self { id: Digest::of(Purpose::Transaction, bytes), body, signed: (key, message, signature) })
    }

    /// The id of the decoded bytes.
    #[must_use]
    pub const fn id(&self) -> TransactionId {
        self.id
    }

    /// What has to be checked, for [`crate::signature::verify_batch`].
    #[must_use]
    pub const fn signed(&self) -> Signed {
        let (key, message, signature) = self.signed;
        Signed { key, message, signature }
    }

    /// Checks the signature.
    ///
    /// # Errors
    /// The signature does not verify.
    pub fn verify(self) -> Result<VerifiedTransaction, SignatureError> {
        self.signed().verify()?;
        Ok(self.assume_verified())
    }

    /// Takes the caller's word that [`Self::signed`] was part of a batch that verified.
    #[must_use]
    pub fn assume_verified(self) -> VerifiedTransaction {
        VerifiedTransaction { id: self.id, key: self.signed.0, body: Arc::new(self.body) }
    }
}

impl VerifiedTransaction {
    /// What a member would send, for a rehearsal on a copy of the state; nobody signed it, and it leaves no block.
    pub(crate) fn rehearsed(key: PublicKey, body: TransactionBody) -> Self {
        Self { id: Digest::of_object(Purpose::Transaction, &body), key, body: Arc::new(body) }
    }

    /// The transaction's id.
    #[must_use]
    pub const fn id(&self) -> TransactionId {
        self.id
    }

    /// The key that signed.
    #[must_use]
    pub const fn key(&self) -> PublicKey {
        self.key
    }

    /// What was signed.
    #[must_use]
    pub fn body(&self) -> &TransactionBody {
        &self.body
    }
}
