//! Owns how a proposal comes to be, is edited, and is withdrawn.

use std::sync::Arc;

use crate::{
    act::PlannedAct,
    attempt::ContentId,
    constitution::{Scheme, Track},
    digest::Digest,
    document::ProposalDocument,
    emergency::Emergency,
    event::Event,
    lifecycle::{Cast, review},
    name::{Line, MemberId},
    plan::Plan,
    proposal::{Execution, Proposal, StepProgress, Vote},
    quantity::{BondPoints, Revision},
    reject::Reject,
    role::Role,
    rules,
    stage::Stage,
    state::{Hold, Registry, State},
    transaction::{ProposalId, TransactionBody},
};

/// Opens a proposal and brings it to review, or to rejection by the hard rules.
pub(crate) fn submit(
    state: &mut State,
    body: &TransactionBody,
    document: &ProposalDocument,
    plan_hash: Digest,
    events: &mut Vec<Event>,
) -> Result<Proposal, Reject> {
    check_open_limit(state, &body.sender)?;
    check_track(state.registry(), document)?;
    let content = ContentId::of(document);
    state.registry().check_cooldown(content)?;
    let plan = planned(state.registry(), document, plan_hash)?;
    let bond = state.registry().bond_for(&body.sender, (document, content), None)?;
    let id = ProposalId::derive(state.network(), &body.sender, body.sequence, plan.document);
    let mut proposal = blank(id, &body.sender, document, plan, state.registry_mut())?;
    let mut cast = Cast { proposal: &mut proposal, registry: state.registry_mut(), events };
    enter(&mut cast);
    hold(&mut cast, bond);
    Ok(proposal)
}

/// Replaces the content; everything said about the old edition is void.
pub(super) fn revise(
    cast: &mut Cast<'_>,
    sender: &MemberId,
    replaces: Revision,
    document: &ProposalDocument,
    plan_hash: Digest,
) -> Result<(), Reject> {
    cast.check_author(sender)?;
    if replaces != cast.proposal.revision {
        return Err(Reject::Revision { found: replaces, current: cast.proposal.revision });
    }
    check_track(cast.registry, document)?;
    let content = ContentId::of(document);
    cast.registry.check_cooldown(content)?;
    let plan = planned(cast.registry, document, plan_hash)?;
    cast.registry.check_precedence((cast.proposal.id, &cast.proposal.document), document)?;
    let bond = cast.registry.bond_for(sender, (document, content), Some(cast.proposal.id))?;
    let edited = blank(cast.proposal.id, sender, document, plan, cast.registry)?;
    cast.go(Stage::Submitted, "its author edited it");
    *cast.proposal = Proposal { revision: cast.proposal.revision.next(), ..edited };
    enter(cast);
    hold(cast, bond);
    Ok(())
}

/// Withdraws a proposal before it is queued: its author, or any other when that one has left.
pub(super) fn cancel(cast: &mut Cast<'_>, sender: &MemberId, reason: &Line) -> Result<(), Reject> {
    if cast.proposal.judges().is_some() {
        let (stage, allowed) = (cast.proposal.stage, super::possible(cast.proposal));
        return Err(Reject::IllegalMove { stage, input: "cancel", allowed });
    }
    let author = &cast.proposal.author;
    let stands = cast.registry.members.get(author).is_some_and(|it| it.keys.contains_key(&Role::Author));
    if stands {
        cast.check_author(sender)?;
        cast.go(Stage::Cancelled, &format!("withdrawn by its author: {reason}"));
    } else {
        cast.go(
            Stage::Cancelled,
            &format!("withdrawn by {sender}, as {author} is an author no more: {reason}"),
        );
    }
    Ok(())
}

/// The proposal by which the members judge an emergency; the guardian who declared it answers for it.
pub(super) fn judgement_of(emergency: &Emergency, registry: &mut Registry) -> Result<Proposal, Reject> {
    let (id, document) = emergency.declaration.judgement(registry.network, &emergency.declared_by);
    let acts = document.acts.iter().map(|act| PlannedAct { replaces: registry.in_force(&act.subject()) });
    let plan = Plan { document: document.digest(), steps: Vec::new(), acts: acts.collect() };
    blank(id, &emergency.declared_by, &document, plan, registry)
}

