//! G3: nothing executes without its approval, thresholds as pinned, timelock elapsed, under the plan that was voted on.

use std::collections::BTreeSet;

use super::{Found, ProposalTrail, Trail, ensure};
use crate::{
    act::Subject,
    constitution::{Constitution, Cosign, Scheme, Threshold},
    digest::Digest,
    event::Event,
    invariant::{Invariant, View},
    name::MemberId,
    proposal::Proposal,
    quantity::Weight,
    stage::Stage,
    tally::{TallyReport, TallyTest, TallyTestKind},
    transaction::{Choice, ProposalId, ReviewVerdict},
};

const G3: Invariant = Invariant::Approval;

/// Judges one event.
pub(super) fn check(trail: &Trail, block: &View<'_>, event: &Event) -> Result<(), Found> {
    match event {
        Event::Submitted { proposal, .. } => check_pinned(trail, block, *proposal),
        Event::Tallied { proposal, tally } => check_tally(trail, block, *proposal, tally),
        Event::StageChanged { proposal, to: Stage::Queued, .. } => check_decision(trail, block, *proposal),
        Event::StepClaimed { proposal, undo: false, .. } => check_claim(trail, block, *proposal),
        Event::Amended { proposal, version, constitution } => {
            check_amendment(trail, block, *proposal, (*version, *constitution))
        }
        Event::Enacted { proposal, subject, record } => {
            check_enacted(trail, block, *proposal, (subject, *record))
        }
        Event::EmergencyRatified { proposal, .. }
        | Event::Reinstated { proposal, .. }
        | Event::Awake { proposal } => check_act(trail, block, *proposal),
        _ => Ok(()),
    }
}

/// What is pinned at submission is what the constitution says about the proposal's class.
fn check_pinned(trail: &Trail, block: &View<'_>, id: ProposalId) -> Result<(), Found> {
    let Some(proposal) = block.after.proposal(id) else { return missing(id) };
    let in_force = trail.constitution().and_then(|rules| rules.parameters_of(proposal.track));
    let pinned = in_force.as_ref() == Some(&*proposal.parameters);
    ensure(pinned, G3, id, || "its thresholds are not those of the constitution".to_owned())
}

