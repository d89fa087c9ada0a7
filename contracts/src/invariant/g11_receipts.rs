//! G11: every effect has a receipt: what is applied changed only by steps that an executor reported done.

use std::collections::BTreeMap;

use crate::{
    document::Action,
    event::Event,
    invariant::{Broken, View, ensure},
    name::{Name, TargetId},
    transaction::{Call, StepOutcome},
};

type Applied<'a> = BTreeMap<(&'a TargetId, &'a Name), &'a Action>;

pub(super) fn check(view: &View<'_>) -> Result<(), Broken> {
    let receipts = view.transactions.iter().filter(|sent| matches!(sent.body().call, Call::Receipt { .. }));
    let reports = view.events.iter().filter(|event| matches!(event, Event::StepReported { .. }));
    let (receipts, reports) = (receipts.count(), reports.count());
    ensure(receipts == reports, || format!("{receipts} receipts led to {reports} reports"))?;
    let mut expected = applied(view.before);
    for event in view.events {
        if let Event::StepReported { proposal, step, undo, outcome: StepOutcome::Done, .. } = event {
            let plan = view.after.proposal(*proposal).map(|proposal| &proposal.plan.steps);
            let Some(planned) = plan.and_then(|steps| steps.get(usize::from(*step))) else { continue };
            let action = if *undo { &planned.undo } else { &planned.action };
            let place = (&planned.target, planned.action.resource());
            match action {
                Action::Remove { .. } => expected.remove(&place),
                other => expected.insert(place, other),
            };
        }
    }
    ensure(applied(view.after) == expected, || "a target changed without a receipt".to_owned())
}

fn applied(state: &crate::state::State) -> Applied<'_> {
    let targets = state.targets();
    let pairs = targets
        .flat_map(|(id, target)| target.applied.iter().map(move |(name, action)| ((id, name), action)));
    pairs.collect()
}
