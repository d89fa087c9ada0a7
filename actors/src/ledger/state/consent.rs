//! Owns this validator's part in deciding a block: starting heights, building and judging blocks, and carrying out
//! what the consensus core asks for.

use althing_contracts::{
    block::{Block, Header},
    digest::Digest,
    ledger::{self, BlockContext, Executed},
    quantity::{Height, Round},
    transaction::VerifiedTransaction,
};
use bytes::Bytes;

use super::{
    Fatal, LedgerState, Misbehaviour,
    candidates::{Candidate, EarlyBlock},
};
use crate::{
    disk::Disk,
    failpoint,
    ledger::{
        consensus::{Act, DriverInput, JudgedBlock, LoggedInput, proposer},
        log::record::RecordKind,
        mempool::PooledTransaction,
        metrics,
        wire::{BlockMessage, Message, SignedProposal},
    },
    port::NodeId,
};

impl<D: Disk> LedgerState<D> {
    /// Starts the height after the head, replays what the log holds of it, and admits what came early.
    pub(super) fn start_height(&mut self, recovered: &[LoggedInput]) -> Result<(), Fatal> {
        let height = self.height().next();
        let now_us = self.now.monotonic_us;
        let is_seated = self.is_seated();
        let Some(driver) = self.driver.as_mut().filter(|_| is_seated) else { return Ok(()) };
        let acts = driver.start(now_us, height, self.head.state.roster(), recovered, &mut self.log)?;
        self.acts.extend(acts);
        for (from, message) in self.ahead.take(height) {
            self.admit(from, message)?;
        }
        Ok(())
    }

    /// Does what the driver asked for, in order, until it asks for nothing more.
    pub(super) fn drain_acts(&mut self) -> Result<(), Fatal> {
        while let Some(act) = self.acts.pop_front() {
            match act {
                Act::Broadcast(message) => self.broadcast(&message),
                Act::Rebroadcast(message) => {
                    self.send_to_validators(&message);
                    self.repeat_proposal(&message);
                }
                Act::Restream { round, block } => self.send_block(round, block),
                Act::NeedBlock { height, round } => self.propose(height, round)?,
                Act::RoundStarted { round } => {
                    tracing::debug!(height = %self.height().next(), %round, "round started");
                }
                Act::Decided(certificate) => self.on_decided(certificate)?,
            }
        }
        Ok(())
    }

    /// A signed proposal or a quorum names a block; judges it if it came before.
    pub(super) fn on_named(&mut self, block: Digest) -> Result<(), Fatal> {
        match self.candidates.name(block) {
            Some(early) => self.judge(early),
            None => Ok(()),
        }
    }

    /// A block of the running height arrived.
    pub(super) fn on_block(&mut self, from: NodeId, message: BlockMessage) -> Result<(), Fatal> {
        let BlockMessage { round, bytes, .. } = message;
        let Ok(block) = Block::decode(&bytes) else {
            self.blame(from, Misbehaviour::Malformed);
            return Ok(());
        };
        let digest = block.digest();
        if self.candidates.is_judged(&digest) {
            return Ok(());
        }
        let early = EarlyBlock { from, round, block, bytes: Bytes::from(bytes) };
        if self.candidates.is_named(&digest) {
            self.judge(early)
        } else {
            self.candidates.keep_early(early);
            Ok(())
        }
    }

    /// Executes a block before this validator votes on it.
    fn judge(&mut self, early: EarlyBlock) -> Result<(), Fatal> {
        let EarlyBlock { from, round, block, bytes } = early;
        let header = block.header();
        let digest = block.digest();
        let Some(sender) = proposer(self.roster(), header.height, round) else { return Ok(()) };
        let executed = if self.has_turn(header, round) { self.verify_and_execute(&block) } else { None };
        let valid = executed.is_some() && self.is_timely(header, round);
        if let Some(executed) = executed {
            self.file_candidate(&bytes, executed)?;
        } else {
            tracing::warn!(%digest, height = %header.height, "a proposed block breaks the rules");
            self.candidates.refuse(digest);
            self.blame(from, Misbehaviour::InvalidBlock);
        }
        let height = header.height;
        self.feed(DriverInput::Judged(JudgedBlock { height, round, proposer: sender, block: digest, valid }))
    }

    /// Whether the header's time is within the bound of the own clock; notes what a fresh block says of its proposer's.
    fn is_timely(&mut self, header: &Header, round: Round) -> bool {
        if header.round == round && Some(header.proposer) != self.own_key {
            self.clock.observe(header.proposer, header.time, self.now);
        }
        let is_timely = header.time <= self.now.wall.after(self.head.state.constitution().clock_ahead_max);
        if !is_timely {
            let ahead_ms = header.time.since(self.now.wall).get();
            tracing::warn!(
                proposer = %header.proposer,
                height = %header.height,
                ahead_ms,
                "a block was refused for its time, which is ahead of this machine's clock"
            );
            metrics::refused_for_time();
        }
        is_timely
    }

