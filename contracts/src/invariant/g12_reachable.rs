//! G12: no change makes a track unreachable: the constitution in force is always one that may be in force.

use crate::{
    event::Event,
    invariant::{Broken, View, ensure},
    tally,
};

pub(super) fn check(view: &View<'_>) -> Result<(), Broken> {
    let constitution = view.after.constitution();
    ensure(constitution.version >= view.before.constitution().version, || {
        "the constitution went back to an older version".to_owned()
    })?;
    let checked = constitution.check();
    ensure(checked.is_ok(), || checked.err().map(|error| error.to_string()).unwrap_or_default())?;
    let submitted = view.events.iter().filter(|event| matches!(event, Event::Submitted { .. }));
    let mut submitted = submitted.filter_map(|event| view.after.proposal(event.proposal()?));
    submitted.try_for_each(|proposal| {
        let best = tally::best_case(&proposal.electorate, proposal.organisation_cap);
        ensure(best.get() > 0, || format!("nobody can decide proposal {}", proposal.id))
    })
}
