//! Owns the blocks that may become final at the next height: which ones a signed proposal names, which arrived,
//! and what executing them gave. Refuses blocks that nobody with the turn to propose has named.

use std::collections::{BTreeMap, BTreeSet};

use althing_contracts::{
    block::Block, digest::Digest, ledger::Executed, quantity::Round, signature::PublicKey,
};
use bytes::Bytes;

use crate::{ledger::log::record::RecordPosition, port::NodeId};

/// Most digests remembered as proposed: two for each of a hundred rounds.
const PROPOSED_MAX: usize = 256;
/// Most bytes of blocks that came before their proposals.
const EARLY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A block that was received or built, and executed.
#[derive(Debug)]
pub(super) struct Candidate {
    /// Canonical bytes.
    pub(super) bytes: Bytes,
    /// Where the log has them.
    pub(super) position: RecordPosition,
    /// Round of its header.
    pub(super) round: Round,
    /// Proposer of its header.
    pub(super) proposer: PublicKey,
    /// What it causes.
    pub(super) executed: Executed,
}

/// A block that came before a proposal that names it.
#[derive(Debug)]
pub(super) struct EarlyBlock {
    pub(super) from: NodeId,
    pub(super) round: Round,
    pub(super) block: Block,
    pub(super) bytes: Bytes,
}

/// Blocks of the next height.
#[derive(Debug, Default)]
pub(super) struct Candidates {
    executed: BTreeMap<Digest, Candidate>,
    refused: BTreeSet<Digest>,
    proposed: BTreeSet<Digest>,
    early: BTreeMap<NodeId, EarlyBlock>,
    early_bytes: usize,
}

impl Candidates {
    /// A validator with the turn to propose, or a quorum, named a block. Yields the block if it came before.
    pub(super) fn name(&mut self, block: Digest) -> Option<EarlyBlock> {
        if self.proposed.len() < PROPOSED_MAX {
            self.proposed.insert(block);
        }
        let from = self.early.values().find(|early| early.block.digest() == block)?.from;
        self.take_early(&from)
    }

    /// Whether a block was named.
    pub(super) fn is_named(&self, block: &Digest) -> bool {
        self.proposed.contains(block)
    }

    /// Keeps a block until a proposal names it; the last one of each sender.
    pub(super) fn keep_early(&mut self, early: EarlyBlock) {
        self.take_early(&early.from);
        let len = self.early_bytes.saturating_add(early.bytes.len());
        if len <= EARLY_BYTES_MAX {
            self.early_bytes = len;
            self.early.insert(early.from, early);
        }
    }

    /// Keeps a block that was executed.
    pub(super) fn insert(&mut self, digest: Digest, candidate: Candidate) {
        self.executed.insert(digest, candidate);
    }

    /// Remembers a block as one that breaks the rules.
    pub(super) fn refuse(&mut self, digest: Digest) {
        if self.refused.len() < PROPOSED_MAX {
            self.refused.insert(digest);
        }
    }

    /// Whether a block was judged before, either way.
    pub(super) fn is_judged(&self, digest: &Digest) -> bool {
        self.executed.contains_key(digest) || self.refused.contains(digest)
    }

    /// A block that was executed.
    pub(super) fn get(&self, digest: &Digest) -> Option<&Candidate> {
        self.executed.get(digest)
    }

    /// Takes the block that became final.
    pub(super) fn take(&mut self, digest: &Digest) -> Option<Candidate> {
        self.executed.remove(digest)
    }

    /// The block that a proposer made for a round.
    pub(super) fn made_by(&self, proposer: PublicKey, round: Round) -> Option<Digest> {
        let made = |candidate: &Candidate| candidate.proposer == proposer && candidate.round == round;
        self.executed.iter().find(|(_, candidate)| made(candidate)).map(|(digest, _)| *digest)
    }

    /// Forgets everything; another height begins.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    fn take_early(&mut self, from: &NodeId) -> Option<EarlyBlock> {
        let early = self.early.remove(from)?;
        self.early_bytes = self.early_bytes.saturating_sub(early.bytes.len());
        Some(early)
    }
}
