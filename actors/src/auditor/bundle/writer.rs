//! Owns putting a bundle together: genesis, blocks in order, evidence, trailer. Refuses blocks out of order.

use std::io::{self, Write};

use althing_contracts::{
    block::{Block, BlockError},
    canonical,
    digest::Digest,
    genesis::Genesis,
    name::Line,
    quantity::Height,
    state::StageProof,
};

use super::{
    format::{self, Chain, Kind},
    key_uses::KeyUsePage,
    split_view::SplitViewRecord,
    trailer::Trailer,
};
use crate::{
    auditor::heads::SplitView,
    failpoint,
    journal::JournalError,
    ledger::message::{CertifiedBlock, ReadError},
    signer::{journal::KeyUseRecord, testimony::SignedKeyUses},
};

/// Why a bundle could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The destination failed; what was written so far has no trailer and does not verify.
    #[error("the bundle cannot be written")]
    Io(#[from] io::Error),
    /// The node could not give its history.
    #[error("the ledger's history cannot be read")]
    Read(#[from] ReadError),
    /// The node does not have a block that its view says is final.
    #[error("block {height} cannot be read although it is final; look at the node's log")]
    Missing {
        /// Which.
        height: Height,
    },
    /// The store gave bytes that are no block.
    #[error("the stored block at height {height} is damaged: {source}")]
    Block {
        /// Where.
        height: Height,
        /// What is wrong with it.
        source: BlockError,
    },
    /// A block is missing or comes twice.
    #[error("height {found} was given where {expected} is due; a bundle holds every height once")]
    Height {
        /// As given.
        found: Height,
        /// As needed.
        expected: Height,
    },
    /// The node could not read its own journal of key uses.
    #[error("the journal of key uses cannot be read")]
    KeyUses(#[from] JournalError),
    /// Key uses after a block.
    #[error("key uses were given after block {height}; they belong before the first")]
    Late {
        /// The last block written.
        height: Height,
    },
    /// A record above its bound.
    #[error("{len} bytes are too long for a {kind} record, at most {max} are allowed")]
    TooLong {
        /// Of what.
        kind: Kind,
        /// As given.
        len: usize,
        /// Bytes allowed.
        max: usize,
    },
}

/// Writes one bundle. Wrap a file in a `BufWriter`; only [`Self::finish`] makes the bundle complete.
#[derive(Debug)]
pub struct BundleWriter<W> {
    sink: W,
    chain: Chain,
    trailer: Trailer,
}

impl<W: Write> BundleWriter<W> {
    /// Writes the header and the genesis.
    ///
    /// # Errors
    /// The destination fails, or the genesis is above its bound.
    pub fn begin(mut sink: W, genesis: &Genesis, exporter: Line) -> Result<Self, ExportError> {
        sink.write_all(&format::header())?;
        let trailer = Trailer {
            height: Height::ZERO,
            head: Digest::ZERO,
            state_root: Digest::ZERO,
            records: 0,
            exporter,
        };
        let mut writer = Self { sink, chain: Chain::start(), trailer };
        writer.record(Kind::Genesis, &canonical::encode(genesis))?;
        Ok(writer)
    }

    /// Writes the next block. It is not verified here: the reader trusts no exporter.
    ///
    /// # Errors
    /// The destination fails, the block is damaged or not the next one.
    pub fn block(&mut self, block: &CertifiedBlock) -> Result<(), ExportError> {
        let expected = self.trailer.height.next();
        let header = Block::decode(&block.block)
            .map_err(|source| ExportError::Block { height: expected, source })?
            .header()
            .clone();
        if header.height != expected {
            return Err(ExportError::Height { found: header.height, expected });
        }
        failpoint::reach("bundle.block");
        self.record(Kind::Block, &canonical::encode(block))?;
        self.trailer.height = header.height;
        self.trailer.head = header.digest();
        self.trailer.state_root = header.state_root;
        Ok(())
    }

    /// Writes what a node states of its keys, before the first block; its uses follow.
    ///
    /// # Errors
    /// The destination fails, or a block was written.
    pub fn key_use_statement(&mut self, signed: &SignedKeyUses) -> Result<(), ExportError> {
        self.before_blocks()?;
        self.record(Kind::KeyUseStatement, &canonical::encode(signed))
    }

    /// Writes some uses of the node that stated last, at most
    /// [`KEY_USES_PER_RECORD_MAX`](super::KEY_USES_PER_RECORD_MAX) of them.
    ///
    /// # Errors
    /// The destination fails, a block was written, or they are too many.
    pub fn key_uses(&mut self, uses: Vec<KeyUseRecord>) -> Result<(), ExportError> {
        self.before_blocks()?;
        self.record(Kind::KeyUses, &canonical::encode(&KeyUsePage::V1(uses)))
    }

    fn before_blocks(&self) -> Result<(), ExportError> {
        let height = self.trailer.height;
        if height > Height::ZERO { Err(ExportError::Late { height }) } else { Ok(()) }
    }

    /// Writes two certificates of one height; no block may follow.
    ///
    /// # Errors
    /// The destination fails.
    pub fn split_view(&mut self, split: &SplitView) -> Result<(), ExportError> {
        self.record(Kind::SplitView, &canonical::encode(&SplitViewRecord::V1(split.clone())))
    }

    /// Writes the evidence behind a receipt: the exact bytes that the receipt's digest is of.
    ///
    /// # Errors
    /// The destination fails, or the evidence is above its bound.
    pub fn evidence(&mut self, evidence: &[u8]) -> Result<(), ExportError> {
        self.record(Kind::Evidence, evidence)
    }

    /// Writes where a proposal stands under the last block's state root; no block may follow.
    ///
    /// # Errors
    /// The destination fails.
    pub fn stage_proof(&mut self, proof: &StageProof) -> Result<(), ExportError> {
        self.record(Kind::StageProof, &proof.encode())
    }

    /// The height of the last block written.
    #[must_use]
    pub const fn height(&self) -> Height {
        self.trailer.height
    }

    /// Access to the destination, to drain a buffer while streaming.
    pub const fn sink_mut(&mut self) -> &mut W {
        &mut self.sink
    }

    /// Writes the trailer, flushes, and gives the destination back with what the bundle holds.
    ///
    /// # Errors
    /// The destination fails.
    pub fn finish(mut self) -> Result<(W, Trailer), ExportError> {
        let trailer = self.trailer.clone();
        failpoint::reach("bundle.finish");
        self.record(Kind::Trailer, &canonical::encode(&trailer))?;
        self.sink.flush()?;
        Ok((self.sink, trailer))
    }

    fn record(&mut self, kind: Kind, payload: &[u8]) -> Result<(), ExportError> {
        let too_long = || ExportError::TooLong { kind, len: payload.len(), max: kind.len_max() };
        if payload.len() > kind.len_max() {
            return Err(too_long());
        }
        let len = u32::try_from(payload.len()).map_err(|_| too_long())?;
        let head = format::frame_head(kind.tag(), len);
        self.sink.write_all(&head)?;
        self.sink.write_all(payload)?;
        self.sink.write_all(self.chain.push(head, payload).as_bytes())?;
        self.trailer.records += 1;
        Ok(())
    }
}
