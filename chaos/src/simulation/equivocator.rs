//! Owns a faulty validator's strategy: beside each of its votes it sends the contrary to some of its peers, and beside
//! its block another one, as valid, for the same round.

use std::collections::BTreeSet;

use althing_actors::disk::sim::SimDisk;
use althing_actors::ledger::{
    consensus::ConsensusKey,
    state::LedgerState,
    wire::{BlockMessage, LedgerMessage, Message, SignedProposal, SignedVote},
};
use althing_contracts::{
    block::Block,
    certificate::{ProposalStatement, VoteStatement},
    digest::Digest,
    ledger::{self, BlockContext},
};
use bytes::Bytes;
use rand::{Rng, rngs::StdRng};

use super::event::NodeIndex;

/// A validator that signs twice.
pub(super) struct Equivocator {
    key: ConsensusKey,
    network: Digest,
    has_two_proposals: bool,
    twin: Option<Twin>,
}

/// The other block of a round.
struct Twin {
    proposal: SignedProposal,
    bytes: Vec<u8>,
    /// Who was told of it.
    told: BTreeSet<NodeIndex>,
}

/// What goes out in place of a message.
pub(super) enum Turned {
    /// The message itself.
    Same,
    /// A contrary vote.
    Vote(Bytes),
    /// The other proposal.
    Proposal(Bytes),
    /// The other block.
    Block(Bytes),
}

impl Equivocator {
    pub(super) const fn new(key: ConsensusKey, network: Digest, has_two_proposals: bool) -> Self {
        Self { key, network, has_two_proposals, twin: None }
    }

    /// What goes out where an honest validator would send `message`: half of the votes and proposals are turned around.
    pub(super) fn turn(
        &mut self,
        random: &mut StdRng,
        ledger: Option<&LedgerState<SimDisk>>,
        to: NodeIndex,
        message: &[u8],
    ) -> Turned {
        match LedgerMessage::decode(message) {
            Ok(Message::Vote(vote)) if vote.voter == self.key.public() => self.turn_vote(random, &vote),
            Ok(Message::Proposal(proposal)) if self.has_two_proposals => {
                self.turn_proposal(random, ledger, to, &proposal)
            }
            Ok(Message::Block(block)) => self.turn_block(to, &block),
            _ => Turned::Same,
        }
    }

    fn turn_vote(&self, random: &mut StdRng, vote: &SignedVote) -> Turned {
        if random.random_range(0..2) == 0 {
            return Turned::Same;
        }
        let block = match vote.statement.block {
            Some(_) => None,
            None => Some(Digest::from_bytes([0xee; 32])),
        };
        let contrary = VoteStatement { block, ..vote.statement };
        Turned::Vote(LedgerMessage::encode(Message::Vote(self.key.sign_vote(contrary, self.network))))
    }

    fn turn_proposal(
        &mut self,
        random: &mut StdRng,
        ledger: Option<&LedgerState<SimDisk>>,
        to: NodeIndex,
        proposal: &SignedProposal,
    ) -> Turned {
        let ProposalStatement { height, round, .. } = proposal.statement;
        let is_of_round =
            |twin: &Twin| (twin.proposal.statement.height, twin.proposal.statement.round) == (height, round);
        if !self.twin.as_ref().is_some_and(is_of_round) {
            self.twin = ledger.and_then(|ledger| self.make_twin(ledger, proposal));
        }
        let Some(twin) = &mut self.twin else { return Turned::Same };
        if random.random_range(0..2) == 0 && !twin.told.contains(&to) {
            return Turned::Same;
        }
        twin.told.insert(to);
        Turned::Proposal(LedgerMessage::encode(Message::Proposal(twin.proposal.clone())))
    }

    fn turn_block(&self, to: NodeIndex, block: &BlockMessage) -> Turned {
        let (height, round) = (block.height, block.round);
        let is_told = |twin: &&Twin| {
            let statement = &twin.proposal.statement;
            (statement.height, statement.round) == (height, round) && twin.told.contains(&to)
        };
        let Some(twin) = self.twin.as_ref().filter(is_told) else { return Turned::Same };
        let bytes = twin.bytes.clone();
        Turned::Block(LedgerMessage::encode(Message::Block(BlockMessage { height, round, bytes })))
    }

    /// An empty block as early as the rules allow; only for a new block of the height that comes next.
    fn make_twin(&self, ledger: &LedgerState<SimDisk>, proposal: &SignedProposal) -> Option<Twin> {
        let ProposalStatement { height, round, polka_round, block } = proposal.statement;
        let (state, proposer) = (ledger.state(), self.key.public());
        if proposal.proposer != proposer || polka_round.is_some() || state.height().next() != height {
            return None;
        }
        let (time, parent) = (state.time().next(), ledger.digest());
        let context = BlockContext { height, round, time, parent, proposer };
        let header = ledger::build(state, context, &[]).header;
        let twin = Block::V1 { header, transactions: Vec::new() };
        let statement = ProposalStatement { height, round, block: twin.digest(), polka_round: None };
        let proposal = self.key.sign_proposal(statement, self.network);
        (twin.digest() != block).then(|| Twin { proposal, bytes: twin.encode(), told: BTreeSet::new() })
    }
}
