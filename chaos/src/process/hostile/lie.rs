//! Owns the telling of lies to real daemons: each breaks the protocol with the key of a validator that is down, over and over
//! while the mesh is at work. All of them are told in the open, so that an honest node has everything to judge them by.

use std::{path::Path, thread, time::Duration};

use althing_actors::ledger::{
    consensus::proposer,
    wire::{BlockMessage, LedgerMessage, Message, SignedVote, Status},
};
use althing_contracts::{
    block::Block,
    certificate::{ProposalStatement, VoteKind, VoteStatement},
    digest::Digest,
    ledger::{self, BlockContext},
    quantity::{Height, Round, TimeMs},
};
use rand::{Rng as _, RngCore as _, SeedableRng as _, rngs::StdRng};

use super::{Followed, HostileError, HostilePeer};
use crate::lie::Lie;

/// Time between two lies.
const PACE: Duration = Duration::from_millis(100);
/// Things that an honest node blames its sender for, at most so many to each: one that is blamed more often is banned for a
/// minute, and so is the honest daemon that takes its place again.
const BLAMED_MAX: usize = 2;
/// Statements of one burst.
const BURST: usize = 500;
/// How far ahead a time is that no clock shows.
const HOUR_MS: u64 = 60 * 60 * 1000;

/// Takes the place of the validator of `config`, which is down, and lies until the process ends.
///
/// # Errors
/// Its files cannot be used, or it cannot join.
pub fn tell(config: &Path, lie: Lie, seed: u64) -> Result<(), HostileError> {
    let peer = HostilePeer::in_place_of(config)?;
    let others = peer.others();
    let state = althing_contracts::state::State::genesis(peer.genesis())?;
    let followed = Followed { state, block: Digest::ZERO, header: None };
    let mut liar = Liar {
        peer,
        others,
        followed,
        random: StdRng::seed_from_u64(seed),
        blamed: 0,
        proposed: Height::ZERO,
    };
    loop {
        thread::park_timeout(PACE);
        liar.catch_up();
        // What does not get through is told again.
        let _told = liar.tell(lie);
    }
}

struct Liar {
    peer: HostilePeer,
    others: Vec<String>,
    followed: Followed,
    random: StdRng,
    blamed: usize,
    /// The last height for which it has proposed.
    proposed: Height,
}

impl Liar {
    /// Asks one node after another for the blocks since; one that gives none has none.
    fn catch_up(&mut self) {
        let at = self.random.random_range(0..self.others.len().max(1));
        let Some(org) = self.others.get(at) else { return };
        // It may be down, or not have let this peer in yet.
        let _behind = self.peer.advance(org, &mut self.followed);
    }

    fn tell(&mut self, lie: Lie) -> Result<(), HostileError> {
        let height = self.followed.state.height().next();
        match lie {
            Lie::Silent => Ok(()),
            Lie::Garbage => self.blamed(|liar| {
                let mut bytes = vec![0; 300];
                liar.random.fill_bytes(&mut bytes);
                liar.others.iter().try_for_each(|org| liar.peer.send(org, bytes.clone().into()))
            }),
            Lie::DoubleVotes => self.each_kind(|liar, kind| {
                let mut blocks = [[0; 32]; 2];
                for block in &mut blocks {
                    liar.random.fill_bytes(block);
                }
                blocks.into_iter().try_for_each(|block| {
                    liar.vote(kind, height, Some(Digest::from_bytes(block)), liar.peer.network())
                })
            }),
            Lie::NilVotes => {
                let network = self.peer.network();
                self.each_kind(|liar, kind| liar.vote(kind, height, None, network))
            }
            Lie::OldVotes => {
                let (old, network) = (Height::new(height.get() / 2), self.peer.network());
                self.each_kind(|liar, kind| liar.vote(kind, old, None, network))
            }
            Lie::Foreign => {
                self.blamed(|liar| liar.vote(VoteKind::Prevote, height, None, Digest::from_bytes([0x5a; 32])))
            }
            Lie::Flood => (0..BURST).try_for_each(|_| {
                let status = Status { height: self.followed.state.height(), block: self.followed.block };
                self.say_to_all(&Message::Status(status))
            }),
            Lie::TwoBlocks | Lie::WrongRoot | Lie::FarAhead | Lie::Withheld | Lie::Censor => {
                self.propose(lie)
            }
            Lie::Cut => self.blamed(|liar| {
                let status = Status { height: liar.followed.state.height(), block: liar.followed.block };
                let whole = LedgerMessage::encode(Message::Status(status));
                let cut = whole.slice(..whole.len() / 2);
                liar.others.iter().try_for_each(|org| liar.peer.send(org, cut.clone()))
            }),
            Lie::Forged => self.blamed(|liar| liar.forge(height)),
            Lie::Amnesia | Lie::Oversized | Lie::FalseHistory => {
                Err(format!("`{lie}` needs a node that takes part; only the simulation plays it").into())
            }
        }
    }

