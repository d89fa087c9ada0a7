//! Owns reads in a run: clients ask nodes, which answer from what they show, or wait for the height that was asked for. A
//! node that stops meanwhile gives no answer.

use std::sync::Arc;

use super::{Mesh, NodeIndex};
use crate::simulation::{
    clients::{Question, Reply, WAIT_MAX_US},
    event::Event,
    report,
};

impl Mesh {
    /// A client asks a node that runs, unless it still waits for one.
    pub(super) fn client(&mut self, client: usize) {
        if self.calm.is_some() {
            return;
        }
        let pause_us = self.clients.pause_us();
        self.queue.push(self.now_us + pause_us, Event::Client { client });
        if let Some((node, life)) = self.clients.waits_for(client) {
            if self.nodes[node].life == life && self.nodes[node].ledger.is_some() {
                return;
            }
            self.coverage.count(report::READ_UNANSWERED);
            self.clients.give_up(client);
        }
        // What a liar says is nobody's promise.
        let honest = self.nodes.iter().enumerate().skip(self.liars.len());
        let up: Vec<_> =
            honest.filter(|(_, at)| at.site.is_some()).map(|(node, at)| (node, at.life)).collect();
        if let Some((node, question)) = self.clients.ask(client, &up) {
            let way_us = self.clients.way_us();
            self.queue.push(self.now_us + way_us, Event::Question { node, question });
        }
    }

    /// A question reaches a node.
    pub(super) fn question(&mut self, node: NodeIndex, question: Question) {
        let life = self.nodes[node].life;
        let Some(site) = &self.nodes[node].site else { return };
        if let Some(reply) = self.clients.reach(node, life, question, &site.view) {
            return self.reply(node, reply);
        }
        self.coverage.count(report::READ_WAITED);
        let (at_us, call) = (self.now_us + WAIT_MAX_US, question.call);
        self.queue.push(at_us, Event::Patience { node, life, call });
    }

    /// A node has waited long enough for a block that a question asks for.
    pub(super) fn lose_patience(&mut self, node: NodeIndex, life: u64, call: usize) {
        if let Some(reply) = self.clients.refuse(node, life, call) {
            self.reply(node, reply);
        }
    }

    /// An answer reaches its client.
    pub(super) fn hear(&mut self, node: NodeIndex, reply: Reply) {
        if !self.clients.tell(reply) {
            return;
        }
        let Some((.., status)) = reply.shown else { return self.coverage.count(report::READ_BEHIND) };
        self.coverage.count(report::READ);
        for (is_it, kind) in [
            (status.is_none(), report::READ_ABSENT),
            (self.nodes[node].life > 1, report::READ_AFTER_CRASH),
            (node >= self.plan.validators, report::READ_AT_OBSERVER),
        ] {
            if is_it {
                self.coverage.count(kind);
            }
        }
    }

    /// A node shows another block.
    pub(super) fn answer_waiting(&mut self, node: NodeIndex) {
        let life = self.nodes[node].life;
        let Some(view) = self.nodes[node].site.as_ref().map(|site| Arc::clone(&site.view)) else { return };
        for reply in self.clients.show(node, life, &view) {
            self.reply(node, reply);
        }
    }

    fn reply(&mut self, node: NodeIndex, reply: Reply) {
        let way_us = self.clients.way_us();
        self.queue.push(self.now_us + way_us, Event::Reply { node, reply });
    }
}
