//! Owns the invariants of a run, judged from outside: by what the nodes hand out, never by what they hold.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use althing_actors::ledger::{
    message::LedgerView,
    state::CommittedBlock,
    wire::{LedgerMessage, Message, SignedProposal, SignedVote},
};
use althing_contracts::{
    block::Header,
    certificate::{Certificate, Roster, VoteKind},
    digest::Digest,
    quantity::{Height, Round},
    signature::PublicKey,
    state::State,
    transaction::TransactionId,
};

use super::event::NodeIndex;
use crate::model::{Deviation, Follower};

/// An invariant that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Violation {
    /// Two nodes have different blocks at one height.
    #[error("agreement: node {node} has block {found} at height {height}, another has {expected}")]
    Fork {
        /// Who.
        node: usize,
        /// Where.
        height: Height,
        /// Its block.
        found: Digest,
        /// The other's.
        expected: Digest,
    },
    /// A block is final without a certificate that proves it.
    #[error("finality: node {node} holds height {height} for final, but {problem}")]
    Certificate {
        /// Who.
        node: usize,
        /// Where.
        height: Height,
        /// What is wrong.
        problem: String,
    },
    /// An event is no move that the model allows.
    #[error("model: node {node} handed out {what}")]
    Deviation {
        /// Who.
        node: usize,
        /// Which event, and why.
        what: String,
    },
    /// A node skipped a height, or went back.
    #[error("order: node {node} went from height {from} to {to}")]
    Order {
        /// Who.
        node: usize,
        /// From where.
        from: Height,
        /// To where.
        to: Height,
    },
    /// A key signed two different messages for one height, round and kind.
    #[error("double sign: {key} signed two different {what} at height {height}, round {round}")]
    DoubleSign {
        /// Whose.
        key: PublicKey,
        /// Votes or proposals.
        what: &'static str,
        /// Where.
        height: Height,
        /// Where.
        round: Round,
    },
    /// A block that a node had made durable is gone after a restart.
    #[error("durability: node {node} had height {had} and has {has} after its restart")]
    Lost {
        /// Who.
        node: usize,
        /// What it had.
        had: Height,
        /// What it has.
        has: Height,
    },
    /// The mesh did not go on after the faults ended.
    #[error("progress: {behind} in {bound_ms} ms after the faults ended")]
    Stalled {
        /// What is missing.
        behind: String,
        /// The bound.
        bound_ms: u64,
    },
    /// A node stopped by itself, which only a failing disk may cause.
    #[error("a node stopped: node {node}: {reason}")]
    Stopped {
        /// Who.
        node: usize,
        /// Why.
        reason: String,
    },
    /// An honest node broke the protocol in another's eyes.
    #[error("blame: node {by} blames the honest node {peer}: {how}")]
    Blame {
        /// Who blames.
        by: usize,
        /// Whom.
        peer: usize,
        /// For what.
        how: String,
    },
    /// An auditor raised an alarm where nobody did wrong.
    #[error("audit: the auditor at node {node} says {alarm}")]
    Alarm {
        /// Whose.
        node: usize,
        /// What it says.
        alarm: String,
    },
    /// What the run left behind does not hold together.
    #[error("{findings}")]
    Judged {
        /// Everything that was found, one a line.
        findings: String,
    },
    /// The same seed gave another trace the second time.
    #[error("determinism: the trace was {one}, and {other} when the seed ran again")]
    Diverged {
        /// The first time.
        one: Digest,
        /// The second time.
        other: Digest,
    },
    /// A pool keeps what can never take effect.
    #[error("pool: node {node} lets {id} wait since height {since}, and it can never take effect")]
    Hopeless {
        /// Whose pool.
        node: usize,
        /// What waits.
        id: TransactionId,
        /// Since when it is hopeless.
        since: Height,
    },
    /// The code panicked.
    #[error("a panic: {message}")]
    Panicked {
        /// What it said.
        message: String,
    },
    /// A validator that signed twice was not found out.
    #[error("evidence: node {node} was told two contrary votes of height {height} and shows no evidence")]
    Unnoticed {
        /// Who was told.
        node: usize,
        /// Of which height.
        height: Height,
    },
}

/// A round that only faults lead to.
const HIGH_ROUND: Round = Round::new(10);

