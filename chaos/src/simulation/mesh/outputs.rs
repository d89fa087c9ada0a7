//! Owns what becomes of a node's outputs: messages go over the network, blocks and outcomes to the checker. Refuses
//! whatever no honest node may hand out.

use althing_actors::{
    ledger::state::{LedgerInput, LedgerOutput, TransactionOutcome},
    port::NodeId,
};
use althing_contracts::testing::{consensus_key, org};
use bytes::Bytes;

use super::{Mesh, NodeIndex, Violation};
use crate::simulation::event::Event;

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
                for delay_us in self.network.carry(&mut self.random, self.now_us, node, to, &request) {
                    let request = request.clone();
                    self.queue
                        .push(self.now_us + delay_us, Event::Request { to, from: node, life, id, request });
                }
                Ok(())
            }
            LedgerOutput::Wake { at_us } => {
                let at_us = at_us.max(self.now_us + 1);
                self.queue.push(at_us, Event::Input { to: node, life, input: LedgerInput::Timer });
                Ok(())
            }
            LedgerOutput::Committed(block) => {
                self.checker.committed(node, &block)?;
                for (id, _) in &block.outcomes {
                    if self.workload.is_final(node, *id) {
                        self.checker.acknowledged(*id);
                    }
                }
                Ok(())
            }
            LedgerOutput::Outcome { id, outcome: TransactionOutcome::Final(_) } => {
                if self.workload.is_final(node, id) {
                    self.checker.acknowledged(id);
                }
                Ok(())
            }
            LedgerOutput::Evidence(evidence) => {
                self.evidence += 1;
                let key = evidence.validator;
                let is_faulty = self.equivocator.is_some() && key == consensus_key(org(0).as_str()).public();
                let (height, round) = (evidence.height, evidence.round);
                if is_faulty {
                    Ok(())
                } else {
                    Err(Violation::DoubleSign { key, what: "votes", height, round })
                }
            }
            LedgerOutput::Misbehaved { peer, how } => {
                let peer = self.index_of(peer).unwrap_or(usize::MAX);
                Err(Violation::Blame { by: node, peer, how: format!("{how:?}") })
            }
            LedgerOutput::Outcome { .. }
            | LedgerOutput::Publish { .. }
            | LedgerOutput::Judged { .. }
            | LedgerOutput::Head(_) => Ok(()),
        }
    }

    fn send(&mut self, node: NodeIndex, to: NodeId, message: Bytes) -> Result<(), Violation> {
        let Some(to) = self.index_of(to) else { return Ok(()) };
        let message = match &self.equivocator {
            Some(equivocator) if self.is_faulty(node) => equivocator.turn(&mut self.random, &message),
            _ => {
                if self.equivocator.is_none() {
                    self.checker.sent(&message)?;
                }
                message
            }
        };
        for delay_us in self.network.carry(&mut self.random, self.now_us, node, to, &message) {
            let message = message.clone();
            self.queue.push(self.now_us + delay_us, Event::Deliver { to, from: node, message });
        }
        Ok(())
    }

    pub(super) fn serve(&mut self, to: NodeIndex, from: NodeIndex, life: u64, id: u64, request: &[u8]) {
        let response = self.nodes[to].ledger.as_ref().and_then(|ledger| ledger.serve(request));
        let Some(bytes) = response else { return };
        let peer = self.nodes[to].id;
        for delay_us in self.network.carry(&mut self.random, self.now_us, to, from, &bytes) {
            let input = LedgerInput::Blocks { id, from: peer, response: Some(bytes.clone()) };
            self.queue.push(self.now_us + delay_us, Event::Input { to: from, life, input });
        }
    }
}
