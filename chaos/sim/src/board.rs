//! Owns what a run observed from outside: which block each node showed at each height, what was acknowledged, and what
//! must not be. It reads values that nodes hand out and blocks that they serve; it decides nothing for them.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    time::Duration,
};

use althing_actors::{
    auditor::replay::Replay,
    causes::with_causes,
    ledger::message::{CertifiedBlock, Final},
};
use althing_chaos::checker::{Ended, how_it_ended};
use althing_contracts::{
    block::Block,
    digest::Digest,
    genesis::Genesis,
    proposal::Proposal,
    quantity::Height,
    stage::Stage,
    transaction::{ProposalId, TransactionId},
};

use crate::{trace, world::NODES};

/// Violations listed; more of them say nothing new.
const VIOLATIONS_MAX: usize = 20;

/// The board of a run; clones share it.
pub type SharedBoard = Rc<RefCell<Board>>;

/// What was observed.
#[derive(Debug, Default)]
pub struct Board {
    /// The block at each height, by whoever showed it first.
    blocks: BTreeMap<Height, (Digest, usize)>,
    /// When each was shown first, in microseconds of the run.
    final_us: BTreeMap<Height, u64>,
    /// How each vote or execution ended, by the ledger, and the proposals that were closed, with when that was seen.
    ended: BTreeMap<ProposalId, Ended>,
    closed: BTreeMap<ProposalId, Duration>,
    /// How often a life ended in each stage.
    lives: BTreeMap<ProposalId, String>,
    /// Highest block that each node showed.
    heights: BTreeMap<usize, Height>,
    /// Transactions whose senders were told that they are final, and where.
    acknowledged: BTreeMap<TransactionId, Height>,
    /// When each node's user was last told of a final transaction.
    served: BTreeMap<usize, Duration>,
    /// Nodes whose process has to stop, and why.
    failed: BTreeMap<usize, String>,
    /// Nodes that refuse to start on what their disks have.
    given_up: BTreeSet<usize>,
    /// How far the auditor is.
    audited: Height,
    /// Refusals that users were told of.
    refused: BTreeMap<String, u64>,
    /// Whether nodes are to hand out their whole chain.
    inquest: Option<Height>,
    chains: BTreeMap<usize, Vec<CertifiedBlock>>,
    violations: Vec<String>,
}

impl Board {
    /// A node shows a final block.
    pub fn shown(&mut self, node: usize, height: Height, block: Digest) {
        trace::note("final", &format!("{node} {height} {block}"));
        let (first, by) = *self.blocks.entry(height).or_insert((block, node));
        if first != block {
            self.violate(format!(
                "agreement: at height {height} node {by} has block {first}, node {node} has {block}"
            ));
        }
        let now_us = turmoil::sim_elapsed().unwrap_or_default().as_micros();
        self.final_us.entry(height).or_insert(u64::try_from(now_us).unwrap_or(u64::MAX));
        let highest = self.heights.entry(node).or_insert(height);
        *highest = height.max(*highest);
    }

    /// A node shows where a proposal stands.
    pub fn stands(&mut self, proposal: &Proposal) {
        if let Some(ended) = how_it_ended(proposal) {
            self.ended.insert(proposal.id, ended);
        }
        if proposal.stage.is_terminal() && !self.lives.contains_key(&proposal.id) {
            trace::note("life", &format!("{} {}", proposal.id, proposal.stage));
            self.lives.insert(proposal.id, proposal.stage.to_string());
            if proposal.stage == Stage::Closed {
                self.closed.insert(proposal.id, turmoil::sim_elapsed().unwrap_or_default());
            }
        }
    }

    /// How often a life ended in each stage.
    #[must_use]
    pub fn lives(&self) -> BTreeMap<String, u64> {
        let mut counts = BTreeMap::new();
        for stage in self.lives.values() {
            *counts.entry(stage.clone()).or_default() += 1;
        }
        counts
    }

    /// Whether a proposal was closed after `since`.
    #[must_use]
    pub fn has_closed(&self, since: Duration) -> bool {
        self.closed.values().any(|at| *at > since)
    }

    /// How each vote or execution ended.
    #[must_use]
    pub const fn ended(&self) -> &BTreeMap<ProposalId, Ended> {
        &self.ended
    }

    /// When each block was final at its first node.
    #[must_use]
    pub const fn final_us(&self) -> &BTreeMap<Height, u64> {
        &self.final_us
    }

    /// Transactions whose senders were told that they are final, by a height.
    #[must_use]
    pub fn acknowledgements(&self, until: Height) -> BTreeSet<TransactionId> {
        let told = self.acknowledged.iter().filter(|(_, height)| **height <= until);
        told.map(|(id, _)| *id).collect()
    }

    /// The longest chain that was handed out.
    #[must_use]
    pub fn longest(&self) -> Vec<CertifiedBlock> {
        self.chains.values().max_by_key(|chain| chain.len()).cloned().unwrap_or_default()
    }

    /// A user is told that its transaction is final. One without events repeats what is in effect, perhaps by another one's
    /// doing, and is in no block.
    pub fn acknowledge(&mut self, node: usize, done: &Final) {
        let Final { id, height, events, .. } = done;
        let (id, height) = (*id, *height);
        trace::note("acknowledged", &format!("{node} {height} {id}"));
        self.served.insert(node, turmoil::sim_elapsed().unwrap_or_default());
        if events.is_empty() {
            return;
        }
        // A repeat is told of a later height.
        self.acknowledged.entry(id).or_insert(height);
    }

