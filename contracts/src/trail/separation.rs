//! G8: author and required reviewer are of different organisations, executor and voter keys are apart, and auditors
//! write nothing but attestations.

use super::{Found, Trail, ensure};
use crate::{
    event::Event,
    invariant::{Invariant, View},
    role::Role,
    transaction::{Call, VerifiedTransaction},
};

const G8: Invariant = Invariant::Duties;

/// Judges one transaction: its key is the sender's for its role, and an auditor only attests.
pub(super) fn check_transaction(block: &View<'_>, transaction: &VerifiedTransaction) -> Result<(), Found> {
    let body = transaction.body();
    let violated = |finding: String| Err(Found { invariant: G8, proposal: None, message: finding });
    let Some(member) = block.after.member(&body.sender) else {
        return violated(format!("{} acts and is not a member", body.sender));
    };
    if member.keys.get(&body.role) != Some(&transaction.key()) {
        return violated(format!("{} acts as {} with a key of another role", body.sender, body.role));
    }
    if (body.role == Role::Auditor) != matches!(body.call, Call::Attest { .. } | Call::AttestEmergency { .. })
    {
        return violated(format!("{} acts as {} on what is not its role's", body.sender, body.role));
    }
    Ok(())
}

/// Judges one event: who looks over a change is not of its author's organisation.
pub(super) fn check_event(trail: &Trail, event: &Event) -> Result<(), Found> {
    let Event::Reviewed { proposal, reviewer, .. } = event else { return Ok(()) };
    let author = trail.proposals().get(proposal).and_then(|known| known.author.as_ref());
    let apart = author.is_some_and(|author| author.org_str() != reviewer.org_str());
    ensure(apart, G8, *proposal, || format!("{reviewer} reviews a proposal of its own organisation"))
}
