//! Owns what the targets say against what the ledger says: each effect once, in the order of its fences, and nothing
//! reported that did not happen.

use std::collections::BTreeMap;

use althing_contracts::{
    document::StepDocument,
    quantity::Height,
    stage::Stage,
    transaction::{ProposalId, StepOutcome},
};

use super::{
    EffectEntry, Evidence, Findings, Invariant,
    history::{History, Receipt, Story},
};

/// The key of a step's effect, in the executors' own form.
pub(super) fn key_of(proposal: &ProposalId, step: u16, undo: bool) -> String {
    format!("{proposal}/{step}/{}", if undo { "undo" } else { "do" })
}

pub(super) fn judge(evidence: &Evidence<'_>, history: &History, findings: &mut Findings) {
    let mut by_key: BTreeMap<&str, Vec<&EffectEntry>> = BTreeMap::new();
    let mut fences = BTreeMap::new();
    for effect in evidence.effects {
        by_key.entry(&effect.idempotency_key).or_default().push(effect);
        let seen = fences.insert(&effect.target, effect.fence);
        if seen.is_some_and(|seen| effect.fence < seen) {
            let what =
                format!("{} took effect on {} under an old fence", effect.idempotency_key, effect.target);
            findings.add(Invariant::Effects, what);
        }
    }
    for (key, effects) in &by_key {
        // Somebody took it away again, and whoever looked found the target as the plan expects it.
        let is_remade = effects.iter().all(|it| it.changed && evidence.disturbed.contains(&it.target));
        if effects.len() > 1 && !is_remade {
            findings.add(Invariant::Effects, format!("{key} took effect {} times", effects.len()));
        }
        let has_changed = effects.iter().any(|effect| effect.changed);
        let done = key.strip_suffix("/undo").filter(|_| has_changed).map(|step| format!("{step}/do"));
        if let Some(done) = done.filter(|done| !by_key.contains_key(done.as_str())) {
            findings.add(Invariant::Effects, format!("{key} took effect and {done} did not"));
        }
    }
    judge_order(evidence, findings);
    for (id, ended) in evidence.ended {
        judge_end(id, ended.stage, evidence, history, findings);
    }
    for (id, story) in &history.stories {
        judge_receipts(id, story, evidence, findings);
        let mut done: BTreeMap<u16, Vec<Height>> = BTreeMap::new();
        for receipt in story.receipts.iter().filter(|receipt| receipt.outcome == StepOutcome::Done) {
            done.entry(receipt.at.step).or_default().push(receipt.at.height);
        }
        // A receipt does not say in which direction: a rollback, over or not, may find that there is nothing to undo.
        let is_undone = evidence.ended.get(id).is_some_and(|ended| {
            matches!(ended.stage, Stage::RollingBack | Stage::RolledBack | Stage::RollbackFailed)
        });
        for (step, heights) in done {
            let happened =
                [false, true].iter().any(|undo| by_key.contains_key(key_of(id, step, *undo).as_str()));
            let was_there =
                story.planned(step).is_some_and(|planned| was_there(evidence, planned, heights[0]));
            if !happened && !was_there && heights.len() > usize::from(is_undone) {
                let what = format!("step {step} of {id} was reported done and never took effect");
                findings.add(Invariant::Effects, what);
            }
        }
    }
}

/// A receipt is the last word: what it says has failed takes no effect any more, nor does anything under an older fence.
fn judge_receipts(id: &ProposalId, story: &Story, evidence: &Evidence<'_>, findings: &mut Findings) {
    for Receipt { at, fence, outcome } in &story.receipts {
        let planned = story.planned(at.step);
        let Some((step, final_us)) = planned.zip(evidence.final_us.get(&at.height)) else { continue };
        let is_late = |it: &&EffectEntry| {
            let has_failed = *outcome != StepOutcome::Done && it.fence == *fence;
            it.target == step.target && it.at_us > *final_us && (it.fence < *fence || has_failed)
        };
        if let Some(late) = evidence.effects.iter().find(is_late) {
            let what = format!(
                "{} took effect under fence {} after the receipt for step {} of {id} under fence {fence}",
                late.idempotency_key, late.fence, at.step
            );
            findings.add(Invariant::Effects, what);
        }
    }
}

/// Whether a target may have been as a step wants it, by the effects before the block at a height and by what others did to
/// it: whoever finds it so need not act.
fn was_there(evidence: &Evidence<'_>, step: &StepDocument, at: Height) -> bool {
    let until_us = evidence.final_us.get(&at).copied().unwrap_or(u64::MAX);
    let resource = step.action.resource();
    let of_it = |it: &&EffectEntry| it.target == step.target && it.action.resource() == resource;
    let last = evidence.effects.iter().filter(|it| it.at_us < until_us).rfind(of_it);
    evidence.disturbed.contains(&step.target)
        || last.and_then(|it| it.action.leaves()) == step.action.leaves()
}

/// Undos go from the last step to the first; one that comes late and finds nothing to do is none.
fn judge_order(evidence: &Evidence<'_>, findings: &mut Findings) {
    let mut undone: BTreeMap<&str, u16> = BTreeMap::new();
    for effect in evidence.effects.iter().filter(|effect| effect.undo && effect.changed) {
        let mut parts = effect.idempotency_key.rsplitn(3, '/').skip(1);
        let step = parts.next().and_then(|step| step.parse::<u16>().ok());
        let (Some(step), Some(proposal)) = (step, parts.next()) else { continue };
        let before = undone.insert(proposal, step);
        if before.is_some_and(|before| before < step) {
            findings.add(
                Invariant::Effects,
                format!("{} was undone after an earlier step", effect.idempotency_key),
            );
        }
    }
}

/// What is said to be rolled back or without effect left none, and what is said to be executed is there.
fn judge_end(
    id: &ProposalId,
    ended: Stage,
    evidence: &Evidence<'_>,
    history: &History,
    findings: &mut Findings,
) {
    let edition = history.stories.get(id).and_then(|story| story.editions.last());
    let steps = edition.into_iter().flat_map(|edition| edition.document.steps());
    for (step, (_, planned)) in (0..=u16::MAX).zip(steps) {
        if evidence.disturbed.contains(&planned.target) {
            continue;
        }
        let last = |undo: bool| {
            let key = key_of(id, step, undo);
            evidence.effects.iter().rposition(|effect| effect.idempotency_key == key)
        };
        let (done, undone) = (last(false), last(true));
        match ended {
            // Nothing is before everything: a step without an effect needs no undo.
            Stage::RolledBack | Stage::Failed if done > undone => {
                findings
                    .add(Invariant::Effects, format!("{id} is {ended} and the effect of step {step} stays"));
            }
            Stage::Executed if done.is_none() || undone.is_some() => {
                findings.add(Invariant::Effects, format!("{id} is {ended} and step {step} is not in effect"));
            }
            _ => {}
        }
    }
}
