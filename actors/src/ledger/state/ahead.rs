//! Owns consensus messages for a height that this node has not started: few of each sender, for the next two
//! heights, and all of them verified. Refuses everything further ahead.

use std::collections::BTreeMap;

use althing_contracts::quantity::Height;

use crate::{ledger::wire::Message, port::NodeId};

/// Most messages kept of one sender and height: a proposal, votes and certificates of a few rounds.
const PER_SENDER_MAX: usize = 16;

/// Messages that came early.
#[derive(Debug, Default)]
pub(super) struct Ahead {
    waiting: BTreeMap<Height, Vec<(NodeId, Message)>>,
}

impl Ahead {
    /// Keeps a message if its sender has room; at most one block of each sender.
    pub(super) fn push(&mut self, height: Height, from: NodeId, message: Message) {
        let waiting = self.waiting.entry(height).or_default();
        let is_block = matches!(message, Message::Block(_));
        let of_sender = waiting.iter().filter(|(sender, _)| *sender == from);
        let (blocks, others) = of_sender.fold((0, 0), |(blocks, others), (_, kept)| {
            if matches!(kept, Message::Block(_)) { (blocks + 1, others) } else { (blocks, others + 1) }
        });
        let has_room = if is_block { blocks == 0 } else { others < PER_SENDER_MAX };
        if has_room && !waiting.iter().any(|(sender, kept)| *sender == from && *kept == message) {
            waiting.push((from, message));
        }
    }

    /// Takes the messages of a height, in the order in which they came.
    pub(super) fn take(&mut self, height: Height) -> Vec<(NodeId, Message)> {
        self.waiting.remove(&height).unwrap_or_default()
    }

    /// The messages of a height.
    pub(super) fn of(&self, height: Height) -> impl Iterator<Item = &Message> {
        self.waiting.get(&height).into_iter().flatten().map(|(_, message)| message)
    }

    /// Forgets heights up to `head`.
    pub(super) fn prune(&mut self, head: Height) {
        self.waiting.retain(|height, _| *height > head);
    }
}

#[cfg(test)]
mod tests {
    use althing_contracts::{
        certificate::{VoteKind, VoteStatement},
        digest::Digest,
        quantity::Round,
    };

    use super::*;
    use crate::ledger::{consensus::ConsensusKey, wire::BlockMessage};

    fn vote(round: u32) -> Message {
        let statement = VoteStatement {
            kind: VoteKind::Prevote,
            height: Height::new(2),
            round: Round::new(round),
            block: None,
        };
        Message::Vote(ConsensusKey::from_seed([1; 32]).sign_vote(statement, Digest::ZERO))
    }

    #[test]
    fn a_sender_has_room_for_few_messages_and_one_block() {
        let (alice, height) = (ConsensusKey::from_seed([1; 32]).public(), Height::new(2));
        let mut ahead = Ahead::default();
        for round in 0..100 {
            ahead.push(height, alice, vote(round));
            let block = BlockMessage { height, round: Round::new(round), bytes: vec![0] };
            ahead.push(height, alice, Message::Block(block));
        }
        ahead.push(height, alice, vote(0));
        assert_eq!(ahead.of(height).count(), PER_SENDER_MAX + 1);
        ahead.prune(Height::new(2));
        assert!(ahead.take(height).is_empty());
    }
}
