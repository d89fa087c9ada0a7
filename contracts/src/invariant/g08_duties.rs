//! G8: an author's organisation does not review, co-sign or veto its own change, executors hold no voter key, a change is
//! judged by its owner and somebody else, and auditors write nothing but attestations.

use crate::{
    invariant::{Broken, View, ensure, ensure_of},
    name::MemberId,
    role::Role,
    transaction::{Call, ProposalId, TransactionBody},
};

pub(super) fn check(view: &View<'_>) -> Result<(), Broken> {
    view.transactions.iter().try_for_each(|transaction| check_one(view, transaction.body()))
}

fn check_one(view: &View<'_>, body: &TransactionBody) -> Result<(), Broken> {
    let TransactionBody { sender, role, call, .. } = body;
    let attests = matches!(call, Call::Attest { .. } | Call::AttestEmergency { .. });
    ensure((*role == Role::Auditor) == attests, || format!("{sender} wrote as {role}"))?;
    match call {
        Call::Review { proposal, .. } | Call::Veto { proposal, .. } | Call::Cosign { proposal, .. } => {
            check_foreign(view, *proposal, sender)
        }
        Call::Claim { proposal, .. } | Call::Receipt { proposal, .. } => {
            let votes = view.after.member(sender).is_some_and(|held| held.keys.contains_key(&Role::Voter));
            ensure_of(*proposal, !votes, || format!("{sender} executes and votes"))
        }
        _ => Ok(()),
    }
}

fn check_foreign(view: &View<'_>, id: ProposalId, sender: &MemberId) -> Result<(), Broken> {
    let author = view.after.proposal(id).map(|proposal| proposal.author.org_str());
    ensure_of(id, author != Some(sender.org_str()), || format!("{sender} judged its own organisation"))
}
