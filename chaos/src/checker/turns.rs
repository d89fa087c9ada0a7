//! Owns the question whether two proposals acted on one target at once: a change has its targets from its first step to its
//! last.

use std::collections::BTreeSet;

use althing_contracts::{
    name::TargetId,
    quantity::Height,
    transaction::{ProposalId, StepOutcome},
};

use super::{
    Findings, Invariant,
    history::{History, Story},
};

/// A change that is half done.
struct Turn<'a> {
    id: &'a ProposalId,
    targets: BTreeSet<&'a TargetId>,
    /// The first step that was reported done; with it, there is no way back but a rollback.
    from: Height,
    /// The last claim or receipt.
    to: Height,
}

pub(super) fn judge(history: &History, findings: &mut Findings) {
    let turns: Vec<_> = history.stories.iter().filter_map(|(id, story)| Turn::of(id, story)).collect();
    for (id, story) in &history.stories {
        for claim in &story.claims {
            let Some(target) = story.planned(claim.step).map(|step| &step.target) else { continue };
            let holder = turns.iter().find(|turn| turn.id != id && turn.holds(target, claim.height));
            if let Some(holder) = holder {
                let what = format!(
                    "step {} of {id} was claimed on {target} at height {}, in the middle of {}",
                    claim.step, claim.height, holder.id
                );
                findings.add(Invariant::Effects, what);
            }
        }
    }
}

impl<'a> Turn<'a> {
    fn of(id: &'a ProposalId, story: &'a Story) -> Option<Self> {
        let done = story.receipts.iter().filter(|receipt| receipt.outcome == StepOutcome::Done);
        let from = done.map(|receipt| receipt.at.height).min()?;
        let marks = story.claims.iter().chain(story.receipts.iter().map(|receipt| &receipt.at));
        let to = marks.map(|mark| mark.height).max()?;
        let targets = story.editions.last()?.document.steps().map(|(_, step)| &step.target).collect();
        Some(Self { id, targets, from, to })
    }

    /// Blocks in which it began or ended do not say which came first.
    fn holds(&self, target: &TargetId, at: Height) -> bool {
        self.from < at && at < self.to && self.targets.contains(target)
    }
}

#[cfg(test)]
mod tests {
    use althing_contracts::{
        digest::Digest,
        quantity::{Fence, TimeMs},
        testing::{deploy, member},
    };

    use super::*;
    use crate::checker::history::{Edition, Receipt, StepMark};

    fn story(target: &str, claims: &[u64], done: &[u64]) -> Story {
        let mark = |height: &u64| StepMark { step: 0, height: Height::new(*height), time: TimeMs::ZERO };
        let document = deploy("2", &[&[target]]);
        Story {
            editions: vec![Edition {
                author: member("acme/author"),
                document,
                height: Height::ZERO,
                time: TimeMs::ZERO,
            }],
            claims: claims.iter().map(mark).collect(),
            receipts: done
                .iter()
                .map(|height| Receipt { at: mark(height), fence: Fence::ZERO, outcome: StepOutcome::Done })
                .collect(),
            ..Story::default()
        }
    }

    fn found(one: Story, other: Story) -> usize {
        let id = |name: &[u8]| ProposalId::from_digest(Digest::of_artefact(name));
        let (mut history, mut findings) = (History::default(), Findings::default());
        history.stories.extend([(id(b"one"), one), (id(b"other"), other)]);
        judge(&history, &mut findings);
        findings.0.len()
    }

    #[test]
    fn a_step_that_is_claimed_in_the_middle_of_another_change_is_found() {
        let change = || story("acme-north", &[3, 9], &[5, 12]);
        assert_eq!(found(change(), story("acme-north", &[7], &[])), 1);
        assert_eq!(found(change(), story("acme-south", &[7], &[])), 0, "another target");
        assert_eq!(found(change(), story("acme-north", &[12], &[])), 0, "it is over");
        assert_eq!(found(change(), story("acme-north", &[4], &[])), 0, "nothing has taken effect yet");
    }
}