    /// Whether the header's proposer had the turn in the header's round, which is not after the round it came in.
    fn has_turn(&self, header: &Header, round: Round) -> bool {
        header.height == self.height().next()
            && header.round <= round
            && proposer(self.roster(), header.height, header.round) == Some(header.proposer)
    }

    fn verify_and_execute(&mut self, block: &Block) -> Option<Executed> {
        self.check_arrivals();
        let transactions = self.verify(block.transactions())?;
        self.execute(block.header(), &transactions)
    }

    /// The effect of a block on the head; `None` when it breaks the rules.
    pub(super) fn execute(&self, header: &Header, transactions: &[VerifiedTransaction]) -> Option<Executed> {
        if header.parent != self.head.digest {
            return None;
        }
        let executed = ledger::execute(&self.head.state, header, transactions);
        if let Err(invalid) = &executed {
            tracing::warn!(height = %header.height, %invalid, "a block was refused");
        }
        executed.ok()
    }

    /// Puts a block's bytes into the log and keeps it until the height is decided.
    pub(super) fn file_candidate(&mut self, bytes: &Bytes, executed: Executed) -> Result<(), Fatal> {
        let position = self.log.append(RecordKind::Block, bytes)?;
        failpoint::reach("ledger.block.logged");
        let Header { round, proposer, .. } = executed.header;
        let digest = executed.header.digest();
        let candidate = Candidate { bytes: bytes.clone(), position, round, proposer, executed };
        self.candidates.insert(digest, candidate);
        Ok(())
    }

    /// Proposes in `round`: the block that was built for it before a crash, or a new one.
    fn propose(&mut self, height: Height, round: Round) -> Result<(), Fatal> {
        let Some(own) = self.own_key else { return Ok(()) };
        if height != self.height().next() {
            return Ok(());
        }
        let block = match self.candidates.made_by(own, round) {
            Some(block) => block,
            None => self.build(BlockContext {
                height,
                round,
                time: self.block_time(),
                parent: self.head.digest,
                proposer: own,
            })?,
        };
        failpoint::reach("ledger.block.proposed");
        self.candidates.name(block);
        self.feed(DriverInput::Propose { round, block })
    }

    fn build(&mut self, context: BlockContext) -> Result<Digest, Fatal> {
        self.check_arrivals();
        let (waiting, verified): (Vec<PooledTransaction>, Vec<VerifiedTransaction>) =
            self.mempool.candidates().into_iter().map(|waiting| (waiting.clone(), waiting.verified)).unzip();
        let executed = ledger::build(&self.head.state, context, &verified);
        let mut included = executed.outcomes.iter().map(|(id, _)| *id).peekable();
        let transactions =
            waiting.iter().filter(|waiting| included.next_if_eq(&waiting.verified.id()).is_some());
        let transactions = transactions.map(|waiting| waiting.bytes.to_vec()).collect();
        let block = Block::V1 { header: executed.header.clone(), transactions };
        let digest = block.digest();
        self.file_candidate(&Bytes::from(block.encode()), executed)?;
        Ok(digest)
    }

    fn broadcast(&mut self, message: &Message) {
        self.send_to_validators(message);
        if let Message::Proposal(proposal) = message
            && self.is_first_of_own(proposal)
        {
            self.send_block(proposal.statement.round, proposal.statement.block);
            self.own_proposal = Some(proposal.clone());
        }
    }

    /// A proposal of this validator for a new block, which nobody has; a repeated one is streamed again anyway.
    fn is_first_of_own(&self, proposal: &SignedProposal) -> bool {
        Some(proposal.proposer) == self.own_key && proposal.statement.polka_round.is_none()
    }

    /// Repeats this validator's proposal of the round with its prevote: both may have been lost.
    fn repeat_proposal(&mut self, repeated: &Message) {
        let Message::Vote(vote) = repeated else { return };
        let statement = &vote.statement;
        let of_round = |proposal: &&SignedProposal| {
            proposal.statement.height == statement.height
                && proposal.statement.round == statement.round
                && vote.statement.kind == althing_contracts::certificate::VoteKind::Prevote
        };
        if let Some(proposal) = self.own_proposal.as_ref().filter(of_round).cloned() {
            let (round, block) = (proposal.statement.round, proposal.statement.block);
            self.send_to_validators(&Message::Proposal(proposal));
            self.send_block(round, block);
        }
    }

    fn send_block(&mut self, round: Round, block: Digest) {
        let Some(candidate) = self.candidates.get(&block) else { return };
        let height = candidate.executed.header.height;
        let bytes = candidate.bytes.to_vec();
        self.send_to_validators(&Message::Block(BlockMessage { height, round, bytes }));
    }
}
