//! G4: each (proposal, step, target) takes effect at most once, under a fence that was never given before.

use super::{Found, StepTrail, Trail, ensure};
use crate::{event::Event, invariant::Invariant, transaction::StepOutcome};

const G4: Invariant = Invariant::SingleEffect;

/// Judges one event.
pub(super) fn check(trail: &Trail, event: &Event) -> Result<(), Found> {
    match event {
        Event::StepClaimed { proposal, step, fence, undo, .. } => {
            let highest = trail.fence();
            ensure(*fence > highest, G4, *proposal, || {
                format!("fence {fence} of step {step} is not above {highest}, which was given before")
            })?;
            let spent = trail.step(*proposal, *step).is_some_and(|known| is_spent(known, *undo));
            ensure(!spent, G4, *proposal, || format!("step {step} is claimed although it took effect"))
        }
        Event::StepReported { proposal, step, undo, outcome: StepOutcome::Done, .. } => {
            let spent = trail.step(*proposal, *step).is_some_and(|known| is_spent(known, *undo));
            ensure(!spent, G4, *proposal, || format!("step {step} took effect twice"))
        }
        _ => Ok(()),
    }
}

const fn is_spent(step: &StepTrail, undo: bool) -> bool {
    let outcome = if undo { &step.undo_outcome } else { &step.outcome };
    matches!(outcome, Some(StepOutcome::Done))
}
