//! Owns the edge towards other nodes: decodes, checks sender, height, roster and signatures, and lets only what
//! holds come near consensus. Everything that arrives here is taken for hostile.

use althing_contracts::{
    certificate::{Certificate, VoteKind, VoteStatement},
    quantity::Height,
    signature::PublicKey,
};

use super::{Fatal, LedgerOutput, LedgerState, Misbehaviour};
use crate::{
    disk::Disk,
    ledger::{
        consensus::{DriverInput, proposer},
        log::record::RecordKind,
        wire::{LedgerMessage, Message, SignedProposal, SignedVote, Status},
    },
    port::{NodeId, Verdict},
};

/// A peer that is behind is answered at most this often.
const REPLY_INTERVAL_US: u64 = 200_000;

impl<D: Disk> LedgerState<D> {
    pub(super) fn on_direct(&mut self, from: NodeId, bytes: &[u8]) -> Result<(), Fatal> {
        let Ok(message) = LedgerMessage::decode(bytes) else {
            self.blame(from, Misbehaviour::Malformed);
            return Ok(());
        };
        match message {
            Message::Transactions(transactions) => {
                self.on_arrived(from, transactions);
                Ok(())
            }
            Message::Status(status) => {
                self.on_status(from, status);
                Ok(())
            }
            Message::Decided(certificate) => self.on_decided_elsewhere(from, certificate),
            consensus => self.on_consensus(from, consensus),
        }
    }

    /// Gossip carries heads and, for nodes without a validator among their peers, transactions.
    pub(super) fn on_gossip(&mut self, from: NodeId, token: u64, bytes: &[u8]) {
        let verdict = match LedgerMessage::decode(bytes) {
            Ok(Message::Decided(certificate)) => self.on_head(from, certificate),
            Ok(Message::Transactions(transactions)) => self.on_gossiped(from, transactions),
            Ok(_) | Err(_) => Verdict::Reject,
        };
        self.outputs.push(LedgerOutput::Judged { token, verdict });
    }

    fn on_status(&mut self, from: NodeId, status: Status) {
        self.sync.claim(from, status.height);
        if status.height < self.height() {
            self.reply_to_laggard(from, status.height.next());
        }
    }

    fn on_consensus(&mut self, from: NodeId, message: Message) -> Result<(), Fatal> {
        let next = self.height().next();
        let is_validator = self.validators.contains_key(&from);
        let height = message.height().filter(|height| is_validator || *height != next);
        let Some(height) = height else {
            self.blame(from, Misbehaviour::Stranger);
            return Ok(());
        };
        if height > next {
            let has = Height::new(height.get().saturating_sub(1));
            self.sync.claim(from, has);
        }
        if !self.is_seated() || height > next.next() || height > next && !is_validator {
            return Ok(());
        }
        match self.check_signatures(&message)? {
            None => {}
            // Others may decide that height.
            Some(Misbehaviour::Stranger) if height > next => return Ok(()),
            Some(Misbehaviour::Stranger) if height < next => {}
            Some(how) => {
                self.blame(from, how);
                return Ok(());
            }
        }
        if height < next {
            self.reply_to_laggard(from, height);
            return Ok(());
        }
        let is_running = self.driver.as_ref().is_some_and(|driver| !driver.is_decided());
        if height == next && is_running {
            self.admit(from, message)
        } else {
            self.ahead.push(height, from, message);
            Ok(())
        }
    }

    /// Gives a verified message of the running height to consensus.
    pub(super) fn admit(&mut self, from: NodeId, message: Message) -> Result<(), Fatal> {
        match message {
            Message::Vote(vote) => self.feed(DriverInput::Vote(vote)),
            Message::Proposal(proposal) => {
                let block = proposal.statement.block;
                self.feed(DriverInput::Proposal(proposal))?;
                self.on_named(block)
            }
            Message::PolkaCertificate(certificate) => {
                let block = certificate.block;
                self.feed(DriverInput::PolkaCertificate(certificate))?;
                self.on_named(block)
            }
            Message::RoundCertificate(certificate) => self.feed(DriverInput::RoundCertificate(certificate)),
            Message::Block(block) => self.on_block(from, block),
            Message::Transactions(_) | Message::Status(_) | Message::Decided(_) => Ok(()),
        }
    }

