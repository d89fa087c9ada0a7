//! Owns what ledger nodes send each other: consensus messages, blocks, transactions and heads, as versioned borsh.
//! Refuses oversized bytes, unknown versions and rounds that no honest mesh reaches.

use althing_contracts::{
    block::BLOCK_LEN_MAX,
    canonical::{self, DecodeError},
    certificate::{Certificate, ProposalStatement, VoteKind, VoteStatement},
    digest::Digest,
    quantity::{Height, Round},
    signature::{PublicKey, Signature, Signed},
};
use borsh::{BorshDeserialize, BorshSerialize};
use bytes::Bytes;

/// Largest message: a block and its envelope.
pub const MESSAGE_LEN_MAX: usize = BLOCK_LEN_MAX + 4 * 1024;
/// Highest round that is read: at a millisecond a round it takes twelve days in one height, and the successor of
/// every round that is read exists.
pub const ROUND_MAX: Round = Round::new(1 << 30);
/// Most signatures in a certificate: two votes for each of the most organisations of a genesis.
pub const CERTIFICATE_SIGNATURES_MAX: usize = 2 * althing_contracts::genesis::ORGANISATIONS_MAX;
/// Most transactions in one message.
pub const TRANSACTIONS_PER_MESSAGE_MAX: usize = 1_024;

/// A message between ledger nodes. The variant is the version of the wire format.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum LedgerMessage {
    /// Version 1.
    V1(Message),
}

/// What a message says. Tags are part of the wire format; a retired one is never reused.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Message {
    /// A validator's vote.
    Vote(SignedVote),
    /// A proposer's proposal; its block travels in [`Self::Block`].
    Proposal(SignedProposal),
    /// More than two thirds prevoted one block.
    PolkaCertificate(PolkaCertificate),
    /// Enough validators are in a round, or through with it.
    RoundCertificate(RoundCertificate),
    /// The bytes of a proposed block.
    Block(BlockMessage),
    /// Transactions on their way to a proposer, in their senders' order.
    Transactions(Vec<Vec<u8>>),
    /// The sender's last final block.
    Status(Status),
    /// A height is decided: sent to a validator that still works on it, and gossiped as a head.
    Decided(Certificate),
}

/// A vote with its signature.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedVote {
    /// What is signed.
    pub statement: VoteStatement,
    /// The voter's consensus key.
    pub voter: PublicKey,
    /// Over the statement.
    pub signature: Signature,
}

/// A proposal with its signature.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct SignedProposal {
    /// What is signed.
    pub statement: ProposalStatement,
    /// The proposer's consensus key.
    pub proposer: PublicKey,
    /// Over the statement.
    pub signature: Signature,
}

/// Prevotes of more than two thirds for one block.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct PolkaCertificate {
    /// Of all the prevotes.
    pub height: Height,
    /// Of all the prevotes.
    pub round: Round,
    /// The block.
    pub block: Digest,
    /// The prevotes, by voter.
    pub prevotes: Vec<(PublicKey, Signature)>,
}

/// Votes that justify entering a round.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct RoundCertificate {
    /// Of all the votes.
    pub height: Height,
    /// Of all the votes.
    pub round: Round,
    /// What the votes justify.
    pub kind: RoundCertificateKind,
    /// The votes.
    pub votes: Vec<RoundVote>,
}

/// What a round certificate justifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum RoundCertificateKind {
    /// More than a third are in the round: enter it.
    Skip,
    /// More than two thirds precommitted in it: enter the next.
    Precommit,
}

/// A vote in a round certificate.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct RoundVote {
    /// Prevote or precommit.
    pub kind: VoteKind,
    /// The block, or `None` for nil.
    pub block: Option<Digest>,
    /// The voter's consensus key.
    pub voter: PublicKey,
    /// Over the vote's statement.
    pub signature: Signature,
}

/// The bytes of a block that is proposed in a round.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct BlockMessage {
    /// The block's height.
    pub height: Height,
    /// The round it is proposed in; a block that is proposed again keeps the round in its header.
    pub round: Round,
    /// Canonical bytes of the block.
    pub bytes: Vec<u8>,
}

/// Where a node stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Status {
    /// Height of the sender's last final block; 0 at genesis.
    pub height: Height,
    /// That block's digest.
    pub block: Digest,
}

/// Why a message from a peer was not taken.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// No message.
    #[error("the bytes are no ledger message")]
    Decode(#[from] DecodeError),
    /// Out of all proportion.
    #[error("round {found} is above {ROUND_MAX}, the highest that is read")]
    Round {
        /// As sent.
        found: Round,
    },
    /// More signatures or transactions than any honest node sends.
    #[error("{found} {what} are more than the {max} of a message")]
    TooMany {
        /// Of what.
        what: &'static str,
        /// As sent.
        found: usize,
        /// The most.
        max: usize,
    },
}

