//! G13, the part that a ledger shows: nothing that fell due is left behind, and nothing open waits for nobody.

use crate::{
    invariant::{Broken, View, ensure, ensure_of},
    stage::Stage,
};

pub(super) fn check(view: &View<'_>) -> Result<(), Broken> {
    let due = view.after.next_deadline();
    ensure(due.is_none_or(|due| due > view.header.time), || {
        format!("a deadline at {} is left behind", due.unwrap_or_default())
    })?;
    let late = view.after.next_warning().filter(|due| *due < view.header.time);
    ensure(late.is_none(), || format!("a warning for {late:?} is left behind"))?;
    view.touched().into_iter().try_for_each(|proposal| {
        let rests =
            proposal.stage.is_terminal() || matches!(proposal.stage, Stage::Auditing | Stage::Disputed);
        ensure_of(proposal.id, rests || proposal.deadline.is_some(), || {
            format!("it waits in {} for ever", proposal.stage)
        })
    })
}
