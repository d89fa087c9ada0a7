//! Owns the judgement of how far a proposal has come. Blocks can carry a proposal through several stages at once, so
//! a stage that was passed counts as reached.

use std::collections::BTreeSet;

use althing_contracts::{
    name::MemberId, proposal::Proposal, stage::Stage, state::State, transaction::ProposalId,
};

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

/// The conditions of a proposal's way forward that do not hold, and who may still act, for people.
pub fn unmet(state: &State, proposal: ProposalId) -> Vec<String> {
    let Some(explanation) = state.explain(proposal) else { return Vec::new() };
    let failing = explanation.conditions().filter(|condition| !condition.holds());
    let conditions =
        failing.map(|condition| format!("{} ({} of {})", condition.what, condition.have, condition.need));
    let earliest = explanation.next.first().and_then(|forward| Some((forward.to, forward.earliest?)));
    let time = earliest.map(|(to, earliest)| format!("{to} not before {earliest}"));
    let awaited = explanation.parts.iter().filter(|part| part.is_awaited && !part.may.is_empty());
    let waiting = awaited.map(|part| {
        let members: Vec<&str> = part.may.iter().map(MemberId::as_str).collect();
        format!("waiting for a {} to {}: {}", part.role, part.call, members.join(", "))
    });
    conditions.chain(time).chain(waiting).collect()
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
