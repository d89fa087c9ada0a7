//! Owns the question whether what was voted down was asked for again too soon: by the changes that a document makes, in
//! whatever words, and by the ends that the ledger tells of.

use std::collections::{BTreeMap, BTreeSet};

use althing_contracts::{
    act::Act, constitution::Track, document::ProposalDocument, quantity::TimeMs, stage::Stage,
};

use super::{
    Evidence, Findings, Invariant, approval,
    history::{Edition, History},
    rules::{Law, Rules},
};

/// What a document changes: the actions of its targets, or its acts without the version that each amendment moves on.
type Content = BTreeSet<String>;

/// When a content was voted down, and for how long that alone keeps it out.
struct Defeat {
    at: TimeMs,
    cooldown_ms: u64,
    memory_ms: u64,
    most: u64,
}

pub(super) fn judge(evidence: &Evidence<'_>, history: &History, rules: &Rules<'_>, findings: &mut Findings) {
    let mut defeats: BTreeMap<Content, Vec<Defeat>> = BTreeMap::new();
    for (id, story) in &history.stories {
        let ended = evidence.ended.get(id).filter(|ended| ended.stage == Stage::Defeated);
        let Some((at, edition)) = ended.and_then(|ended| ended.since).zip(story.editions.last()) else {
            continue;
        };
        // An awakening may be tried until it succeeds.
        if matches!(edition.document.acts[..], [Act::Awaken { .. }]) {
            continue;
        }
        let law = rules.at(edition.height);
        let kept = law.constitution.resubmission;
        defeats.entry(content(&edition.document)).or_default().push(Defeat {
            at,
            cooldown_ms: cooldown_ms(&law, edition),
            memory_ms: kept.memory.get(),
            most: kept.failures_max.into(),
        });
    }
    for defeats in defeats.values_mut() {
        defeats.sort_by_key(|defeat| defeat.at);
    }
    for (id, story) in &history.stories {
        for edition in &story.editions {
            let known = defeats.get(&content(&edition.document)).map(Vec::as_slice).unwrap_or_default();
            if let Some(until) = kept_out_until(known, edition.time) {
                let (author, height) = (&edition.author, edition.height);
                let what =
                    format!("{id}: {author} asks at height {height} for what is kept out until {until}");
                findings.add(Invariant::Approval, what);
            }
        }
    }
}

/// The end of a cooldown that runs at this time; the n-th defeat in a row counts n times. Other failures may have made it
/// longer still.
fn kept_out_until(defeats: &[Defeat], time: TimeMs) -> Option<u64> {
    let (mut in_a_row, mut last, mut until) = (0, None::<u64>, 0);
    for defeat in defeats.iter().filter(|defeat| defeat.at < time) {
        let at = defeat.at.get();
        let goes_on = last.is_some_and(|last| at < last.saturating_add(defeat.memory_ms));
        in_a_row = if goes_on { defeat.most.min(in_a_row + 1) } else { 1 };
        until = until.max(at.saturating_add(defeat.cooldown_ms.saturating_mul(in_a_row)));
        last = Some(at);
    }
    (time.get() < until).then_some(until)
}

/// That of its track; of a routine one that may have become a standard one, the shorter.
fn cooldown_ms(law: &Law<'_>, edition: &Edition) -> u64 {
    let of = |track| law.constitution.tracks.get(&track).map_or(0, |parameters| parameters.cooldown.get());
    match approval::track_of(law, edition) {
        Track::Routine => of(Track::Routine).min(of(Track::Standard)),
        track => of(track),
    }
}

fn content(document: &ProposalDocument) -> Content {
    let steps = document.steps().map(|(_, step)| format!("{} {:?}", step.target, step.action));
    let acts = document.acts.iter().map(|act| {
        let mut act = act.clone();
        if let Act::Amend { constitution } = &mut act {
            constitution.version = 0;
        }
        format!("{act:?}")
    });
    steps.chain(acts).collect()
}
