//! Owns the stages of a proposal's life and which moves between them are legal.
//!
//! ```text
//! Submitted ─► Review ─► Voting ─► Confirming ─► Queued ─► Canary ─► Rollout(k) ─► Verifying ─► Executed ─┐
//!     │          │  ▲       │  ▲________│          │         │          │             │                   │
//!     ▼          ▼  └edit   ▼                      ▼         └──────┬───┴─────────────┘                   ▼
//!  Rejected   Rejected   Defeated            Vetoed, Expired    RollingBack ─► RolledBack ──────────► Auditing
//!             Expired                           │                   │             (Failed) ─────────►  │    │
//!  before Queued: Cancelled                     │                   └► RollbackFailed ──────────────►  ▼    ▼
//!  before Canary: Superseded                    └ acts: Executed at once                           Closed Disputed
//! ```

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

/// Where a proposal stands.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "kebab-case", tag = "name", content = "index")]
pub enum Stage {
    /// Received; the hard rules have not judged it.
    Submitted,
    /// Reviewers of other organisations look at it.
    Review,
    /// Ballots are taken.
    Voting,
    /// The vote passed and has to keep passing.
    Confirming,
    /// Decided; the timelock runs, then executors may claim the canary's steps.
    Queued,
    /// The first stage of steps is carried out.
    Canary,
    /// A later stage of steps is carried out; 1 is the first after the canary.
    Rollout(u8),
    /// All steps are done; the whole is judged.
    Verifying,
    /// The plan's own undo is carried out, last step first.
    RollingBack,
    /// Everything is as the plan found it.
    RolledBack,
    /// An undo failed; people have to act.
    RollbackFailed,
    /// Every step is done and healthy.
    Executed,
    /// Nothing took effect; may be resumed within its retry budget.
    Failed,
    /// Auditors look at the whole.
    Auditing,
    /// Audited and sound.
    Closed,
    /// Audited and unsound; a corrective proposal is needed.
    Disputed,
    /// Refused by the hard rules or by reviewers.
    Rejected,
    /// Voted down or without a quorum.
    Defeated,
    /// Stopped by a guardian.
    Vetoed,
    /// Overtaken: a target or the constitution moved.
    Superseded,
    /// Its time ran out.
    Expired,
    /// Withdrawn.
    Cancelled,
}

impl Stage {
    /// Whether nothing can follow.
    #[must_use]
    pub const fn is_terminal(self) -> bool {
        matches!(
            self,
            Self::Closed
                | Self::Rejected
                | Self::Defeated
                | Self::Vetoed
                | Self::Superseded
                | Self::Expired
                | Self::Cancelled
        )
    }

    /// Whether the lifecycle knows a way from here to there in one move.
    #[must_use]
    pub const fn may_become(self, to: Self) -> bool {
        match self {
            Self::Submitted => matches!(to, Self::Review | Self::Rejected),
            Self::Review => matches!(
                to,
                Self::Submitted
                    | Self::Voting
                    | Self::Rejected
                    | Self::Expired
                    | Self::Cancelled
                    | Self::Superseded
            ),
            Self::Voting => {
                matches!(to, Self::Confirming | Self::Defeated | Self::Cancelled | Self::Superseded)
            }
            Self::Confirming => {
                matches!(to, Self::Queued | Self::Voting | Self::Cancelled | Self::Superseded)
            }
            // What the ledger carries out itself is done in one move.
            Self::Queued => {
                matches!(to, Self::Canary | Self::Executed | Self::Vetoed | Self::Superseded | Self::Expired)
            }
            // Behind the canary something has taken effect, so that nothing fails without a rollback any more.
            Self::Canary => {
                matches!(to, Self::Rollout(1) | Self::Verifying | Self::RollingBack | Self::Failed)
            }
            Self::Rollout(index) => {
                matches!(to, Self::Verifying)
                    || matches!(to, Self::RollingBack)
                    || matches!(to, Self::Rollout(next) if next == index.saturating_add(1))
            }
            Self::Verifying => matches!(to, Self::Executed | Self::RollingBack),
            Self::RollingBack => matches!(to, Self::RolledBack | Self::RollbackFailed),
            Self::Failed => matches!(to, Self::Canary | Self::Auditing),
            Self::Executed | Self::RolledBack | Self::RollbackFailed => matches!(to, Self::Auditing),
            Self::Auditing => matches!(to, Self::Closed | Self::Disputed),
            Self::Closed
            | Self::Disputed
            | Self::Rejected
            | Self::Defeated
            | Self::Vetoed
            | Self::Superseded
            | Self::Expired
            | Self::Cancelled => false,
        }
    }

    /// Whether executors act in this stage.
    #[must_use]
    pub const fn is_executing(self) -> bool {
        matches!(self, Self::Canary | Self::Rollout(_) | Self::Verifying | Self::RollingBack)
    }

    /// The stage's name in files, logs and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Submitted => "submitted",
            Self::Review => "review",
            Self::Voting => "voting",
            Self::Confirming => "confirming",
            Self::Queued => "queued",
            Self::Canary => "canary",
            Self::Rollout(_) => "rollout",
            Self::Verifying => "verifying",
            Self::RollingBack => "rolling-back",
            Self::RolledBack => "rolled-back",
            Self::RollbackFailed => "rollback-failed",
            Self::Executed => "executed",
            Self::Failed => "failed",
            Self::Auditing => "auditing",
            Self::Closed => "closed",
            Self::Disputed => "disputed",
            Self::Rejected => "rejected",
            Self::Defeated => "defeated",
            Self::Vetoed => "vetoed",
            Self::Superseded => "superseded",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
        }
    }
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Rollout(index) => write!(f, "rollout {index}"),
            other => f.pad(other.name()),
        }
    }
}
