//! Owns the small bindings between actors: each actor sees its own narrow port, all of them are this node.

use althing_actors::{
    auditor::port::{AttestError, Attester, History},
    ledger::{
        LedgerHandle,
        message::{CertifiedBlock, Final, LedgerFeed, ReadError, SubmitError},
    },
    port::LedgerPort,
    signer::submitter::{ActError, Submitter},
};
use althing_contracts::{name::MemberId, quantity::Height, role::Role, transaction::Call};
use async_trait::async_trait;

/// The node's ledger as other actors see it.
#[derive(Clone)]
pub(super) struct BoundLedger(pub(super) LedgerHandle);

#[async_trait]
impl LedgerPort for BoundLedger {
    async fn submit(&self, transaction: Vec<u8>) -> Result<Final, SubmitError> {
        self.0.submit(transaction).await
    }

    fn feed(&self) -> LedgerFeed {
        self.0.feed()
    }
}

#[async_trait]
impl History for BoundLedger {
    async fn read_blocks(&self, from: Height, limit: usize) -> Result<Vec<CertifiedBlock>, ReadError> {
        self.0.read_blocks(from, limit).await
    }
}

/// An auditor's only pen.
pub(super) struct BoundAttester {
    pub(super) member: MemberId,
    pub(super) submitter: Submitter,
}

#[async_trait]
impl Attester for BoundAttester {
    async fn attest(&self, call: Call) -> Result<Height, AttestError> {
        match self.submitter.act(&self.member, Role::Auditor, call).await {
            Ok(done) => Ok(done.height),
            Err(ActError::Unknown { .. } | ActError::Ledger(SubmitError::Unknown)) => {
                Err(AttestError::Unknown)
            }
            Err(refused) => Err(AttestError::Refused(Box::new(refused))),
        }
    }
}