    /// Feeds the driver of the running height.
    pub(super) fn feed(&mut self, input: DriverInput) -> Result<(), Fatal> {
        let now_us = self.now.monotonic_us;
        if let Some(driver) = &mut self.driver {
            let acts = driver.feed(now_us, input, &mut self.log)?;
            self.acts.extend(acts);
        }
        Ok(())
    }

    /// What is wrong with the signatures of a message, by the roster of the running height.
    fn check_signatures(&mut self, message: &Message) -> Result<Option<Misbehaviour>, Fatal> {
        Ok(match message {
            Message::Vote(vote) => self.check_votes(std::slice::from_ref(vote))?,
            Message::Proposal(proposal) => self.check_proposal(proposal),
            Message::PolkaCertificate(certificate) => {
                let votes: Vec<SignedVote> = certificate.votes().collect();
                self.check_votes(&votes)?
            }
            Message::RoundCertificate(certificate) => {
                let votes: Vec<SignedVote> = certificate.signed_votes().collect();
                self.check_votes(&votes)?
            }
            Message::Block(_) | Message::Transactions(_) | Message::Status(_) | Message::Decided(_) => None,
        })
    }

    fn check_votes(&mut self, votes: &[SignedVote]) -> Result<Option<Misbehaviour>, Fatal> {
        for vote in votes {
            if !self.is_validator(vote.voter) {
                return Ok(Some(Misbehaviour::Stranger));
            }
            let signed = vote.signed(self.network);
            if !self.verdicts.check(&signed) {
                return Ok(Some(Misbehaviour::Signature));
            }
            self.observe(vote)?;
        }
        Ok(None)
    }

    fn check_proposal(&mut self, proposal: &SignedProposal) -> Option<Misbehaviour> {
        let statement = &proposal.statement;
        if proposer(self.roster(), statement.height, statement.round) != Some(proposal.proposer) {
            return Some(Misbehaviour::Stranger);
        }
        let signed = proposal.signed(self.network);
        if self.verdicts.check(&signed) { None } else { Some(Misbehaviour::Signature) }
    }

    /// Compares a verified vote with what its voter said before, and records evidence.
    fn observe(&mut self, vote: &SignedVote) -> Result<(), Fatal> {
        let Some(evidence) = self.detector.observe(vote) else { return Ok(()) };
        self.log.append(RecordKind::Evidence, &super::open::encode_evidence(&evidence))?;
        self.outputs.push(LedgerOutput::Evidence(Box::new(evidence)));
        self.is_bound = true;
        Ok(())
    }

    /// Compares the precommits of a verified certificate with what their validators said to this node.
    pub(super) fn observe_certificate(&mut self, certificate: &Certificate) -> Result<(), Fatal> {
        let Certificate { height, round, block, precommits } = certificate;
        let statement =
            VoteStatement { kind: VoteKind::Precommit, height: *height, round: *round, block: Some(*block) };
        for (voter, signature) in precommits {
            self.observe(&SignedVote { statement, voter: *voter, signature: *signature })?;
        }
        Ok(())
    }

    /// Tells a node that works on a height which is over how it was decided.
    fn reply_to_laggard(&mut self, peer: NodeId, height: Height) {
        let now_us = self.now.monotonic_us;
        let replied_us = self.replied_us.get(&peer).copied().unwrap_or(0);
        let last_us = replied_us.max(self.head.committed_us);
        // Votes that cross the decision on the way are no sign of lagging.
        if now_us < last_us.saturating_add(REPLY_INTERVAL_US) {
            return;
        }
        self.replied_us.insert(peer, now_us);
        match &self.head.certificate {
            Some(certificate) if certificate.height == height => {
                let message = Message::Decided(certificate.clone());
                self.send(peer, &message);
            }
            _ => self.send(peer, &Message::Status(self.status())),
        }
    }

    fn is_validator(&self, key: PublicKey) -> bool {
        self.roster().by_consensus_key(key).is_some()
    }
}
