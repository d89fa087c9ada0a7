//! Owns what a lying validator does: a node runs honestly, and on the way out each of its messages becomes what its lie makes of
//! it. Refuses to judge: what follows is for the checkers.

use std::{collections::BTreeMap, iter};

use althing_actors::{
    disk::sim::SimDisk,
    ledger::{
        consensus::ConsensusKey,
        state::LedgerState,
        wire::{LedgerMessage, MESSAGE_LEN_MAX, Message, SignedVote},
    },
    sync::SyncResponse,
};
use althing_contracts::{
    certificate::VoteStatement,
    digest::Digest,
    quantity::{Height, Round},
    signature::PublicKey,
    testing::member_key,
    transaction::{Transaction, UnverifiedTransaction},
};
use bytes::Bytes;
use rand::{Rng, RngCore as _, rngs::StdRng, seq::IndexedRandom as _};

use self::forgery::Forgery;
use super::event::NodeIndex;
use crate::lie::Lie;

mod forgery;
mod history;

/// A network that is not this one.
const OTHER_NETWORK: Digest = Digest::from_bytes([0x5a; 32]);
/// Messages that are kept to be told again.
const KEPT_MAX: usize = 256;
/// Copies of a message in a flood.
const COPIES: usize = 12;
/// Heights behind the newest of which proposals are remembered.
const HEIGHTS_BACK: u64 = 3;
/// Longest garbage.
const GARBAGE_LEN_MAX: usize = 400;

/// A validator that breaks the protocol in one way.
pub(super) struct Liar {
    lie: Lie,
    key: ConsensusKey,
    network: Digest,
    /// In whose name it can speak.
    others: Vec<PublicKey>,
    /// The block that it shows in place of its own.
    forgery: Option<Forgery>,
    /// What it was told was proposed.
    proposed: BTreeMap<(Height, Round), Digest>,
    kept: Vec<Bytes>,
}

impl Liar {
    pub(super) fn new(
        lie: Lie,
        key: ConsensusKey,
        network: Digest,
        roster: impl Iterator<Item = PublicKey>,
    ) -> Self {
        let own = key.public();
        let others = roster.filter(|key| *key != own).collect();
        Self { lie, key, network, others, forgery: None, proposed: BTreeMap::new(), kept: Vec::new() }
    }

    /// A message comes to it.
    pub(super) fn hear(&mut self, message: &[u8]) {
        if self.lie != Lie::Amnesia {
            return;
        }
        if let Ok(Message::Proposal(proposal)) = LedgerMessage::decode(message) {
            let statement = proposal.statement;
            self.proposed.insert((statement.height, statement.round), statement.block);
            let newest = statement.height.get();
            self.proposed.retain(|(height, _), _| height.get() + HEIGHTS_BACK > newest);
        }
    }

    /// What goes to one peer where an honest validator would send `message`.
    pub(super) fn tell(
        &mut self,
        random: &mut StdRng,
        ledger: Option<&LedgerState<SimDisk>>,
        to: NodeIndex,
        message: &Bytes,
    ) -> Vec<Bytes> {
        let now_and_then = |random: &mut StdRng, lie: Bytes| {
            let instead = random.random_range(0..8) == 0;
            vec![if instead { lie } else { message.clone() }]
        };
        match self.lie {
            Lie::Silent => Vec::new(),
            Lie::Garbage => {
                let mut bytes = vec![0; random.random_range(0..GARBAGE_LEN_MAX)];
                random.fill_bytes(&mut bytes);
                now_and_then(random, Bytes::from(bytes))
            }
            Lie::Cut => {
                let len = random.random_range(0..message.len().max(1));
                now_and_then(random, message.slice(..len))
            }
            Lie::Oversized => now_and_then(random, Bytes::from(vec![0; MESSAGE_LEN_MAX + 1])),
            Lie::Flood => iter::repeat_n(message.clone(), COPIES).collect(),
            Lie::OldVotes => {
                let old = self.kept.choose(random).cloned();
                if self.kept.len() < KEPT_MAX {
                    self.kept.push(message.clone());
                }
                iter::once(message.clone()).chain(old).collect()
            }
            _ => self.turn(random, ledger, to, message).unwrap_or_else(|| vec![message.clone()]),
        }
    }

    /// What it answers to somebody who asks for blocks.
    pub(super) fn answer(
        &self,
        random: &mut StdRng,
        ledger: Option<&LedgerState<SimDisk>>,
        response: Bytes,
    ) -> Bytes {
        match (SyncResponse::decode(&response), ledger) {
            (Ok(blocks), Some(ledger)) if self.lie == Lie::FalseHistory && !blocks.is_empty() => {
                let teller = history::Teller { key: &self.key, network: self.network, others: &self.others };
                SyncResponse::V1 { blocks: teller.falsified(random, ledger, blocks) }.encode()
            }
            _ => response,
        }
    }

