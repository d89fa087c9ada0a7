//! Owns what becomes of a node's outputs: messages go over the network, blocks and outcomes to the checker. Refuses
//! whatever no honest node may hand out.

use althing_actors::{
    executor::journal::StepKey,
    ledger::{
        message::Final,
        state::{CommittedBlock, LedgerInput, LedgerOutput, TransactionOutcome},
        wire::{LedgerMessage, Message},
    },
    port::{NodeId, Verdict},
};
use althing_contracts::{
    electorate::Entrusted,
    event::Event,
    name::MemberId,
    proposal::Proposal,
    stage::Stage,
    testing::{consensus_key, org},
    transaction::ProposalId,
};
use bytes::Bytes;

use super::{Mesh, NodeIndex, Violation};
use crate::simulation::{event::Event as Scheduled, report};

impl Mesh {
    pub(super) fn carry_out(&mut self, node: NodeIndex, outputs: Vec<LedgerOutput>) -> Result<(), Violation> {
        for output in outputs {
            if let Some(left) = &mut self.nodes[node].sends_left {
                if *left == 0 {
                    self.nodes[node].sends_left = None;
                    return self.crash(node);
                }
                *left -= 1;
            }
            self.output(node, output)?;
        }
        Ok(())
    }

    fn output(&mut self, node: NodeIndex, output: LedgerOutput) -> Result<(), Violation> {
        let life = self.nodes[node].life;
        match output {
            LedgerOutput::Send { to, message } => self.send(node, to, message),
            LedgerOutput::RequestBlocks { id, to, request } => {
                let Some(to) = self.index_of(to) else { return Ok(()) };
                for delay_us in self.carry(node, to, &request) {
                    let request = request.clone();
                    self.queue.push(
                        self.now_us + delay_us,
                        Scheduled::Request { to, from: node, life, id, request },
                    );
                }
                Ok(())
            }
            LedgerOutput::Wake { at_us } => {
                let at_us = at_us.max(self.now_us + 1);
                self.queue.push(at_us, Scheduled::Input { to: node, life, input: LedgerInput::Timer });
                Ok(())
            }
            LedgerOutput::Committed(block) => {
                if block.header.height > self.checker.top() {
                    self.tell_block(&block);
                }
                self.checker.committed(node, &block, self.now_us)?;
                self.clients.decided(&block);
                self.keep_snapshot(node, &block);
                self.show(node);
                if let Some(ledger) = &self.nodes[node].ledger {
                    self.pools.look(node, ledger)?;
                }
                self.answer_waiting(node);
                self.schedule_look(node);
                let (height, time) = (block.header.height, block.header.time);
                for (id, events) in &block.outcomes {
                    self.finalise(node, Final { id: *id, height, time, events: events.clone() })?;
                }
                Ok(())
            }
            LedgerOutput::Outcome { id, outcome } => match outcome {
                TransactionOutcome::Final(found) => self.finalise(node, found),
                TransactionOutcome::Rejected(reject) => self.refuse(node, id, &reject),
                TransactionOutcome::Busy { .. } => Ok(()),
            },
            LedgerOutput::Evidence(evidence) => {
                self.coverage.count(report::EVIDENCE);
                self.witness.show(node, evidence.height);
                let key = evidence.validator;
                let is_faulty = (0..self.plan.validators)
                    .any(|node| self.is_faulty(node) && key == consensus_key(org(node).as_str()).public());
                let (height, round) = (evidence.height, evidence.round);
                if is_faulty {
                    Ok(())
                } else {
                    Err(Violation::DoubleSign { key, what: "votes", height, round })
                }
            }
            LedgerOutput::Misbehaved { peer, how } => {
                let peer = self.index_of(peer).unwrap_or(usize::MAX);
                if self.is_faulty(peer) {
                    return Ok(());
                }
                Err(Violation::Blame { by: node, peer, how: format!("{how:?}") })
            }
            LedgerOutput::Publish { message, .. } => {
                if self.nodes[node].is_news(self.now_us, &message) {
                    self.gossip(node, node, &message);
                }
                Ok(())
            }
            LedgerOutput::Judged { token, verdict } => self.judged(token, verdict),
            LedgerOutput::Head(_) => Ok(()),
        }
    }

    /// A block is final for the first time.
    fn tell_block(&mut self, block: &CommittedBlock) {
        for record in block.events.iter() {
            self.coverage.event(&record.event);
            if let Event::StepClaimed { proposal, step, undo, executor, .. } = &record.event {
                let before = self.holders.insert((*proposal, *step, *undo), executor.clone());
                if before.is_some_and(|before| before != *executor) {
                    self.coverage.count(report::TAKEN_OVER);
                }
            }
            if let Event::StageChanged { proposal, to: Stage::Canary, .. } = &record.event
                && block.state.proposal(*proposal).is_some_and(|it| !it.document.after.is_empty())
            {
                self.coverage.count(report::WAITED);
            }
            if let Event::Voted { proposal, voter, .. } = &record.event
                && block.state.proposal(*proposal).is_some_and(|it| speaks_for_others(it, voter))
            {
                self.coverage.count(report::HEARD_THROUGH);
            }
            self.tell(|| Some(format!("height {}: {}", block.header.height, told(&record.event)?)));
        }
    }

    /// A snapshot becomes durable with the records of its block.
    fn keep_snapshot(&mut self, node: NodeIndex, block: &CommittedBlock) {
        if node >= self.plan.validators {
            self.coverage.count(report::OBSERVER_BLOCK);
        }
        let every = self.plan.snapshot_every;
        if every > 0 && block.header.height.get().is_multiple_of(every) {
            self.nodes[node].taken = Some(block.state.encode_snapshot());
        }
    }

