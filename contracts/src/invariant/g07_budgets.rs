//! G7: no budget is overdrawn: vetoes of a guardian, attempts of an execution, open proposals of an author.

use std::collections::BTreeSet;

use crate::invariant::{Broken, View, ensure, ensure_of};

pub(super) fn check(view: &View<'_>) -> Result<(), Broken> {
    let constitution = view.after.constitution();
    for transaction in view.transactions {
        let sender = &transaction.body().sender;
        let vetoes = view.after.member(sender).map_or(0, |member| member.vetoes);
        ensure(vetoes <= constitution.vetoes_per_guardian, || format!("{sender} vetoed {vetoes} times"))?;
    }
    for proposal in view.touched() {
        let (used, most) = (proposal.execution.retries, proposal.parameters.retries);
        ensure_of(proposal.id, used <= most, || format!("{used} of {most} attempts are used"))?;
    }
    let authors: BTreeSet<_> = view.touched().into_iter().map(|proposal| &proposal.author).collect();
    let most = usize::from(constitution.open_proposals_per_author_max);
    authors.into_iter().try_for_each(|author| {
        let count = view.after.open_count(author);
        ensure(count <= most, || format!("{author} has {count} proposals open"))
    })
}
