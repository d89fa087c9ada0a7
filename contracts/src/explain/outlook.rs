//! Owns what can come next of a proposal: every stage that the lifecycle may bring it to, with what that waits for.

use super::{Condition, Outlook, Unit};
use crate::{
    lifecycle,
    proposal::{Proposal, StepProgress},
    rules,
    stage::Stage,
    state::Registry,
    tally::TallyTestKind,
    transaction::{AuditVerdict, ReviewVerdict, StepOutcome},
};

/// What can come next, the way forward first.
pub(super) fn of(proposal: &Proposal, registry: &Registry) -> Vec<Outlook> {
    let scene = Scene { proposal, registry };
    let mut next = match proposal.stage {
        Stage::Review => scene.review(),
        Stage::Voting => scene.vote(),
        Stage::Confirming => scene.confirmation(),
        Stage::Queued => scene.queue(),
        Stage::Canary | Stage::Rollout(_) | Stage::Verifying => scene.execution(),
        Stage::RollingBack => scene.rollback(),
        Stage::Failed => scene.failure(),
        Stage::Auditing => scene.audit(),
        _ => Vec::new(),
    };
    next.extend(scene.exits());
    next
}

struct Scene<'a> {
    proposal: &'a Proposal,
    registry: &'a Registry,
}

impl Scene<'_> {
    fn review(&self) -> Vec<Outlook> {
        let needed = usize::from(self.proposal.parameters.reviewers);
        let given = |verdict| lifecycle::reviewing_organisations(self.proposal, verdict);
        let author = self.proposal.author.org_str();
        let signed = Condition::count(
            "reviews",
            format!("organisations other than {author} have signed it off"),
            (given(ReviewVerdict::Approve), needed),
            Unit::Organisations,
        );
        let refused = Condition::count(
            "refusals",
            format!("organisations other than {author} refuse it"),
            (given(ReviewVerdict::Refuse), needed),
            Unit::Organisations,
        );
        vec![
            self.before_deadline(Stage::Voting, vec![signed]),
            self.before_deadline(Stage::Rejected, vec![refused]),
            self.at_deadline(Stage::Expired, Vec::new()),
        ]
    }

    fn vote(&self) -> Vec<Outlook> {
        let mut next = vec![
            self.at_deadline(Stage::Confirming, self.tests()),
            self.at_deadline(Stage::Defeated, Vec::new()),
        ];
        if self.proposal.fallback.is_some() {
            // Unseen, it stays under a vote, which becomes a full one.
            let tests = self.proposal.count().tests;
            let objection = tests.iter().filter(|test| test.kind == TallyTestKind::Objection);
            let unopposed = objection.map(Condition::of).collect();
            next.push(self.at_deadline(Stage::Voting, unopposed));
        }
        next
    }

    fn confirmation(&self) -> Vec<Outlook> {
        vec![self.at_deadline(Stage::Queued, self.tests()), self.before_deadline(Stage::Voting, Vec::new())]
    }

    fn tests(&self) -> Vec<Condition> {
        self.proposal.count().tests.iter().map(Condition::of).collect()
    }

    fn queue(&self) -> Vec<Outlook> {
        let (proposal, registry) = (self.proposal, self.registry);
        let eta = proposal.eta.unwrap_or(registry.time);
        let last = proposal.begin_by();
        let acts = &proposal.document.acts;
        let mut conditions = vec![Condition::period(
            "timelock",
            "its timelock is over",
            (proposal.stage_since, eta),
            registry.time,
        )];
        // The rules are asked at the end of the timelock, and again with whatever comes later that the ledger carries out.
        if eta > registry.time || !acts.is_empty() {
            let kept = rules::findings(&proposal.document, registry).is_empty();
            conditions.push(Condition::fact("rules", "no hard rule refuses it", kept));
        }
        conditions.extend(self.signatures());
        conditions.extend(self.predecessors());
        let forward = if acts.is_empty() {
            conditions.extend(self.ground());
            conditions.push(Condition::fact("claim", "an executor takes its first step", false));
            Stage::Canary
        } else {
            let free = registry.busy_target(acts).is_none();
            conditions.push(Condition::fact("targets-free", "nobody acts on what it changes", free));
            conditions.extend(self.calm());
            Stage::Executed
        };
        let begin = Outlook { to: forward, earliest: Some(eta), latest: last, conditions };
        let expire = Outlook { to: Stage::Expired, earliest: last, latest: last, conditions: Vec::new() };
        vec![begin, expire]
    }

    fn predecessors(&self) -> Option<Condition> {
        let document = &self.proposal.document;
        let (all, missing) = (document.after.len(), self.registry.awaited(document).count());
        let what = "proposals that it waits for are carried out";
        let figures = (all.saturating_sub(missing), all);
        (all > 0).then(|| Condition::count("predecessors", what, figures, Unit::Proposals))
    }

    fn signatures(&self) -> Vec<Condition> {
        let Some(needed) = self.proposal.parameters.cosign else { return Vec::new() };
        let (signed, from) = (self.proposal.cosigned_by.len(), self.proposal.cosigning_organisations());
        let author = self.proposal.author.org_str();
        vec![
            Condition::count(
                "cosign",
                format!("guardians of organisations other than {author} have co-signed it"),
                (signed, needed.guardians.into()),
                Unit::Members,
            ),
            Condition::count(
                "cosign-organisations",
                "organisations have co-signed it",
                (from, needed.organisations.into()),
                Unit::Organisations,
            ),
        ]
    }

    /// What its targets have to be like when it begins.
    fn ground(&self) -> Vec<Condition> {
        let (proposal, registry) = (self.proposal, self.registry);
        let free = lifecycle::are_targets_free(proposal, registry);
        let unmoved = registry.first_moved(&proposal.plan).is_none();
        let mut conditions = vec![
            Condition::fact("targets-free", "no other proposal acts on its targets", free),
            Condition::fact("targets-unmoved", "its targets are as the plan found them", unmoved),
        ];
        conditions.extend(self.calm());
        conditions
    }

    fn calm(&self) -> Option<Condition> {
        let held = lifecycle::is_held(self.proposal, self.registry);
        held.then(|| Condition::fact("emergency", "no emergency holds it back", false))
    }

    fn execution(&self) -> Vec<Outlook> {
        let proposal = self.proposal;
        let stage = proposal.execution.stage;
        let steps = proposal.plan.steps.iter().zip(&proposal.execution.steps);
        let of_stage: Vec<_> = steps.filter(|(planned, _)| planned.stage == stage).collect();
        let done =
            of_stage.iter().filter(|(_, progress)| progress.outcome == Some(StepOutcome::Done)).count();
        let conditions = vec![
            Condition::count("steps", "steps of the stage are done", (done, of_stage.len()), Unit::Steps),
            Condition::count(
                "health",
                "targets are judged healthy by their owner and another organisation",
                lifecycle::judged(proposal),
                Unit::Targets,
            ),
        ];
        // What had no effect fails, and what may have had one is undone.
        let touched = proposal.execution.steps.iter().any(StepProgress::needs_undo);
        let stopped = if touched { Stage::RollingBack } else { Stage::Failed };
        vec![
            self.before_deadline(proposal.next_stage(), conditions),
            self.before_deadline(stopped, Vec::new()),
        ]
    }

    fn rollback(&self) -> Vec<Outlook> {
        let steps = &self.proposal.execution.steps;
        let left = steps.iter().filter(|progress| progress.needs_undo()).count();
        let touched = steps.iter().filter(|progress| progress.may_have_effect()).count();
        let figures = (touched.saturating_sub(left), touched);
        let undone = Condition::count("rollback", "steps are undone", figures, Unit::Steps);
        vec![
            self.before_deadline(Stage::RolledBack, vec![undone]),
            self.before_deadline(Stage::RollbackFailed, Vec::new()),
        ]
    }

    fn failure(&self) -> Vec<Outlook> {
        let (used, most) = (self.proposal.execution.retries, self.proposal.parameters.retries);
        let left = usize::from(most.saturating_sub(used));
        let mut conditions =
            vec![Condition::count("attempts", "attempts are left", (left, 1), Unit::Attempts)];
        conditions.extend(self.ground());
        conditions.push(Condition::fact("resume", "somebody takes it up again", false));
        vec![self.before_deadline(Stage::Canary, conditions), self.at_deadline(Stage::Auditing, Vec::new())]
    }

    fn audit(&self) -> Vec<Outlook> {
        let needed = usize::from(self.proposal.parameters.attestations);
        let verdicts = self.proposal.attestations.values();
        let sound = verdicts.filter(|verdict| **verdict == AuditVerdict::Sound).count();
        let found = Condition::count("audit", "auditors find it sound", (sound, needed), Unit::Members);
        vec![at_any_time(Stage::Closed, vec![found]), at_any_time(Stage::Disputed, Vec::new())]
    }

    /// The ways out that members have, and what may overtake it.
    fn exits(&self) -> Vec<Outlook> {
        let possible = lifecycle::possible(self.proposal);
        let asked = [("revise", Stage::Submitted), ("cancel", Stage::Cancelled), ("veto", Stage::Vetoed)];
        let asked = asked.into_iter().filter(|(call, _)| possible.contains(call)).map(|(_, to)| to);
        let open =
            matches!(self.proposal.stage, Stage::Review | Stage::Voting | Stage::Confirming | Stage::Queued);
        asked.chain(open.then_some(Stage::Superseded)).map(|to| at_any_time(to, Vec::new())).collect()
    }

    fn at_deadline(&self, to: Stage, conditions: Vec<Condition>) -> Outlook {
        let deadline = self.proposal.deadline;
        Outlook { to, earliest: deadline, latest: deadline, conditions }
    }

    fn before_deadline(&self, to: Stage, conditions: Vec<Condition>) -> Outlook {
        Outlook { to, earliest: None, latest: self.proposal.deadline, conditions }
    }
}

const fn at_any_time(to: Stage, conditions: Vec<Condition>) -> Outlook {
    Outlook { to, earliest: None, latest: None, conditions }
}