/// Whether a certificate is about the block of a header.
fn is_of(certificate: &Certificate, header: &Header) -> bool {
    certificate.height == header.height && certificate.block == header.digest()
}

type SignedKey = (PublicKey, Height, Round, Option<VoteKind>);

/// What the nodes have handed out so far.
pub(super) struct Checker {
    network: Digest,
    /// Who decides which height, by the first node that made the one before final.
    rosters: BTreeMap<Height, Arc<Roster>>,
    blocks: BTreeMap<Height, (Digest, Digest)>,
    /// What a node had on its disk, and none had handed out.
    opened: BTreeMap<Height, Digest>,
    heights: Vec<Height>,
    /// Heights that the nodes have made durable.
    durable: Vec<Height>,
    signed: BTreeMap<SignedKey, (Option<Digest>, Option<Round>)>,
    final_us: BTreeMap<Height, u64>,
    follower: Follower,
    acknowledged: BTreeSet<TransactionId>,
    /// Highest round that decided a block.
    pub(super) round_max: Round,
    /// Blocks that were decided in a high round.
    pub(super) high_rounds: u64,
}

impl Checker {
    pub(super) fn new(genesis: &State, nodes: usize) -> Self {
        Self {
            network: genesis.network(),
            rosters: BTreeMap::from([(genesis.height().next(), Arc::clone(genesis.roster()))]),
            blocks: BTreeMap::new(),
            opened: BTreeMap::new(),
            heights: vec![Height::ZERO; nodes],
            durable: vec![Height::ZERO; nodes],
            signed: BTreeMap::new(),
            final_us: BTreeMap::new(),
            follower: Follower::new(genesis.constitution()),
            acknowledged: BTreeSet::new(),
            round_max: Round::ZERO,
            high_rounds: 0,
        }
    }

    /// A node hands a block out as final.
    pub(super) fn committed(
        &mut self,
        node: NodeIndex,
        block: &CommittedBlock,
        now_us: u64,
    ) -> Result<(), Violation> {
        let height = block.header.height;
        let from = std::mem::replace(&mut self.heights[node], height);
        if height != from.next() {
            return Err(Violation::Order { node, from, to: height });
        }
        let problem = |problem: String| Violation::Certificate { node, height, problem };
        self.check_certificate(&block.certificate).map_err(problem)?;
        let root = block.state.clone().root();
        if !is_of(&block.certificate, &block.header) || root != block.header.state_root {
            return Err(problem("its header, certificate and state do not belong together".to_owned()));
        }
        let found = (block.digest, root);
        let opened = self.opened.remove(&height).unwrap_or(block.digest);
        let expected = *self.blocks.entry(height).or_insert((opened, root));
        if expected != found {
            return Err(Violation::Fork { node, height, found: found.0, expected: expected.0 });
        }
        let next = self.rosters.entry(height.next()).or_insert_with(|| Arc::clone(block.state.roster()));
        if next.digest() != block.header.roster {
            return Err(Violation::Certificate {
                node,
                height,
                problem: "its header names other validators than its state".to_owned(),
            });
        }
        self.round_max = self.round_max.max(block.certificate.round);
        self.high_rounds += u64::from(block.certificate.round >= HIGH_ROUND);
        self.final_us.entry(height).or_insert(now_us);
        self.follower
            .show(height, &block.events)
            .map_err(|Deviation { what }| Violation::Deviation { node, what })
    }

    /// Whether the last block of a view is proved by the certificate beside it.
    pub(super) fn is_decided(&self, view: &LedgerView) -> bool {
        view.header.as_ref().zip(view.certificate.as_ref()).is_some_and(|(header, certificate)| {
            header.height == view.state.height()
                && is_of(certificate, header)
                && self.check_certificate(certificate).is_ok()
        })
    }

