//! G6: no acknowledged ballot is lost: the chain after a block is the chain before it with the new ballots.

use crate::{
    event::Event,
    invariant::{Broken, View, ensure_of},
    proposal::{Proposal, link},
    transaction::{Call, Choice, ProposalId},
};

pub(super) fn check(view: &View<'_>) -> Result<(), Broken> {
    for transaction in view.transactions {
        let body = transaction.body();
        let ballots: Vec<(ProposalId, Choice)> = match &body.call {
            Call::Vote { proposal, choice, .. } => vec![(*proposal, *choice)],
            Call::VoteBatch { editions, choice } => {
                editions.iter().map(|it| (it.proposal, *choice)).collect()
            }
            _ => continue,
        };
        for (proposal, choice) in ballots {
            let kept = view.after.proposal(proposal).and_then(|held| held.vote.ballots.get(&body.sender));
            ensure_of(proposal, kept == Some(&choice), || format!("the ballot of {} is lost", body.sender))?;
        }
    }
    view.touched().into_iter().try_for_each(|proposal| check_chain(view, proposal))
}

fn check_chain(view: &View<'_>, proposal: &Proposal) -> Result<(), Broken> {
    let before = view.before.proposal(proposal.id).filter(|before| before.revision == proposal.revision);
    let before = before.map(|before| before.vote.ballots_digest).unwrap_or_default();
    let chain = cast(view, proposal).fold(before, |chain, (voter, choice)| link(chain, voter, choice));
    ensure_of(proposal.id, chain == proposal.vote.ballots_digest, || {
        "the chain of ballots was broken".to_owned()
    })
}

fn cast<'a>(
    view: &'a View<'_>,
    proposal: &'a Proposal,
) -> impl Iterator<Item = (&'a crate::name::MemberId, Choice)> {
    view.events.iter().filter_map(|event| match event {
        Event::Voted { proposal: id, voter, choice } if *id == proposal.id => Some((voter, *choice)),
        _ => None,
    })
}
