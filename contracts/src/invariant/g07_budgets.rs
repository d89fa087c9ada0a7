//! G7: no budget is overdrawn: vetoes of a guardian, attempts of an execution, open proposals and bonds of an author; and what
//! failed is not asked for again before its cooldown is over.

use std::collections::BTreeSet;

use crate::{
    attempt::ContentId,
    event::Event,
    invariant::{Broken, View, ensure, ensure_of},
    name::MemberId,
    proposal::Proposal,
    quantity::BondPoints,
};

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
        ensure(count <= most, || format!("{author} has {count} proposals open"))?;
        check_bonds(view, author)
    })?;
    let submitted = view.events.iter().filter(|event| matches!(event, Event::Submitted { .. }));
    let mut submitted = submitted.filter_map(|event| view.after.proposal(event.proposal()?));
    submitted.try_for_each(|proposal| check_cooldown(view, proposal))
}

/// Bonds are held for open proposals of the author and for nothing else; with what is lost for a time and what is free they
/// are the account, unless that became smaller than what was bound.
fn check_bonds(view: &View<'_>, author: &MemberId) -> Result<(), Broken> {
    let Some(member) = view.after.member(author) else { return Ok(()) };
    let is_open = |id: &&crate::transaction::ProposalId| {
        view.after.proposal(**id).is_some_and(|held| held.is_open() && held.author == *author)
    };
    let stale = member.bonds.held.keys().find(|id| !is_open(id));
    ensure(stale.is_none(), || format!("{author} has a bond for {stale:?}, which is not open"))?;
    let open = view.after.open_proposals().filter(|open| open.author == *author && open.judges().is_none());
    let has_bond = |open: &Proposal| member.bonds.held.contains_key(&open.id);
    // What changes the rules may be exempt, and what is open while bonds are off has none.
    let bare = open.into_iter().find(|open| !has_bond(open) && open.document.acts.is_empty());
    let off =
        [view.before, view.after].iter().any(|state| state.constitution().bonds.base == BondPoints::ZERO);
    let was_bare = bare.is_some_and(|open| view.before.proposal(open.id).is_some());
    ensure(bare.is_none() || off || was_bare, || format!("{author} has a proposal open without a bond"))?;
    let bound = member.bonds.bound(view.header.time);
    let before = view.before.member(author).map(|member| member.bonds.bound(view.before.time()));
    let account = [view.before, view.after].map(|state| state.constitution().bonds.account);
    let most = account.into_iter().chain(before).max().unwrap_or_default();
    ensure(bound <= most, || format!("{bound} points of {author} are bound, of {most}"))
}

fn check_cooldown(view: &View<'_>, proposal: &Proposal) -> Result<(), Broken> {
    if proposal.judges().is_some() {
        return Ok(());
    }
    let attempts = view.before.attempts(ContentId::of(&proposal.document));
    let cooling = attempts.filter(|attempts| attempts.is_cooling(view.header.time));
    ensure_of(proposal.id, cooling.is_none(), || {
        format!("what it asks for failed and is kept out: {cooling:?}")
    })
}