    /// Enough validators signed, counted here; the first node to hand a height out shows every signature.
    fn check_certificate(&self, certificate: &Certificate) -> Result<(), String> {
        // A block before it that its node never handed out, because it fell, has left the validators as they were before.
        let known = self.rosters.range(..=certificate.height).next_back();
        let (_, roster) = known.ok_or("nobody is known to decide it")?;
        let weight_of =
            |key| roster.by_consensus_key(key).map(|validator| u128::from(validator.weight.get()));
        let signed = certificate.precommits.keys().map(|key| weight_of(*key)).sum::<Option<u128>>();
        let signed = signed.ok_or("a stranger signed it")?;
        let total = u128::from(roster.total_weight().get());
        if 3 * signed <= 2 * total {
            return Err(format!("it has {signed} of {total} weight"));
        }
        if !self.blocks.contains_key(&certificate.height) {
            let all_verify = certificate.signed(self.network).all(|signed| signed.verify().is_ok());
            return if all_verify { Ok(()) } else { Err("a signature does not verify".to_owned()) };
        }
        Ok(())
    }

    /// A message leaves a node.
    pub(super) fn sent(&mut self, message: &[u8]) -> Result<(), Violation> {
        match LedgerMessage::decode(message) {
            Ok(Message::Vote(vote)) => self.vote(&vote),
            Ok(Message::Proposal(proposal)) => self.proposal(&proposal),
            Ok(Message::PolkaCertificate(certificate)) => {
                certificate.votes().try_for_each(|vote| self.vote(&vote))
            }
            Ok(Message::RoundCertificate(certificate)) => {
                certificate.signed_votes().try_for_each(|vote| self.vote(&vote))
            }
            _ => Ok(()),
        }
    }

    /// A user was told that a transaction is final.
    pub(super) fn acknowledged(&mut self, id: TransactionId) {
        self.acknowledged.insert(id);
    }

    /// A node has made durable all that it handed out.
    pub(super) fn made_durable(&mut self, node: NodeIndex) {
        self.durable[node] = self.heights[node];
    }

    /// A node has opened its log again, on a disk that may have lied.
    pub(super) fn restarted(
        &mut self,
        node: NodeIndex,
        has: Height,
        block: Digest,
        may_forget: bool,
        now_us: u64,
    ) -> Result<(), Violation> {
        let had = self.durable[node];
        if has < had && !may_forget {
            return Err(Violation::Lost { node, had, has });
        }
        // A decision may be durable that the node had no time to hand out: it is final, and may be acted on. Or handed out
        // and not yet durable: then the node decides that height again, and `blocks` knows what it has to decide.
        self.heights[node] = has;
        self.durable[node] = has;
        self.final_us.entry(has).or_insert(now_us);
        let expected = match self.blocks.get(&has) {
            Some((digest, _)) => *digest,
            None => *self.opened.entry(has).or_insert(block),
        };
        if expected == block {
            Ok(())
        } else {
            Err(Violation::Fork { node, height: has, found: block, expected })
        }
    }

    /// Transactions that users were told are final.
    pub(super) const fn acknowledgements(&self) -> &BTreeSet<TransactionId> {
        &self.acknowledged
    }

    /// When each height was final at its first node.
    pub(super) const fn final_us(&self) -> &BTreeMap<Height, u64> {
        &self.final_us
    }

    /// The highest height that any node ever handed out, even if that node has forgotten it.
    pub(super) fn top(&self) -> Height {
        self.blocks.last_key_value().map_or(Height::ZERO, |(height, _)| *height)
    }

    fn vote(&mut self, vote: &SignedVote) -> Result<(), Violation> {
        let statement = &vote.statement;
        let key = (vote.voter, statement.height, statement.round, Some(statement.kind));
        let compared = self.signed(key, (statement.block, None), "votes");
        // Whoever's key it is, only a signature that verifies is its owner's word.
        if compared.is_err() && vote.signed(self.network).verify().is_err() { Ok(()) } else { compared }
    }

    fn proposal(&mut self, proposal: &SignedProposal) -> Result<(), Violation> {
        let statement = &proposal.statement;
        let key = (proposal.proposer, statement.height, statement.round, None);
        self.signed(key, (Some(statement.block), statement.polka_round), "proposals")
    }

    fn signed(
        &mut self,
        key: SignedKey,
        says: (Option<Digest>, Option<Round>),
        what: &'static str,
    ) -> Result<(), Violation> {
        let said = *self.signed.entry(key).or_insert(says);
        let (key, height, round, _) = key;
        if said == says { Ok(()) } else { Err(Violation::DoubleSign { key, what, height, round }) }
    }
}
