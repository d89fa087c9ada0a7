//! G3: nothing executes without its approval, by the thresholds as pinned and after the timelock.

use crate::{
    constitution::TrackParameters,
    event::Event,
    invariant::{Broken, View, ensure_of},
    proposal::Proposal,
    stage::Stage,
    transaction::ReviewVerdict,
};

pub(super) fn check(view: &View<'_>) -> Result<(), Broken> {
    for event in view.events {
        let begins = match event {
            Event::StageChanged { proposal, to: Stage::Canary, .. }
            | Event::StepClaimed { proposal, undo: false, .. }
            | Event::Amended { proposal, .. }
            | Event::Enacted { proposal, .. }
            | Event::EmergencyRatified { proposal, .. }
            | Event::Reinstated { proposal, .. } => *proposal,
            _ => continue,
        };
        let Some(proposal) = view.after.proposal(begins) else {
            return ensure_of(begins, false, || "the ledger does not hold it".to_owned());
        };
        check_approval(view, proposal)?;
    }
    view.touched().into_iter().try_for_each(|proposal| check_pinned(view, proposal))
}

fn check_approval(view: &View<'_>, proposal: &Proposal) -> Result<(), Broken> {
    let now = view.header.time;
    ensure_of(proposal.id, proposal.findings.is_empty(), || "it breaks a hard rule".to_owned())?;
    ensure_of(proposal.id, proposal.count().passes, || "its ballots do not pass".to_owned())?;
    ensure_of(proposal.id, proposal.eta.is_some_and(|eta| eta <= now), || {
        "its timelock is not over".to_owned()
    })?;
    ensure_of(proposal.id, proposal.is_cosigned(), || "too few guardians have co-signed it".to_owned())?;
    let signed = proposal.reviews.values().filter(|verdict| **verdict == ReviewVerdict::Approve).count();
    let needed = if proposal.vote.promoted { 0 } else { usize::from(proposal.parameters.reviewers) };
    ensure_of(proposal.id, signed >= needed, || format!("{signed} of {needed} have signed it off"))
}

/// What was pinned at submission is the same until the next revision; only a promotion changes the thresholds.
fn check_pinned(view: &View<'_>, proposal: &Proposal) -> Result<(), Broken> {
    let Some(before) = view.before.proposal(proposal.id) else { return Ok(()) };
    if before.revision != proposal.revision {
        return Ok(());
    }
    let same = before.plan_hash == proposal.plan_hash
        && before.electorate_digest == proposal.electorate_digest
        && before.organisation_cap == proposal.organisation_cap
        && before.constitution == proposal.constitution
        && (thresholds(before) == thresholds(proposal) || is_promotion(before, proposal));
    ensure_of(proposal.id, same, || "what was pinned at submission has changed".to_owned())
}

/// What decides, what a promotion would put in its place, and whether there was one.
fn thresholds(proposal: &Proposal) -> (&TrackParameters, Option<&TrackParameters>, bool) {
    (&proposal.parameters, proposal.fallback.as_deref(), proposal.vote.promoted)
}

/// A promotion uses up the thresholds that were pinned for it.
fn is_promotion(before: &Proposal, proposal: &Proposal) -> bool {
    before.fallback.as_deref().is_some_and(|full| thresholds(proposal) == (full, None, true))
}
