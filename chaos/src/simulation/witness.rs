//! Owns when evidence of an equivocation can be demanded, and of whom.
//!
//! Votes go from their validator to each other one, and nobody passes them on but in certificates. Two contrary votes
//! that never come to one node are therefore no evidence in anybody's hands, and do no harm: no quorum has both. What can
//! be demanded is this: a validator that runs through and takes both votes, in a height that it has not left far behind,
//! shows evidence of that height, at once or, if it stops before it could, after its restart.

use std::collections::{BTreeMap, BTreeSet};

use althing_actors::ledger::wire::{LedgerMessage, Message, SignedVote};
use althing_contracts::{
    certificate::VoteKind,
    digest::Digest,
    quantity::{Height, Round},
    signature::PublicKey,
};

use super::{checker::Violation, event::NodeIndex};

/// Heights behind the last final one of which a node still compares votes.
const HEIGHTS_BACK: u64 = 8;
/// Heights ahead of the last final one of which a node takes votes.
const HEIGHTS_AHEAD: u64 = 2;

/// Where a validator votes once, as one node heard it in one life.
type HeardPlace = (NodeIndex, u64, Height, Round, VoteKind, PublicKey);

/// A vote as a node heard it. Signatures are most of what a run costs, so one is verified only beside a contrary vote.
#[derive(Debug)]
struct Heard {
    vote: SignedVote,
    is_verified: bool,
}

/// What every honest validator was told, and what it made of it.
#[derive(Debug)]
pub(super) struct Witness {
    network: Digest,
    heard: BTreeMap<HeardPlace, Vec<Heard>>,
    owed: BTreeSet<(NodeIndex, Height)>,
    shown: BTreeSet<(NodeIndex, Height)>,
}

impl Witness {
    pub(super) const fn new(network: Digest) -> Self {
        Self { network, heard: BTreeMap::new(), owed: BTreeSet::new(), shown: BTreeSet::new() }
    }

    /// A vote comes to a validator in one of its lives, while its last final height is `head`. Yields the height of the
    /// vote when the node has heard the contrary too, and owes evidence if it lives through the step.
    pub(super) fn hear(
        &mut self,
        node: NodeIndex,
        life: u64,
        head: Height,
        message: &[u8],
    ) -> Option<Height> {
        let Ok(Message::Vote(vote)) = LedgerMessage::decode(message) else { return None };
        let statement = vote.statement;
        let (height, head) = (statement.height, head.get());
        if height.get() > head + HEIGHTS_AHEAD || height.get() + HEIGHTS_BACK < head {
            return None;
        }
        let place = (node, life, height, statement.round, statement.kind, vote.voter);
        let told = self.heard.entry(place).or_default();
        if told.iter().all(|it| it.vote != vote) {
            told.push(Heard { vote, is_verified: false });
        }
        if are_contrary(told) {
            // A vote in another validator's name, or for another network, is nobody's.
            told.retain_mut(|it| {
                it.is_verified = it.is_verified || it.vote.signed(self.network).verify().is_ok();
                it.is_verified
            });
        }
        are_contrary(told).then_some(height)
    }

    /// A node has taken two contrary votes.
    pub(super) fn owe(&mut self, node: NodeIndex, height: Height) {
        self.owed.insert((node, height));
    }

    /// A node shows evidence.
    pub(super) fn show(&mut self, node: NodeIndex, height: Height) {
        self.shown.insert((node, height));
    }

    /// Who owed evidence has shown it.
    pub(super) fn finished(&self) -> Result<(), Violation> {
        match self.owed.difference(&self.shown).next() {
            Some((node, height)) => Err(Violation::Unnoticed { node: *node, height: *height }),
            None => Ok(()),
        }
    }
}

fn are_contrary(heard: &[Heard]) -> bool {
    heard.windows(2).any(|two| two[0].vote.statement.block != two[1].vote.statement.block)
}
