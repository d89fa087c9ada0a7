//! G5: a voice is lent by the bounds of the constitution, and heard in what is submitted while it is lent and in nothing else.

use super::{Found, Trail, ensure, ensure_at};
use crate::{
    constitution::Track,
    event::Event,
    invariant::{Invariant, View},
    name::MemberId,
    quantity::TimeMs,
    transaction::ProposalId,
};

const G5: Invariant = Invariant::Weight;

/// Judges one event.
pub(super) fn check(trail: &Trail, block: &View<'_>, event: &Event) -> Result<(), Found> {
    match event {
        Event::Submitted { proposal, .. } => check_voices(trail, block, *proposal),
        Event::Delegated { delegator, delegate, track, from, expires } => {
            check_bounds(trail, block, (*track, delegator), delegate, (*from, *expires))
        }
        _ => Ok(()),
    }
}

/// Who speaks for its voters is what they had said before its block.
fn check_voices(trail: &Trail, block: &View<'_>, id: ProposalId) -> Result<(), Found> {
    let Some(proposal) = block.after.proposal(id) else {
        return ensure(false, G5, id, || "it has no electorate".to_owned());
    };
    let electorate = &proposal.electorate;
    let votes = |member: &MemberId| electorate.weights.contains_key(member);
    let said = trail.voices(proposal.track.of_voices(), block.header.time);
    let said = said.filter(|(from, to)| votes(from) && votes(to));
    let is_off = trail.constitution().is_none_or(|rules| rules.delegation.cap.is_zero());
    let same = if is_off { electorate.delegates.is_empty() } else { said.eq(&electorate.delegates) };
    ensure(same, G5, id, || "others speak for its voters than they had said".to_owned())
}

/// It begins after the delay, unless it goes on with the same delegate, and ends within the longest term.
fn check_bounds(
    trail: &Trail,
    block: &View<'_>,
    (track, delegator): (Track, &MemberId),
    delegate: &MemberId,
    (from, expires): (TimeMs, TimeMs),
) -> Result<(), Found> {
    let (now, rules) = (block.header.time, trail.constitution().map(|rules| rules.delegation));
    let held = trail.delegation(track, delegator).filter(|held| held.to == *delegate && now < held.expires);
    let goes_on = held.is_some_and(|held| held.from == from);
    let in_bounds = rules.is_some_and(|rules| {
        (goes_on || from >= now.after(rules.activation)) && expires <= now.after(rules.term_max)
    });
    ensure_at(in_bounds && from < expires && delegator != delegate, G5, || {
        format!("on the {track} track {delegate} speaks for {delegator} from {from} until {expires}")
    })
}
