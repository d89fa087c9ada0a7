//! Owns the memory of what this validator signed at its height, and refuses a second, different signature for the
//! same height, round and kind. It stands in front of every signature and is rebuilt from the log.

use std::collections::BTreeMap;

use althing_contracts::{
    certificate::{ProposalStatement, VoteKind, VoteStatement},
    digest::Digest,
    quantity::{Height, Round},
};

use super::entry::LoggedInput;

/// What was signed at one height. Bounded by the rounds of that height.
#[derive(Debug, Default)]
pub struct SigningGuard {
    height: Height,
    votes: BTreeMap<(VoteKind, Round), Option<Digest>>,
    proposals: BTreeMap<Round, (Digest, Option<Round>)>,
}

/// A signature that would contradict an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DoubleSign {
    /// Another vote was signed.
    #[error(
        "a {kind:?} at height {height}, round {round} was signed for {}, signing {} too would be equivocation",
        name(*signed), name(*asked)
    )]
    Vote {
        /// Prevote or precommit.
        kind: VoteKind,
        /// Where.
        height: Height,
        /// Where.
        round: Round,
        /// What the earlier signature names.
        signed: Option<Digest>,
        /// What the new one would name.
        asked: Option<Digest>,
    },
    /// Another proposal was signed.
    #[error(
        "a proposal at height {height}, round {round} was signed for {signed}, signing {asked} too would be equivocation"
    )]
    Proposal {
        /// Where.
        height: Height,
        /// Where.
        round: Round,
        /// What the earlier signature names.
        signed: Digest,
        /// What the new one would name.
        asked: Digest,
    },
    /// The height is over.
    #[error("height {asked} is over, this validator signs at height {height}")]
    Past {
        /// Where this validator is.
        height: Height,
        /// What was asked for.
        asked: Height,
    },
}

impl SigningGuard {
    /// Forgets the heights before `height` and refuses them from here on.
    pub fn enter(&mut self, height: Height) {
        if height > self.height {
            *self = Self { height, ..Self::default() };
        }
    }

    /// Takes note of what the log says that this validator signed.
    ///
    /// # Errors
    /// The log holds two signatures that contradict each other.
    pub fn recover(&mut self, input: &LoggedInput) -> Result<(), DoubleSign> {
        match input {
            LoggedInput::Vote(vote) => self.permit_vote(&vote.statement),
            LoggedInput::Proposal(proposal) => self.permit_proposal(&proposal.statement),
            LoggedInput::Timeout { .. } | LoggedInput::Judged(_) | LoggedInput::PolkaCertificate(_) => Ok(()),
        }
    }

    /// Permits a vote and remembers it; a repeat of the same vote is permitted.
    ///
    /// # Errors
    /// Another vote was signed for the same height, round and kind, or the height is over.
    pub fn permit_vote(&mut self, vote: &VoteStatement) -> Result<(), DoubleSign> {
        self.check_height(vote.height)?;
        let VoteStatement { kind, height, round, block: asked } = *vote;
        let signed = *self.votes.entry((kind, round)).or_insert(asked);
        if signed == asked { Ok(()) } else { Err(DoubleSign::Vote { kind, height, round, signed, asked }) }
    }

    /// Permits a proposal and remembers it; a repeat of the same proposal is permitted.
    ///
    /// # Errors
    /// Another proposal was signed for the same height and round, or the height is over.
    pub fn permit_proposal(&mut self, proposal: &ProposalStatement) -> Result<(), DoubleSign> {
        self.check_height(proposal.height)?;
        let asked = (proposal.block, proposal.polka_round);
        let signed = *self.proposals.entry(proposal.round).or_insert(asked);
        if signed == asked {
            return Ok(());
        }
        Err(DoubleSign::Proposal {
            height: proposal.height,
            round: proposal.round,
            signed: signed.0,
            asked: asked.0,
        })
    }

    /// Whether a proposal for `round` of the current height was signed.
    #[must_use]
    pub fn has_proposed(&self, round: Round) -> bool {
        self.proposals.contains_key(&round)
    }

    fn check_height(&mut self, asked: Height) -> Result<(), DoubleSign> {
        if asked < self.height {
            return Err(DoubleSign::Past { height: self.height, asked });
        }
        self.enter(asked);
        Ok(())
    }
}

fn name(block: Option<Digest>) -> String {
    block.map_or_else(|| "nil".to_owned(), |block| block.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vote(height: u64, round: u32, block: Option<u8>) -> VoteStatement {
        VoteStatement {
            kind: VoteKind::Prevote,
            height: Height::new(height),
            round: Round::new(round),
            block: block.map(|byte| Digest::from_bytes([byte; 32])),
        }
    }

    #[test]
    fn a_second_different_vote_is_refused_and_a_repeat_is_not() {
        let mut guard = SigningGuard::default();
        guard.permit_vote(&vote(3, 0, Some(1))).unwrap();
        guard.permit_vote(&vote(3, 0, Some(1))).unwrap();
        guard.permit_vote(&vote(3, 1, None)).unwrap();
        let precommit = VoteStatement { kind: VoteKind::Precommit, ..vote(3, 0, Some(2)) };
        guard.permit_vote(&precommit).unwrap();
        assert!(matches!(guard.permit_vote(&vote(3, 0, None)), Err(DoubleSign::Vote { .. })));
        assert!(matches!(guard.permit_vote(&vote(3, 0, Some(2))), Err(DoubleSign::Vote { .. })));
    }

    #[test]
    fn a_height_that_is_over_is_refused() {
        let mut guard = SigningGuard::default();
        guard.permit_vote(&vote(3, 0, Some(1))).unwrap();
        guard.enter(Height::new(4));
        let refused = guard.permit_vote(&vote(3, 0, Some(1)));
        assert_eq!(refused, Err(DoubleSign::Past { height: Height::new(4), asked: Height::new(3) }));
    }

    #[test]
    fn a_second_proposal_for_a_round_is_refused_even_when_only_its_polka_round_differs() {
        let proposal = ProposalStatement {
            height: Height::new(1),
            round: Round::new(2),
            block: Digest::from_bytes([1; 32]),
            polka_round: None,
        };
        let mut guard = SigningGuard::default();
        guard.permit_proposal(&proposal).unwrap();
        assert!(guard.has_proposed(Round::new(2)));
        let other = ProposalStatement { polka_round: Some(Round::ZERO), ..proposal };
        assert!(guard.permit_proposal(&other).is_err());
    }
}
