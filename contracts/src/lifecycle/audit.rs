//! Owns the audit of a finished execution: attestations that close it, or dispute it.

use crate::{
    digest::Digest,
    event::Event,
    lifecycle::Cast,
    name::{Line, MemberId},
    quantity::Height,
    reject::Reject,
    stage::Stage,
    transaction::AuditVerdict,
};

/// Hands a finished execution to the auditors.
pub(super) fn begin(cast: &mut Cast<'_>, cause: &str) {
    cast.go(Stage::Auditing, cause);
    cast.wait_for(cast.proposal.parameters.audit);
}

/// The arm of a failed execution that nobody took up again.
#[expect(clippy::unnecessary_wraps, reason = "every arm of the table has one shape")]
pub(super) fn open(cast: &mut Cast<'_>, cause: &str) -> Result<(), Reject> {
    begin(cast, cause);
    Ok(())
}

/// Takes an auditor's verdict about a history that this ledger has.
pub(super) fn attest(
    cast: &mut Cast<'_>,
    sender: &MemberId,
    verdict: &AuditVerdict,
    height: Height,
    block: Digest,
) -> Result<(), Reject> {
    if cast.registry.blocks.get(&height) != Some(&block) {
        return Err(Reject::OtherHistory { height, found: block });
    }
    if cast.proposal.ended.is_none_or(|ended| height < ended.height) {
        return Err(Reject::Evidence { problem: "the audited height lies before the end of the execution" });
    }
    if cast.proposal.attestations.contains_key(sender) {
        return Err(Reject::AlreadyDone { member: sender.clone() });
    }
    cast.proposal.attestations.insert(sender.clone(), verdict.clone());
    let (proposal, auditor) = (cast.proposal.id, sender.clone());
    cast.events.push(Event::Attested { proposal, auditor, verdict: verdict.clone() });
    judge(cast, sender, verdict);
    Ok(())
}

fn judge(cast: &mut Cast<'_>, sender: &MemberId, verdict: &AuditVerdict) {
    match verdict {
        AuditVerdict::Unsound { finding } => {
            cast.go(Stage::Disputed, &format!("{sender} disputes it: {finding}"));
        }
        AuditVerdict::Sound => {
            if cast.proposal.attestations.len() >= usize::from(cast.proposal.parameters.attestations) {
                cast.go(Stage::Closed, "enough auditors find it sound");
            }
        }
    }
}

/// Auditors are late; nothing changes by it.
#[expect(clippy::unnecessary_wraps, reason = "every arm of the table has one shape")]
pub(super) fn overdue(cast: &mut Cast<'_>) -> Result<(), Reject> {
    let warning = Line::shortened("no auditor has closed it within the audit period");
    cast.events.push(Event::Warned { proposal: cast.proposal.id, warning });
    Ok(())
}
