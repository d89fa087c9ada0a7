//! Owns what people do: authors submit, revise, withdraw and resume, reviewers review, voters vote, guardians co-sign and
//! veto, executors give up, sceptical auditors object; most of it sensible by what their node shows, some of it not.

use althing_contracts::digest::Digest;
use althing_contracts::{
    act::Act,
    constitution::Track,
    document::{Action, ProposalDocument},
    dormancy,
    genesis::{MemberRecord, ObserverRecord, OrganisationRecord, TargetRecord, Tier},
    name::{MemberId, OrgId},
    proposal::Proposal,
    quantity::{AmountMilli, DurationMs, Fence, Ratio, Revision, Weight},
    reject::BATCH_MAX,
    role::Role,
    stage::Stage,
    state::State,
    testing::{acts, amend, deploy, line, member, name, node_key, record},
    transaction::{AuditVerdict, Call, Choice, Edition, ProposalId, ReviewVerdict, StepOutcome},
    weighing::Weighing,
};
use rand::{
    Rng,
    rngs::StdRng,
    seq::{IndexedRandom as _, IteratorRandom as _},
};
use serde::{Deserialize, Serialize};

use super::target::SICK;

mod emergency;
mod keys;

/// Longest time that a health gate waits, below the longest time of a stage.
const HEALTH_WITHIN: DurationMs = DurationMs::new(3_000);

/// What the names of those have in common who vote for everything.
pub(super) const CROWD: &str = "crowd";

/// What people make of what others propose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mood {
    /// Some want it and some do not: most of it is voted down, withdrawn or vetoed.
    #[default]
    Divided,
    /// All want it: what keeps the rules is carried out.
    Agreed,
    /// Hardly anybody votes, until governance is dormant: then most want it awake.
    Quiet,
}

/// What a member does in a role, by what its node shows; nothing when there is nothing to do.
pub fn act(
    random: &mut StdRng,
    state: &State,
    mood: Mood,
    (member, role): (&MemberId, Role),
) -> Option<Call> {
    let about_keys = role.is_personal().then(|| keys::change(random, state, (member, role))).flatten();
    if about_keys.is_some() {
        return about_keys;
    }
    match role {
        Role::Author => author(random, state, mood, member),
        Role::Reviewer => review(random, state, mood, member),
        Role::Voter if random.random_bool(0.04) => lend(random, state, member),
        Role::Voter => vote(random, state, mood, member),
        Role::Guardian => {
            emergency::guard(random, state, mood, member).or_else(|| guard(random, state, mood, member))
        }
        Role::Executor => abort(random, state, &member.org()),
        Role::Auditor => object(random, state, member),
    }
}

/// What nobody should do: a call that fits neither the stage nor, perhaps, the proposal.
pub(super) fn misbehave(random: &mut StdRng, state: &State, member: &MemberId, role: Role) -> Option<Call> {
    let proposal = pick(random, state, |_| true)?;
    let (id, revision, plan_hash) = (proposal.id, proposal.revision, proposal.plan_hash);
    let reason = line("because");
    let other =
        if random.random_bool(0.3) { Revision::new(revision.get().saturating_add(1)) } else { revision };
    let plan_hash = if random.random_bool(0.2) { Digest::of_artefact(b"another plan") } else { plan_hash };
    let step = random.random_range(0..4);
    Some(match role {
        Role::Author => Call::Cancel { proposal: id, reason },
        Role::Reviewer => {
            let verdict = ReviewVerdict::Approve;
            Call::Review { proposal: id, revision: other, plan_hash, verdict, reason }
        }
        Role::Voter if random.random_bool(0.3) => {
            let expires = state.time().after(DurationMs::new(random.random_range(0..20_000)));
            Call::Delegate { track: None, to: member.clone(), expires }
        }
        Role::Voter => Call::Vote { proposal: id, revision: other, plan_hash, choice: Choice::Against },
        Role::Guardian if random.random_bool(0.5) => emergency::misbehave(random, state)?,
        Role::Guardian if random.random_bool(0.5) => {
            Call::Cosign { proposal: id, revision: other, plan_hash }
        }
        Role::Guardian => Call::Veto { proposal: id, reason },
        Role::Executor => match random.random_range(0..4) {
            0 => early_claim(random, state, &member.org()).unwrap_or(Call::Claim { proposal: id, step }),
            1 => {
                let (fence, evidence) = (Fence::new(random.random_range(0..40)), Digest::ZERO);
                Call::Receipt { proposal: id, step, fence, outcome: StepOutcome::Done, evidence }
            }
            2 => Call::Resume { proposal: id },
            _ => Call::Abort { proposal: ProposalId::from_digest(Digest::ZERO), reason },
        },
        Role::Auditor => {
            let (height, block) = (state.height(), Digest::of_artefact(b"another block"));
            Call::Attest { proposal: id, verdict: AuditVerdict::Sound, height, block }
        }
    })
}

