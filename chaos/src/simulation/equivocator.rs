//! Owns a faulty validator's strategy: beside each of its votes it sends the contrary to some of its peers.

use althing_actors::ledger::{
    consensus::ConsensusKey,
    wire::{LedgerMessage, Message},
};
use althing_contracts::{certificate::VoteStatement, digest::Digest};
use bytes::Bytes;
use rand::{Rng, rngs::StdRng};

/// A validator that signs twice.
pub(super) struct Equivocator {
    key: ConsensusKey,
    network: Digest,
}

impl Equivocator {
    pub(super) const fn new(key: ConsensusKey, network: Digest) -> Self {
        Self { key, network }
    }

    /// What goes out where an honest validator would send `message`: half of the votes are turned around.
    pub(super) fn turn(&self, random: &mut StdRng, message: &Bytes) -> Bytes {
        let Ok(Message::Vote(vote)) = LedgerMessage::decode(message) else { return message.clone() };
        if vote.voter != self.key.public() || random.random_range(0..2) == 0 {
            return message.clone();
        }
        let block = match vote.statement.block {
            Some(_) => None,
            None => Some(Digest::from_bytes([0xee; 32])),
        };
        let contrary = VoteStatement { block, ..vote.statement };
        LedgerMessage::encode(Message::Vote(self.key.sign_vote(contrary, self.network)))
    }
}
