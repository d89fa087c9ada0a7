//! Owns what the auditor needs from its node: history to read, and a way to attest. It is given nothing else.

use actix::{Actor, Handler, dev::ToEnvelope};
use althing_contracts::{name::MemberId, quantity::Height, role::Role, transaction::Call};
use async_trait::async_trait;

use crate::{
    ledger::message::{CertifiedBlock, ReadBlocks, ReadError},
    signer::submitter::{ActError, Submitter},
    watcher::Watched,
};

/// The node's final blocks.
#[async_trait]
pub trait History: Send + Sync + 'static {
    /// Reads at most `limit` final blocks from `from` on, in order; fewer at the end of the ledger.
    ///
    /// # Errors
    /// The store fails, or does not keep the range.
    async fn read_blocks(&self, from: Height, limit: usize) -> Result<Vec<CertifiedBlock>, ReadError>;
}

/// Signs and submits an auditor's attestations.
#[async_trait]
pub trait Attester: Send + Sync + 'static {
    /// Submits an attestation and says at which height it is final.
    ///
    /// # Errors
    /// See [`AttestError`]; the caller looks at the ledger before it tries again.
    async fn attest(&self, call: Call) -> Result<Height, AttestError>;
}

/// Why an attestation has no final answer. The ledger takes one of each auditor, so trying again is safe.
#[derive(Debug, thiserror::Error)]
pub enum AttestError {
    /// The rules, the signer or the node said no.
    #[error("the attestation was refused")]
    Refused(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// It may still become final.
    #[error("the attestation is not final yet, it may still become final")]
    Unknown,
}

/// The ledger's actor, in whichever of its lives, is where history is read.
#[async_trait]
impl<A> History for Watched<A>
where
    A: Actor + Handler<ReadBlocks>,
    A::Context: ToEnvelope<A, ReadBlocks>,
{
    async fn read_blocks(&self, from: Height, limit: usize) -> Result<Vec<CertifiedBlock>, ReadError> {
        let answer = self.send(ReadBlocks { from, limit }).await;
        answer.unwrap_or_else(|unavailable| Err(ReadError::Store(std::io::Error::other(unavailable))))
    }
}

/// A member's auditor key, used through the node's submitter.
#[derive(Debug, Clone)]
pub struct MemberAttester {
    /// Who attests.
    pub member: MemberId,
    /// Signs and submits.
    pub submitter: Submitter,
}

#[async_trait]
impl Attester for MemberAttester {
    async fn attest(&self, call: Call) -> Result<Height, AttestError> {
        match self.submitter.act(&self.member, Role::Auditor, call).await {
            Ok(attested) => Ok(attested.height),
            Err(ActError::Unknown { .. }) => Err(AttestError::Unknown),
            Err(error) => Err(AttestError::Refused(Box::new(error))),
        }
    }
}
