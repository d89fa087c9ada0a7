//! Owns what may be asked about proposals. Documents arrive parsed; who reads which text form is not known here.

use std::{collections::BTreeSet, time::Duration};

use actix::Message;
use althing_contracts::{
    constitution::Track,
    digest::Digest,
    document::ProposalDocument,
    name::{Line, MemberId, TargetId},
    plan::Plan,
    quantity::{Height, Revision},
    reject::Reject,
    rules::Finding,
    stage::Stage,
    transaction::{Choice, ProposalId, ReviewVerdict},
};

use crate::{ledger::message::Final, signer::submitter::ActError};

/// Makes the dry run of a document.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<DryRun, DeskError>")]
pub struct PlanDocument {
    /// The change.
    pub document: ProposalDocument,
}

/// Opens a proposal.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Submitted, DeskError>")]
pub struct SubmitProposal {
    /// Who proposes.
    pub author: MemberId,
    /// The change.
    pub document: ProposalDocument,
    /// Hash of the plan that the author saw.
    pub plan_hash: Digest,
}

/// Replaces the content of a proposal under review.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Final, DeskError>")]
pub struct ReviseProposal {
    /// Who proposed.
    pub author: MemberId,
    /// Which.
    pub proposal: ProposalId,
    /// The edition that is replaced.
    pub replaces: Revision,
    /// The new content.
    pub document: ProposalDocument,
    /// Hash of the plan that the author saw.
    pub plan_hash: Digest,
}

/// Signs a proposal off, or refuses to.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Final, DeskError>")]
pub struct ReviewProposal {
    /// Who reviews.
    pub reviewer: MemberId,
    /// Which.
    pub proposal: ProposalId,
    /// Hash of the plan that the reviewer saw.
    pub plan_hash: Digest,
    /// The verdict.
    pub verdict: ReviewVerdict,
    /// Remark.
    pub reason: Line,
}

/// Casts a ballot.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Final, DeskError>")]
pub struct CastBallot {
    /// Who votes.
    pub voter: MemberId,
    /// On which.
    pub proposal: ProposalId,
    /// Hash of the plan that the voter saw.
    pub plan_hash: Digest,
    /// The choice.
    pub choice: Choice,
}

/// Withdraws a proposal before it is queued.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Final, DeskError>")]
pub struct CancelProposal {
    /// Who proposed.
    pub author: MemberId,
    /// Which.
    pub proposal: ProposalId,
    /// Why.
    pub reason: Line,
}

/// Waits until a proposal has come to one of some stages, has ended otherwise, or the time is over.
#[derive(Debug, Clone, Message)]
#[rtype(result = "Result<Waited, DeskError>")]
pub struct Wait {
    /// Which.
    pub proposal: ProposalId,
    /// Any of these; every rollout stage counts as any other.
    pub until: BTreeSet<Stage>,
    /// Longest wait, held at [`WAIT_MAX`].
    pub deadline: Duration,
}

/// Ends the desk in order.
#[derive(Debug, Clone, Copy, Message)]
#[rtype(result = "()")]
pub struct Stop;

/// Longest wait of one request; a client asks again.
pub const WAIT_MAX: Duration = Duration::from_hours(1);

/// A dry run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DryRun {
    /// What would be done.
    pub plan: Plan,
    /// Its hash, to be given when the document is submitted.
    pub plan_hash: Digest,
    /// The class that the document belongs to.
    pub track: Track,
    /// Hard rules that it breaks.
    pub findings: Vec<Finding>,
    /// What the providers of this node say about its own targets.
    pub targets: Vec<TargetPreview>,
    /// Height of the ledger that it was made from.
    pub height: Height,
}

/// What a provider says about one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetPreview {
    /// Index of the step.
    pub step: u16,
    /// Where.
    pub target: TargetId,
    /// One line for each change, or why the step cannot work.
    pub says: Result<Vec<String>, String>,
}

/// A proposal that is on the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submitted {
    /// Its name.
    pub proposal: ProposalId,
    /// The transaction that opened it.
    pub transaction: Final,
}

/// How a wait ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Waited {
    /// It came to a stage that was waited for, or went beyond it.
    Reached(Stage),
    /// It ended in another way and can no longer come there.
    Ended(Stage),
    /// The time was over.
    TimedOut {
        /// Where it stands.
        stage: Stage,
        /// What is missing for its next move.
        unmet: Vec<String>,
    },
}

/// Why a request about a proposal failed.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// The rules refuse the document.
    #[error(transparent)]
    Rejected(#[from] Reject),
    /// It was not signed or is not final.
    #[error(transparent)]
    Act(#[from] ActError),
    /// The ledger of this node does not know the proposal.
    #[error("this node's ledger has no proposal {proposal} at height {height}")]
    UnknownProposal {
        /// Which.
        proposal: ProposalId,
        /// Where the ledger stands.
        height: Height,
    },
    /// The plan that was shown is not the current one.
    #[error("the plan hash of {proposal} is {current}, not {shown}; look at the plan again")]
    PlanMoved {
        /// Which proposal.
        proposal: ProposalId,
        /// As shown to the member.
        shown: Digest,
        /// As on the ledger.
        current: Digest,
    },
    /// The ledger took the submission but its event is missing.
    #[error(
        "the submission is final at height {height}, but it opened no proposal: the same one is already open"
    )]
    NothingOpened {
        /// Of the block.
        height: Height,
    },
    /// The ledger has stopped.
    #[error("the ledger of this node is stopping")]
    Stopping,
}
