//! Owns which rules were in force when, and who took part: those of the genesis, and what decisions put in their place. A
//! version that no decision explains is found.

use std::sync::Arc;

use althing_contracts::{
    act::Act, constitution::Constitution, quantity::Height, stage::Stage, transaction::ProposalId,
};

use super::{
    Evidence, Findings, Invariant, approval,
    history::{History, StepMark, Story, Voice},
    parties::Parties,
};

/// What decides at a time.
#[derive(Debug, Clone)]
pub(super) struct Law<'a> {
    pub(super) constitution: &'a Constitution,
    pub(super) parties: Arc<Parties>,
    /// Who took part before the block, and votes on what is submitted in it.
    pub(super) electors: Arc<Parties>,
    /// What voters ever said about who speaks for them, in order.
    pub(super) voices: &'a [Voice],
}

/// What was in force, each with the height from which on it was.
pub(super) struct Rules<'a>(Vec<(Height, Law<'a>)>);

impl<'a> Rules<'a> {
    /// Reads the versions off the headers, and who took part off what the ledger says that it carried out; judges the decision
    /// behind each.
    pub(super) fn read(evidence: &Evidence<'a>, history: &'a History, findings: &mut Findings) -> Self {
        let founders = Arc::new(Parties::founding(evidence.genesis));
        let founding = Law {
            constitution: &evidence.genesis.constitution,
            electors: Arc::clone(&founders),
            parties: founders,
            voices: &history.voices,
        };
        let mut rules = Self(vec![(Height::ZERO, founding)]);
        let mut changes: Vec<Change<'a>> = enacted(evidence, history).collect();
        for version in &history.versions {
            let mut found = changes.iter_mut().filter(|change| change.version() == Some(version.number));
            let (Some(change), None) = (found.next(), found.next()) else {
                let times = changes.iter().filter(|change| change.version() == Some(version.number)).count();
                let what = format!(
                    "height {} has version {} of the constitution by {times} decisions",
                    version.at.height, version.number,
                );
                findings.add(Invariant::Approval, what);
                return rules;
            };
            change.at = version.at;
        }
        changes.sort_by_key(|change| change.at.height);
        for change in changes {
            let judged =
                rules.any(change.story, |law| approval::judge_decision(law, change.story, &change.at));
            if let Err(what) = judged {
                findings.add(Invariant::Approval, format!("{} changed the rules: {what}", change.id));
            }
            let Some((_, law)) = rules.0.last() else { break };
            let mut parties = Parties::clone(&law.parties);
            change.acts.iter().for_each(|act| parties.carry_out(act));
            let constitution = change.acts.iter().find_map(Act::amendment).unwrap_or(law.constitution);
            let parties = Arc::new(parties);
            let electors = Arc::clone(&parties);
            let law = Law { constitution, parties, electors, voices: &history.voices };
            rules.0.push((change.at.height, law));
        }
        rules
    }

    /// What was in force in a block, or was put in force in it.
    pub(super) fn at(&self, height: Height) -> Law<'a> {
        let until = self.0.partition_point(|(from, _)| *from <= height);
        self.in_block(height, &self.0[until.saturating_sub(1)].1)
    }

    /// The law for what is submitted in a block: those vote on it who took part before.
    fn in_block(&self, height: Height, law: &Law<'a>) -> Law<'a> {
        let before = self.0.partition_point(|(from, _)| *from < height).saturating_sub(1);
        Law { electors: Arc::clone(&self.0[before].1.parties), ..law.clone() }
    }

    /// Asks a question by the rules that were in force when a proposal was last submitted. When they changed in that block,
    /// it may have been pinned to those before or those after.
    pub(super) fn any(
        &self,
        story: &Story,
        question: impl Fn(&Law<'a>) -> Result<(), String>,
    ) -> Result<(), String> {
        let height = story.editions.last().ok_or("no edition")?.height;
        let until = self.0.partition_point(|(from, _)| *from <= height);
        let first = self.0.partition_point(|(from, _)| *from < height).saturating_sub(1);
        let mut answers = self.0[first..until].iter().map(|(_, law)| question(&self.in_block(height, law)));
        let answer = answers.next().unwrap_or_else(|| Err("no rules were in force".to_owned()));
        answers.fold(answer, Result::or)
    }

    /// Who took part after a block.
    pub(super) fn parties_after(&self, height: Height) -> Option<&Parties> {
        let until = self.0.partition_point(|(from, _)| *from <= height);
        self.0[..until].last().map(|(_, law)| &*law.parties)
    }
}

/// Acts that were carried out.
struct Change<'a> {
    id: ProposalId,
    story: &'a Story,
    acts: &'a [Act],
    at: StepMark,
}

impl Change<'_> {
    /// The version of the constitution that it puts in force.
    fn version(&self) -> Option<u32> {
        self.acts.iter().find_map(Act::amendment).map(|constitution| constitution.version)
    }
}

/// What the ledger says that it carried out itself.
fn enacted<'a>(evidence: &Evidence<'_>, history: &'a History) -> impl Iterator<Item = Change<'a>> {
    let executed = evidence.ended.iter().filter(|(_, ended)| ended.stage == Stage::Executed);
    executed.filter_map(|(id, ended)| {
        let story = history.stories.get(id)?;
        let acts = story.editions.last()?.document.acts.as_slice();
        let time = *history.times.get(&ended.height)?;
        let at = StepMark { step: 0, height: ended.height, time };
        (!acts.is_empty()).then_some(Change { id: *id, story, acts, at })
    })
}

/// A version of the constitution at the block whose header is the first to name it.
#[derive(Debug)]
pub(super) struct Version {
    pub(super) number: u32,
    pub(super) at: StepMark,
}