/// Opens it; it goes to the vote at once.
pub(super) fn open_judgement(state: &mut State, mut proposal: Proposal, events: &mut Vec<Event>) {
    enter(&mut Cast { proposal: &mut proposal, registry: state.registry_mut(), events });
    state.insert(proposal);
}

/// Refuses what goes to a track that an emergency halts, or that waits for voters.
fn check_track(registry: &Registry, document: &ProposalDocument) -> Result<(), Reject> {
    registry.check_awake(document)?;
    check_not_halted(registry, registry.track_of(document))
}

/// Refuses what would begin on a track that an emergency halts.
pub(super) fn check_not_halted(registry: &Registry, track: Track) -> Result<(), Reject> {
    match registry.holds.on_track(track) {
        Some(Hold { by, until }) => Err(Reject::TrackHalted { track, by, until }),
        None => Ok(()),
    }
}

fn check_open_limit(state: &State, author: &MemberId) -> Result<(), Reject> {
    let max = state.constitution().open_proposals_per_author_max;
    if state.open_count(author) < usize::from(max) {
        return Ok(());
    }
    Err(Reject::TooManyOpen { author: author.clone(), max })
}

fn planned(registry: &Registry, document: &ProposalDocument, found: Digest) -> Result<Plan, Reject> {
    let plan = registry.plan(document)?;
    let current = plan.hash();
    if current == found { Ok(plan) } else { Err(Reject::PlanMoved { found, current }) }
}

/// A new edition with the rules, parameters and electorate that are in force pinned to it.
fn blank(
    id: ProposalId,
    author: &MemberId,
    document: &ProposalDocument,
    plan: Plan,
    registry: &mut Registry,
) -> Result<Proposal, Reject> {
    let track = registry.track_of(document);
    let parameters = registry.parameters(track)?;
    let (electorate, electorate_digest) = registry.electorate(track)?;
    let optimistic = matches!(parameters.scheme, Scheme::Optimistic { .. });
    let fallback = if optimistic { Some(registry.parameters(Track::Standard)?) } else { None };
    Ok(Proposal {
        id,
        author: author.clone(),
        revision: Revision::new(1),
        submitted_at: registry.height,
        document: Arc::new(document.clone()),
        plan_hash: plan.hash(),
        execution: Execution {
            steps: vec![StepProgress::default(); plan.steps.len()],
            ..Execution::default()
        },
        plan: Arc::new(plan),
        track,
        parameters,
        fallback,
        organisation_cap: registry.constitution.organisation_cap,
        constitution: registry.constitution.version,
        electorate,
        electorate_digest,
        stage: Stage::Submitted,
        stage_since: registry.time,
        deadline: None,
        findings: rules::findings(document, registry),
        reviews: std::collections::BTreeMap::new(),
        vote: Vote::default(),
        eta: None,
        ended: None,
        vetoed_by: None,
        cosigned_by: std::collections::BTreeSet::new(),
        attestations: std::collections::BTreeMap::new(),
    })
}

/// What the rules refused at once needs no bond.
fn hold(cast: &mut Cast<'_>, bond: BondPoints) {
    if cast.proposal.is_open() {
        cast.registry.hold_bond(&cast.proposal.author, cast.proposal.id, bond, cast.events);
    }
}

fn enter(cast: &mut Cast<'_>) {
    let Proposal { id, author, revision, plan_hash, .. } = &*cast.proposal;
    let (proposal, revision, plan_hash) = (*id, *revision, *plan_hash);
    cast.events.push(Event::Submitted { proposal, author: author.clone(), revision, plan_hash });
    if cast.proposal.findings.is_empty() {
        review::open(cast);
        return;
    }
    let findings = cast.proposal.findings.clone();
    let cause = findings.first().map(|finding| finding.message.as_str().to_owned()).unwrap_or_default();
    cast.events.push(Event::RulesBroken { proposal, findings });
    cast.go(Stage::Rejected, &cause);
}
