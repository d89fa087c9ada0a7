//! Owns the vote: ballots, the late extension, the count at its end, and the confirm period after it.

use std::sync::Arc;

use crate::{
    constitution::TrackParameters,
    digest::Digest,
    event::Event,
    expiry::Expiring,
    lifecycle::{Cast, queue},
    name::MemberId,
    proposal::{Proposal, Vote},
    quantity::{Revision, TimeMs, Weight},
    reject::Reject,
    stage::Stage,
    tally::TallyReport,
    transaction::Choice,
};

/// The weight of the ballot that a member may cast: the member's own, and what others have entrusted to it, under the caps.
pub(crate) fn may_vote(proposal: &Proposal, member: &MemberId) -> Result<Weight, Reject> {
    let stage = proposal.stage;
    if !matches!(stage, Stage::Voting | Stage::Confirming) {
        return Err(Reject::IllegalMove { stage, input: "vote", allowed: super::allowed(stage) });
    }
    let electorate = &proposal.electorate;
    if electorate.own(member) == Weight::ZERO {
        return Err(Reject::NotEligible { member: member.clone() });
    }
    if proposal.vote.ballots.contains_key(member) {
        return Err(Reject::AlreadyDone { member: member.clone() });
    }
    Ok(electorate.ballot(member, proposal.vote.entrusted(member, electorate)).sum())
}

/// Opens the vote.
pub(super) fn open(cast: &mut Cast<'_>, cause: &str) {
    cast.go(Stage::Voting, cause);
    let (opened, parameters) = (cast.registry.time, &cast.proposal.parameters);
    let closes = opened.after(parameters.voting);
    cast.proposal.vote = Vote::open(opened, closes);
    wait_for_end(cast, closes);
}

/// The vote ends here unless something happens; when too few take part, they are told before.
fn wait_for_end(cast: &mut Cast<'_>, until: TimeMs) {
    cast.wait_until(until);
    cast.warn_of_deadline(Expiring::Voting { proposal: cast.proposal.id });
}

/// Takes a ballot; one that changes a test near the end extends the vote.
pub(super) fn vote(
    cast: &mut Cast<'_>,
    sender: &MemberId,
    edition: (Revision, Digest),
    choice: Choice,
) -> Result<(), Reject> {
    check(cast, sender, edition)?;
    let late = is_late(cast.proposal, cast.registry.time);
    if late && cast.proposal.vote.late_outcome.is_none() {
        cast.proposal.vote.late_outcome = Some(cast.proposal.count().outcome());
    }
    take(cast, sender, choice);
    if late {
        extend_on_flip(cast);
    }
    Ok(())
}

/// Takes a ballot while a passing vote has to keep passing.
pub(super) fn vote_while_confirming(
    cast: &mut Cast<'_>,
    sender: &MemberId,
    edition: (Revision, Digest),
    choice: Choice,
) -> Result<(), Reject> {
    check(cast, sender, edition)?;
    take(cast, sender, choice);
    if !cast.proposal.count().passes {
        tally(cast);
        reopen(cast);
    }
    Ok(())
}

/// Counts at the end of the vote.
#[expect(clippy::unnecessary_wraps, reason = "every arm of the table has one shape")]
pub(super) fn close(cast: &mut Cast<'_>) -> Result<(), Reject> {
    if tally(cast) {
        cast.go(Stage::Confirming, "every test of the count holds");
        cast.wait_for(cast.proposal.parameters.confirm);
    } else if let Some(full) = take_fallback(cast.proposal) {
        promote(cast, full);
        return Ok(());
    } else {
        cast.go(Stage::Defeated, &shortfall(cast.proposal));
    }
    cast.registry.note_turnout(cast.proposal, cast.events);
    Ok(())
}

fn check(cast: &Cast<'_>, sender: &MemberId, edition: (Revision, Digest)) -> Result<(), Reject> {
    cast.proposal.check_edition(edition)?;
    may_vote(cast.proposal, sender).map(|_| ())
}

