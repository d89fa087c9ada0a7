//! Owns which rules were in force when: the constitution of the genesis, and those that decisions put in its place. A version
//! that no decision explains is found.

use althing_contracts::{
    act::Act, constitution::Constitution, quantity::Height, stage::Stage, transaction::ProposalId,
};

use super::{
    Evidence, Findings, Invariant, approval,
    history::{History, StepMark, Story},
};

/// The constitutions, each with the height from which on it is in force.
pub(super) struct Rules<'a>(Vec<(Height, &'a Constitution)>);

impl<'a> Rules<'a> {
    /// Reads them off the headers, and judges the decision behind each.
    pub(super) fn read(evidence: &Evidence<'a>, history: &'a History, findings: &mut Findings) -> Self {
        let mut rules = Self(vec![(Height::ZERO, &evidence.genesis.constitution)]);
        for version in &history.versions {
            let decisions: Vec<_> = decisions(evidence, history, version.number).collect();
            let [(id, story, constitution)] = decisions[..] else {
                let what = format!(
                    "height {} has version {} of the constitution by {} decisions",
                    version.at.height,
                    version.number,
                    decisions.len()
                );
                findings.add(Invariant::Approval, what);
                return rules;
            };
            let judged = rules
                .any(story, |pinned| approval::judge_decision(evidence.genesis, pinned, story, &version.at));
            if let Err(what) = judged {
                findings.add(Invariant::Approval, format!("{id} changed the constitution: {what}"));
            }
            rules.0.push((version.at.height, constitution));
        }
        rules
    }

    /// Asks a question by the rules that were in force when a proposal was last submitted. When they changed in that block,
    /// it may have been pinned to those before or those after.
    pub(super) fn any(
        &self,
        story: &Story,
        question: impl Fn(&'a Constitution) -> Result<(), String>,
    ) -> Result<(), String> {
        let height = story.editions.last().ok_or("no edition")?.height;
        let until = self.0.partition_point(|(from, _)| *from <= height);
        let changed_there = self.0[until.saturating_sub(1)].0 == height;
        let first = until.saturating_sub(if changed_there { 2 } else { 1 });
        let mut answers = self.0[first..until].iter().map(|(_, constitution)| question(constitution));
        let answer = answers.next().unwrap_or_else(|| Err("no rules were in force".to_owned()));
        answers.fold(answer, Result::or)
    }
}

/// What was carried out and puts this version in force.
fn decisions<'a>(
    evidence: &Evidence<'_>,
    history: &'a History,
    version: u32,
) -> impl Iterator<Item = (ProposalId, &'a Story, &'a Constitution)> {
    let executed = |id: &ProposalId| evidence.ended.get(id) == Some(&Stage::Executed);
    (history.stories.iter()).filter(move |(id, _)| executed(id)).filter_map(move |(id, story)| {
        let acts = &story.editions.last()?.document.acts;
        let constitution = acts.iter().map(|Act::Amend { constitution }| &**constitution).next()?;
        (constitution.version == version).then_some((*id, story, constitution))
    })
}

/// A version of the constitution at the block whose header is the first to name it.
#[derive(Debug)]
pub(super) struct Version {
    pub(super) number: u32,
    pub(super) at: StepMark,
}
