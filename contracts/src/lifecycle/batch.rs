//! Owns the ballot on several proposals at once: routine ones, of which there are many, and each of which is decided by itself.

use std::collections::BTreeSet;

use crate::{
    constitution::Track,
    event::Event,
    lifecycle::{self, Cast, ballot},
    name::MemberId,
    proposal::Proposal,
    reject::Reject,
    stage::Stage,
    state::State,
    transaction::{Choice, Edition, ProposalId},
};

/// Most proposals of one ballot.
pub const BATCH_MAX: usize = 32;

/// Why a ballot on several proposals is not taken; then none of them has it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchRefusal {
    /// None, or too many.
    #[error("it names {found} proposals; from 1 to {BATCH_MAX} are allowed")]
    Size {
        /// As sent.
        found: usize,
    },
    /// One proposal named twice.
    #[error("it names {proposal} twice")]
    Twice {
        /// Which.
        proposal: ProposalId,
    },
    /// A proposal that asks for a ballot of its own.
    #[error("{proposal} is of the {track} track, on which each proposal has a ballot of its own")]
    NotRoutine {
        /// Which.
        proposal: ProposalId,
        /// Its track.
        track: Track,
    },
    /// One of the ballots.
    #[error("on {proposal}: {why}")]
    Ballot {
        /// On which.
        proposal: ProposalId,
        /// Why not.
        why: Box<Reject>,
    },
}

/// Casts the same ballot on each of the proposals. What the voter has said before of one of them it says again.
pub(crate) fn vote(
    state: &mut State,
    sender: &MemberId,
    (editions, choice): (&[Edition], Choice),
    events: &mut Vec<Event>,
) -> Result<(), Reject> {
    let missing = check(state, sender, (editions, choice))?;
    missing.into_iter().try_for_each(|edition| {
        state.with_proposal(edition.proposal, events, |cast: &mut Cast<'_>| {
            ballot::vote(cast, sender, (edition.revision, edition.plan_hash), choice)
        })
    })
}

/// Whether every one of the ballots is cast already.
pub(crate) fn is_cast(state: &State, sender: &MemberId, (editions, choice): (&[Edition], Choice)) -> bool {
    let has = |edition: &Edition| {
        state.proposal(edition.proposal).is_some_and(|it| lifecycle::has_voted(it, sender, *edition, choice))
    };
    !editions.is_empty() && editions.iter().all(has)
}

/// Those of the ballots that are not cast so far, when every one of them can be.
fn check<'a>(
    state: &State,
    sender: &MemberId,
    (editions, choice): (&'a [Edition], Choice),
) -> Result<Vec<&'a Edition>, Reject> {
    if !(1..=BATCH_MAX).contains(&editions.len()) {
        return Err(BatchRefusal::Size { found: editions.len() }.into());
    }
    let (mut named, mut missing) = (BTreeSet::new(), Vec::new());
    for edition in editions {
        let id = edition.proposal;
        if !named.insert(id) {
            return Err(BatchRefusal::Twice { proposal: id }.into());
        }
        let proposal = state.proposal(id).ok_or(Reject::UnknownProposal { proposal: id })?;
        if proposal.track != Track::Routine {
            return Err(BatchRefusal::NotRoutine { proposal: id, track: proposal.track }.into());
        }
        if lifecycle::has_voted(proposal, sender, *edition, choice) {
            continue;
        }
        let refused = |why| BatchRefusal::Ballot { proposal: id, why: Box::new(why) };
        check_one(proposal, sender, *edition).map_err(refused)?;
        missing.push(edition);
    }
    Ok(missing)
}

/// Only while the vote runs: a ballot in the time for confirmation may end one proposal, and others with it.
fn check_one(proposal: &Proposal, sender: &MemberId, edition: Edition) -> Result<(), Reject> {
    proposal.check_edition((edition.revision, edition.plan_hash))?;
    ballot::may_vote(proposal, sender)?;
    match proposal.stage {
        Stage::Voting => Ok(()),
        stage => Err(Reject::IllegalMove { stage, input: "vote-batch", allowed: lifecycle::allowed(stage) }),
    }
}
