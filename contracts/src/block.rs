//! Owns blocks: the header that consensus decides on, and the transactions under it.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::{
    canonical::{self, DecodeError},
    digest::{Digest, Purpose, merkle_root},
    quantity::{Height, Round, TimeMs},
    signature::PublicKey,
    transaction::TRANSACTION_LEN_MAX,
};

/// Version of the rules that `apply` follows.
pub const PROTOCOL_VERSION: u16 = 1;
/// Most transactions of a block: at 14 µs a signature this is well under a tenth of a second of work.
pub const BLOCK_TRANSACTIONS_MAX: usize = 4_096;
/// Largest block in bytes; what a direct stream or a sync response has to carry.
pub const BLOCK_LEN_MAX: usize = 2 * 1024 * 1024;

/// What validators sign, by its digest.
#[derive(
    Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, serde::Serialize, serde::Deserialize,
)]
pub struct Header {
    /// Version of the rules in force.
    pub protocol: u16,
    /// The network's identity.
    pub network: Digest,
    /// Position in the ledger, from 1.
    pub height: Height,
    /// Round in which the block was first proposed.
    pub round: Round,
    /// The proposer's clock; above the parent's, and bounded by the validators' clocks.
    pub time: TimeMs,
    /// Digest of the block before; [`Digest::ZERO`] at height 1.
    pub parent: Digest,
    /// Consensus key of the proposer.
    pub proposer: PublicKey,
    /// Merkle root of the transaction ids.
    pub transactions_root: Digest,
    /// Merkle root of the digests of the events that the block causes.
    pub events_root: Digest,
    /// Root of the authenticated state after the block.
    pub state_root: Digest,
    /// Digest of the validators that decide this height.
    pub roster: Digest,
    /// Version of the constitution in force after the block.
    pub constitution: u32,
}

/// A header with its transactions. The variant is the version of the wire and disk format.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Block {
    /// Version 1.
    V1 {
        /// What is decided.
        header: Header,
        /// Canonical transaction bytes in order.
        transactions: Vec<Vec<u8>>,
    },
}

impl Header {
    /// The block's identity.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of_object(Purpose::Header, self)
    }
}

impl Block {
    /// The header.
    #[must_use]
    pub const fn header(&self) -> &Header {
        let Self::V1 { header, .. } = self;
        header
    }

    /// The transactions' bytes in order.
    #[must_use]
    pub fn transactions(&self) -> &[Vec<u8>] {
        let Self::V1 { transactions, .. } = self;
        transactions
    }

    /// The block's identity.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.header().digest()
    }

    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        canonical::encode(self)
    }

    /// Decodes bytes from outside and checks that the transactions belong to the header.
    ///
    /// # Errors
    /// Refuses oversized, malformed and overfull blocks, and transactions that the header does not commit to.
    pub fn decode(bytes: &[u8]) -> Result<Self, BlockError> {
        let block: Self = canonical::decode(bytes, BLOCK_LEN_MAX)?;
        let transactions = block.transactions();
        if transactions.len() > BLOCK_TRANSACTIONS_MAX {
            return Err(BlockError::TooMany { found: transactions.len() });
        }
        if let Some(long) = transactions.iter().find(|bytes| bytes.len() > TRANSACTION_LEN_MAX) {
            return Err(BlockError::Decode(DecodeError::TooLong {
                len: long.len(),
                max: TRANSACTION_LEN_MAX,
            }));
        }
        if transactions_root(transactions) != block.header().transactions_root {
            return Err(BlockError::TransactionsRoot);
        }
        Ok(block)
    }
}

/// The root over transactions in order.
#[must_use]
pub fn transactions_root(transactions: &[Vec<u8>]) -> Digest {
    let ids: Vec<Digest> = transactions.iter().map(|bytes| Digest::of(Purpose::Transaction, bytes)).collect();
    merkle_root(&ids)
}

/// Why block bytes were refused.
#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    /// The bytes are no block.
    #[error("the bytes are not a block")]
    Decode(#[from] DecodeError),
    /// Too many transactions.
    #[error("{found} transactions are too many, at most {BLOCK_TRANSACTIONS_MAX} are allowed")]
    TooMany {
        /// As given.
        found: usize,
    },
    /// The header commits to other transactions.
    #[error("the header does not commit to these transactions")]
    TransactionsRoot,
}
