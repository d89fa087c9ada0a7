//! G5: counted weight is what the snapshot gives those who voted, under the caps, and nobody counts twice.

use crate::{
    invariant::{Broken, View, ensure_of},
    proposal::{Proposal, Vote},
    quantity::Weight,
};

pub(super) fn check(view: &View<'_>) -> Result<(), Broken> {
    view.touched().into_iter().try_for_each(check_proposal)
}

fn check_proposal(proposal: &Proposal) -> Result<(), Broken> {
    let mut recounted = Vote::default();
    for (voter, choice) in proposal.vote.ballots.iter() {
        let weight = proposal.electorate.weights.get(voter).copied();
        ensure_of(proposal.id, weight.is_some(), || format!("{voter} voted without weight"))?;
        recounted.add(voter, *choice, weight.unwrap_or_default());
    }
    ensure_of(proposal.id, recounted.by_org == proposal.vote.by_org, || {
        "the sums are not those of the ballots".to_owned()
    })?;
    let tally = proposal.count();
    let counted = [tally.weight_for, tally.weight_against, tally.weight_abstain];
    let sum = counted.into_iter().fold(Weight::ZERO, Weight::saturating_add);
    ensure_of(proposal.id, sum <= proposal.electorate.total, || {
        format!("{sum} is counted of {}", proposal.electorate.total)
    })?;
    let known = |org| proposal.electorate.organisations.contains(org);
    ensure_of(proposal.id, recounted.by_org.keys().all(known), || {
        "an organisation without a voter is counted".to_owned()
    })
}
