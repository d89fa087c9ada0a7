//! Owns the trail of each proposal: the events alone, folded in order. Knows no rule.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    constitution::{Constitution, Track, TrackParameters},
    delegation::Delegation,
    digest::Digest,
    document::Action,
    event::Event,
    invariant::View,
    name::{MemberId, Name, OrgId, TargetId},
    proposal::Proposal,
    quantity::{Fence, Revision, TimeMs},
    stage::Stage,
    tally::TallyReport,
    transaction::{Choice, HealthReport, ProposalId, ReviewVerdict, StepOutcome},
};

/// Everything that happened, by proposal.
#[derive(Debug, Clone, Default)]
pub struct Trail {
    proposals: BTreeMap<ProposalId, ProposalTrail>,
    fence: Fence,
    /// The rules in force, as the decisions about them say; `None` before the first block.
    constitution: Option<Arc<Constitution>>,
    /// Who lets whom speak for it, by track and delegator, as of the beginning of the block.
    delegations: BTreeMap<(Track, MemberId), Delegation>,
    /// What this block says about delegations: it counts from the next one on.
    said: Vec<((Track, MemberId), Option<Delegation>)>,
    /// The services that run on each target, by what was reported.
    services: BTreeMap<TargetId, BTreeSet<Name>>,
}

/// What happened to one proposal.
#[derive(Debug, Clone, Default)]
pub struct ProposalTrail {
    /// Who opened it.
    pub author: Option<MemberId>,
    /// The current edition.
    pub revision: Revision,
    /// Hash of the current edition's plan.
    pub plan_hash: Option<Digest>,
    /// Thresholds and periods as pinned at submission, or as replaced by a promotion.
    pub parameters: Option<Arc<TrackParameters>>,
    /// Sign-offs that the current edition needed when it was submitted; a promotion asks for none.
    pub reviewers: usize,
    /// Where it stands.
    pub stage: Option<Stage>,
    /// Whether it was carried out.
    pub is_carried_out: bool,
    /// Sign-offs of the current edition.
    pub reviews: BTreeMap<MemberId, ReviewVerdict>,
    /// Ballots of the current edition.
    pub ballots: BTreeMap<MemberId, Choice>,
    /// The last count.
    pub tally: Option<TallyReport>,
    /// Guardians that have co-signed the decision.
    pub cosigners: BTreeSet<MemberId>,
    /// When it was queued.
    pub queued_at: Option<TimeMs>,
    /// What executors did, by step.
    pub steps: BTreeMap<u16, StepTrail>,
    /// Judgements since the current stage began, by stage judged, target and organisation.
    pub health: BTreeMap<(u8, TargetId), BTreeMap<OrgId, HealthReport>>,
    /// Auditors that attested.
    pub auditors: BTreeSet<MemberId>,
}

/// What happened to one step.
#[derive(Debug, Clone, Default)]
pub struct StepTrail {
    /// The last claim: who, under which fence, whether of the undo.
    pub claim: Option<(MemberId, Fence, bool)>,
    /// The last report of the action.
    pub outcome: Option<StepOutcome>,
    /// The last report of the undo.
    pub undo_outcome: Option<StepOutcome>,
}

impl StepTrail {
    /// Whether the action took effect.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.outcome == Some(StepOutcome::Done)
    }

    /// Whether the undo took effect.
    #[must_use]
    pub fn is_undone(&self) -> bool {
        self.undo_outcome == Some(StepOutcome::Done)
    }
}

impl Trail {
    /// The proposals.
    #[must_use]
    pub const fn proposals(&self) -> &BTreeMap<ProposalId, ProposalTrail> {
        &self.proposals
    }

    /// The highest fence given.
    #[must_use]
    pub const fn fence(&self) -> Fence {
        self.fence
    }

    /// The rules in force.
    #[must_use]
    pub fn constitution(&self) -> Option<&Constitution> {
        self.constitution.as_deref()
    }

    /// Who lets whom speak for it in votes of a track on what is submitted at this time.
    pub fn voices(&self, track: Track, time: TimeMs) -> impl Iterator<Item = (&MemberId, &MemberId)> {
        let of_track = self.delegations.iter().filter(move |((of, _), _)| *of == track);
        let in_force = of_track.filter(move |(_, it)| it.from <= time && time < it.expires);
        in_force.map(|((_, delegator), it)| (delegator, &it.to))
    }

    /// What a voter last said about a track, in this block or before.
    #[must_use]
    pub fn delegation(&self, track: Track, delegator: &MemberId) -> Option<&Delegation> {
        let said = self.said.iter().rev().find(|((of, who), _)| *of == track && who == delegator);
        match said {
            Some((_, said)) => said.as_ref(),
            None => self.delegations.get(&(track, delegator.clone())),
        }
    }

    /// Takes the rules at the beginning of the first block, and at each what the one before said about delegations.
    pub(super) fn begin(&mut self, block: &View<'_>) {
        for (place, said) in std::mem::take(&mut self.said) {
            match said {
                Some(delegation) => self.delegations.insert(place, delegation),
                None => self.delegations.remove(&place),
            };
        }
        self.constitution.get_or_insert_with(|| Arc::new(block.before.constitution().clone()));
    }

