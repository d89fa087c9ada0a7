//! Owns the clients that only look: who asks which node for which proposal, with which least height, and what everybody was
//! told. They draw from a stream of their own, so that they change nothing else about a run.

use std::{collections::BTreeMap, ops::Range};

use althing_actors::ledger::{
    mempool::PooledTransaction,
    message::{Final, LedgerView},
    state::CommittedBlock,
};
use althing_contracts::{
    digest::Digest,
    event::{Event, EventRecord},
    quantity::{Height, Revision},
    transaction::{Call, ProposalId, TransactionId},
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};

use super::event::NodeIndex;
use crate::checker::status::{CallId, Caller, Change, History, Status, Told};

/// The circle of everybody who shares heights: clients that look, and whoever submits anything.
const EVERYBODY: usize = 0;
/// Clients that share heights, and clients that share with nobody.
const SHARING: usize = 3;
const ALONE: usize = 2;
/// Mean time between two things that a client asks.
const ASK_EVERY_US: u64 = 200_000;
/// Time of a request or an answer on its way.
const WAY_US: Range<u64> = 100..20_000;
/// Longest time that a node waits for a block before it refuses, as the API does.
pub(super) const WAIT_MAX_US: u64 = 5_000_000;
/// How often the proposal is asked for that was submitted last and may not be there yet.
const COMING: f64 = 0.1;
/// Proposals of which one is asked for otherwise: the newest move most.
const NEWEST: usize = 6;
/// Sets the clients' stream apart from that of the run.
const STREAM: u64 = 0xc11e_7715;

/// A request for a proposal's status.
#[derive(Debug, Clone, Copy)]
pub(super) struct Question {
    client: usize,
    pub(super) call: CallId,
    proposal: ProposalId,
    /// The height that the answer has to show.
    least: Height,
}

/// What a node says to it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reply {
    client: usize,
    call: CallId,
    /// What is shown at which height; nothing from a node that is behind.
    pub(super) shown: Option<(Height, ProposalId, Option<Status>)>,
}

/// A request that waits at a node for a block.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    node: NodeIndex,
    life: u64,
    question: Question,
}

/// One client.
#[derive(Debug)]
struct Client {
    circle: usize,
    /// What it waits for, at which node, in which of the node's lives.
    asks: Option<(CallId, NodeIndex, u64)>,
}

/// All clients and what they know.
pub(super) struct Clients {
    random: StdRng,
    network: Digest,
    each: Vec<Client>,
    /// The highest answer of each circle.
    circles: Vec<Height>,
    /// Proposals that are final.
    proposals: Vec<ProposalId>,
    /// The one that was submitted last, final or not.
    coming: Option<ProposalId>,
    /// The calls of those who submitted something.
    submitted: BTreeMap<TransactionId, CallId>,
    waiting: Vec<Waiting>,
    history: History,
}

impl Clients {
    pub(super) fn new(seed: u64, network: Digest) -> Self {
        let circles = (0..SHARING).map(|_| EVERYBODY).chain((0..ALONE).map(|client| EVERYBODY + 1 + client));
        Self {
            random: StdRng::seed_from_u64(seed ^ STREAM),
            network,
            each: circles.map(|circle| Client { circle, asks: None }).collect(),
            circles: vec![Height::ZERO; EVERYBODY + 1 + ALONE],
            proposals: Vec::new(),
            coming: None,
            submitted: BTreeMap::new(),
            waiting: Vec::new(),
            history: History::default(),
        }
    }

    /// How many there are.
    pub(super) const fn len(&self) -> usize {
        self.each.len()
    }

    /// What everybody was told.
    pub(super) const fn history(&self) -> &History {
        &self.history
    }

    /// Time until a client asks again.
    pub(super) fn pause_us(&mut self) -> u64 {
        self.random.random_range(1..2 * ASK_EVERY_US)
    }

    /// Time of a request or an answer on its way.
    pub(super) fn way_us(&mut self) -> u64 {
        self.random.random_range(WAY_US)
    }

    /// The node that a client waits for, and in which life it was asked.
    pub(super) fn waits_for(&self, client: usize) -> Option<(NodeIndex, u64)> {
        self.each[client].asks.map(|(_, node, life)| (node, life))
    }

    /// A client has lost its connection.
    pub(super) fn give_up(&mut self, client: usize) {
        self.each[client].asks = None;
    }

