//! Owns the judgement of how far a proposal has come. Blocks can carry a proposal through several stages at once, so
//! a stage that was passed counts as reached.

use std::collections::BTreeSet;

use althing_contracts::{proposal::Proposal, stage::Stage, state::State, transaction::ProposalId};

/// How far a proposal has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It came to one of the stages or went beyond it.
    Reached(Stage),
    /// It cannot come to any of them any more.
    Ended(Stage),
    /// It may still.
    Underway(Stage),
}

/// Judges a proposal against the stages that are waited for.
pub fn progress(proposal: &Proposal, until: &BTreeSet<Stage>) -> Progress {
    if let Some(reached) = until.iter().find(|wanted| has_reached(proposal, **wanted)) {
        return Progress::Reached(*reached);
    }
    let hopeless = until.iter().all(|wanted| is_out_of_reach(proposal, *wanted));
    if hopeless || proposal.stage.is_terminal() {
        return Progress::Ended(proposal.ended.map_or(proposal.stage, |ending| ending.stage));
    }
    Progress::Underway(proposal.stage)
}

/// What is missing for a proposal's next move, for people.
pub fn unmet(state: &State, proposal: ProposalId) -> Vec<String> {
    let Some(found) = state.proposal(proposal) else { return Vec::new() };
    let mut lines = vec![format!("it is {} since {}", found.stage, found.stage_since)];
    if let Some(deadline) = found.deadline {
        lines.push(format!("the ledger acts on it by itself at {deadline}; its time is {}", state.time()));
    }
    let moves = state.allowed_moves(proposal);
    if !moves.is_empty() {
        lines.push(format!("possible now: {}", moves.join(", ")));
    }
    lines
}

fn has_reached(proposal: &Proposal, wanted: Stage) -> bool {
    let here = proposal.stage;
    if here.name() == wanted.name() || proposal.ended.is_some_and(|ending| ending.stage == wanted) {
        return true;
    }
    match (place(here), place(wanted)) {
        (Some(here), Some(place)) if wanted != Stage::Executed => here > place && place < BRANCH,
        _ => false,
    }
}

/// Before this place every proposal that went further has passed each stage; after it the ways part.
const BRANCH: u8 = 5;

/// The place on the way that all carried out proposals take; `None` for ends before it.
const fn place(stage: Stage) -> Option<u8> {
    match stage {
        Stage::Submitted => Some(0),
        Stage::Review => Some(1),
        Stage::Voting => Some(2),
        Stage::Confirming => Some(3),
        Stage::Queued => Some(4),
        Stage::Canary => Some(BRANCH),
        Stage::Rollout(_) => Some(6),
        Stage::Verifying => Some(7),
        Stage::RollingBack | Stage::RolledBack | Stage::RollbackFailed | Stage::Failed | Stage::Executed => {
            Some(8)
        }
        Stage::Auditing => Some(9),
        Stage::Closed | Stage::Disputed => Some(10),
        Stage::Rejected
        | Stage::Defeated
        | Stage::Vetoed
        | Stage::Superseded
        | Stage::Expired
        | Stage::Cancelled => None,
    }
}

fn is_out_of_reach(proposal: &Proposal, wanted: Stage) -> bool {
    let audited = matches!(proposal.stage, Stage::Auditing | Stage::Closed | Stage::Disputed);
    match wanted {
        Stage::Executed | Stage::RolledBack | Stage::RollbackFailed | Stage::Failed => audited,
        Stage::Rollout(_) | Stage::Verifying => audited || matches!(proposal.stage, Stage::RollingBack),
        Stage::Closed => proposal.stage == Stage::Disputed,
        _ => false,
    }
}

#[cfg(test)]
mod tests;