impl LedgerMessage {
    /// The canonical bytes.
    #[must_use]
    pub fn encode(message: Message) -> Bytes {
        Bytes::from(canonical::encode(&Self::V1(message)))
    }

    /// Decodes bytes from a peer.
    ///
    /// # Errors
    /// Refuses anything malformed or out of bounds.
    pub fn decode(bytes: &[u8]) -> Result<Message, MessageError> {
        let Self::V1(message) = canonical::decode(bytes, MESSAGE_LEN_MAX)?;
        message.check_bounds()?;
        Ok(message)
    }
}

impl Message {
    /// The height that a consensus message belongs to; `None` for the others.
    #[must_use]
    pub const fn height(&self) -> Option<Height> {
        match self {
            Self::Vote(vote) => Some(vote.statement.height),
            Self::Proposal(proposal) => Some(proposal.statement.height),
            Self::PolkaCertificate(certificate) => Some(certificate.height),
            Self::RoundCertificate(certificate) => Some(certificate.height),
            Self::Block(block) => Some(block.height),
            Self::Transactions(_) | Self::Status(_) | Self::Decided(_) => None,
        }
    }

    /// Whether it is a statement of its sender, or rests on one, that the sender must not forget once it is sent.
    #[must_use]
    pub const fn is_binding(&self) -> bool {
        match self {
            Self::Vote(_)
            | Self::Proposal(_)
            | Self::PolkaCertificate(_)
            | Self::RoundCertificate(_)
            | Self::Block(_) => true,
            Self::Transactions(_) | Self::Status(_) | Self::Decided(_) => false,
        }
    }

    fn check_bounds(&self) -> Result<(), MessageError> {
        let round = match self {
            Self::Vote(vote) => vote.statement.round,
            Self::Proposal(proposal) => {
                proposal.statement.round.max(proposal.statement.polka_round.unwrap_or_default())
            }
            Self::PolkaCertificate(certificate) => certificate.round,
            Self::RoundCertificate(certificate) => certificate.round,
            Self::Block(block) => block.round,
            Self::Decided(certificate) => certificate.round,
            Self::Transactions(_) | Self::Status(_) => Round::ZERO,
        };
        if round > ROUND_MAX {
            return Err(MessageError::Round { found: round });
        }
        match self {
            Self::PolkaCertificate(certificate) => {
                check_count("signatures", certificate.prevotes.len(), CERTIFICATE_SIGNATURES_MAX)
            }
            Self::RoundCertificate(certificate) => {
                check_count("signatures", certificate.votes.len(), CERTIFICATE_SIGNATURES_MAX)
            }
            Self::Decided(certificate) => {
                check_count("signatures", certificate.precommits.len(), CERTIFICATE_SIGNATURES_MAX)
            }
            Self::Transactions(transactions) => {
                check_count("transactions", transactions.len(), TRANSACTIONS_PER_MESSAGE_MAX)
            }
            Self::Vote(_) | Self::Proposal(_) | Self::Block(_) | Self::Status(_) => Ok(()),
        }
    }
}

fn check_count(what: &'static str, found: usize, max: usize) -> Result<(), MessageError> {
    if found > max { Err(MessageError::TooMany { what, found, max }) } else { Ok(()) }
}

impl SignedVote {
    /// What has to be checked in `network`.
    #[must_use]
    pub fn signed(&self, network: Digest) -> Signed {
        Signed {
            key: self.voter,
            message: self.statement.signing_message(network),
            signature: self.signature,
        }
    }
}

impl SignedProposal {
    /// What has to be checked in `network`.
    #[must_use]
    pub fn signed(&self, network: Digest) -> Signed {
        Signed {
            key: self.proposer,
            message: self.statement.signing_message(network),
            signature: self.signature,
        }
    }
}

impl PolkaCertificate {
    /// The prevotes one by one.
    pub fn votes(&self) -> impl Iterator<Item = SignedVote> + '_ {
        self.prevotes.iter().map(|(voter, signature)| SignedVote {
            statement: VoteStatement {
                kind: VoteKind::Prevote,
                height: self.height,
                round: self.round,
                block: Some(self.block),
            },
            voter: *voter,
            signature: *signature,
        })
    }
}

impl RoundCertificate {
    /// The votes one by one.
    pub fn signed_votes(&self) -> impl Iterator<Item = SignedVote> + '_ {
        self.votes.iter().map(|vote| SignedVote {
            statement: VoteStatement {
                kind: vote.kind,
                height: self.height,
                round: self.round,
                block: vote.block,
            },
            voter: vote.voter,
            signature: vote.signature,
        })
    }
}

#[cfg(test)]
mod tests;