/// A count has the tests that were pinned, each as its figures say, and no more weight than was cast.
fn check_tally(trail: &Trail, block: &View<'_>, id: ProposalId, tally: &TallyReport) -> Result<(), Found> {
    let Some((trail, proposal)) = both(trail, block, id) else { return missing(id) };
    let tests: Vec<_> = tally.tests.iter().map(|test| (test.kind, test.threshold)).collect();
    let pinned = trail.parameters.as_ref().map(|parameters| pinned_tests(&parameters.scheme));
    ensure(pinned == Some(tests), G3, id, || "its count has other tests than were pinned".to_owned())?;
    let wrong = tally.tests.iter().find(|test| test.holds != holds(test));
    ensure(wrong.is_none(), G3, id, || format!("a test of its count is reported wrongly: {wrong:?}"))?;
    let all = tally.tests.iter().all(|test| test.holds);
    ensure(tally.passes == all, G3, id, || "its count passes although a test does not hold".to_owned())?;
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

fn pinned_tests(scheme: &Scheme) -> Vec<(TallyTestKind, Threshold)> {
    match *scheme {
        Scheme::Majority { turnout, approval, organisations } => vec![
            (TallyTestKind::Turnout, turnout),
            (TallyTestKind::Approval, approval),
            (TallyTestKind::Organisations, organisations),
        ],
        Scheme::Optimistic { acknowledgement, objection } => {
            vec![(TallyTestKind::Acknowledgement, acknowledgement), (TallyTestKind::Objection, objection)]
        }
    }
}

/// An objection holds the proposal up when it passes, every other test when it does not.
fn holds(test: &TallyTest) -> bool {
    let passed = test.threshold.is_passed_by(test.part, test.whole);
    passed != (test.kind == TallyTestKind::Objection)
}

/// A queued proposal has its sign-offs, and its last count passed.
fn check_decision(trail: &Trail, block: &View<'_>, id: ProposalId) -> Result<(), Found> {
    let Some((trail, _)) = both(trail, block, id) else { return missing(id) };
    let passes = trail.tally.as_ref().is_some_and(|tally| tally.passes);
    ensure(passes, G3, id, || "it is queued although its last count did not pass".to_owned())?;
    let signed_off = trail.reviews.values().filter(|verdict| **verdict == ReviewVerdict::Approve).count();
    let needed = trail.reviewers;
    ensure(signed_off >= needed, G3, id, || format!("it is queued with {signed_off} of {needed} sign-offs"))
}

/// A step is taken after the timelock, in a stage that executes, under the plan that was submitted.
fn check_claim(history: &Trail, block: &View<'_>, id: ProposalId) -> Result<(), Found> {
    let Some((trail, proposal)) = both(history, block, id) else { return missing(id) };
    let executes = matches!(trail.stage, Some(Stage::Queued | Stage::Canary | Stage::Rollout(_)));
    ensure(executes, G3, id, || format!("a step is claimed while it is {:?}", trail.stage))?;
    check_release((history, trail), proposal, block)
}

/// The rules are changed by what was decided about exactly this text, one version after the other.
fn check_amendment(
    history: &Trail,
    block: &View<'_>,
    id: ProposalId,
    (version, constitution): (u32, Digest),
) -> Result<(), Found> {
    let before = history.constitution().map_or(0, |rules| rules.version);
    let Some((trail, proposal)) = both(history, block, id) else { return missing(id) };
    let follows = before.checked_add(1) == Some(version);
    ensure(follows, G3, id, || format!("version {version} of the constitution follows {before}"))?;
    let decided = proposal.amendment().map(Constitution::digest) == Some(constitution);
    ensure(decided, G3, id, || "the constitution is another than was decided".to_owned())?;
    ensure(trail.stage == Some(Stage::Queued), G3, id, || {
        format!("the constitution is changed while it is {:?}", trail.stage)
    })?;
    check_release((history, trail), proposal, block)
}

/// What the ledger knows of the mesh is changed by what was decided about exactly this record.
fn check_enacted(
    history: &Trail,
    block: &View<'_>,
    id: ProposalId,
    (subject, record): (&Subject, Digest),
) -> Result<(), Found> {
    let Some((trail, proposal)) = both(history, block, id) else { return missing(id) };
    let mut acts = proposal.document.acts.iter();
    let decided = acts.any(|act| act.subject() == *subject && act.leaves() == record);
    ensure(decided, G3, id, || format!("{subject} is made other than was decided"))?;
    ensure(trail.stage == Some(Stage::Queued), G3, id, || {
        format!("{subject} is changed while it is {:?}", trail.stage)
    })?;
    check_release((history, trail), proposal, block)
}

/// What the ledger carries out was decided and not carried out before.
fn check_act(history: &Trail, block: &View<'_>, id: ProposalId) -> Result<(), Found> {
    let Some((trail, proposal)) = both(history, block, id) else { return missing(id) };
    ensure(trail.stage == Some(Stage::Queued), G3, id, || {
        format!("an act is carried out while it is {:?}", trail.stage)
    })?;
    check_release((history, trail), proposal, block)
}

/// What is carried out has waited for its timelock and its co-signers, under the plan that was voted on.
fn check_release(
    (history, trail): (&Trail, &ProposalTrail),
    proposal: &Proposal,
    block: &View<'_>,
) -> Result<(), Found> {
    let id = proposal.id;
    let is_out = |awaited: &ProposalId| history.proposals().get(awaited).is_some_and(|it| it.is_carried_out);
    let early = proposal.document.after.iter().find(|awaited| !is_out(awaited));
    ensure(early.is_none(), G3, id, || format!("it is carried out before {}", early.copied().unwrap_or(id)))?;
    let pinned = trail.queued_at.zip(trail.parameters.as_ref());
    let unlocked = pinned.map(|(queued, parameters)| queued.after(parameters.timelock));
    let elapsed = unlocked.is_some_and(|unlocked| block.header.time >= unlocked);
    ensure(elapsed, G3, id, || {
        format!("it is carried out at {} before its timelock ends", block.header.time)
    })?;
    let needed = trail.parameters.as_ref().and_then(|parameters| parameters.cosign);
    ensure(needed.is_none_or(|needed| is_cosigned(trail, needed)), G3, id, || {
        format!("it is carried out with the signatures of {} guardians", trail.cosigners.len())
    })?;
    let voted_on = trail.plan_hash == Some(proposal.plan.hash());
    let planned = proposal.plan.document == proposal.document.digest();
    ensure(voted_on && planned, G3, id, || "the plan carried out is not the one voted on".to_owned())
}

/// Guardians of organisations other than the author's have signed, as many as the track asks for.
fn is_cosigned(trail: &ProposalTrail, needed: Cosign) -> bool {
    let author = trail.author.as_ref().map(MemberId::org_str);
    let others: Vec<_> =
        trail.cosigners.iter().filter(|guardian| Some(guardian.org_str()) != author).collect();
    let organisations: BTreeSet<_> = others.iter().map(|guardian| guardian.org_str()).collect();
    others.len() >= usize::from(needed.guardians) && organisations.len() >= usize::from(needed.organisations)
}

fn both<'a>(trail: &'a Trail, block: &View<'a>, id: ProposalId) -> Option<(&'a ProposalTrail, &'a Proposal)> {
    Some((trail.proposals().get(&id)?, block.after.proposal(id)?))
}

fn missing(id: ProposalId) -> Result<(), Found> {
    ensure(false, G3, id, || "it acts without having been submitted".to_owned())
}

/// The weight that speaks through ballots with this choice: a voter's own ballot, or that of the nearest delegate.
fn weight_cast(trail: &ProposalTrail, proposal: &Proposal, choice: Choice) -> Weight {
    let electorate = &proposal.electorate;
    let spoken = electorate.weights.iter().filter(|(voter, _)| {
        let chain = std::iter::successors(Some(*voter), |at| electorate.delegates.get(*at));
        let mut ballots = chain.take(electorate.weights.len()).filter_map(|at| trail.ballots.get(at));
        ballots.next() == Some(&choice)
    });
    spoken.fold(Weight::ZERO, |sum, (_, weight)| sum.saturating_add(*weight))
}
