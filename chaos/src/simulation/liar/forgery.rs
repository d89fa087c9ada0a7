//! Owns the block that a liar shows where its honest self proposes one: as valid as its own, or wrong in one way.

use std::collections::BTreeSet;

use althing_actors::{
    disk::sim::SimDisk,
    ledger::{
        consensus::ConsensusKey,
        state::LedgerState,
        wire::{BlockMessage, LedgerMessage, Message, SignedProposal},
    },
};
use althing_contracts::{
    block::Block,
    certificate::ProposalStatement,
    digest::Digest,
    ledger::{self, BlockContext},
    quantity::{DurationMs, Height, Round},
};
use bytes::Bytes;

use crate::{lie::Lie, simulation::event::NodeIndex};

/// How far ahead a time is that no clock shows.
const FAR_AHEAD: DurationMs = DurationMs::from_hours(1);

/// A proposal with its block.
pub(super) struct Forgery {
    proposal: SignedProposal,
    bytes: Vec<u8>,
    /// Who was told of it.
    told: BTreeSet<NodeIndex>,
}

impl Forgery {
    /// Whether a lie is about blocks.
    pub(super) const fn is_made_by(lie: Lie) -> bool {
        matches!(lie, Lie::TwoBlocks | Lie::WrongRoot | Lie::FarAhead | Lie::Censor)
    }

    /// An empty block as early as the rules allow, but for what is wrong with it. Only for a new block of the height that
    /// comes next, and only where it differs from the honest one.
    pub(super) fn make(
        lie: Lie,
        key: &ConsensusKey,
        network: Digest,
        ledger: &LedgerState<SimDisk>,
        proposal: &SignedProposal,
    ) -> Option<Self> {
        let ProposalStatement { height, round, polka_round, block } = proposal.statement;
        let (state, proposer) = (ledger.state(), key.public());
        if proposal.proposer != proposer || polka_round.is_some() || state.height().next() != height {
            return None;
        }
        let earliest = state.time().next();
        let time = if lie == Lie::FarAhead { earliest.after(FAR_AHEAD) } else { earliest };
        let context = BlockContext { height, round, time, parent: ledger.digest(), proposer };
        let mut header = ledger::build(state, context, &[]).header;
        if lie == Lie::WrongRoot {
            header.state_root = Digest::from_bytes([0x66; 32]);
        }
        let forged = Block::V1 { header, transactions: Vec::new() };
        let statement = ProposalStatement { height, round, block: forged.digest(), polka_round: None };
        let proposal = key.sign_proposal(statement, network);
        (forged.digest() != block).then(|| Self { proposal, bytes: forged.encode(), told: BTreeSet::new() })
    }

    /// Whether it is of a height and round.
    pub(super) fn is_of(&self, round: (Height, Round)) -> bool {
        (self.proposal.statement.height, self.proposal.statement.round) == round
    }

    /// Whether a node was told of it, and so has to be shown its block.
    pub(super) fn is_told(&self, to: NodeIndex) -> bool {
        self.told.contains(&to)
    }

    /// The proposal, for a node that is told of it from now on.
    pub(super) fn proposal_for(&mut self, to: NodeIndex) -> Bytes {
        self.told.insert(to);
        LedgerMessage::encode(Message::Proposal(self.proposal.clone()))
    }

    /// The block.
    pub(super) fn block(&self) -> Bytes {
        let ProposalStatement { height, round, .. } = self.proposal.statement;
        LedgerMessage::encode(Message::Block(BlockMessage { height, round, bytes: self.bytes.clone() }))
    }
}
