//! Owns what "wait for" means: whether a proposal has reached a stage, can still, or ended otherwise.

use althing_contracts::{proposal::Proposal, stage::Stage};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{explain::ConditionView, proposal::ProposalSummary};

/// A stage that can be waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Goal {
    /// Ballots are taken.
    Voting,
    /// Decided; the timelock runs.
    Queued,
    /// Every step is done and healthy.
    Executed,
    /// Its own plan took every step back.
    RolledBack,
    /// Audited and sound.
    Closed,
    /// Nothing can follow, however it went.
    Ended,
}

/// Where a proposal is on its way to a goal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Progress {
    /// It is there or was there.
    Reached,
    /// It ended otherwise and will not get there.
    Missed,
    /// It may still get there.
    Pending,
}

/// The answer to a wait.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WaitView {
    /// Whether the goal was reached.
    pub progress: Progress,
    /// Where the proposal stands.
    pub proposal: ProposalSummary,
    /// What has to hold for the next move and does not; empty unless pending.
    pub unmet: Vec<ConditionView>,
    /// Why it ended, when it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
}

impl Goal {
    /// Where `proposal` is on its way here.
    pub fn progress(self, proposal: &Proposal) -> Progress {
        let end = proposal.ended.map(|ending| ending.stage);
        match self {
            Self::Voting => passed(proposal, 1),
            Self::Queued => passed(proposal, 2),
            Self::Executed => ended_as(proposal, end, Stage::Executed),
            Self::RolledBack => ended_as(proposal, end, Stage::RolledBack),
            Self::Closed if proposal.stage == Stage::Closed => Progress::Reached,
            Self::Closed if proposal.stage.is_terminal() => Progress::Missed,
            Self::Ended if proposal.stage.is_terminal() => Progress::Reached,
            Self::Closed | Self::Ended => Progress::Pending,
        }
    }
}

fn passed(proposal: &Proposal, rank: u8) -> Progress {
    match rank_of(proposal.stage) {
        Some(reached) if reached >= rank => Progress::Reached,
        Some(_) => Progress::Pending,
        None => Progress::Missed,
    }
}

/// How far a stage is on the way to execution; `None` for the ends before it.
const fn rank_of(stage: Stage) -> Option<u8> {
    match stage {
        Stage::Submitted | Stage::Review => Some(0),
        Stage::Voting | Stage::Confirming => Some(1),
        Stage::Rejected
        | Stage::Defeated
        | Stage::Vetoed
        | Stage::Superseded
        | Stage::Expired
        | Stage::Cancelled => None,
        _ => Some(2),
    }
}

// A failed execution may be resumed, so it is pending until the proposal ends.
fn ended_as(proposal: &Proposal, end: Option<Stage>, wanted: Stage) -> Progress {
    match end {
        Some(stage) if stage == wanted => Progress::Reached,
        Some(Stage::Failed) if proposal.stage == Stage::Failed => Progress::Pending,
        Some(_) => Progress::Missed,
        None if proposal.stage.is_terminal() => Progress::Missed,
        None => Progress::Pending,
    }
}
