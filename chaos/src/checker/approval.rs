//! Owns the questions whether an effect was allowed, by which document, after which claim, on whose ballots, after how
//! long, and whether what was voted down had not passed.

use std::collections::BTreeSet;

use althing_actors::ledger::message::CertifiedBlock;
use althing_contracts::{
    constitution::{Cosign, Track, TrackParameters},
    document::{Action, ActionKind, StepDocument},
    quantity::{Height, Revision, TimeMs},
    stage::Stage,
};

use super::{
    EffectEntry, Evidence, Findings, Invariant,
    history::{Ballot, Edition, History, Review, StepMark, Story},
    rules::{Law, Rules},
    sums::{Electorate, Sums},
};

pub(super) fn judge(evidence: &Evidence<'_>, history: &History, rules: &Rules<'_>, findings: &mut Findings) {
    judge_certificates(evidence, rules, findings);
    for effect in evidence.effects {
        if let Err(what) = judge_effect(evidence, history, rules, effect) {
            findings.add(Invariant::Approval, format!("{}: {what}", effect.idempotency_key));
        }
    }
    // What the ledger opened itself was submitted by nobody.
    for (id, story) in history.stories.iter().filter(|(_, story)| !story.editions.is_empty()) {
        let claimed = story
            .claims
            .first()
            .map_or(Ok(()), |first| rules.any(story, |law| judge_decision(law, story, first)));
        let is_defeated = evidence.ended.get(id).is_some_and(|ended| ended.stage == Stage::Defeated);
        let defeated = if is_defeated { rules.any(story, |law| judge_defeat(law, story)) } else { Ok(()) };
        for what in [claimed, defeated].into_iter().filter_map(Result::err) {
            findings.add(Invariant::Approval, format!("{id}: {what}"));
        }
    }
}

/// More than two thirds of the weight that the block before left behind have signed each block.
fn judge_certificates(evidence: &Evidence<'_>, rules: &Rules<'_>, findings: &mut Findings) {
    for CertifiedBlock { certificate, .. } in evidence.blocks {
        let before = Height::new(certificate.height.get().saturating_sub(1));
        let weighed = rules.parties_after(before).and_then(|it| it.weigh(certificate.precommits.keys()));
        match weighed {
            None => {
                let what = format!("height {}: a stranger certifies it", certificate.height);
                findings.add(Invariant::Chain, what);
            }
            Some((signed, total)) if signed * 3 <= total * 2 => {
                let block = certificate.block.short();
                let what = format!("height {}: {signed} of {total} certify {block}", certificate.height);
                findings.add(Invariant::Chain, what);
            }
            Some(_) => {}
        }
    }
}

fn judge_effect(
    evidence: &Evidence<'_>,
    history: &History,
    rules: &Rules<'_>,
    effect: &EffectEntry,
) -> Result<(), String> {
    let mut parts = effect.idempotency_key.rsplitn(3, '/');
    let (_, step, proposal) = (parts.next(), parts.next(), parts.next());
    let step: u16 = step.and_then(|step| step.parse().ok()).ok_or("its key names no step")?;
    let story = history.stories.iter().find(|(id, _)| Some(id.to_string().as_str()) == proposal);
    let (_, story) = story.ok_or("no final block has its proposal")?;
    let edition = story.editions.last().ok_or("its proposal was never submitted")?;
    let planned = edition.document.steps().nth(usize::from(step)).ok_or("its proposal has no such step")?.1;
    if planned.target != effect.target {
        return Err(format!("it acts on {}, the document says {}", effect.target, planned.target));
    }
    if !effect.undo && planned.action != effect.action {
        return Err("its action is not the document's".to_owned());
    }
    if story.is_vetoed {
        return Err("a guardian vetoed it".to_owned());
    }
    let document = &edition.document;
    if document.rollback.is_none() || document.health.is_none() || document.slo.is_none() {
        return Err("its document has no rollback, health check or service level".to_owned());
    }
    rules.any(story, |law| {
        let is_within = document.cost.monthly_milli <= law.constitution.hard_rules.cost_ceiling_monthly_milli;
        is_within.then_some(()).ok_or_else(|| "it costs more than the ceiling".to_owned())
    })?;
    judge_claim(evidence, story, step, effect)
}

/// A claim of the step was final when it took effect.
fn judge_claim(
    evidence: &Evidence<'_>,
    story: &Story,
    step: u16,
    effect: &EffectEntry,
) -> Result<(), String> {
    let claim = story.claims.iter().find(|claim| claim.step == step);
    let claim = claim.ok_or_else(|| format!("step {step} was never claimed"))?;
    match evidence.final_us.get(&claim.height) {
        Some(final_us) if *final_us > effect.at_us => {
            Err(format!("it took effect at {} µs, its claim was final at {final_us} µs", effect.at_us))
        }
        _ => Ok(()),
    }
}

/// The proposal was reviewed, passed and waited when its first step was claimed, or when it changed the rules.
pub(super) fn judge_decision(law: &Law<'_>, story: &Story, first: &StepMark) -> Result<(), String> {
    let case = Case::of(law, story)?;
    let Case { track, full, sums, .. } = &case;
    let is_signed_off = case.signed_off.len() >= usize::from(track.reviewers);
    let has_passed = is_signed_off && sums.pass(&track.scheme);
    // What the mesh did not see becomes a full vote without a review of its own.
    let (by, begun) = match full {
        _ if has_passed => (*track, case.begun),
        Some(full) if sums.pass(&full.scheme) => (*full, case.edition.time),
        _ => return Err(format!("it had not passed: {sums:?}, {} sign-offs", case.signed_off.len())),
    };
    let waited = first.time.since(begun).get();
    let least = by.voting.get() + by.confirm.get() + sums.timelock_ms(by);
    if waited < least {
        return Err(format!("it was claimed {waited} ms after its vote began, not {least}"));
    }
    judge_signatures(story, by, case.revision, first.time)
}

