//! Owns following blocks that others decided: asks for them, checks the certificates and transactions of many blocks in
//! one batch, executes every block, and serves this node's own.

use althing_contracts::{
    block::{Block, Header},
    certificate::Certificate,
    digest::{Digest, Purpose},
    signature::Signed,
    transaction::{UnverifiedTransaction, VerifiedTransaction},
};
use bytes::Bytes;

use super::{Fatal, LedgerOutput, LedgerState, Misbehaviour};
use crate::{
    disk::Disk,
    ledger::{consensus::proposer, message::CertifiedBlock},
    port::NodeId,
    signatures::are_valid,
    sync::{SyncRequest, SyncResponse, Wanted},
};

/// Signatures of a batch over several blocks, unless one block has more: a batch gains little beyond, but for the keys
/// that sign in several blocks and are prepared once for all of them.
const SIGNATURES_PER_BATCH: usize = 8_192;

/// A block of another node whose signatures are to be checked.
struct Fetched {
    bytes: Bytes,
    header: Header,
    digest: Digest,
    certificate: Certificate,
    transactions: Vec<VerifiedTransaction>,
    signed: Vec<Signed>,
}

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
        if !self.follow_all(blocks)? {
            self.blame(from, Misbehaviour::InvalidHistory);
            self.sync.failed(&from, now_us);
        }
        Ok(())
    }

    /// Takes blocks that others decided, in order; `false` when one proves nothing.
    fn follow_all(&mut self, blocks: Vec<CertifiedBlock>) -> Result<bool, Fatal> {
        let mut blocks = blocks.into_iter();
        while !blocks.as_slice().is_empty() {
            let roster = self.roster().digest();
            let mut read = Vec::new();
            let mut signatures = 0_usize;
            let mut are_all_read = true;
            let mut is_same_roster = true;
            while signatures < SIGNATURES_PER_BATCH
                && is_same_roster
                && let Some(block) = blocks.next()
            {
                let Some(fetched) = self.read_fetched(block) else {
                    are_all_read = false;
                    break;
                };
                signatures = signatures.saturating_add(fetched.signed.len());
                // What comes after it is decided by others, whom this node knows when it has followed so far.
                is_same_roster = fetched.header.roster == roster;
                read.push(fetched);
            }
            let signed: Vec<Signed> = read.iter().flat_map(|fetched| &fetched.signed).copied().collect();
            let are_all_valid = are_valid(&signed);
            for fetched in read {
                if !((are_all_valid || are_valid(&fetched.signed)) && self.follow(fetched)?) {
                    return Ok(false);
                }
            }
            if !are_all_read {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Reads a block whose certificate is of this roster; its signatures are still to be checked.
    fn read_fetched(&self, certified: CertifiedBlock) -> Option<Fetched> {
        let CertifiedBlock { block: bytes, certificate } = certified;
        let block = Block::decode(&bytes).ok()?;
        certificate.verify_shape(self.roster()).ok()?;
        let mut signed = certificate.signed(self.network).collect();
        let transactions = self.read_transactions(block.transactions(), &mut signed)?;
        let (header, digest) = (block.header().clone(), block.digest());
        Some(Fetched { bytes: Bytes::from(bytes), header, digest, certificate, transactions, signed })
    }

    /// Takes one block whose signatures are valid; `false` when it proves nothing.
    fn follow(&mut self, fetched: Fetched) -> Result<bool, Fatal> {
        let Fetched { bytes, header, digest, certificate, transactions, .. } = fetched;
        let next = self.height().next();
        if certificate.height < next {
            // Consensus was faster.
            return Ok(true);
        }
        let is_next = header.height == next && header.parent == self.head.digest;
        let is_certified = certificate.height == next && certificate.block == digest;
        let has_turn = proposer(self.roster(), header.height, header.round) == Some(header.proposer);
        if !(is_next && is_certified && has_turn) {
            return Ok(false);
        }
        if self.candidates.get(&certificate.block).is_none() {
            let Some(executed) = self.execute(&header, &transactions) else { return Ok(false) };
            self.file_candidate(&bytes, executed)?;
        }
        if let Some(driver) = &mut self.driver {
            driver.abandon();
        }
        self.acts.clear();
        self.on_decided(certificate)?;
        Ok(true)
    }

    /// The transactions of a block as verified ones. `None` when one cannot be read or any signature is not valid.
    pub(super) fn verify(&self, transactions: &[Vec<u8>]) -> Option<Vec<VerifiedTransaction>> {
        let mut signed = Vec::new();
        let verified = self.read_transactions(transactions, &mut signed)?;
        are_valid(&signed).then_some(verified)
    }

    /// The transactions of a block; the caller may use them once everything that this adds to `signed` was found valid.
    /// Those that wait here were verified when they came. `None` when one cannot be read.
    fn read_transactions(
        &self,
        transactions: &[Vec<u8>],
        signed: &mut Vec<Signed>,
    ) -> Option<Vec<VerifiedTransaction>> {
        transactions
            .iter()
            .map(|bytes| {
                let id = Digest::of(Purpose::Transaction, bytes);
                if let Some(waiting) = self.mempool.get(&id) {
                    return Some(waiting.verified.clone());
                }
                let unverified = UnverifiedTransaction::decode(bytes, self.network).ok()?;
                signed.push(unverified.signed());
                Some(unverified.assume_verified())
            })
            .collect()
    }
}