/// A claim of the first step while the timelock runs.
fn early_claim(random: &mut StdRng, state: &State, org: &OrgId) -> Option<Call> {
    let queued = pick(random, state, |it| {
        it.stage == Stage::Queued && it.plan.steps.first().is_some_and(|step| step.owner == *org)
    })?;
    Some(Call::Claim { proposal: queued.id, step: 0 })
}

fn author(random: &mut StdRng, state: &State, mood: Mood, member: &MemberId) -> Option<Call> {
    let own = |proposal: &Proposal| proposal.author == *member;
    if let Some(failed) = pick(random, state, |it| own(it) && it.stage == Stage::Failed)
        && random.random_bool(0.7)
    {
        return Some(Call::Resume { proposal: failed.id });
    }
    let open = pick(random, state, |it| {
        mood == Mood::Divided
            && own(it)
            && matches!(it.stage, Stage::Review | Stage::Voting | Stage::Confirming)
    });
    match (open, random.random_range(0..100)) {
        (Some(open), 0..6) => Some(Call::Cancel { proposal: open.id, reason: line("no longer wanted") }),
        (Some(open), 6..20) if open.stage == Stage::Review => {
            let document = draw(random, state, &member.org());
            let plan_hash = state.plan(&document).ok()?.hash();
            Some(Call::Revise { proposal: open.id, replaces: open.revision, document, plan_hash })
        }
        (_, 20..) => {
            let lost = emergency::reinstatement(random, state).filter(|_| random.random_bool(0.25));
            let failed = failed(random, state).filter(|_| random.random_bool(0.15));
            let dormant = state.dormant_since().filter(|_| random.random_bool(0.6));
            let awakening = dormant.map(|since| acts(vec![Act::Awaken { since }]));
            let document = match (awakening.or(lost).or(failed), random.random_range(0..100)) {
                (Some(again), _) => again,
                (None, 0..6) => amendment(random, state),
                (None, 6..14) => parties(random, state, &member.org()),
                (None, _) => {
                    let change = draw(random, state, &member.org());
                    successor(random, state, change)
                }
            };
            let plan_hash = state.plan(&document).ok()?.hash();
            Some(Call::Submit { document, plan_hash })
        }
        _ => None,
    }
}

/// What was asked for before and failed, by whomever: its cooldown may run or not.
fn failed(random: &mut StdRng, state: &State) -> Option<ProposalDocument> {
    let failed = pick(random, state, |it| {
        matches!(it.stage, Stage::Rejected | Stage::Defeated | Stage::Vetoed | Stage::Expired)
    })?;
    Some(ProposalDocument::clone(&failed.document)).filter(|_| failed.judges().is_none())
}

/// Now and then a change waits for another one, which is open, carried out, or was in vain.
fn successor(random: &mut StdRng, state: &State, mut document: ProposalDocument) -> ProposalDocument {
    let is_open = random.random_bool(0.8);
    if random.random_bool(0.12)
        && let Some(first) = pick(random, state, |it| it.is_open() == is_open)
    {
        document.after.insert(first.id);
    }
    document
}