    /// Gossip goes from a node to all that it has a link with, but where it came from.
    fn gossip(&mut self, node: NodeIndex, came_from: NodeIndex, message: &Bytes) {
        for to in self.others(node).filter(|to| *to != came_from).collect::<Vec<_>>() {
            for delay_us in self.carry(node, to, message) {
                let message = message.clone();
                self.queue.push(self.now_us + delay_us, Scheduled::Gossip { to, from: node, message });
            }
        }
    }

    pub(super) fn hear_gossip(
        &mut self,
        to: NodeIndex,
        from: NodeIndex,
        message: Bytes,
    ) -> Result<(), Violation> {
        if self.nodes[to].ledger.is_none() || !self.nodes[to].is_news(self.now_us, &message) {
            return Ok(());
        }
        self.tokens += 1;
        let token = self.tokens;
        self.judged.insert(token, (to, from, message.clone()));
        let from = self.nodes[from].id;
        self.step(to, LedgerInput::Gossip { from, token, message })
    }

    fn judged(&mut self, token: u64, verdict: Verdict) -> Result<(), Violation> {
        let Some((node, from, message)) = self.judged.remove(&token) else { return Ok(()) };
        match verdict {
            Verdict::Accept => {
                let is_head = matches!(LedgerMessage::decode(&message), Ok(Message::Decided(_)));
                let kind = if is_head { report::GOSSIPED_HEAD } else { report::GOSSIPED_TRANSACTION };
                self.coverage.count(kind);
                self.gossip(node, from, &message);
                Ok(())
            }
            Verdict::Ignore => Ok(()),
            Verdict::Reject => {
                Err(Violation::Blame { by: node, peer: from, how: "its gossip is rejected".to_owned() })
            }
        }
    }

    /// The delays of a message's copies, noted when there is none or more than one.
    fn carry(&mut self, from: NodeIndex, to: NodeIndex, message: &[u8]) -> Vec<u64> {
        let delays_us = self.network.carry(&mut self.random, self.now_us, from, to, message);
        match delays_us.len() {
            0 => self.coverage.count(report::LOST),
            1 => {}
            _ => self.coverage.count(report::DUPLICATE),
        }
        delays_us
    }

    fn send(&mut self, node: NodeIndex, to: NodeId, message: Bytes) -> Result<(), Violation> {
        let Some(to) = self.index_of(to) else { return Ok(()) };
        let messages = self.told(node, to, message);
        if self.liars.is_empty() && !self.plan.forgets(node) {
            messages.iter().try_for_each(|message| self.checker.sent(message))?;
        }
        for message in messages {
            for delay_us in self.carry(node, to, &message) {
                let message = message.clone();
                self.queue.push(self.now_us + delay_us, Scheduled::Deliver { to, from: node, message });
            }
        }
        Ok(())
    }

    /// What a node sends where an honest one would send `message`.
    fn told(&mut self, node: NodeIndex, to: NodeIndex, message: Bytes) -> Vec<Bytes> {
        let Self { liars, random, nodes, coverage, plan, .. } = self;
        let (Some(liar), Some(lie)) = (liars.get_mut(node), plan.lie) else { return vec![message] };
        let told = liar.tell(random, nodes[node].ledger.as_ref(), to, &message);
        if told[..] != [message] {
            coverage.lie(lie);
        }
        told
    }

    pub(super) fn serve(&mut self, to: NodeIndex, from: NodeIndex, life: u64, id: u64, request: &[u8]) {
        let response = self.nodes[to].ledger.as_ref().and_then(|ledger| ledger.serve(request));
        let Some(honest) = response else { return };
        let Self { liars, random, nodes, coverage, .. } = self;
        let ledger = nodes[to].ledger.as_ref();
        let bytes =
            liars.get(to).map_or_else(|| honest.clone(), |liar| liar.answer(random, ledger, honest.clone()));
        if let Some(lie) = self.plan.lie.filter(|_| bytes != honest) {
            coverage.lie(lie);
        }
        let peer = self.nodes[to].id;
        for delay_us in self.carry(to, from, &bytes) {
            let input = LedgerInput::Blocks { id, from: peer, response: Some(bytes.clone()) };
            self.queue.push(self.now_us + delay_us, Scheduled::Input { to: from, life, input });
        }
    }
}

/// Whether a voter's ballot carries more than the voter's own weight.
fn speaks_for_others(proposal: &Proposal, voter: &MemberId) -> bool {
    proposal.vote.entrusted(voter, &proposal.electorate) != Entrusted::default()
}

/// What a person wants to read of an event of the ledger.
fn told(event: &Event) -> Option<String> {
    let key = |proposal: &ProposalId, step: &u16, undo: &bool| StepKey {
        proposal: *proposal,
        step: *step,
        undo: *undo,
    };
    Some(match event {
        Event::StageChanged { proposal, from, to, cause } => {
            format!("{} {from} → {to}: {cause}", proposal.digest().short())
        }
        Event::StepClaimed { proposal, step, undo, executor, fence, .. } => {
            format!("{executor} holds the {}, fence {fence}", key(proposal, step, undo))
        }
        Event::StepReported { proposal, step, undo, executor, fence, outcome, .. } => {
            format!("{executor} reports the {}, fence {fence}: {outcome:?}", key(proposal, step, undo))
        }
        _ => return None,
    })
}