fn take(cast: &mut Cast<'_>, sender: &MemberId, choice: Choice) {
    let Proposal { vote, electorate, .. } = &mut *cast.proposal;
    vote.cast(sender, choice, electorate);
    cast.events.push(Event::Voted { proposal: cast.proposal.id, voter: sender.clone(), choice });
}

/// Counts, keeps the figures, and says whether every test holds.
fn tally(cast: &mut Cast<'_>) -> bool {
    let tally = cast.proposal.count();
    let passes = tally.passes;
    cast.events.push(Event::Tallied { proposal: cast.proposal.id, tally: tally.clone() });
    cast.proposal.vote.tally = Some(tally);
    passes
}

fn is_late(proposal: &Proposal, time: TimeMs) -> bool {
    let TrackParameters { late_window, .. } = *proposal.parameters;
    time.after(late_window) >= proposal.vote.closes || proposal.vote.late_outcome.is_some()
}

/// No vote lasts longer than twice its period, whatever happens in it.
fn latest_end(proposal: &Proposal) -> TimeMs {
    let voting = proposal.parameters.voting;
    proposal.vote.opened.after(voting).after(voting)
}

fn extend_on_flip(cast: &mut Cast<'_>) {
    let outcome = cast.proposal.count().outcome();
    let flipped = cast.proposal.vote.late_outcome.as_ref() != Some(&outcome);
    cast.proposal.vote.late_outcome = Some(outcome);
    let vote = &cast.proposal.vote;
    let extended = vote.closes.after(cast.proposal.parameters.late_window);
    let until = extended.min(latest_end(cast.proposal));
    if !flipped || until <= vote.closes {
        return;
    }
    cast.proposal.vote.closes = until;
    wait_for_end(cast, until);
    cast.events.push(Event::VotingExtended { proposal: cast.proposal.id, until });
}

/// Goes back to the vote for one more window, or ends it when the vote has had all its time.
fn reopen(cast: &mut Cast<'_>) {
    let now = cast.registry.time;
    let until = now.after(cast.proposal.parameters.late_window).min(latest_end(cast.proposal));
    cast.go(Stage::Voting, "it stopped passing while it was to be confirmed");
    if until <= now {
        cast.go(Stage::Defeated, &shortfall(cast.proposal));
        cast.registry.note_turnout(cast.proposal, cast.events);
        return;
    }
    cast.proposal.vote.closes = until;
    wait_for_end(cast, until);
}

/// The full vote of an optimistic one that failed only because too few organisations have seen it.
fn take_fallback(proposal: &mut Proposal) -> Option<Arc<TrackParameters>> {
    let is_unseen = proposal.vote.tally.as_ref().is_some_and(TallyReport::is_unseen);
    proposal.fallback.take_if(|_| is_unseen)
}

/// Turns an unseen optimistic vote into a full one; ballots that were cast stay cast.
fn promote(cast: &mut Cast<'_>, full: Arc<TrackParameters>) {
    let opened = cast.registry.time;
    let closes = opened.after(full.voting);
    cast.proposal.parameters = full;
    let vote = &mut cast.proposal.vote;
    (vote.opened, vote.closes, vote.promoted, vote.late_outcome) = (opened, closes, true, None);
    wait_for_end(cast, closes);
    cast.events.push(Event::Promoted { proposal: cast.proposal.id });
}

/// The tests that do not hold, in words.
fn shortfall(proposal: &Proposal) -> String {
    let tests = proposal.vote.tally.iter().flat_map(|tally| &tally.tests).filter(|test| !test.holds);
    let words: Vec<String> =
        tests.map(|test| format!("{} {} of {}", test.kind, test.part, test.whole)).collect();
    format!("the count fails: {}", words.join(", "))
}

/// The end of the confirm period.
#[expect(clippy::unnecessary_wraps, reason = "every arm of the table has one shape")]
pub(super) fn confirm(cast: &mut Cast<'_>) -> Result<(), Reject> {
    tally(cast);
    queue::enter(cast);
    Ok(())
}