/// A change: one to three stages, each on one or two targets, of which the rules or the targets may refuse some.
fn draw(random: &mut StdRng, state: &State, org: &OrgId) -> ProposalDocument {
    let targets: Vec<_> = state.targets().collect();
    let orgs: Vec<OrgId> =
        state.roster().validators().iter().map(|validator| validator.org.clone()).collect();
    let stages = random.random_range(1..=3);
    let sick = if random.random_bool(0.15) { SICK } else { "" };
    let version = format!("v{}{sick}", random.random_range(0..1_000));
    let mut used = std::collections::BTreeSet::new();
    let mut names: Vec<Vec<&str>> = Vec::new();
    for stage in 0..stages {
        let mut steps = Vec::new();
        let count = if stage == 0 { 1 } else { random.random_range(1..=2) };
        for _ in 0..count {
            let wanted = if stage == 0 { org } else { orgs.choose(random).unwrap_or(org) };
            let free: Vec<_> = targets
                .iter()
                .filter(|(id, target)| target.record.owner == *wanted && !used.contains(*id))
                .collect();
            if let Some((id, _)) = free.choose(random) {
                used.insert((*id).clone());
                steps.push(id.as_str());
            }
        }
        if !steps.is_empty() {
            names.push(steps);
        }
    }
    let stages: Vec<&[&str]> = names.iter().map(Vec::as_slice).collect();
    let mut document = deploy(&version, &stages);
    if let Some(health) = &mut document.health {
        health.within_ms = HEALTH_WITHIN;
    }
    match random.random_range(0..20) {
        0 => document.rollback = None,
        1 => document.cost.monthly_milli = AmountMilli::new(1_000_000_000),
        _ => {}
    }
    let kind = random.random_range(0..6);
    for step in document.stages.iter_mut().flat_map(|stage| &mut stage.steps) {
        match kind {
            0 => step.action = Action::Remove { resource: name("web") },
            1 => {
                let (file, version) = (name("settings"), name(&version));
                let artefact = Digest::of_artefact(version.as_str().as_bytes());
                step.action = Action::Configure { file, version, artefact };
            }
            _ => {}
        }
    }
    document
}

/// Other rules: most of them sound, some that touch no track, some with which nothing could be decided any more.
fn amendment(random: &mut StdRng, state: &State) -> ProposalDocument {
    let mut rules = state.constitution().clone();
    rules.version = rules.version.saturating_add(u32::from(random.random_bool(0.95)));
    let number = random.random_range(0..100);
    match random.random_range(0..10) {
        0..4 => rules.vetoes_per_guardian = 20 + number,
        4 => rules.hard_rules.cost_ceiling_monthly_milli = AmountMilli::new(10_000_000 + u64::from(number)),
        5..7 => {
            for track in [Track::Standard, Track::High, Track::Constitutional] {
                if let Some(parameters) = rules.tracks.get_mut(&track) {
                    parameters.voting = DurationMs::new(1_500 + u64::from(number));
                }
            }
        }
        7 if random.random_bool(0.5) => {
            // Most of these fit together; a standard vote that weighs otherwise than a routine one does not.
            let weighing = Weighing::ALL.choose(random).copied().unwrap_or_default();
            let only_high = random.random_bool(0.5);
            for (track, parameters) in &mut rules.tracks {
                if !only_high || *track >= Track::High {
                    parameters.weighing = weighing;
                }
            }
        }
        7 => {
            rules.organisation_cap =
                if random.random_bool(0.5) { Ratio::TWO_FIFTHS } else { Ratio::ONE_THIRD }
        }
        8 => drop(rules.tracks.remove(&Track::High)),
        _ => {
            for parameters in rules.tracks.values_mut() {
                parameters.reviewers = 9;
            }
        }
    }
    amend(rules)
}