    /// A user is told that its transaction is refused.
    pub fn refuse(&mut self, reason: &str) {
        trace::note("refused", &reason);
        *self.refused.entry(reason.to_owned()).or_default() += 1;
    }

    /// A node's process has to stop.
    pub fn fail(&mut self, node: usize, reason: &str) {
        trace::note("failed", &format!("{node} {reason}"));
        self.failed.insert(node, reason.to_owned());
    }

    /// A node's disk lost what it had said to keep, and the node refuses to start on it.
    pub fn give_up(&mut self, node: usize, reason: &str) {
        trace::note("given up", &format!("{node} {reason}"));
        self.given_up.insert(node);
    }

    /// Nodes that need new disks, which are forgotten here.
    pub fn take_given_up(&mut self) -> BTreeSet<usize> {
        std::mem::take(&mut self.given_up)
    }

    /// Nodes whose process has to stop, which are forgotten here.
    pub fn take_failed(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.failed).into_keys().collect()
    }

    /// The auditor has re-applied blocks up to `height`.
    pub fn audited(&mut self, height: Height) {
        self.audited = height;
    }

    /// Highest block that the auditor has re-applied.
    #[must_use]
    pub const fn last_audited(&self) -> Height {
        self.audited
    }

    /// Something that must not be; said once, however often it is seen.
    pub fn violate(&mut self, what: String) {
        trace::note("violation", &what);
        if self.violations.len() < VIOLATIONS_MAX && !self.violations.contains(&what) {
            self.violations.push(what);
        }
    }

    /// Highest block that anyone has shown.
    #[must_use]
    pub fn highest(&self) -> Height {
        self.heights.values().max().copied().unwrap_or(Height::ZERO)
    }

    /// Nodes that have not shown a block from `height` on, or whose user has not been served since `since`.
    #[must_use]
    pub fn behind(&self, height: Height, since: Duration) -> Vec<usize> {
        let is_there = |node: &usize| self.heights.get(node).is_some_and(|own| *own >= height);
        let is_served = |node: &usize| self.served.get(node).is_some_and(|last| *last >= since);
        (0..NODES).filter(|node| !is_there(node) || !is_served(node)).collect()
    }

    /// Asks the nodes for their chains, up to the highest block that anyone has.
    pub fn begin_inquest(&mut self) {
        self.inquest = Some(self.highest());
    }

    /// Whether nodes are to hand out their chains.
    #[must_use]
    pub const fn is_inquest(&self) -> bool {
        self.inquest.is_some()
    }

    /// Whether a node of this height is to hand out its chain.
    #[must_use]
    pub fn is_asked_at(&self, height: Height) -> bool {
        self.inquest.is_some_and(|asked| asked <= height)
    }

    /// A node hands its chain out.
    pub fn hand_out(&mut self, node: usize, chain: Vec<CertifiedBlock>) {
        self.chains.insert(node, chain);
    }

    /// Whether every node has handed its chain out.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.chains.len() == NODES
    }

    /// Users' acknowledgements and refusals so far.
    #[must_use]
    pub fn told(&self) -> (usize, BTreeMap<String, u64>) {
        (self.acknowledged.len(), self.refused.clone())
    }

    /// Judges the chains and yields every violation of the run.
    pub fn judge(&mut self, genesis: &Genesis) -> Vec<String> {
        let chains = std::mem::take(&mut self.chains);
        for (node, chain) in &chains {
            self.judge_chain(*node, chain, genesis);
        }
        std::mem::take(&mut self.violations)
    }

    /// Certified blocks without a gap, each by the validators that the one before left, the same as everyone's, with everything
    /// that was acknowledged, once.
    fn judge_chain(&mut self, node: usize, chain: &[CertifiedBlock], genesis: &Genesis) {
        let network = genesis.network();
        let mut replay = match Replay::begin(genesis) {
            Ok(replay) => replay,
            Err(error) => return self.violate(format!("the genesis starts no ledger: {error}")),
        };
        let mut found = BTreeMap::new();
        let mut doubled = BTreeSet::new();
        let mut parent = Digest::ZERO;
        for (index, certified) in chain.iter().enumerate() {
            let block = match Block::decode(&certified.block) {
                Ok(block) => block,
                Err(error) => {
                    return self.violate(format!("node {node} serves a block that is none: {error}"));
                }
            };
            let header = block.header();
            if header.height.get() != index as u64 + 1 || header.parent != parent {
                return self.violate(format!("node {node} serves a chain that breaks at {}", header.height));
            }
            parent = header.digest();
            self.shown(node, header.height, parent);
            if let Err(error) = replay.apply(certified) {
                let what = with_causes(&error);
                return self.violate(format!("node {node} serves height {}: {what}", header.height));
            }
            for bytes in block.transactions() {
                let id = transaction_id(bytes, network);
                if found.insert(id, header.height).is_some() {
                    doubled.insert(id);
                }
            }
        }
        for id in doubled {
            self.violate(format!("node {node} has transaction {id} twice"));
        }
        let end = Height::new(chain.len() as u64);
        let lost: Vec<String> = self
            .acknowledged
            .iter()
            .filter(|(id, height)| **height <= end && found.get(*id).is_none_or(|at| at > *height))
            .map(|(id, height)| format!("node {node} has lost transaction {id}, acknowledged at {height}"))
            .collect();
        lost.into_iter().for_each(|lost| self.violate(lost));
    }
}

fn transaction_id(bytes: &[u8], network: Digest) -> TransactionId {
    let transaction = althing_contracts::transaction::UnverifiedTransaction::decode(bytes, network);
    transaction.expect("the block's digest names it").id()
}
