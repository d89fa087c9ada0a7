//! Owns following blocks that others decided: asks for them, checks every certificate and every transaction in one
//! batch, executes every block, and serves this node's own.

use althing_contracts::{
    block::Block,
    digest::{Digest, Purpose},
    signature::Signed,
    transaction::{UnverifiedTransaction, VerifiedTransaction},
};
use bytes::Bytes;

use super::{Fatal, LedgerOutput, LedgerState, Misbehaviour};
use crate::{
    ledger::{consensus::proposer, log::disk::Disk, message::CertifiedBlock},
    port::NodeId,
    signatures::are_valid,
    sync::{SyncRequest, SyncResponse, Wanted},
};

impl<D: Disk> LedgerState<D> {
    /// Asks for blocks if this node is behind.
    pub(super) fn poll_sync(&mut self) {
        let head = self.height();
        if let Some(Wanted { id, peer, from }) = self.sync.poll(self.now.monotonic_us, head) {
            let request = SyncRequest::V1 { from }.encode();
            self.outputs.push(LedgerOutput::RequestBlocks { id, to: peer, request });
        }
    }

    /// The answer to a node that asks for blocks; `None` when the bytes are no request.
    #[must_use]
    pub fn serve(&self, request: &[u8]) -> Option<Bytes> {
        let request = SyncRequest::decode(request).ok()?;
        Some(SyncResponse::fill(self.certified_blocks(request.from())).encode())
    }

    pub(super) fn on_blocks(&mut self, id: u64, from: NodeId, response: Option<Bytes>) -> Result<(), Fatal> {
        if !self.sync.answered(id) {
            return Ok(());
        }
        let now_us = self.now.monotonic_us;
        let blocks = response.map(|bytes| SyncResponse::decode(&bytes));
        let Some(Ok(blocks)) = blocks else {
            if blocks.is_some() {
                self.blame(from, Misbehaviour::Malformed);
            }
            self.sync.failed(&from, now_us);
            return Ok(());
        };
        if blocks.is_empty() {
            self.sync.failed(&from, now_us);
        }
        for block in blocks {
            if !self.follow(block)? {
                self.blame(from, Misbehaviour::InvalidHistory);
                self.sync.failed(&from, now_us);
                break;
            }
        }
        Ok(())
    }

    /// Takes one block that others decided; `false` when it proves nothing.
    fn follow(&mut self, certified: CertifiedBlock) -> Result<bool, Fatal> {
        let CertifiedBlock { block: bytes, certificate } = certified;
        let next = self.height().next();
        if certificate.height < next {
            // Consensus was faster.
            return Ok(true);
        }
        let Ok(block) = Block::decode(&bytes) else { return Ok(false) };
        let header = block.header();
        let is_next = header.height == next && header.parent == self.head.digest;
        let is_certified = certificate.height == next && certificate.block == block.digest();
        let has_turn = proposer(&self.roster, header.height, header.round) == Some(header.proposer);
        if !(is_next && is_certified && has_turn) || certificate.verify_shape(&self.roster).is_err() {
            return Ok(false);
        }
        let precommits = certificate.signed(self.network).collect();
        let Some(transactions) = self.verify(block.transactions(), precommits) else { return Ok(false) };
        if self.candidates.get(&certificate.block).is_none() {
            let Some(executed) = self.execute(header, &transactions) else { return Ok(false) };
            self.file_candidate(&Bytes::from(bytes), executed)?;
        }
        if let Some(driver) = &mut self.driver {
            driver.abandon();
        }
        self.acts.clear();
        self.on_decided(certificate)?;
        Ok(true)
    }

    /// The transactions of a block as verified ones, in one batch with `others`. Those that wait here were verified
    /// when they came. `None` when one cannot be read or any signature is not valid.
    pub(super) fn verify(
        &self,
        transactions: &[Vec<u8>],
        others: Vec<Signed>,
    ) -> Option<Vec<VerifiedTransaction>> {
        let mut signed = others;
        let verified: Vec<VerifiedTransaction> = transactions
            .iter()
            .map(|bytes| {
                let id = Digest::of(Purpose::Transaction, bytes);
                if let Some(waiting) = self.mempool.get(&id) {
                    return Some(waiting.verified.clone());
                }
                let unverified = UnverifiedTransaction::decode(bytes, self.network).ok()?;
                signed.push(unverified.signed());
                // Handed out only after the batch below was found valid.
                Some(unverified.assume_verified())
            })
            .collect::<Option<_>>()?;
        are_valid(&signed).then_some(verified)
    }
}
