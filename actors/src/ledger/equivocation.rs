//! Owns the detection of validators that sign two different votes for one height, round and kind. It sees every
//! vote whose signature verified, late ones included, which the consensus core drops.

use std::collections::{BTreeMap, BTreeSet};

use althing_contracts::{
    certificate::VoteKind,
    digest::Digest,
    quantity::{Height, Round},
    signature::{PublicKey, Signature},
    transaction::{Equivocation, EquivocationKind},
};

use super::wire::SignedVote;

/// Most votes remembered: those of a hundred validators in some forty rounds.
const VOTES_MAX: usize = 8_192;
/// Heights behind the last final one whose votes are still compared.
const HEIGHTS_BACK: u64 = 8;
/// Most offences remembered as reported; one of each validator and height is enough.
const REPORTED_MAX: usize = 4_096;

/// Where a validator votes at most once.
type VotePlace = (Height, Round, VoteKind, PublicKey);

/// Compares votes.
#[derive(Debug, Default)]
pub(super) struct EquivocationDetector {
    votes: BTreeMap<VotePlace, (Option<Digest>, Signature)>,
    reported: BTreeSet<(Height, PublicKey)>,
    /// Evidence of late that the log holds; the process may have ended before anybody was told.
    recovered: Vec<Equivocation>,
}

impl EquivocationDetector {
    /// Compares a verified vote with the earlier one; answers with evidence once for each validator and height.
    pub(super) fn observe(&mut self, vote: &SignedVote) -> Option<Equivocation> {
        let statement = &vote.statement;
        let key = (statement.height, statement.round, statement.kind, vote.voter);
        let Some((first, first_signature)) = self.votes.get(&key).copied() else {
            if self.votes.len() < VOTES_MAX {
                self.votes.insert(key, (statement.block, vote.signature));
            }
            return None;
        };
        if first == statement.block || !self.mark_reported(statement.height, vote.voter) {
            return None;
        }
        Some(Equivocation {
            validator: vote.voter,
            height: statement.height,
            round: statement.round,
            kind: match statement.kind {
                VoteKind::Prevote => EquivocationKind::Prevote,
                VoteKind::Precommit => EquivocationKind::Precommit,
            },
            first,
            first_signature,
            second: statement.block,
            second_signature: vote.signature,
        })
    }

    /// Remembers evidence that the log holds, so that it is not found again.
    pub(super) fn recover(&mut self, evidence: Equivocation) {
        if self.mark_reported(evidence.height, evidence.validator) {
            self.recovered.push(evidence);
        }
    }

    /// Takes the evidence of the last heights that the log held when it was opened; to be told once more.
    pub(super) fn take_recovered(&mut self) -> Vec<Equivocation> {
        std::mem::take(&mut self.recovered)
    }

    /// Forgets what is too far behind the last final height.
    pub(super) fn prune(&mut self, head: Height) {
        let oldest = Height::new(head.get().saturating_sub(HEIGHTS_BACK));
        self.votes.retain(|(height, ..), _| *height >= oldest);
        self.recovered.retain(|evidence| evidence.height >= oldest);
    }

    fn mark_reported(&mut self, height: Height, validator: PublicKey) -> bool {
        if self.reported.len() >= REPORTED_MAX {
            self.reported.pop_first();
        }
        self.reported.insert((height, validator))
    }
}

#[cfg(test)]
mod tests {
    use althing_contracts::certificate::VoteStatement;

    use super::*;
    use crate::ledger::consensus::ConsensusKey;

    fn vote(height: u64, block: Option<u8>) -> SignedVote {
        let statement = VoteStatement {
            kind: VoteKind::Precommit,
            height: Height::new(height),
            round: Round::ZERO,
            block: block.map(|byte| Digest::from_bytes([byte; 32])),
        };
        ConsensusKey::from_seed([3; 32]).sign_vote(statement, Digest::ZERO)
    }

    #[test]
    fn two_different_votes_are_evidence_once() {
        let mut detector = EquivocationDetector::default();
        assert_eq!(detector.observe(&vote(5, Some(1))), None);
        assert_eq!(detector.observe(&vote(5, Some(1))), None);
        let evidence = detector.observe(&vote(5, None)).unwrap();
        assert_eq!((evidence.first, evidence.second), (Some(Digest::from_bytes([1; 32])), None));
        assert_eq!(detector.observe(&vote(5, Some(2))), None);
        assert!(detector.observe(&vote(6, Some(1))).is_none() && detector.observe(&vote(6, None)).is_some());
    }

    #[test]
    fn evidence_from_the_log_is_told_once_more_and_not_found_again() {
        let mut first = EquivocationDetector::default();
        first.observe(&vote(5, Some(1)));
        let evidence = first.observe(&vote(5, None)).unwrap();
        let mut second = EquivocationDetector::default();
        second.recover(evidence.clone());
        assert_eq!(second.take_recovered(), [evidence]);
        second.observe(&vote(5, Some(1)));
        assert_eq!(second.observe(&vote(5, None)), None);
    }

    #[test]
    fn votes_far_behind_are_forgotten() {
        let mut detector = EquivocationDetector::default();
        detector.observe(&vote(5, Some(1)));
        detector.prune(Height::new(5 + HEIGHTS_BACK));
        assert_eq!(detector.votes.len(), 1);
        detector.prune(Height::new(6 + HEIGHTS_BACK));
        assert!(detector.votes.is_empty());
    }
}
