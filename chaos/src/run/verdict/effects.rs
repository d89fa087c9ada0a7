//! Owns the verdicts on what was done to targets, by the providers' own logs against what the ledger tells.

use std::collections::BTreeMap;

use althing_actors::executor::local::effects::Progress;
use serde_json::Value;

use super::{Verdict, short, verdict};
use crate::run::{effects::Effect, evidence::Story};

/// Each order takes effect at most once.
pub(super) fn once(effects: &[Effect], is_whole: bool) -> Verdict {
    let mut done: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for effect in effects.iter().filter(|effect| matches!(effect.progress, Progress::Done { .. })) {
        *done.entry((&effect.site, &effect.key)).or_default() += 1;
    }
    let doubled = done.iter().filter(|(_, times)| **times > 1);
    let mut against: Vec<_> =
        doubled.map(|((site, key), times)| format!("{key} took effect {times} times at {site}")).collect();
    if done.is_empty() && is_whole {
        against.push("nothing was carried out at all".to_owned());
    }
    let seen = format!("{} orders took effect, each once, by the providers' own logs", done.len());
    verdict("effects-once", "nothing is done twice", seen, &against)
}

/// Each effect follows a decision, the end of its timelock and a claim under its fence, and is what was decided.
pub(super) fn decided(effects: &[Effect], stories: &BTreeMap<String, Story>) -> Verdict {
    let begun: Vec<_> = effects.iter().filter(|effect| effect.progress == Progress::Begun).collect();
    let against: Vec<_> = begun.iter().filter_map(|effect| check(effect, stories).err()).collect();
    let seen =
        format!("{} effects follow approval, timelock and a claim, and are what was decided", begun.len());
    verdict(
        "effects-decided",
        "nothing is done without approval, timelock and the decided plan",
        seen,
        &against,
    )
}

fn check(effect: &Effect, stories: &BTreeMap<String, Story>) -> Result<(), String> {
    let failed = |why: &str| format!("{} at {}: {why}", short(&effect.key), effect.site);
    let mut words = effect.key.split('/');
    let (Some(proposal), Some(step), Some(kind)) = (words.next(), words.next(), words.next()) else {
        return Err(failed("its key names no step"));
    };
    let step: u64 = step.parse().map_err(|_| failed("its key names no step"))?;
    let story = stories.get(proposal).ok_or_else(|| failed("the ledger has no such proposal"))?;
    let undo = kind == "undo";
    let queued = position(story, |kind, data| kind == "stage-changed" && data["to"]["name"] == "queued");
    let elapsed = position(story, |kind, _| kind == "timelock-elapsed");
    let claimed = position(story, |kind, data| {
        kind == "step-claimed"
            && data["step"] == step
            && data["fence"] == effect.fence
            && data["undo"] == undo
    });
    let claimed = claimed.ok_or_else(|| failed("no claim gave it its fence"))?;
    let queued = queued.ok_or_else(|| failed("it was never approved"))?;
    let elapsed = elapsed.ok_or_else(|| failed("its timelock never ended"))?;
    if !(queued < elapsed && elapsed < claimed) {
        return Err(failed("it was claimed before its timelock was over"));
    }
    let steps = story.document["stages"].as_array().into_iter().flatten();
    let steps: Vec<_> = steps.flat_map(|stage| stage["steps"].as_array().into_iter().flatten()).collect();
    let decided = usize::try_from(step).ok().and_then(|step| steps.get(step)).map(|step| &step["action"]);
    let done = serde_json::to_value(&effect.action).unwrap_or_default();
    if !undo && decided != Some(&done) {
        return Err(failed("it is not what was decided"));
    }
    Ok(())
}

fn position(story: &Story, is: impl Fn(&str, &Value) -> bool) -> Option<usize> {
    story.events.iter().position(|event| {
        let kind = event["type"].as_str().unwrap_or_default();
        is(kind.trim_start_matches("io.althing."), &event["data"])
    })
}
