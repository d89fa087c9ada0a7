//! Owns the consensus entries of the log: the inputs that a validator must replay after a crash so that it never
//! contradicts what it signed. Refuses everything that replay would rebuild anyway.

use althing_contracts::{
    canonical::{self, DecodeError},
    digest::Digest,
    quantity::{Height, Round},
    signature::PublicKey,
};
use borsh::{BorshDeserialize, BorshSerialize};

use crate::ledger::wire::{
    CERTIFICATE_SIGNATURES_MAX, PolkaCertificate, ROUND_MAX, SignedProposal, SignedVote,
};

/// Largest entry: a polka certificate of the largest roster.
pub const ENTRY_LEN_MAX: usize = 256 + CERTIFICATE_SIGNATURES_MAX * 128;

/// An input of the consensus core as it is logged. The variant is the version of the disk format.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum ConsensusEntry {
    /// Version 1.
    V1 {
        /// The height that the input belongs to.
        height: Height,
        /// The input.
        input: LoggedInput,
    },
}

/// A logged input. Tags are part of the disk format; a retired one is never reused.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum LoggedInput {
    /// A vote, own or received.
    Vote(SignedVote),
    /// A proposal, own or received.
    Proposal(SignedProposal),
    /// A step took too long.
    Timeout {
        /// Which step.
        step: Step,
        /// In which round.
        round: Round,
    },
    /// A block was received or built, and judged.
    Judged(JudgedBlock),
    /// More than two thirds prevoted one block.
    PolkaCertificate(PolkaCertificate),
}

/// A step of a round that has a time limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Step {
    /// Waiting for a proposal.
    Propose,
    /// Waiting for prevotes.
    Prevote,
    /// Waiting for precommits.
    Precommit,
}

/// A block with this node's verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct JudgedBlock {
    /// The block's height.
    pub height: Height,
    /// The round that it was proposed in.
    pub round: Round,
    /// Who proposed it then.
    pub proposer: PublicKey,
    /// The block.
    pub block: Digest,
    /// Whether the rules allow it.
    pub valid: bool,
}

/// Why a logged entry cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// No entry, or one of a newer version.
    #[error("the record is no consensus entry of a version that this build reads")]
    Decode(#[from] DecodeError),
    /// The entry holds a round that was never written.
    #[error("the record names round {found}, above the highest that is written, {ROUND_MAX}")]
    Round {
        /// As read.
        found: Round,
    },
}

impl ConsensusEntry {
    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        canonical::encode(self)
    }

    /// The height that the entry belongs to.
    #[must_use]
    pub const fn height(&self) -> Height {
        let Self::V1 { height, .. } = self;
        *height
    }

    /// Decodes a record of the log.
    ///
    /// # Errors
    /// Refuses other versions and rounds that are never written.
    pub fn decode(bytes: &[u8]) -> Result<Self, EntryError> {
        let entry: Self = canonical::decode(bytes, ENTRY_LEN_MAX)?;
        let Self::V1 { input, .. } = &entry;
        let round = input.round();
        if round > ROUND_MAX { Err(EntryError::Round { found: round }) } else { Ok(entry) }
    }
}

impl LoggedInput {
    /// Who signed the input, if it is signed by one.
    #[must_use]
    pub const fn author(&self) -> Option<PublicKey> {
        match self {
            Self::Vote(vote) => Some(vote.voter),
            Self::Proposal(proposal) => Some(proposal.proposer),
            Self::Timeout { .. } | Self::Judged(_) | Self::PolkaCertificate(_) => None,
        }
    }

    /// The round that the input belongs to.
    #[must_use]
    pub const fn round(&self) -> Round {
        match self {
            Self::Vote(vote) => vote.statement.round,
            Self::Proposal(proposal) => proposal.statement.round,
            Self::Timeout { round, .. } => *round,
            Self::Judged(judged) => judged.round,
            Self::PolkaCertificate(certificate) => certificate.round,
        }
    }
}

#[cfg(test)]
mod tests;