    /// Does what others blame it for, not too often.
    fn blamed(
        &mut self,
        act: impl FnOnce(&mut Self) -> Result<(), HostileError>,
    ) -> Result<(), HostileError> {
        if self.blamed < BLAMED_MAX {
            act(self)?;
            self.blamed += 1;
        }
        Ok(())
    }

    fn each_kind(
        &mut self,
        mut act: impl FnMut(&mut Self, VoteKind) -> Result<(), HostileError>,
    ) -> Result<(), HostileError> {
        [VoteKind::Prevote, VoteKind::Precommit].into_iter().try_for_each(|kind| act(self, kind))
    }

    fn vote(
        &self,
        kind: VoteKind,
        height: Height,
        block: Option<Digest>,
        network: Digest,
    ) -> Result<(), HostileError> {
        let statement = VoteStatement { kind, height, round: Round::ZERO, block };
        self.say_to_all(&Message::Vote(self.peer.consensus()?.sign_vote(statement, network)))
    }

    /// A vote in the name of each other validator.
    fn forge(&self, height: Height) -> Result<(), HostileError> {
        let statement = VoteStatement { kind: VoteKind::Prevote, height, round: Round::ZERO, block: None };
        let key = self.peer.consensus()?;
        let own = key.sign_vote(statement, self.peer.network());
        let others = self.followed.state.roster().validators().iter().map(|it| it.consensus);
        others
            .filter(|voter| *voter != key.public())
            .try_for_each(|voter| self.say_to_all(&Message::Vote(SignedVote { voter, ..own.clone() })))
    }

    fn say_to_all(&self, message: &Message) -> Result<(), HostileError> {
        self.others.iter().try_for_each(|org| self.peer.say(org, message.clone()))
    }

    /// When it is this validator's turn, once a height.
    fn propose(&mut self, lie: Lie) -> Result<(), HostileError> {
        let state = &self.followed.state;
        let (height, round) = (state.height().next(), Round::ZERO);
        let key = self.peer.consensus()?;
        let is_its_turn = proposer(state.roster(), height, round) == Some(key.public());
        if !is_its_turn || self.proposed >= height || (lie != Lie::Withheld && self.blamed >= BLAMED_MAX) {
            return Ok(());
        }
        let now = state.time().next();
        let later = TimeMs::new(now.get().saturating_add(HOUR_MS));
        let block = |time: TimeMs| {
            let context =
                BlockContext { height, round, time, parent: self.followed.block, proposer: key.public() };
            Block::V1 { header: ledger::build(state, context, &[]).header, transactions: Vec::new() }
        };
        let blocks = match lie {
            Lie::WrongRoot => {
                let Block::V1 { mut header, transactions } = block(now);
                header.state_root = Digest::from_bytes([0x66; 32]);
                vec![Block::V1 { header, transactions }]
            }
            Lie::FarAhead => vec![block(later)],
            Lie::TwoBlocks => vec![block(now), block(now.next())],
            _ => vec![block(now)],
        };
        for (at, org) in self.others.iter().enumerate() {
            let Some(block) = blocks.get(at % blocks.len()) else { continue };
            let statement = ProposalStatement { height, round, block: block.digest(), polka_round: None };
            self.peer.say(org, Message::Proposal(key.sign_proposal(statement, self.peer.network())))?;
            if lie != Lie::Withheld {
                let bytes = block.encode();
                self.peer.say(org, Message::Block(BlockMessage { height, round, bytes }))?;
            }
        }
        self.proposed = height;
        self.blamed += 1;
        Ok(())
    }
}
