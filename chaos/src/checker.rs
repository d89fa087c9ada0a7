//! Owns the verdict over a run, from what it left behind alone: the final blocks, the targets' own logs of effects, the
//! journals of key uses, and what users were told. Refuses to ask a node, or to use the rules of the code that it judges:
//! it reads transactions, and does its own sums.

mod approval;
mod attempt;
mod dormancy;
mod effects;
mod emergency;
mod history;
mod keys;
mod parties;
mod rules;
pub mod status;
mod sums;
#[cfg(test)]
mod tests;
mod turns;

use std::collections::{BTreeMap, BTreeSet};

use althing_actors::{ledger::message::CertifiedBlock, signer::journal::KeyUseRecord};
use althing_contracts::{
    document::Action,
    genesis::Genesis,
    name::TargetId,
    proposal::Proposal,
    quantity::{Fence, Height, TimeMs},
    stage::Stage,
    transaction::{ProposalId, TransactionId},
};

use self::{history::History, rules::Rules};

/// One effect, as the target's own log has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectEntry {
    /// When it happened, by the clock of the run in microseconds.
    pub at_us: u64,
    /// Where.
    pub target: TargetId,
    /// Under which key: proposal, step and direction.
    pub idempotency_key: String,
    /// Under which fence.
    pub fence: Fence,
    /// What.
    pub action: Action,
    /// Whether it undid a step.
    pub undo: bool,
    /// Whether the target was another one after it: an order for what is there already changes nothing.
    pub changed: bool,
}

/// What a run left behind.
#[derive(Debug)]
pub struct Evidence<'a> {
    /// How it began.
    pub genesis: &'a Genesis,
    /// Every final block, from the first.
    pub blocks: &'a [CertifiedBlock],
    /// When each block became final at its first node, by the clock of the run; empty when nobody looked.
    pub final_us: &'a BTreeMap<Height, u64>,
    /// The effects of all targets in the order in which they happened.
    pub effects: &'a [EffectEntry],
    /// Targets that somebody changed without any order: what is there says nothing about the mesh.
    pub disturbed: &'a BTreeSet<TargetId>,
    /// The key uses of all nodes, each node's in order; `None` when there are none to read.
    pub key_uses: Option<&'a [KeyUseRecord]>,
    /// How the ledger says that each vote or execution ended: what was voted down, was carried out, or is being undone.
    pub ended: &'a BTreeMap<ProposalId, Ended>,
    /// Transactions of which a user was told that they are final.
    pub acknowledged: &'a BTreeSet<TransactionId>,
    /// What clients were told, in the order of real time; `None` when it is judged elsewhere.
    pub told: Option<&'a status::History>,
}

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{invariant}: {what}")]
pub struct Finding {
    /// Which invariant.
    pub invariant: Invariant,
    /// What was found.
    pub what: String,
}

/// What is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// The blocks are one chain, each certified by more than two thirds of the weight.
    Chain,
    /// An effect happens at most once under its key; what is reported done has happened; what is undone was done; no two
    /// changes act on one target at once.
    Effects,
    /// What was acknowledged is final, once; nobody's ballot counts twice.
    Ballots,
    /// Before an effect came its claim, and before that the approval, the timelock and no veto, for this very action;
    /// what was voted down had not passed, nobody asked for the same again too soon, and nobody awakened
    /// what had not fallen dormant.
    Approval,
    /// Nothing begins that an emergency holds back, which as many guardians carry as the rules ask for; what the members did not
    /// ratify cost its signers their power.
    Emergency,
    /// Every transaction has one use of its key, and no use was for two.
    Keys,
    /// What clients that share heights are told of a proposal is linearizable, and moves on for who shares with nobody.
    Status,
}

impl Invariant {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Chain,
        Self::Effects,
        Self::Ballots,
        Self::Approval,
        Self::Emergency,
        Self::Keys,
        Self::Status,
    ];

    /// Its name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Chain => "chain",
            Self::Effects => "effects",
            Self::Ballots => "ballots",
            Self::Approval => "approval",
            Self::Emergency => "emergency",
            Self::Keys => "keys",
            Self::Status => "status",
        }
    }
}

impl std::fmt::Display for Invariant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// How a vote or an execution ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// In which stage.
    pub stage: Stage,
    /// In which block; 0 for what is not over, or was voted down.
    pub height: Height,
    /// Since when it stands where it does, if that is known.
    pub since: Option<TimeMs>,
}

/// How a vote or an execution ended, as [`Evidence::ended`] has it.
#[must_use]
pub fn how_it_ended(proposal: &Proposal) -> Option<Ended> {
    let says_it_itself = matches!(proposal.stage, Stage::RollingBack | Stage::Defeated);
    let since = Some(proposal.stage_since);
    let ended = proposal.ended.as_ref();
    let ended = ended.map(|ending| Ended { stage: ending.stage, height: ending.height, since: None });
    ended.or(says_it_itself.then_some(Ended { stage: proposal.stage, height: Height::ZERO, since }))
}

/// Judges a run; nothing was found when it is sound.
#[must_use]
pub fn judge(evidence: &Evidence<'_>) -> Vec<Finding> {
    let mut findings = Findings::default();
    let history = History::read(evidence, &mut findings);
    history.judge_ballots(evidence.acknowledged, &mut findings);
    effects::judge(evidence, &history, &mut findings);
    turns::judge(&history, &mut findings);
    let rules = Rules::read(evidence, &history, &mut findings);
    approval::judge(evidence, &history, &rules, &mut findings);
    attempt::judge(evidence, &history, &rules, &mut findings);
    dormancy::judge(evidence, &history, &rules, &mut findings);
    emergency::judge(evidence, &history, &rules, &mut findings);
    if let Some(uses) = evidence.key_uses {
        keys::judge(uses, &history, &mut findings);
    }
    for what in evidence.told.map(status::History::judge).unwrap_or_default() {
        findings.add(Invariant::Status, what);
    }
    findings.0
}

/// Collects findings; enough of them tell as much as all.
#[derive(Debug, Default)]
struct Findings(Vec<Finding>);

/// Most findings of one run.
const FINDINGS_MAX: usize = 64;

impl Findings {
    fn add(&mut self, invariant: Invariant, what: impl Into<String>) {
        if self.0.len() < FINDINGS_MAX {
            self.0.push(Finding { invariant, what: what.into() });
        }
    }
}