    /// Lies about votes, proposals and blocks; `None` for what it leaves as it is.
    fn turn(
        &mut self,
        random: &mut StdRng,
        ledger: Option<&LedgerState<SimDisk>>,
        to: NodeIndex,
        message: &Bytes,
    ) -> Option<Vec<Bytes>> {
        match LedgerMessage::decode(message).ok()? {
            Message::Vote(vote) if vote.voter == self.key.public() => self.turn_vote(random, &vote, message),
            Message::PolkaCertificate(polka) if self.lie == Lie::NilVotes => {
                self.hold_back(polka.prevotes.iter().map(|(voter, _)| voter))
            }
            Message::RoundCertificate(certificate) if self.lie == Lie::NilVotes => {
                self.hold_back(certificate.votes.iter().map(|vote| &vote.voter))
            }
            Message::Proposal(proposal) if Forgery::is_made_by(self.lie) => {
                let round = (proposal.statement.height, proposal.statement.round);
                if self.forgery.as_ref().is_none_or(|forgery| !forgery.is_of(round)) {
                    let make = |ledger| Forgery::make(self.lie, &self.key, self.network, ledger, &proposal);
                    self.forgery = ledger.and_then(make);
                }
                let forgery = self.forgery.as_mut()?;
                // To each half of the mesh another one; a block that is wrong is shown to all.
                let is_shown = self.lie != Lie::TwoBlocks || random.random_range(0..2) == 0;
                (is_shown || forgery.is_told(to)).then(|| vec![forgery.proposal_for(to)])
            }
            Message::Transactions(transactions) if self.lie == Lie::Foreign => {
                let foreign = transactions.iter().map(|bytes| foreign(bytes, self.network)).collect();
                let is_told = random.random_range(0..4) == 0;
                is_told.then(|| vec![message.clone(), LedgerMessage::encode(Message::Transactions(foreign))])
            }
            Message::Block(block) => {
                let is_withheld = self.lie == Lie::Withheld;
                let forgery = self.forgery.as_ref().filter(|it| it.is_of((block.height, block.round)));
                let forged = forgery.filter(|forgery| forgery.is_told(to)).map(Forgery::block);
                if is_withheld { Some(Vec::new()) } else { forged.map(|block| vec![block]) }
            }
            _ => None,
        }
    }

    /// What it denies with its votes it must not grant with a certificate that has one of them.
    fn hold_back<'a>(&self, mut voters: impl Iterator<Item = &'a PublicKey>) -> Option<Vec<Bytes>> {
        voters.any(|voter| *voter == self.key.public()).then(Vec::new)
    }

    fn turn_vote(&self, random: &mut StdRng, vote: &SignedVote, message: &Bytes) -> Option<Vec<Bytes>> {
        let statement = vote.statement;
        let signed = |block, network| self.vote(VoteStatement { block, ..statement }, network);
        Some(match self.lie {
            Lie::DoubleVotes | Lie::TwoBlocks if random.random_range(0..2) == 0 => {
                let contrary = statement.block.is_none().then(|| Digest::from_bytes([0xee; 32]));
                vec![signed(contrary, self.network)]
            }
            Lie::NilVotes => vec![signed(None, self.network)],
            Lie::Amnesia => {
                let proposed = self.proposed.get(&(statement.height, statement.round)).copied();
                vec![signed(proposed.or(statement.block), self.network)]
            }
            Lie::Foreign if random.random_range(0..4) == 0 => {
                vec![message.clone(), signed(statement.block, OTHER_NETWORK)]
            }
            Lie::Forged if random.random_range(0..4) == 0 => {
                let contrary = VoteStatement { block: None, ..statement };
                let own = self.key.sign_vote(contrary, self.network);
                let voter = *self.others.choose(random)?;
                let forged = LedgerMessage::encode(Message::Vote(SignedVote { voter, ..own }));
                vec![message.clone(), forged]
            }
            _ => return None,
        })
    }

    fn vote(&self, statement: VoteStatement, network: Digest) -> Bytes {
        LedgerMessage::encode(Message::Vote(self.key.sign_vote(statement, network)))
    }
}

/// A transaction of the same sender, one sequence on and signed for another network: it was meant to be final there.
fn foreign(bytes: &[u8], network: Digest) -> Vec<u8> {
    let Ok(transaction) = UnverifiedTransaction::decode(bytes, network) else { return bytes.to_vec() };
    let mut body = transaction.assume_verified().body().clone();
    body.sequence = body.sequence.next();
    let key = member_key(&body.sender, body.role);
    let signature = key.sign(body.signing_message(OTHER_NETWORK));
    Transaction::V3 { body, key: key.public(), signature }.encode()
}
