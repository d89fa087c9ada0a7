//! Owns what may be asked of the signer. There is no request for raw bytes.

use actix::Message;
use althing_contracts::{
    digest::Digest,
    emergency::EmergencyId,
    name::{MemberId, TargetId},
    quantity::{Fence, Height, Sequence, TimeMs},
    reject::Reject,
    role::Role,
    signature::PublicKey,
    transaction::{Call, ProposalId, TransactionId},
};
use tokio::sync::oneshot;

use crate::{journal::JournalError, signer::journal::KeyUse};

/// Signs one call of a member. What may be signed is judged by the purpose of the call. The answer comes when the use of
/// the key is durable; it does not come when the signer is lost before that.
#[derive(Debug, Clone, Message)]
#[rtype(result = "oneshot::Receiver<Result<SignedTransaction, SignError>>")]
pub struct Sign {
    /// Who acts.
    pub member: MemberId,
    /// In which role.
    pub role: Role,
    /// The sender's next sequence in that role.
    pub sequence: Sequence,
    /// Until when the transaction may take effect.
    pub not_after: TimeMs,
    /// What is asked of the ledger.
    pub call: Call,
    /// The sender's span.
    pub span: tracing::Span,
}

/// Ends the signer in order.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Stop;

/// A transaction that is signed; its use is in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedTransaction {
    /// Its id.
    pub id: TransactionId,
    /// Canonical bytes.
    pub bytes: Vec<u8>,
}

/// Why a call was not signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// The node has no such key.
    #[error("this node holds no key of {member} for the role {role}")]
    NoKey {
        /// Whose.
        member: MemberId,
        /// Which.
        role: Role,
    },
    /// The node has other keys than the one that is needed.
    #[error(
        "this node holds no key {key} of {member} for the role {role}; put its file into the directory of keys, beside the \
         one before"
    )]
    OtherKey {
        /// Whose.
        member: MemberId,
        /// Which.
        role: Role,
        /// The key that the ledger names, or is to name.
        key: PublicKey,
    },
    /// The role does not fit the call.
    #[error("a key of the role {role} does not sign: {purpose}")]
    WrongRole {
        /// As asked.
        role: Role,
        /// What was to be signed.
        purpose: KeyUse,
    },
    /// What the caller shows is not what the node's own ledger says.
    #[error(
        "refused to sign the {purpose}: it names the plan {shown}, this node's own ledger says {derived}"
    )]
    OtherPlan {
        /// What was to be signed.
        purpose: KeyUse,
        /// As asked.
        shown: Digest,
        /// From the node's own ledger.
        derived: Digest,
    },
    /// The node's ledger does not know the proposal.
    #[error("refused to sign: this node's ledger has no proposal {proposal}")]
    UnknownProposal {
        /// Which.
        proposal: ProposalId,
    },
    /// The node's ledger does not know the emergency.
    #[error("refused to sign: this node's ledger has no emergency {emergency}")]
    UnknownEmergency {
        /// Which.
        emergency: EmergencyId,
    },
    /// The ledger would not take the claim of a key.
    #[error("refused to sign for another key")]
    Unclaimable(#[source] Reject),
    /// The declaration is outside its bounds.
    #[error("refused to sign the declaration")]
    Undeclarable(#[source] Reject),
    /// The plan has no such step.
    #[error("refused to sign: the plan of {proposal} has no step {step}")]
    UnknownStep {
        /// Which proposal.
        proposal: ProposalId,
        /// As asked.
        step: u16,
    },
    /// The member may not act on the target.
    #[error("refused to sign: {member} is not an executor of {target}")]
    NotAnExecutor {
        /// Who.
        member: MemberId,
        /// Where.
        target: TargetId,
    },
    /// The ledger gave the step to somebody else, or under another fence.
    #[error(
        "refused to sign a receipt: {member} does not hold step {step} of {proposal} under fence {fence}"
    )]
    NotTheHolder {
        /// Who.
        member: MemberId,
        /// Which proposal.
        proposal: ProposalId,
        /// Which step.
        step: u16,
        /// As asked.
        fence: Fence,
    },
    /// The attested block is not on this node's ledger.
    #[error("refused to attest: block {block} at height {height} is not on this node's ledger")]
    OtherHistory {
        /// Where.
        height: Height,
        /// As asked.
        block: Digest,
    },
    /// The rules refuse the document on this node's own ledger.
    #[error("refused to sign: the document cannot be planned")]
    Unplannable(#[source] Reject),
    /// The use could not be recorded, so nothing was signed.
    #[error("the use of the key could not be recorded, nothing was signed")]
    Journal(#[from] JournalError),
}
