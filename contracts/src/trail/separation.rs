//! G8: author and required reviewer are of different organisations, executor and voter keys are apart, and auditors
//! write nothing but attestations.

use std::collections::BTreeMap;

use super::{Found, Trail, ensure, ensure_at};
use crate::{
    act::Subject,
    event::Event,
    invariant::{Invariant, View},
    name::MemberId,
    role::Role,
    signature::PublicKey,
    transaction::Call,
};

const G8: Invariant = Invariant::Duties;

/// Judges the transactions of a block: each key is the sender's for its role, and an auditor only attests.
///
/// Back from the end of the block, where the keys are known: what replaces a key was signed with the one before.
pub(super) fn check_transactions(block: &View<'_>) -> Result<(), Found> {
    let mut before: BTreeMap<(&MemberId, Role), PublicKey> = BTreeMap::new();
    for transaction in block.transactions.iter().rev() {
        let body = transaction.body();
        if let Call::ReplaceKey { claim } = &body.call {
            before.insert((&claim.member, claim.role), claim.replaces);
        }
        let place = (&body.sender, body.role);
        let held = || block.after.member(&body.sender)?.keys.get(&body.role).copied();
        let expected = before.get(&place).copied().or_else(held);
        let is_own = expected == Some(transaction.key()) || is_decided_on(block, &body.sender);
        ensure_at(is_own, G8, || {
            format!("{} acts as {} with a key that is not its own", body.sender, body.role)
        })?;
        let attests = matches!(body.call, Call::Attest { .. } | Call::AttestEmergency { .. });
        ensure_at((body.role == Role::Auditor) == attests, G8, || {
            format!("{} acts as {} on what is not its role's", body.sender, body.role)
        })?;
    }
    Ok(())
}

/// Whether the block carries out a decision about a member, before which it had other keys.
fn is_decided_on(block: &View<'_>, member: &MemberId) -> bool {
    block.events.iter().any(|event| match event {
        Event::Enacted { subject: Subject::Member(id), .. } => id == member,
        Event::Enacted { subject: Subject::Organisation(org), .. } => org.as_str() == member.org_str(),
        _ => false,
    })
}

/// Judges one event: who looks over a change is not of its author's organisation.
pub(super) fn check_event(trail: &Trail, event: &Event) -> Result<(), Found> {
    let Event::Reviewed { proposal, reviewer, .. } = event else { return Ok(()) };
    let author = trail.proposals().get(proposal).and_then(|known| known.author.as_ref());
    let apart = author.is_some_and(|author| author.org_str() != reviewer.org_str());
    ensure(apart, G8, *proposal, || format!("{reviewer} reviews a proposal of its own organisation"))
}
