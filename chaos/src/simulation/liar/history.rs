//! Owns the history that a liar shows to those who were away: what was decided, spoilt in one place, or more than was
//! decided.

use std::iter;

use althing_actors::{
    disk::sim::SimDisk,
    ledger::{
        consensus::{ConsensusKey, proposer},
        message::CertifiedBlock,
        state::LedgerState,
    },
};
use althing_contracts::{
    block::Block,
    certificate::{Certificate, VoteKind, VoteStatement},
    digest::Digest,
    ledger::{self, BlockContext},
    quantity::Round,
    signature::PublicKey,
};
use rand::{Rng, rngs::StdRng};

/// Who tells it.
pub(super) struct Teller<'a> {
    pub(super) key: &'a ConsensusKey,
    pub(super) network: Digest,
    /// The other validators.
    pub(super) others: &'a [PublicKey],
}

impl Teller<'_> {
    /// Blocks that are wrong in one place, or one more that nobody decided.
    pub(super) fn falsified(
        &self,
        random: &mut StdRng,
        ledger: &LedgerState<SimDisk>,
        mut blocks: Vec<CertifiedBlock>,
    ) -> Vec<CertifiedBlock> {
        let is_to_the_head = blocks.last().is_some_and(|last| last.certificate.block == ledger.digest());
        if is_to_the_head && random.random_bool(0.5) {
            blocks.extend(self.made_up(ledger));
            return blocks;
        }
        let at = random.random_range(0..blocks.len());
        if let Some(block) = blocks.get_mut(at) {
            spoil(random, block);
        }
        blocks
    }

    /// The next block as the liar would have it: sound in itself, under signatures that are all its own.
    fn made_up(&self, ledger: &LedgerState<SimDisk>) -> Option<CertifiedBlock> {
        let state = ledger.state();
        let height = state.height().next();
        let own = self.key.public();
        let has_turn = |round: &Round| proposer(state.roster(), height, *round) == Some(own);
        let round = iter::successors(Some(Round::ZERO), |round| Some(round.next()))
            .take(self.others.len() + 1)
            .find(has_turn)?;
        let time = state.time().next();
        let context = BlockContext { height, round, time, parent: ledger.digest(), proposer: own };
        let header = ledger::build(state, context, &[]).header;
        let block = Block::V1 { header, transactions: Vec::new() };
        let digest = block.digest();
        let statement = VoteStatement { kind: VoteKind::Precommit, height, round, block: Some(digest) };
        let signature = self.key.sign_vote(statement, self.network).signature;
        let precommits = self.others.iter().chain([&own]).map(|key| (*key, signature)).collect();
        Some(CertifiedBlock {
            block: block.encode(),
            certificate: Certificate { height, round, block: digest, precommits },
        })
    }
}

/// Another header, or a certificate that says less.
fn spoil(random: &mut StdRng, block: &mut CertifiedBlock) {
    if random.random_bool(0.5) {
        block.certificate.precommits.pop_last();
    } else {
        block.certificate.block = Digest::from_bytes([0xdd; 32]);
    }
}
