//! Owns the refusals of a step: why an executor may not take it, or not so far.

use crate::{
    constitution::Cosign, emergency::EmergencyId, name::MemberId, quantity::TimeMs, transaction::ProposalId,
};

/// Why a step cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StepRefusal {
    /// No such step.
    #[error("the plan has no such step")]
    Unknown,
    /// Its stage has not come, or the steps of that stage are not done.
    #[error("its stage has not come so far")]
    StageAhead,
    /// Its stage is over.
    #[error("its stage is over")]
    StageOver,
    /// Nobody judges its target in this stage.
    #[error("its target is not judged in this stage")]
    NotJudged,
    /// The timelock runs.
    #[error("the timelock runs until {until}")]
    Timelocked {
        /// Its end.
        until: TimeMs,
    },
    /// Guardians have not signed the decision.
    #[error(
        "{signed} guardians of {organisations} organisations have co-signed; {} of {} have to",
        needed.guardians,
        needed.organisations
    )]
    NotCosigned {
        /// Who have signed.
        signed: usize,
        /// From how many organisations.
        organisations: usize,
        /// What the track asks for.
        needed: Cosign,
    },
    /// Somebody holds it.
    #[error("{holder} holds it until {until}")]
    Held {
        /// Who.
        holder: MemberId,
        /// End of the lease.
        until: TimeMs,
    },
    /// Another executor has claimed it, and it is that one's to report.
    #[error("{holder} has claimed it, and reports it")]
    ClaimedBy {
        /// Who.
        holder: MemberId,
    },
    /// Another proposal is carried out first.
    #[error("proposal {awaited} has to be carried out first")]
    Awaits {
        /// Which.
        awaited: ProposalId,
    },
    /// Another proposal acts on the target.
    #[error("proposal {by} acts on the target")]
    TargetBusy {
        /// Which.
        by: ProposalId,
    },
    /// Undoing goes from the last step to the first.
    #[error("step {next} has to be undone first")]
    UndoOrder {
        /// The step that is next.
        next: u16,
    },
    /// It needs no undo.
    #[error("it has nothing to undo")]
    NothingToUndo,
    /// Nobody has claimed it.
    #[error("nobody has claimed it")]
    NotClaimed,
    /// An emergency keeps everyone from its target.
    #[error("emergency {by} keeps its target until {until}")]
    TargetKept {
        /// Which.
        by: EmergencyId,
        /// Its expiry.
        until: TimeMs,
    },
    /// It is done.
    #[error("it is already reported")]
    Reported,
}
