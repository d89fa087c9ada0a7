//! Owns the dry run: from a document and what is applied where to a plan that leaves nothing to choose.

use std::{collections::BTreeSet, sync::Arc};

use crate::{
    act::PlannedAct,
    constitution::{Track, TrackParameters},
    document::{Action, ProposalDocument, StepDocument},
    event::Event,
    genesis::Tier,
    name::TargetId,
    plan::{Plan, PlannedStep},
    reject::Reject,
    state::{Registry, precedence::Outcome},
    transaction::Equivocation,
};

impl Registry {
    /// From what is applied, and from what the proposals that the document waits for will have left.
    pub(crate) fn plan(&self, document: &ProposalDocument) -> Result<Plan, Reject> {
        document.check()?;
        let before = self.outcome_before(document)?;
        let steps = document.steps().map(|(stage, step)| self.plan_step(&before, stage, step));
        let acts = document.acts.iter().map(|act| PlannedAct { replaces: self.in_force(&act.subject()) });
        Ok(Plan {
            document: document.digest(),
            steps: steps.collect::<Result<_, _>>()?,
            acts: acts.collect(),
        })
    }

    fn plan_step(&self, before: &Outcome, stage: usize, step: &StepDocument) -> Result<PlannedStep, Reject> {
        let unknown = || Reject::UnknownTarget { target: step.target.clone() };
        let target = self.targets.get(&step.target).ok_or_else(unknown)?;
        let resource = step.action.resource();
        let left = before.get(&(step.target.clone(), resource.clone()));
        let before = left.cloned().unwrap_or_else(|| target.applied.get(resource).cloned());
        if before.is_none() && matches!(step.action, Action::Remove { .. }) {
            return Err(Reject::Document {
                field: format!("stages[{stage}]"),
                problem: format!("removes {resource}, which is not on {}", step.target),
            });
        }
        let undo = before.clone().unwrap_or_else(|| Action::Remove { resource: resource.clone() });
        Ok(PlannedStep {
            stage: u8::try_from(stage).unwrap_or(u8::MAX),
            target: step.target.clone(),
            owner: target.record.owner.clone(),
            action: step.action.clone(),
            before,
            undo,
        })
    }

    /// The track that a change needs; a target that nobody registered counts as one on which much depends.
    pub(crate) fn track_of(&self, document: &ProposalDocument) -> Track {
        let targets: BTreeSet<&TargetId> = document.steps().map(|(_, step)| &step.target).collect();
        let actions = document.steps().map(|(_, step)| {
            let tier = self.targets.get(&step.target).map_or(Tier::High, |target| target.record.tier);
            (step.action.kind(), tier)
        });
        let of_steps = self.constitution.classification.track_of(targets.len(), actions);
        document.acts.iter().map(|act| self.track_of_act(act)).fold(of_steps, Track::max)
    }

    pub(crate) fn parameters(&self, track: Track) -> Result<Arc<TrackParameters>, Reject> {
        self.parameters.get(&track).map(Arc::clone).ok_or(Reject::NoTrack { track })
    }

    /// What is applied to the resource of a step.
    pub(crate) fn applied(&self, step: &PlannedStep) -> Option<&Action> {
        self.targets.get(&step.target)?.applied.get(step.action.resource())
    }

    /// The first step of a plan that would not find what the plan found.
    pub(crate) fn first_moved<'a>(&self, plan: &'a Plan) -> Option<&'a PlannedStep> {
        plan.steps.iter().find(|step| {
            let owner = self.targets.get(&step.target).map(|target| &target.record.owner);
            owner != Some(&step.owner) || self.applied(step) != step.before.as_ref()
        })
    }

    /// Keeps what a step left on its target.
    pub(crate) fn set_applied(&mut self, target: &TargetId, action: &Action) {
        self.change_target(target, |target| match action {
            Action::Remove { resource } => drop(target.applied.remove(resource)),
            other => drop(target.applied.insert(other.resource().clone(), other.clone())),
        });
    }

    /// Keeps the first proof that a validator signed twice.
    pub(crate) fn record_equivocation(
        &mut self,
        evidence: &Equivocation,
        events: &mut Vec<Event>,
    ) -> Result<(), Reject> {
        let Some(validator) = self.roster.by_consensus_key(evidence.validator) else {
            return Err(Reject::Evidence { problem: "the key belongs to no validator" });
        };
        let org = validator.org.clone();
        evidence.verify(self.network)?;
        self.equivocations.insert(evidence.validator, evidence.clone());
        events.push(Event::Equivocated { org, height: evidence.height });
        Ok(())
    }
}
