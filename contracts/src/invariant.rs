//! Owns the invariants over the event stream: what must hold of every history, judged from what happened alone.
//!
//! Each file judges one invariant from a [`Trail`], which it shares with no rule: a defect of the state machine
//! does not hide itself. Tests, simulator, auditor and node run the same code.

use std::{collections::BTreeMap, fmt};

use crate::{
    block::Header,
    event::Event,
    state::State,
    transaction::{ProposalId, VerifiedTransaction},
};

mod g03_approval;
mod g04_effect_once;
mod g08_separation;
mod g09_used_once;
mod g11_evidence;
mod trail;
pub mod transition;

pub use trail::{ProposalTrail, StepTrail, Trail};

/// Most violations of one block: the first says that something is wrong, the rest help to find out what.
pub const VIOLATIONS_MAX: usize = 64;

/// Names an invariant of the design.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub enum InvariantId {
    /// Nothing executes without its approval, thresholds as pinned, timelock elapsed.
    G3,
    /// Each step takes effect at most once.
    G4,
    /// Author and reviewer, executor and voter are apart; auditors write nothing but attestations.
    G8,
    /// A signed object works once.
    G9,
    /// Every effect has its claim, its receipt and two organisations that saw it healthy.
    G11,
}

impl InvariantId {
    /// Every invariant that is judged over the event stream.
    pub const ALL: [Self; 5] = [Self::G3, Self::G4, Self::G8, Self::G9, Self::G11];
}

impl fmt::Display for InvariantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// An invariant that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{invariant} does not hold: {finding}")]
pub struct Violation {
    /// Which.
    pub invariant: InvariantId,
    /// Whose history breaks it, when it is one proposal's.
    pub proposal: Option<ProposalId>,
    /// What happened that may not.
    pub finding: String,
}

/// One block as the invariants see it.
#[derive(Debug, Clone, Copy)]
pub struct ObservedBlock<'a> {
    /// Its header.
    pub header: &'a Header,
    /// Its transactions in order.
    pub transactions: &'a [VerifiedTransaction],
    /// What happened, in order.
    pub events: &'a [Event],
    /// The state after it, for registered targets, plans and pinned parameters.
    pub after: &'a State,
}

/// Judges a ledger block by block.
#[derive(Debug, Clone, Default)]
pub struct Invariants {
    trail: Trail,
    used: g09_used_once::Used,
}

impl Invariants {
    /// Judges the next block and yields everything that does not hold.
    pub fn observe(&mut self, block: &ObservedBlock<'_>) -> Vec<Violation> {
        let mut violations = Violations::default();
        for transaction in block.transactions {
            violations.note(self.used.check(block, transaction));
            violations.note(g08_separation::check_transaction(block, transaction));
        }
        for event in block.events {
            violations.note(g03_approval::check(&self.trail, block, event));
            violations.note(g04_effect_once::check(&self.trail, event));
            violations.note(g08_separation::check_event(&self.trail, event));
            violations.note(g11_evidence::check(&self.trail, block, event));
            self.trail.push(block.header.time, event);
        }
        violations.0
    }

    /// What happened to each proposal.
    #[must_use]
    pub const fn proposals(&self) -> &BTreeMap<ProposalId, ProposalTrail> {
        self.trail.proposals()
    }
}

#[derive(Default)]
struct Violations(Vec<Violation>);

impl Violations {
    fn note(&mut self, judged: Result<(), Violation>) {
        if let Err(violation) = judged
            && self.0.len() < VIOLATIONS_MAX
        {
            self.0.push(violation);
        }
    }
}

fn ensure(
    holds: bool,
    invariant: InvariantId,
    proposal: ProposalId,
    finding: impl FnOnce() -> String,
) -> Result<(), Violation> {
    if holds {
        return Ok(());
    }
    let finding = format!("proposal {proposal}: {}", finding());
    Err(Violation { invariant, proposal: Some(proposal), finding })
}
