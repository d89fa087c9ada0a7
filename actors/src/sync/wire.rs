//! Owns the request for final blocks and its answer on the wire. Refuses oversized and malformed bytes.

use althing_contracts::{
    block::BLOCK_LEN_MAX,
    canonical::{self, DecodeError},
    quantity::Height,
};
use borsh::{BorshDeserialize, BorshSerialize};
use bytes::Bytes;

use crate::ledger::message::CertifiedBlock;

/// Largest request in bytes.
const SYNC_REQUEST_LEN_MAX: usize = 64;
/// Largest response: one block of the largest size always fits, with its certificate.
pub const SYNC_RESPONSE_LEN_MAX: usize = BLOCK_LEN_MAX + 64 * 1024;
/// Most blocks of a response; small ones are applied in a few milliseconds together.
pub const SYNC_BLOCKS_MAX: usize = 128;
/// Bytes that a block's certificate and lengths may take beside the block itself.
const ENVELOPE_LEN_MAX: usize = 64 * 1024 - 16;

/// Asks for final blocks in order. The variant is the version of the wire format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum SyncRequest {
    /// Version 1.
    V1 {
        /// The first height wanted.
        from: Height,
    },
}

/// Final blocks in order, from the height asked for; none when the peer has none.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum SyncResponse {
    /// Version 1.
    V1 {
        /// Blocks with their certificates.
        blocks: Vec<CertifiedBlock>,
    },
}

impl SyncRequest {
    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        Bytes::from(canonical::encode(self))
    }

    /// Decodes a peer's request.
    ///
    /// # Errors
    /// The bytes are no request.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        canonical::decode(bytes, SYNC_REQUEST_LEN_MAX)
    }

    /// The first height wanted.
    #[must_use]
    pub const fn from(&self) -> Height {
        let Self::V1 { from } = self;
        *from
    }
}

impl SyncResponse {
    /// As many of the blocks as fit into one response.
    #[must_use]
    pub fn fill(blocks: impl Iterator<Item = CertifiedBlock>) -> Self {
        let mut len = 0_usize;
        let fits = |block: &CertifiedBlock| {
            let certificate_len = block.certificate.precommits.len().saturating_mul(98).saturating_add(64);
            let is_first = len == 0 && certificate_len <= ENVELOPE_LEN_MAX;
            len = len.saturating_add(block.block.len()).saturating_add(certificate_len);
            is_first || len <= SYNC_RESPONSE_LEN_MAX
        };
        Self::V1 { blocks: blocks.take(SYNC_BLOCKS_MAX).take_while(fits).collect() }
    }

    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        Bytes::from(canonical::encode(self))
    }

    /// Decodes a peer's response.
    ///
    /// # Errors
    /// The bytes are oversized or no response.
    pub fn decode(bytes: &[u8]) -> Result<Vec<CertifiedBlock>, DecodeError> {
        let Self::V1 { blocks } = canonical::decode(bytes, SYNC_RESPONSE_LEN_MAX)?;
        Ok(blocks)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use althing_contracts::{certificate::Certificate, digest::Digest, quantity::Round};

    use super::*;

    fn block(len: usize) -> CertifiedBlock {
        let certificate = Certificate {
            height: Height::new(1),
            round: Round::ZERO,
            block: Digest::ZERO,
            precommits: BTreeMap::new(),
        };
        CertifiedBlock { block: vec![0; len], certificate }
    }

    #[test]
    fn the_bytes_are_those_of_version_1() {
        assert_eq!(hex::encode(SyncRequest::V1 { from: Height::new(259) }.encode()), "000301000000000000");
        assert_eq!(hex::encode(SyncResponse::V1 { blocks: Vec::new() }.encode()), "0000000000");
    }

    #[test]
    fn a_response_is_bounded_in_blocks_and_bytes_and_holds_at_least_one_block() {
        let SyncResponse::V1 { blocks } = SyncResponse::fill(std::iter::repeat_with(|| block(10)));
        assert_eq!(blocks.len(), SYNC_BLOCKS_MAX);
        let response = SyncResponse::fill(std::iter::repeat_with(|| block(BLOCK_LEN_MAX)));
        let SyncResponse::V1 { blocks } = &response;
        assert_eq!(blocks.len(), 1);
        assert_eq!(SyncResponse::decode(&response.encode()).unwrap().len(), 1);
    }
}