    /// One step's trail.
    #[must_use]
    pub fn step(&self, proposal: ProposalId, step: u16) -> Option<&StepTrail> {
        self.proposals.get(&proposal)?.steps.get(&step)
    }

    /// Whether a service runs on a target.
    #[must_use]
    pub fn serves(&self, target: &TargetId) -> bool {
        self.services.get(target).is_some_and(|services| !services.is_empty())
    }

    /// Adds an event of a block.
    pub(super) fn push(&mut self, block: &View<'_>, event: &Event) {
        match event {
            Event::StepClaimed { proposal, step, executor, fence, undo, .. } => {
                self.fence = self.fence.max(*fence);
                self.step_mut(*proposal, *step).claim = Some((executor.clone(), *fence, *undo));
            }
            Event::StepReported { proposal, step, undo, outcome, .. } => {
                let trail = self.step_mut(*proposal, *step);
                // An undo that may be tried again stays with who holds it, until another takes the step.
                if !(*undo && matches!(outcome, StepOutcome::Failed { retryable: true, .. })) {
                    trail.claim = None;
                }
                let slot = if *undo { &mut trail.undo_outcome } else { &mut trail.outcome };
                *slot = Some(outcome.clone());
                if *outcome == StepOutcome::Done {
                    self.change_services(block, *proposal, *step, *undo);
                }
            }
            other => self.push_decision(block, other),
        }
    }

    fn push_decision(&mut self, block: &View<'_>, event: &Event) {
        match event {
            Event::Submitted { proposal, author, revision, plan_hash } => {
                let parameters = pinned(block, *proposal);
                let fresh = ProposalTrail {
                    reviewers: parameters.as_ref().map_or(0, |pinned| usize::from(pinned.reviewers)),
                    parameters,
                    author: Some(author.clone()),
                    revision: *revision,
                    plan_hash: Some(*plan_hash),
                    stage: Some(Stage::Submitted),
                    ..ProposalTrail::default()
                };
                self.proposals.insert(*proposal, fresh);
            }
            Event::StageChanged { proposal, to, .. } => {
                self.proposal_mut(*proposal).enter(*to, block.header.time);
            }
            Event::Promoted { proposal } => {
                self.proposal_mut(*proposal).parameters = pinned(block, *proposal);
            }
            Event::Reviewed { proposal, reviewer, verdict, .. } => {
                self.proposal_mut(*proposal).reviews.insert(reviewer.clone(), *verdict);
            }
            Event::Voted { proposal, voter, choice } => {
                self.proposal_mut(*proposal).ballots.insert(voter.clone(), *choice);
            }
            Event::Tallied { proposal, tally } => self.proposal_mut(*proposal).tally = Some(tally.clone()),
            Event::HealthAttested { proposal, stage, target, org, health, .. } => {
                let judged = self.proposal_mut(*proposal).health.entry((*stage, target.clone())).or_default();
                judged.insert(org.clone(), health.clone());
            }
            Event::Amended { proposal, .. } => {
                let decided = block.after.proposal(*proposal).and_then(Proposal::amendment);
                self.constitution = decided.map(|constitution| Arc::new(constitution.clone()));
            }
            Event::Delegated { delegator, delegate, track, from, expires } => {
                let delegation = Delegation { to: delegate.clone(), from: *from, expires: *expires };
                self.said.push(((*track, delegator.clone()), Some(delegation)));
            }
            Event::Revoked { delegator, track, .. } => self.said.push(((*track, delegator.clone()), None)),
            Event::Cosigned { proposal, guardian } => {
                self.proposal_mut(*proposal).cosigners.insert(guardian.clone());
            }
            Event::Attested { proposal, auditor, .. } => {
                self.proposal_mut(*proposal).auditors.insert(auditor.clone());
            }
            _ => {}
        }
    }

    fn change_services(&mut self, block: &View<'_>, proposal: ProposalId, step: u16, undo: bool) {
        let plan = block.after.proposal(proposal).map(|proposal| &proposal.plan.steps);
        let Some(planned) = plan.and_then(|steps| steps.get(usize::from(step))) else { return };
        let services = self.services.entry(planned.target.clone()).or_default();
        match if undo { &planned.undo } else { &planned.action } {
            Action::Deploy { service, .. } => services.insert(service.clone()),
            Action::Remove { resource } => services.remove(resource),
            Action::Configure { .. } => false,
        };
    }

    fn proposal_mut(&mut self, proposal: ProposalId) -> &mut ProposalTrail {
        self.proposals.entry(proposal).or_default()
    }

    fn step_mut(&mut self, proposal: ProposalId, step: u16) -> &mut StepTrail {
        self.proposal_mut(proposal).steps.entry(step).or_default()
    }
}

fn pinned(block: &View<'_>, proposal: ProposalId) -> Option<Arc<TrackParameters>> {
    block.after.proposal(proposal).map(|proposal| Arc::clone(&proposal.parameters))
}

impl ProposalTrail {
    fn enter(&mut self, stage: Stage, time: TimeMs) {
        self.stage = Some(stage);
        self.is_carried_out |= stage == Stage::Executed;
        self.health.clear();
        if stage == Stage::Queued {
            self.queued_at = Some(time);
        }
    }
}
