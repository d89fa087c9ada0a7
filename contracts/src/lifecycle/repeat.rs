//! Owns the recognition of repeats by their natural keys: what had taken effect before is the same, not an error.

use crate::{
    emergency::{EmergencyId, EmergencyStage},
    lifecycle::{batch, execution},
    name::MemberId,
    proposal::Proposal,
    quantity::TimeMs,
    state::State,
    transaction::{Call, Choice, Edition, ProposalId, TransactionBody},
};

/// Whether what a transaction asks for is what the ledger already holds.
pub(crate) fn is_repeat(state: &State, body: &TransactionBody) -> bool {
    match &body.call {
        Call::Submit { document, .. } => {
            let id = ProposalId::derive(state.network(), &body.sender, body.sequence, document.digest());
            state.proposal(id).is_some()
        }
        Call::ReportEquivocation { evidence } => {
            state.registry().equivocations.contains_key(&evidence.validator)
        }
        Call::DeclareEmergency { declaration } => {
            let held = state.emergency(EmergencyId::of(state.network(), declaration));
            held.is_some_and(|held| {
                held.declared_by == body.sender
                    && (held.stage == EmergencyStage::Declared || held.is_in_force())
            })
        }
        Call::SignEmergency { emergency } => {
            state.emergency(*emergency).is_some_and(|held| held.signers.contains(&body.sender))
        }
        Call::EndEmergency { emergency } => {
            state.emergency(*emergency).is_some_and(|held| held.lifted.is_some())
        }
        Call::AttestEmergency { emergency, verdict, .. } => {
            state.emergency(*emergency).and_then(|held| held.attestations.get(&body.sender)) == Some(verdict)
        }
        Call::Delegate { track, to, expires } => {
            state.registry().has_delegated(&body.sender, *track, to, *expires)
        }
        // One that the sender has sent before; without anything to revoke, another one is refused.
        Call::Revoke { track } => {
            body.sequence < state.next_sequence(&body.sender, body.role)
                && !state.registry().has_delegations(&body.sender, *track)
        }
        Call::VoteBatch { editions, choice } => batch::is_cast(state, &body.sender, (editions, *choice)),
        Call::SignRecovery { claim } => state.has_signed_recovery(&body.sender, claim),
        // One that the sender has sent before; without anything to stop, another one is refused.
        Call::StopRecovery { member, role } => {
            body.sequence < state.next_sequence(&body.sender, body.role)
                && !state.recovery(member, *role).is_some_and(|recovery| {
                    body.sender == *member || recovery.signatures.contains_key(&body.sender)
                })
        }
        call => {
            let proposal = call.proposal().and_then(|id| state.proposal(id));
            proposal.is_some_and(|proposal| holds(proposal, body, state.time()))
        }
    }
}

fn holds(proposal: &Proposal, body: &TransactionBody, now: TimeMs) -> bool {
    let sender = &body.sender;
    match &body.call {
        Call::Revise { replaces, document, plan_hash, .. } => {
            proposal.author == *sender
                && proposal.revision == replaces.next()
                && proposal.plan_hash == *plan_hash
                && proposal.document.as_ref() == document
        }
        Call::Review { revision, plan_hash, verdict, .. } => {
            is_edition(proposal, *revision, *plan_hash) && proposal.reviews.get(sender) == Some(verdict)
        }
        Call::Vote { proposal: id, revision, plan_hash, choice } => {
            let edition = Edition { proposal: *id, revision: *revision, plan_hash: *plan_hash };
            has_voted(proposal, sender, edition, *choice)
        }
        Call::Cancel { .. } => proposal.stage == crate::stage::Stage::Cancelled && proposal.author == *sender,
        Call::Veto { .. } => proposal.vetoed_by.as_ref() == Some(sender),
        Call::Cosign { revision, plan_hash, .. } => {
            is_edition(proposal, *revision, *plan_hash) && proposal.cosigned_by.contains(sender)
        }
        Call::Attest { verdict, .. } => proposal.attestations.get(sender) == Some(verdict),
        call => is_execution_repeat(proposal, body, call, now),
    }
}

/// Whether a voter has said just this of just this edition.
pub(crate) fn has_voted(proposal: &Proposal, voter: &MemberId, edition: Edition, choice: Choice) -> bool {
    is_edition(proposal, edition.revision, edition.plan_hash)
        && proposal.vote.ballots.get(voter) == Some(&choice)
}

fn is_execution_repeat(proposal: &Proposal, body: &TransactionBody, call: &Call, now: TimeMs) -> bool {
    let sender = &body.sender;
    match call {
        Call::Claim { step, .. } => execution::find(proposal, *step).is_ok_and(|(_, progress)| {
            let undo = proposal.stage == crate::stage::Stage::RollingBack;
            let reported = if undo { &progress.undo_outcome } else { &progress.outcome };
            let held = progress.claim.as_ref().filter(|claim| claim.undo == undo && claim.until > now);
            proposal.stage.is_executing()
                && reported.is_none()
                && held.is_some_and(|claim| claim.executor == *sender)
        }),
        Call::Receipt { step, fence, outcome, .. } => {
            execution::find(proposal, *step).is_ok_and(|(_, progress)| {
                progress.claim.as_ref().is_some_and(|claim| {
                    let reported = if claim.undo { &progress.undo_outcome } else { &progress.outcome };
                    claim.fence == *fence && claim.executor == *sender && reported.as_ref() == Some(outcome)
                })
            })
        }
        Call::AttestHealth { stage, step, health, .. } => {
            let judged = proposal.execution.health.get(step);
            proposal.execution.stage == *stage
                && judged.and_then(|judged| judged.get(sender.org_str())) == Some(health)
        }
        _ => false,
    }
}

fn is_edition(
    proposal: &Proposal,
    revision: crate::quantity::Revision,
    plan_hash: crate::digest::Digest,
) -> bool {
    proposal.revision == revision && proposal.plan_hash == plan_hash
}