/// Other members, nodes and targets: most of them sound, some whom the rules do not let in or out.
fn parties(random: &mut StdRng, state: &State, org: &OrgId) -> ProposalDocument {
    let number = random.random_range(0..5);
    let helper = || member(&format!("{org}/helper-{number}"));
    let voter = state.members_with(Role::Voter).choose(random).cloned();
    let mut drawn = Vec::new();
    match random.random_range(0..10) {
        0..3 => drawn.extend(voter.and_then(|id| {
            let held = state.member(&id)?;
            let weight = Weight::new(held.weight.get().saturating_add(number + 1));
            Some(Act::SetMember { record: MemberRecord { weight, keys: held.keys.clone() }, member: id })
        })),
        3 => {
            drawn.push(Act::SetMember { record: record(&helper(), 1, &[Role::Reviewer]), member: helper() });
        }
        4 => drawn.push(Act::RemoveMember { member: helper() }),
        5 => {
            let both = record(&helper(), 1, &[Role::Voter, Role::Executor]);
            drawn.push(Act::SetMember { record: both, member: helper() });
        }
        6 => drawn.extend(state.targets().choose(random).map(|(id, target)| {
            let tier = [Tier::Low, Tier::Medium, Tier::High].choose(random).copied();
            let record = TargetRecord { tier: tier.unwrap_or(Tier::Medium), ..target.record.clone() };
            Act::SetTarget { target: id.clone(), record }
        })),
        7 => {
            let node = node_key(&format!("watch-{org}")).public();
            let observer = name(&format!("watch-{org}"));
            drawn.push(Act::SetObserver { observer, record: ObserverRecord { org: org.clone(), node } });
        }
        8 => drawn.push(Act::RemoveObserver { observer: name(&format!("watch-{org}")) }),
        // The weight of a validator: its organisation is of this mesh, or the rules refuse it.
        _ => drawn.extend(state.organisations().choose(random).map(|(id, record)| {
            let weight = Weight::new(1 + number % 2);
            Act::SetOrganisation {
                organisation: id.clone(),
                record: OrganisationRecord { weight, ..record.clone() },
            }
        })),
    }
    acts(drawn)
}

fn review(random: &mut StdRng, state: &State, mood: Mood, member: &MemberId) -> Option<Call> {
    let open = pick(random, state, |it| {
        it.stage == Stage::Review
            && it.author.org_str() != member.org_str()
            && !it.reviews.contains_key(member)
    })?;
    let approves = mood != Mood::Divided || random.random_bool(0.9);
    let verdict = if approves { ReviewVerdict::Approve } else { ReviewVerdict::Refuse };
    let (proposal, revision, plan_hash) = (open.id, open.revision, open.plan_hash);
    Some(Call::Review { proposal, revision, plan_hash, verdict, reason: line("looked at") })
}

fn vote(random: &mut StdRng, state: &State, mood: Mood, member: &MemberId) -> Option<Call> {
    let may_vote = |it: &Proposal| {
        matches!(it.stage, Stage::Voting | Stage::Confirming) && state.may_vote(it.id, member).is_ok()
    };
    let awakening = pick(random, state, |it| may_vote(it) && dormancy::is_awakening(&it.document));
    let open = awakening.or_else(|| pick(random, state, may_vote))?;
    let is_awakening = dormancy::is_awakening(&open.document);
    if mood == Mood::Quiet && !is_awakening && random.random_bool(0.95) {
        return None;
    }
    let is_crowd = |id: &MemberId| id.as_str().contains(CROWD);
    // A crowd wants one thing of a proposal, and the others the contrary. In its favour it lacks organisations, whatever it
    // weighs; against it only its cap keeps it from having its way.
    let wants = if open.id.digest().as_bytes()[0] % 4 == 0 { Choice::For } else { Choice::Against };
    let contrary = if wants == Choice::For { Choice::Against } else { Choice::For };
    let choice = match random.random_range(0..100) {
        _ if mood == Mood::Agreed || is_awakening => Choice::For,
        _ if is_crowd(member) => wants,
        0..70 if state.members().any(|(id, _)| is_crowd(id)) => contrary,
        0..75 => Choice::For,
        75..90 => Choice::Against,
        _ => Choice::Abstain,
    };
    if open.track == Track::Routine && random.random_bool(0.3) {
        return Some(batch(state, member, choice));
    }
    let (proposal, revision, plan_hash) = (open.id, open.revision, open.plan_hash);
    Some(Call::Vote { proposal, revision, plan_hash, choice })
}

