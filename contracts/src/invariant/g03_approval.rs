//! G3: nothing executes without its approval, thresholds as pinned, timelock elapsed, under the plan that was voted on.

use super::{InvariantId, ObservedBlock, ProposalTrail, Trail, Violation, ensure};
use crate::{
    event::Event,
    proposal::Proposal,
    quantity::Weight,
    stage::Stage,
    tally::{TallyReport, TallyTest, TallyTestKind},
    transaction::{Choice, ProposalId, ReviewVerdict},
};

const G3: InvariantId = InvariantId::G3;

/// Judges one event.
pub(super) fn check(trail: &Trail, block: &ObservedBlock<'_>, event: &Event) -> Result<(), Violation> {
    match event {
        Event::Tallied { proposal, tally } => check_tally(trail, block, *proposal, tally),
        Event::StageChanged { proposal, to: Stage::Queued, .. } => check_decision(trail, block, *proposal),
        Event::StepClaimed { proposal, undo: false, .. } => check_claim(trail, block, *proposal),
        _ => Ok(()),
    }
}

/// The count's arithmetic: each test as its figures say, and no more weight than was cast.
fn check_tally(
    trail: &Trail,
    block: &ObservedBlock<'_>,
    id: ProposalId,
    tally: &TallyReport,
) -> Result<(), Violation> {
    let holds = |test: &TallyTest| {
        let passed = test.threshold.is_passed_by(test.part, test.whole);
        passed != (test.kind == TallyTestKind::Objection)
    };
    let wrong = tally.tests.iter().find(|test| test.holds != holds(test));
    ensure(wrong.is_none(), G3, id, || format!("a test of its count is reported wrongly: {wrong:?}"))?;
    let all = !tally.tests.is_empty() && tally.tests.iter().all(|test| test.holds);
    ensure(tally.passes == all, G3, id, || "its count passes although a test does not hold".to_owned())?;
    let Some((trail, proposal)) = both(trail, block, id) else { return Ok(()) };
    let counted = [
        (Choice::For, tally.weight_for),
        (Choice::Against, tally.weight_against),
        (Choice::Abstain, tally.weight_abstain),
    ];
    counted.into_iter().try_for_each(|(choice, counted)| {
        let cast = weight_cast(trail, proposal, choice);
        ensure(counted <= cast, G3, id, || {
            format!("{counted} of weight is counted {choice:?}, {cast} was cast")
        })
    })
}

/// A queued proposal has its sign-offs, and its last count passed.
fn check_decision(trail: &Trail, block: &ObservedBlock<'_>, id: ProposalId) -> Result<(), Violation> {
    let Some((trail, proposal)) = both(trail, block, id) else { return missing(id) };
    let passes = trail.tally.as_ref().is_some_and(|tally| tally.passes);
    ensure(passes, G3, id, || "it is queued although its last count did not pass".to_owned())?;
    let foreign = |verdict: &ReviewVerdict| *verdict == ReviewVerdict::Approve;
    let signed_off = trail.reviews.values().filter(|verdict| foreign(verdict)).count();
    let needed = usize::from(proposal.parameters.reviewers);
    ensure(signed_off >= needed, G3, id, || format!("it is queued with {signed_off} of {needed} sign-offs"))
}

/// A step is taken after the timelock, in a stage that executes, under the plan that was submitted.
fn check_claim(trail: &Trail, block: &ObservedBlock<'_>, id: ProposalId) -> Result<(), Violation> {
    let Some((trail, proposal)) = both(trail, block, id) else { return missing(id) };
    let executes = matches!(trail.stage, Some(Stage::Queued | Stage::Canary | Stage::Rollout(_)));
    ensure(executes, G3, id, || format!("a step is claimed while it is {:?}", trail.stage))?;
    let unlocked = trail.queued_at.map(|queued| queued.after(proposal.parameters.timelock));
    let elapsed = unlocked.is_some_and(|unlocked| block.header.time >= unlocked);
    ensure(elapsed, G3, id, || {
        format!("a step is claimed at {} before its timelock ends", block.header.time)
    })?;
    let voted_on = trail.plan_hash == Some(proposal.plan.hash());
    let planned = proposal.plan.document == proposal.document.digest();
    ensure(voted_on && planned, G3, id, || "the plan carried out is not the one voted on".to_owned())
}

fn both<'a>(
    trail: &'a Trail,
    block: &ObservedBlock<'a>,
    id: ProposalId,
) -> Option<(&'a ProposalTrail, &'a Proposal)> {
    Some((trail.proposals().get(&id)?, block.after.proposal(id)?))
}

fn missing(id: ProposalId) -> Result<(), Violation> {
    ensure(false, G3, id, || "it acts without having been submitted".to_owned())
}

fn weight_cast(trail: &ProposalTrail, proposal: &Proposal, choice: Choice) -> Weight {
    let voters = trail.ballots.iter().filter(|(_, cast)| **cast == choice).map(|(voter, _)| voter);
    let weights = voters.filter_map(|voter| proposal.electorate.weights.get(voter));
    weights.fold(Weight::ZERO, |sum, weight| sum.saturating_add(*weight))
}