/// Guardians of other organisations had signed it by then, as many as its track asks for.
fn judge_signatures(
    story: &Story,
    by: &TrackParameters,
    revision: Revision,
    begun: TimeMs,
) -> Result<(), String> {
    let Some(Cosign { guardians, organisations }) = by.cosign else { return Ok(()) };
    let author = story.editions.last().map(|edition| edition.author.org());
    let signed: BTreeSet<_> = (story.signatures.iter())
        .filter(|it| it.revision == revision && it.time <= begun && Some(it.guardian.org()) != author)
        .map(|it| &it.guardian)
        .collect();
    let from: BTreeSet<_> = signed.iter().map(|guardian| guardian.org()).collect();
    if signed.len() < usize::from(guardians) || from.len() < usize::from(organisations) {
        return Err(format!("it was claimed with the signatures of {signed:?}"));
    }
    Ok(())
}

/// Every ballot was in when it was voted down, and they did not pass it.
fn judge_defeat(law: &Law<'_>, story: &Story) -> Result<(), String> {
    let Case { track, full, sums, .. } = Case::of(law, story)?;
    // Nobody says here whether it became a full vote: what both pass was passed by either.
    let has_passed = sums.pass(&track.scheme) && full.is_none_or(|full| sums.pass(&full.scheme));
    if has_passed { Err(format!("it was voted down and had passed: {sums:?}")) } else { Ok(()) }
}

/// Whether fewer than the floor of dormancy took part in the vote of a proposal.
pub(super) fn is_quiet(law: &Law<'_>, story: &Story) -> Result<bool, String> {
    Case::of(law, story).map(|case| !case.sums.reach(law.constitution.dormancy.floor))
}

/// The last edition of a proposal, and what it was decided by.
struct Case<'a> {
    edition: &'a Edition,
    revision: Revision,
    /// The track that it belongs to.
    track: &'a TrackParameters,
    /// The one that its vote may have been taken to, because too few organisations had seen it.
    full: Option<&'a TrackParameters>,
    /// When other organisations signed it off.
    signed_off: Vec<TimeMs>,
    /// When its vote began: with the last sign-off that it needed.
    begun: TimeMs,
    sums: Sums,
}

impl<'a> Case<'a> {
    fn of(law: &Law<'a>, story: &'a Story) -> Result<Self, String> {
        let edition = story.editions.last().ok_or("no edition")?;
        let revision = Revision::new(u32::try_from(story.editions.len()).unwrap_or(u32::MAX));
        let parameters = |track: Track| {
            let found = law.constitution.tracks.get(&track);
            found.ok_or_else(|| format!("no {track} track"))
        };
        let class = track_of(law, edition);
        let track = parameters(class)?;
        let (standard, routine) = (parameters(Track::Standard)?, (class == Track::Routine).then_some(track));
        let author = edition.author.org();
        let is_sign_off = |it: &&Review| it.revision == revision && it.is_for && it.reviewer.org() != author;
        let signed_off: Vec<_> = story.reviews.iter().filter(is_sign_off).map(|review| review.time).collect();
        let needed = usize::from(track.reviewers);
        let last = needed.checked_sub(1).and_then(|last| signed_off.get(last));
        let begun = last.copied().unwrap_or(edition.time);
        let electorate = Electorate::of(law, class, (edition.height, edition.time));
        let sums_of = |counts: &dyn Fn(&Ballot) -> bool| {
            let cast = story.ballots.iter().filter(|it| it.revision == revision && counts(it));
            Sums::of(&electorate, cast)
        };
        // Whoever has seen it by the earliest end of its vote has seen it by any end.
        let was_unseen = |routine: &TrackParameters| {
            let early = |ballot: &Ballot| ballot.time < begun.after(routine.voting);
            !sums_of(&early).is_seen(&routine.scheme)
        };
        let full = routine.is_some_and(was_unseen).then_some(standard);
        let sums = sums_of(&|_| true);
        Ok(Self { edition, revision, track, full, signed_off, begun, sums })
    }
}

/// That of its acts; without any, routine when everything about it is, high when anything is, standard otherwise.
pub(super) fn track_of(law: &Law<'_>, edition: &Edition) -> Track {
    if !edition.document.acts.is_empty() {
        return law.parties.track_of(&edition.document.acts);
    }
    let table = &law.constitution.classification;
    let targets: BTreeSet<_> = edition.document.steps().map(|(_, step)| &step.target).collect();
    let listed = |step: &StepDocument| {
        let tier = law.parties.tier(&step.target)?;
        let kind = match step.action {
            Action::Deploy { .. } => ActionKind::Deploy,
            Action::Configure { .. } => ActionKind::Configure,
            Action::Remove { .. } => ActionKind::Remove,
        };
        table.actions.get(&kind)?.get(&tier).copied()
    };
    let tracks: Vec<_> = edition.document.steps().map(|(_, step)| listed(step)).collect();
    let is_one = |wanted: Track| tracks.contains(&Some(wanted));
    if targets.len() > usize::from(table.standard_targets_max)
        || tracks.contains(&None)
        || is_one(Track::High)
    {
        Track::High
    } else if targets.len() > usize::from(table.routine_targets_max) || is_one(Track::Standard) {
        Track::Standard
    } else {
        Track::Routine
    }
}
