//! Owns the questions whether an effect was allowed, by which document, after which claim, on whose ballots, after how
//! long, and whether what was voted down had not passed. The sums are its own.

use std::collections::{BTreeMap, BTreeSet};

use althing_actors::ledger::message::CertifiedBlock;
use althing_contracts::{
    constitution::{Cosign, Scheme, Threshold, Track, TrackParameters},
    document::{Action, ActionKind, StepDocument},
    name::OrgId,
    quantity::{Height, Revision, TimeMs},
    stage::Stage,
    transaction::Choice,
};

use super::{
    EffectEntry, Evidence, Findings, Invariant,
    history::{Ballot, Edition, History, Review, StepMark, Story},
    rules::{Law, Rules},
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
        // Whoever has seen it by the earliest end of its vote has seen it by any end.
        let was_unseen = |routine: &TrackParameters| {
            let early = |ballot: &Ballot| ballot.time < begun.after(routine.voting);
            !Sums::of(law, story, revision, early).is_seen(&routine.scheme)
        };
        let full = routine.is_some_and(was_unseen).then_some(standard);
        let sums = Sums::of(law, story, revision, |_| true);
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

/// In which shares are compared.
const MILLION: u128 = 1_000_000;

/// The ballots of one revision, summed under the caps.
#[derive(Debug, Default)]
pub(super) struct Sums {
    total: u128,
    organisations: u128,
    in_favour: u128,
    seen: u128,
    weight: [u128; 3],
}

impl Sums {
    pub(super) fn of(
        law: &Law<'_>,
        story: &Story,
        revision: Revision,
        counts: impl Fn(&Ballot) -> bool,
    ) -> Self {
        let voters = law.parties.voters();
        let total: u128 = voters.values().sum();
        let cap = |ratio: althing_contracts::quantity::Ratio| {
            total * u128::from(ratio.numerator()) / u128::from(ratio.denominator())
        };
        let (member_cap, org_cap) =
            (cap(law.constitution.member_cap), cap(law.constitution.organisation_cap));
        let mut by_org: BTreeMap<OrgId, [u128; 3]> = BTreeMap::new();
        for ballot in story.ballots.iter().filter(|it| it.revision == revision && counts(it)) {
            let slot = match ballot.choice {
                Choice::For => 0,
                Choice::Against => 1,
                Choice::Abstain => 2,
            };
            let weight = voters.get(&ballot.voter).copied().unwrap_or(0).min(member_cap);
            by_org.entry(ballot.voter.org()).or_default()[slot] += weight;
        }
        let organisations: BTreeSet<_> = voters.keys().map(|voter| voter.org()).collect();
        let mut sums = Self {
            total,
            organisations: organisations.len() as u128,
            in_favour: by_org.values().filter(|[yes, no, _]| yes > no).count() as u128,
            seen: by_org.len() as u128,
            weight: [0; 3],
        };
        for choices in by_org.values() {
            let sum: u128 = choices.iter().sum();
            for (slot, weight) in choices.iter().enumerate() {
                sums.weight[slot] += if sum > org_cap { weight * org_cap / sum } else { *weight };
            }
        }
        sums
    }

    /// Whether as many organisations have seen it as an optimistic vote asks for.
    fn is_seen(&self, scheme: &Scheme) -> bool {
        matches!(scheme, Scheme::Optimistic { acknowledgement, .. }
            if is_passed(*acknowledgement, self.seen, self.organisations))
    }

    pub(super) fn pass(&self, scheme: &Scheme) -> bool {
        let [yes, no, abstain] = self.weight;
        match scheme {
            Scheme::Majority { turnout, approval, organisations } => {
                is_passed(*turnout, yes + no + abstain, self.total)
                    && is_passed(*approval, yes, yes + no)
                    && is_passed(*organisations, self.in_favour, self.organisations)
            }
            Scheme::Optimistic { objection, .. } => {
                self.is_seen(scheme) && !is_passed(*objection, no, self.total)
            }
        }
    }

    /// The timelock, longer by opposition: linear from its floor to a third, where it is the largest multiple.
    fn timelock_ms(&self, by: &TrackParameters) -> u64 {
        let [yes, no, _] = self.weight;
        let millionths = |part: u128, whole: u128| (part * MILLION).checked_div(whole).unwrap_or(0);
        let floor =
            millionths(by.opposition_floor.numerator().into(), by.opposition_floor.denominator().into());
        let way = millionths(no, yes + no).saturating_sub(floor);
        let way = (way * MILLION).checked_div(MILLION / 3 - floor).unwrap_or(MILLION).min(MILLION);
        let base = u128::from(by.timelock.get());
        let longest = base * u128::from(by.timelock_stretch_max.saturating_sub(1));
        // A millisecond for what the millionths round away.
        u64::try_from((base + longest * way / MILLION).saturating_sub(1)).unwrap_or(u64::MAX)
    }
}

fn is_passed(threshold: Threshold, part: u128, whole: u128) -> bool {
    let (numerator, denominator) =
        (u128::from(threshold.ratio().numerator()), u128::from(threshold.ratio().denominator()));
    let (left, right) = (part * denominator, whole * numerator);
    whole > 0
        && match threshold {
            Threshold::AtLeast(_) => left >= right,
            Threshold::MoreThan(_) => left > right,
        }
}
