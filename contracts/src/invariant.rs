//! Owns the invariants of the ledger: what must hold from one block to the next, whatever happened in it.
//!
//! The same checks run in tests, in the simulator, in the auditor and in the node.

use crate::{
    block::Header,
    event::Event,
    proposal::Proposal,
    state::State,
    transaction::{ProposalId, VerifiedTransaction},
};

mod g01_agreement;
mod g02_legal_moves;
mod g03_approval;
mod g04_single_effect;
mod g05_weight;
mod g06_ballots;
mod g07_budgets;
mod g08_duties;
mod g09_single_use;
mod g10_emergency;
mod g11_receipts;
mod g12_reachable;
mod g13_progress;
mod g14_snapshot;
#[cfg(test)]
mod tests;

/// One block seen from both sides.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// The state before the block.
    pub before: &'a State,
    /// The state after it.
    pub after: &'a State,
    /// The block's header.
    pub header: &'a Header,
    /// The transactions that took effect, in order.
    pub transactions: &'a [VerifiedTransaction],
    /// What happened, in order.
    pub events: &'a [Event],
}

/// What must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// G1: the header commits to what executing the block yields.
    Agreement,
    /// G2: every move is legal, and terminal stages stay.
    LegalMoves,
    /// G3: nothing executes without its approval, thresholds as pinned, timelock elapsed.
    Approval,
    /// G4: each step of a proposal takes effect at most once.
    SingleEffect,
    /// G5: counted weight is within the snapshot, and nobody counts twice.
    Weight,
    /// G6: no acknowledged ballot is lost.
    Ballots,
    /// G7: no budget is overdrawn.
    Budgets,
    /// G8: duties are separate.
    Duties,
    /// G9: a signed object works once, in its network and revision.
    SingleUse,
    /// G10: emergencies are bounded, expire, and are ratified or reverted.
    Emergency,
    /// G11: every effect has a receipt.
    Receipts,
    /// G12: no track is unreachable.
    Reachable,
    /// G13: nothing that fell due is left behind.
    Progress,
    /// G14: a snapshot decodes to the state that it was made of.
    Snapshot,
}

/// An invariant that a block breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} does not hold at height {height}: {message}", invariant.id())]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// Where.
    pub height: crate::quantity::Height,
    /// The proposal that shows it, if it is about one.
    pub proposal: Option<ProposalId>,
    /// What was found.
    pub message: String,
}

/// What a check found.
pub(crate) struct Broken {
    proposal: Option<ProposalId>,
    message: String,
}

type Check = fn(&View<'_>) -> Result<(), Broken>;

impl Invariant {
    /// Every invariant, in the order of the ids.
    pub const ALL: [Self; 14] = [
        Self::Agreement,
        Self::LegalMoves,
        Self::Approval,
        Self::SingleEffect,
        Self::Weight,
        Self::Ballots,
        Self::Budgets,
        Self::Duties,
        Self::SingleUse,
        Self::Emergency,
        Self::Receipts,
        Self::Reachable,
        Self::Progress,
        Self::Snapshot,
    ];

    /// The stable id.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Agreement => "G1",
            Self::LegalMoves => "G2",
            Self::Approval => "G3",
            Self::SingleEffect => "G4",
            Self::Weight => "G5",
            Self::Ballots => "G6",
            Self::Budgets => "G7",
            Self::Duties => "G8",
            Self::SingleUse => "G9",
            Self::Emergency => "G10",
            Self::Receipts => "G11",
            Self::Reachable => "G12",
            Self::Progress => "G13",
            Self::Snapshot => "G14",
        }
    }

    /// Whether the cost of a check grows with the block and not with the state, so that a node runs it always.
    #[must_use]
    pub const fn is_cheap(self) -> bool {
        !matches!(self, Self::Weight | Self::Receipts | Self::Snapshot)
    }

    /// Checks one block.
    ///
    /// # Errors
    /// Says what was found.
    pub fn check(self, view: &View<'_>) -> Result<(), Violation> {
        let check: Check = match self {
            Self::Agreement => g01_agreement::check,
            Self::LegalMoves => g02_legal_moves::check,
            Self::Approval => g03_approval::check,
            Self::SingleEffect => g04_single_effect::check,
            Self::Weight => g05_weight::check,
            Self::Ballots => g06_ballots::check,
            Self::Budgets => g07_budgets::check,
            Self::Duties => g08_duties::check,
            Self::SingleUse => g09_single_use::check,
            Self::Emergency => g10_emergency::check,
            Self::Receipts => g11_receipts::check,
            Self::Reachable => g12_reachable::check,
            Self::Progress => g13_progress::check,
            Self::Snapshot => g14_snapshot::check,
        };
        let height = view.header.height;
        check(view).map_err(|Broken { proposal, message }| Violation {
            invariant: self,
            height,
            proposal,
            message,
        })
    }
}

/// Checks every invariant of a block.
///
/// # Errors
/// The first that does not hold.
pub fn check_all(view: &View<'_>) -> Result<(), Violation> {
    Invariant::ALL.into_iter().try_for_each(|invariant| invariant.check(view))
}

/// Checks what a node can afford on every block.
///
/// # Errors
/// The first that does not hold.
pub fn check_cheap(view: &View<'_>) -> Result<(), Violation> {
    let mut cheap = Invariant::ALL.into_iter().filter(|invariant| invariant.is_cheap());
    cheap.try_for_each(|invariant| invariant.check(view))
}

impl View<'_> {
    /// The proposals that the block touched, as they are after it.
    fn touched(&self) -> Vec<&Proposal> {
        let ids: std::collections::BTreeSet<ProposalId> =
            self.events.iter().filter_map(Event::proposal).collect();
        ids.into_iter().filter_map(|id| self.after.proposal(id)).collect()
    }
}

fn ensure(holds: bool, message: impl FnOnce() -> String) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(Broken { proposal: None, message: message() }) }
}

fn ensure_of(proposal: ProposalId, holds: bool, message: impl FnOnce() -> String) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(Broken { proposal: Some(proposal), message: message() }) }
}
