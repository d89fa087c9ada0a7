//! G4: each step of a proposal takes effect at most once, and fences only rise.

use std::collections::BTreeSet;

use crate::{
    event::Event,
    invariant::{Broken, View, ensure_of},
    proposal::Proposal,
    transaction::StepOutcome,
};

pub(super) fn check(view: &View<'_>) -> Result<(), Broken> {
    let touched = view.touched();
    let before = touched.into_iter().filter_map(|proposal| view.before.proposal(proposal.id));
    let mut done: BTreeSet<_> = before.flat_map(done_steps).collect();
    let mut highest = None;
    for event in view.events {
        match event {
            Event::StepReported { proposal, step, undo, outcome: StepOutcome::Done, .. } => {
                ensure_of(*proposal, done.insert((*proposal, *step, *undo)), || {
                    format!("step {step} took effect twice")
                })?;
            }
            Event::StepClaimed { proposal, fence, .. } => {
                let rises = highest.is_none_or(|highest| highest < *fence);
                ensure_of(*proposal, rises, || format!("fence {fence} is not above the last"))?;
                highest = Some(*fence);
            }
            _ => {}
        }
    }
    Ok(())
}

fn done_steps(proposal: &Proposal) -> impl Iterator<Item = (crate::transaction::ProposalId, u16, bool)> + '_ {
    let steps = (0..=u16::MAX).zip(&proposal.execution.steps);
    steps.flat_map(|(step, progress)| {
        let done = |outcome: &Option<StepOutcome>| *outcome == Some(StepOutcome::Done);
        let action = done(&progress.outcome).then_some((proposal.id, step, false));
        let undo = done(&progress.undo_outcome).then_some((proposal.id, step, true));
        action.into_iter().chain(undo)
    })
}
