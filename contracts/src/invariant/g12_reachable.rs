//! G12: no change makes a track unreachable: the constitution in force is always one that may be in force, and nothing is
//! decided by another.

use crate::{
    certificate::{Roster, is_quorum},
    constitution::Track,
    dormancy::may_be_submitted,
    event::Event,
    invariant::{Broken, View, ensure, ensure_of},
    parties::Parties,
    proposal::Proposal,
    stage::Stage,
    tally,
};

pub(super) fn check(view: &View<'_>) -> Result<(), Broken> {
    let constitution = view.after.constitution();
    ensure(constitution.version >= view.before.constitution().version, || {
        "the constitution went back to an older version".to_owned()
    })?;
    let checked =
        constitution.check().and_then(|()| constitution.check_reach(&view.after.registry().holders()));
    ensure(checked.is_ok(), || checked.err().map(|error| error.to_string()).unwrap_or_default())?;
    check_parties(view)?;
    check_dormancy(view)?;
    let amended = view.events.iter().filter(|event| matches!(event, Event::Amended { .. })).count();
    let versions = constitution.version.saturating_sub(view.before.constitution().version);
    ensure(usize::try_from(versions) == Ok(amended), || {
        format!("the constitution is {versions} versions further by {amended} decisions")
    })?;
    if amended > 0 {
        view.after
            .proposals()
            .filter(|proposal| is_undecided(proposal))
            .try_for_each(|it| check_pinned(view, it))?;
    }
    let submitted = view.events.iter().filter(|event| matches!(event, Event::Submitted { .. }));
    let mut submitted = submitted.filter_map(|event| view.after.proposal(event.proposal()?));
    submitted.try_for_each(|proposal| {
        let best = tally::best_case(&proposal.electorate, proposal.organisation_cap);
        ensure(best.get() > 0, || format!("nobody can decide proposal {}", proposal.id))
    })
}

/// Governance falls dormant and awakens with its events, and while it is dormant nothing but the least is submitted.
fn check_dormancy(view: &View<'_>) -> Result<(), Broken> {
    let (before, after) = (view.before.dormant_since(), view.after.dormant_since());
    let said = |is: fn(&Event) -> bool| view.events.iter().any(is);
    let moved = (before.is_none() && after.is_some(), before.is_some() && after != before);
    let (falls, awakens) =
        (said(|it| matches!(it, Event::Dormant { .. })), said(|it| matches!(it, Event::Awake { .. })));
    ensure((!moved.0 || falls) && (!moved.1 || awakens), || {
        format!("governance was dormant since {before:?} and is since {after:?}, and no event says why")
    })?;
    if before.is_none() || before != after {
        return Ok(());
    }
    let submitted = view.events.iter().filter(|event| matches!(event, Event::Submitted { .. }));
    let mut submitted = submitted.filter_map(|event| view.after.proposal(event.proposal()?));
    submitted.try_for_each(|proposal| {
        let may_be = proposal.judges().is_some() || may_be_submitted(&proposal.document, proposal.track);
        ensure_of(proposal.id, may_be, || "it is submitted while governance is dormant".to_owned())
    })
}

/// Who takes part changes only by what was decided, into a mesh that holds together and whose validators mostly stay.
fn check_parties(view: &View<'_>) -> Result<(), Broken> {
    let (before, after) = (view.before.registry(), view.after.registry());
    if !view.events.iter().any(|event| matches!(event, Event::Enacted { .. })) {
        let same = before.organisations == after.organisations && before.observers == after.observers;
        return ensure(same, || "organisations or observers changed without a decision".to_owned());
    }
    let checked = Parties::of_registry(after).check();
    ensure(checked.is_ok(), || checked.err().map(|error| error.to_string()).unwrap_or_default())?;
    let stay = |of: &Roster, and: &Roster| is_quorum(of.weight_on(and), of.total_weight());
    ensure(stay(&before.roster, &after.roster) && stay(&after.roster, &before.roster), || {
        "too many validators changed at once".to_owned()
    })
}

const fn is_undecided(proposal: &Proposal) -> bool {
    matches!(proposal.stage, Stage::Review | Stage::Voting | Stage::Confirming | Stage::Queued)
}

/// What waits to be carried out is decided by the thresholds and caps in force, those of the track that it fell back on included.
fn check_pinned(view: &View<'_>, proposal: &Proposal) -> Result<(), Broken> {
    let rules = view.after.constitution();
    let track = if proposal.vote.promoted { Track::Standard } else { proposal.track };
    // What an emergency is judged by is what was in force when it began, so that nobody changes it afterwards.
    if track == Track::Emergency {
        return Ok(());
    }
    let same = rules.tracks.get(&track) == Some(&*proposal.parameters)
        && proposal.fallback.as_deref().is_none_or(|full| rules.tracks.get(&Track::Standard) == Some(full))
        && rules.organisation_cap == proposal.organisation_cap;
    ensure_of(proposal.id, same, || "it is open under rules that are no longer in force".to_owned())
}