/// One ballot for whatever is routine and under a vote.
fn batch(state: &State, member: &MemberId, choice: Choice) -> Call {
    let is_open = |it: &&Proposal| {
        it.track == Track::Routine && it.stage == Stage::Voting && state.may_vote(it.id, member).is_ok()
    };
    let editions = state.proposals().filter(is_open).take(BATCH_MAX);
    let edition = |it: &Proposal| Edition { proposal: it.id, revision: it.revision, plan_hash: it.plan_hash };
    Call::VoteBatch { editions: editions.map(edition).collect(), choice }
}

/// Lets another voter speak for a while, or takes that back.
fn lend(random: &mut StdRng, state: &State, member: &MemberId) -> Option<Call> {
    let track = random.random_bool(0.5).then_some(Track::Standard);
    let held = state.member(member).is_some_and(|known| !known.delegations.is_empty());
    if held && random.random_bool(0.5) {
        return Some(Call::Revoke { track: None });
    }
    let others: Vec<&MemberId> = state.members_with(Role::Voter).filter(|id| *id != member).collect();
    let to = MemberId::clone(others.choose(random)?);
    let expires = state.time().after(DurationMs::new(random.random_range(1_000..12_000)));
    Some(Call::Delegate { track, to, expires })
}

fn guard(random: &mut StdRng, state: &State, mood: Mood, member: &MemberId) -> Option<Call> {
    let queued = pick(random, state, |it| it.stage == Stage::Queued)?;
    if mood == Mood::Divided && random.random_bool(0.06) {
        return Some(Call::Veto { proposal: queued.id, reason: line("not like this") });
    }
    let unsigned = pick(random, state, |it| {
        it.stage == Stage::Queued
            && !it.is_cosigned()
            && !it.cosigned_by.contains(member)
            && it.author.org_str() != member.org_str()
    })?;
    let (proposal, revision, plan_hash) = (unsigned.id, unsigned.revision, unsigned.plan_hash);
    (mood != Mood::Divided || random.random_bool(0.8)).then_some(Call::Cosign {
        proposal,
        revision,
        plan_hash,
    })
}

fn abort(random: &mut StdRng, state: &State, org: &OrgId) -> Option<Call> {
    let running = pick(random, state, |it| {
        matches!(it.stage, Stage::Canary | Stage::Rollout(_) | Stage::Verifying)
            && it.plan.steps.iter().any(|step| step.owner == *org)
    })?;
    random.random_bool(0.05).then(|| Call::Abort { proposal: running.id, reason: line("enough") })
}

fn object(random: &mut StdRng, state: &State, member: &MemberId) -> Option<Call> {
    let audited =
        pick(random, state, |it| it.stage == Stage::Auditing && !it.attestations.contains_key(member))?;
    if !member.as_str().ends_with("sceptic") || !random.random_bool(0.5) {
        return None;
    }
    // The state knows the block once another has followed it.
    let height = audited.ended?.height;
    let block = state.block_digest(height)?;
    let verdict = AuditVerdict::Unsound { finding: line("the sceptic does not believe it") };
    Some(Call::Attest { proposal: audited.id, verdict, height, block })
}

fn pick<'a>(random: &mut StdRng, state: &'a State, fits: impl Fn(&Proposal) -> bool) -> Option<&'a Proposal> {
    let fitting: Vec<&Proposal> = state.proposals().filter(|proposal| fits(proposal)).collect();
    fitting.choose(random).copied()
}
