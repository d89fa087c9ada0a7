//! Owns the question whether governance had fallen dormant before somebody asked for its awakening: by as many votes that few
//! took part in, of which the last one ended when the awakening says.

use althing_contracts::{act::Act, stage::Stage};

use super::{
    Evidence, Findings, Invariant, approval,
    history::{Edition, History},
    rules::Rules,
};

pub(super) fn judge(evidence: &Evidence<'_>, history: &History, rules: &Rules<'_>, findings: &mut Findings) {
    // When every vote that was voted down ended, and whether few took part in it.
    let mut quiet = Vec::new();
    for (id, ended) in evidence.ended.iter().filter(|(_, ended)| ended.stage == Stage::Defeated) {
        let Some(since) = ended.since else { return };
        // What the ledger opened itself has no edition; nobody asks here how many judged an emergency.
        let story = history.stories.get(id).filter(|story| !story.editions.is_empty());
        let is_quiet = story.is_none_or(|story| {
            rules
                .any(story, |law| match approval::is_quiet(law, story) {
                    Ok(false) => Err("many took part".to_owned()),
                    _ => Ok(()),
                })
                .is_ok()
        });
        quiet.extend(is_quiet.then_some(since));
    }
    for (id, story) in &history.stories {
        for edition in &story.editions {
            let [Act::Awaken { since }] = edition.document.acts[..] else { continue };
            let was_decided = evidence.ended.get(id).is_some_and(|ended| ended.stage == Stage::Executed);
            let votes = quiet.iter().filter(|ended| **ended <= since).count();
            if was_decided && (!quiet.contains(&since) || votes < least(rules, edition)) {
                let what = format!(
                    "{id} awakens governance as if it had fallen dormant at {since}, after {votes} quiet votes"
                );
                findings.add(Invariant::Approval, what);
            }
        }
    }
}

fn least(rules: &Rules<'_>, edition: &Edition) -> usize {
    rules.at(edition.height).constitution.dormancy.votes.into()
}