    /// A client asks one of these nodes, given with their lives; nothing when there is nothing to ask for or nobody.
    pub(super) fn ask(&mut self, client: usize, up: &[(NodeIndex, u64)]) -> Option<(NodeIndex, Question)> {
        let newest = &self.proposals[self.proposals.len().saturating_sub(NEWEST)..];
        let coming = self.coming.filter(|_| self.random.random_bool(COMING));
        let proposal = coming.or_else(|| newest.choose(&mut self.random).copied())?;
        let (node, life) = *up.choose(&mut self.random)?;
        let circle = self.each[client].circle;
        let call = self.history.asked(Caller { circle, node });
        self.each[client].asks = Some((call, node, life));
        Some((node, Question { client, call, proposal, least: self.circles[circle] }))
    }

    /// A question reaches a node, which answers, or waits for a block.
    pub(super) fn reach(
        &mut self,
        node: NodeIndex,
        life: u64,
        question: Question,
        view: &LedgerView,
    ) -> Option<Reply> {
        if view.answers(question.least) {
            return Some(question.answer(view));
        }
        self.waiting.push(Waiting { node, life, question });
        None
    }

    /// A node shows another block to those who wait for one.
    pub(super) fn show(&mut self, node: NodeIndex, life: u64, view: &LedgerView) -> Vec<Reply> {
        let mut replies = Vec::new();
        self.waiting.retain(|waiting| {
            let answers =
                waiting.node == node && waiting.life == life && view.answers(waiting.question.least);
            if answers {
                replies.push(waiting.question.answer(view));
            }
            // Who waits for an earlier life waits in vain.
            !answers && (waiting.node != node || waiting.life == life)
        });
        replies
    }

    /// A node has waited long enough for a block; nothing when the question is answered.
    pub(super) fn refuse(&mut self, node: NodeIndex, life: u64, call: CallId) -> Option<Reply> {
        let is_it = |it: &Waiting| (it.node, it.life, it.question.call) == (node, life, call);
        let at = self.waiting.iter().position(is_it)?;
        let Question { client, call, .. } = self.waiting.swap_remove(at).question;
        Some(Reply { client, call, shown: None })
    }

    /// An answer reaches its client; `false` when that has given up.
    pub(super) fn tell(&mut self, reply: Reply) -> bool {
        let client = &mut self.each[reply.client];
        if client.asks.is_none_or(|(call, ..)| call != reply.call) {
            return false;
        }
        client.asks = None;
        if let Some((height, proposal, status)) = reply.shown {
            let highest = &mut self.circles[client.circle];
            *highest = height.max(*highest);
            self.history.answered(reply.call, height, Told::Shown(proposal, status));
        }
        true
    }

    /// Somebody at a node submits a transaction, perhaps again.
    pub(super) fn submitted(&mut self, node: NodeIndex, transaction: &PooledTransaction) {
        let (id, body) = (transaction.verified.id(), transaction.verified.body());
        if self.submitted.contains_key(&id) {
            return;
        }
        self.submitted.insert(id, self.history.asked(Caller { circle: EVERYBODY, node }));
        if let Call::Submit { document, .. } = &body.call {
            self.proposals.push(ProposalId::derive(
                self.network,
                &body.sender,
                body.sequence,
                document.digest(),
            ));
        }
    }

    /// Whoever submitted a transaction is told that it is final.
    pub(super) fn acknowledged(&mut self, found: &Final) {
        if let Some(call) = self.submitted.get(&found.id) {
            let highest = &mut self.circles[EVERYBODY];
            *highest = found.height.max(*highest);
            // What had taken effect before may have done so by another transaction, such as the same ballot.
            let transaction = (!found.events.is_empty()).then_some(found.id);
            self.history.answered(*call, found.height, Told::Done(transaction));
        }
    }

    /// A node is the first to show a block.
    pub(super) fn decided(&mut self, block: &CommittedBlock) {
        let height = block.header.height;
        if height > self.history.top() {
            self.proposals.extend(block.events.iter().filter_map(opened));
        }
        let changes = block.events.iter().filter_map(|record| Change::of(&record.event));
        self.history.held(height, changes, block.outcomes.iter().map(|(id, _)| *id));
        self.history.reached(height);
    }

    /// A node shows a height that is decided.
    pub(super) fn reached(&mut self, height: Height) {
        self.history.reached(height);
    }

    /// A node shows what its disk held.
    pub(super) fn opened(&mut self, view: &LedgerView) {
        self.history.stands(&view.state);
        self.history.reached(view.state.height());
    }
}

/// The proposal that an event opens.
fn opened(record: &EventRecord) -> Option<ProposalId> {
    match &record.event {
        Event::Submitted { proposal, revision, .. } if *revision == Revision::new(1) => Some(*proposal),
        _ => None,
    }
}

impl Question {
    fn answer(&self, view: &LedgerView) -> Reply {
        let Self { client, call, proposal, .. } = *self;
        let status =
            view.state.proposal(proposal).map(|it| Status { stage: it.stage, revision: it.revision });
        Reply { client, call, shown: Some((view.state.height(), proposal, status)) }
    }
}
