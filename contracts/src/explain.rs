//! Owns the explanation of where a proposal stands: what can come next, when, on which conditions, by whom.

use serde::Serialize;

use crate::{
    lifecycle,
    name::MemberId,
    proposal::Proposal,
    quantity::TimeMs,
    role::Role,
    stage::Stage,
    state::{Registry, State},
    transaction::{ProposalId, ReviewVerdict, StepOutcome},
};

/// Where a proposal stands and what can come of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// Which.
    pub proposal: ProposalId,
    /// Where it stands.
    pub stage: Stage,
    /// Since when.
    pub since: TimeMs,
    /// When the ledger acts by itself.
    pub deadline: Option<TimeMs>,
    /// What can come next, the way forward first.
    pub next: Vec<Outlook>,
    /// Who may still act.
    pub waiting_for: Vec<Actors>,
}

/// A stage that can come next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outlook {
    /// Which.
    pub to: Stage,
    /// Not before; `None` as soon as the conditions hold.
    pub earliest: Option<TimeMs>,
    /// All have to hold.
    pub conditions: Vec<Condition>,
}

/// A condition with its figure as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Condition {
    /// What is asked, in words.
    pub what: String,
    /// How far it is.
    pub part: u64,
    /// Of how much.
    pub whole: u64,
    /// Whether it holds.
    pub holds: bool,
}

/// Members who may do something.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Actors {
    /// The call's name.
    pub may: &'static str,
    /// The role that it needs.
    pub role: Role,
    /// Who.
    pub members: Vec<MemberId>,
}

impl State {
    /// Explains where a proposal stands.
    #[must_use]
    pub fn explain(&self, id: ProposalId) -> Option<Explanation> {
        let proposal = self.proposal(id)?;
        let scene = Scene { proposal, registry: self.registry() };
        let (next, waiting_for) = scene.outlook();
        Some(Explanation {
            proposal: id,
            stage: proposal.stage,
            since: proposal.stage_since,
            deadline: proposal.deadline,
            next,
            waiting_for: waiting_for.into_iter().filter(|actors| !actors.members.is_empty()).collect(),
        })
    }
}

struct Scene<'a> {
    proposal: &'a Proposal,
    registry: &'a Registry,
}

type Prospects = (Vec<Outlook>, Vec<Actors>);

impl Scene<'_> {
    fn outlook(&self) -> Prospects {
        match self.proposal.stage {
            Stage::Review => self.review(),
            Stage::Voting => self.vote(Stage::Confirming, Stage::Defeated),
            Stage::Confirming => self.vote(Stage::Queued, Stage::Voting),
            Stage::Queued => self.queue(),
            Stage::Canary | Stage::Rollout(_) | Stage::Verifying => self.execution(),
            Stage::RollingBack => self.rollback(),
            Stage::Failed => self.failure(),
            Stage::Auditing => self.audit(),
            _ => (Vec::new(), Vec::new()),
        }
    }

    fn review(&self) -> Prospects {
        let (needed, author) = (self.proposal.parameters.reviewers, self.proposal.author.org_str());
        let given: std::collections::BTreeSet<&str> = self
            .proposal
            .reviews
            .iter()
            .filter(|(_, verdict)| **verdict == ReviewVerdict::Approve)
            .map(|(reviewer, _)| reviewer.org_str())
            .collect();
        let signed =
            count(format!("organisations other than {author} have signed it off"), given.len(), needed);
        let others = self
            .members(Role::Reviewer, |id| id.org_str() != author && !self.proposal.reviews.contains_key(id));
        let next = vec![at_once(Stage::Voting, vec![signed]), self.at_deadline(Stage::Expired)];
        (next, vec![actors("review", Role::Reviewer, others)])
    }

    fn vote(&self, forward: Stage, otherwise: Stage) -> Prospects {
        let tests = self.proposal.count().tests;
        let conditions = tests.into_iter().map(|test| Condition {
            what: format!("{} {}", test.kind, threshold_words(&test)),
            part: test.part,
            whole: test.whole,
            holds: test.holds,
        });
        let forward =
            Outlook { to: forward, earliest: self.proposal.deadline, conditions: conditions.collect() };
        let voters = self.members(Role::Voter, |id| lifecycle::may_vote(self.proposal, id).is_ok());
        let earliest = if otherwise == Stage::Voting { None } else { self.proposal.deadline };
        let otherwise = Outlook { to: otherwise, earliest, conditions: Vec::new() };
        (vec![forward, otherwise], vec![actors("vote", Role::Voter, voters)])
    }

    fn queue(&self) -> Prospects {
        let (proposal, registry) = (self.proposal, self.registry);
        let elapsed = proposal.eta.is_some_and(|eta| eta <= registry.time);
        let mut conditions = vec![holds("its timelock is over", elapsed)];
        if proposal.document.acts.is_empty() {
            let unmoved = registry.first_moved(&proposal.plan).is_none();
            conditions.push(holds("its targets are free", lifecycle::are_targets_free(proposal, registry)));
            conditions.push(holds("its targets are as the plan found them", unmoved));
        }
        if let Some(needed) = proposal.parameters.cosign {
            let (signed, from) = (proposal.cosigned_by.len(), proposal.cosigning_organisations());
            conditions.push(count("guardians have co-signed it".to_owned(), signed, needed.guardians));
            conditions.push(count("organisations have co-signed it".to_owned(), from, needed.organisations));
        }
        if lifecycle::is_held(proposal, registry) {
            conditions.push(holds("no emergency holds it back", false));
        }
        let forward = if proposal.document.acts.is_empty() { Stage::Canary } else { Stage::Executed };
        let begin = Outlook { to: forward, earliest: proposal.eta, conditions };
        let last = proposal.eta.map(|eta| eta.after(proposal.parameters.execute_by));
        let expire = Outlook { to: Stage::Expired, earliest: last, conditions: Vec::new() };
        let guardians = self.members(Role::Guardian, |id| id.org_str() != proposal.author.org_str());
        let executors = if elapsed && proposal.is_cosigned() { self.executors() } else { Vec::new() };
        let unsigned =
            guardians.iter().filter(|id| !proposal.cosigned_by.contains(*id) && !proposal.is_cosigned());
        let waiting = vec![
            actors("claim", Role::Executor, executors),
            actors("cosign", Role::Guardian, unsigned.cloned().collect()),
            actors("veto", Role::Guardian, guardians),
        ];
        (vec![begin, expire], waiting)
    }

    fn execution(&self) -> Prospects {
        let proposal = self.proposal;
        let stage = proposal.execution.stage;
        let steps = proposal.plan.steps.iter().zip(&proposal.execution.steps);
        let of_stage: Vec<_> = steps.filter(|(planned, _)| planned.stage == stage).collect();
        let done =
            of_stage.iter().filter(|(_, progress)| progress.outcome == Some(StepOutcome::Done)).count();
        let (judged, to_judge) = lifecycle::judged(proposal);
        let conditions = vec![
            count("steps of the stage are done".to_owned(), done, of_stage.len()),
            count(
                "targets are judged healthy by their owner and another organisation".to_owned(),
                judged,
                to_judge,
            ),
        ];
        let next = at_once(proposal.next_stage(), conditions);
        let waiting = vec![actors("claim", Role::Executor, self.executors())];
        (vec![next, self.at_deadline(Stage::RollingBack)], waiting)
    }

    fn rollback(&self) -> Prospects {
        let steps = &self.proposal.execution.steps;
        let left = steps.iter().filter(|progress| progress.needs_undo()).count();
        let touched = steps.iter().filter(|progress| progress.may_have_effect()).count();
        let undone = count("steps are undone".to_owned(), touched.saturating_sub(left), touched);
        let next = vec![at_once(Stage::RolledBack, vec![undone]), self.at_deadline(Stage::RollbackFailed)];
        (next, vec![actors("claim", Role::Executor, self.executors())])
    }

    fn failure(&self) -> Prospects {
        let (used, most) = (self.proposal.execution.retries, self.proposal.parameters.retries);
        let budget = Condition {
            what: "attempts are used".to_owned(),
            part: used.into(),
            whole: most.into(),
            holds: used < most,
        };
        let next = vec![at_once(Stage::Canary, vec![budget]), self.at_deadline(Stage::Auditing)];
        (next, vec![actors("resume", Role::Executor, self.executors())])
    }

    fn audit(&self) -> Prospects {
        let needed = self.proposal.parameters.attestations;
        let given = self.proposal.attestations.len();
        let closed = at_once(Stage::Closed, vec![count("auditors find it sound".to_owned(), given, needed)]);
        let auditors = self.members(Role::Auditor, |id| !self.proposal.attestations.contains_key(id));
        (vec![closed, at_once(Stage::Disputed, Vec::new())], vec![actors("attest", Role::Auditor, auditors)])
    }

    fn members(&self, role: Role, may: impl Fn(&MemberId) -> bool) -> Vec<MemberId> {
        self.registry.members_with(role).filter(|id| may(id)).cloned().collect()
    }

    fn executors(&self) -> Vec<MemberId> {
        let steps = &self.proposal.plan.steps;
        self.members(Role::Executor, |id| {
            steps.iter().any(|step| self.registry.is_executor_of(id, &step.target))
        })
    }

    fn at_deadline(&self, to: Stage) -> Outlook {
        Outlook { to, earliest: self.proposal.deadline, conditions: Vec::new() }
    }
}

fn at_once(to: Stage, conditions: Vec<Condition>) -> Outlook {
    Outlook { to, earliest: None, conditions }
}

fn actors(may: &'static str, role: Role, members: Vec<MemberId>) -> Actors {
    Actors { may, role, members }
}

fn count(what: String, part: usize, whole: impl TryInto<u64>) -> Condition {
    let part = u64::try_from(part).unwrap_or(u64::MAX);
    let whole = whole.try_into().unwrap_or(u64::MAX);
    Condition { what, part, whole, holds: part >= whole }
}

fn holds(what: &str, holds: bool) -> Condition {
    Condition { what: what.to_owned(), part: holds.into(), whole: 1, holds }
}

fn threshold_words(test: &crate::tally::TallyTest) -> String {
    use crate::{constitution::Threshold, tally::TallyTestKind};
    match (test.kind, test.threshold) {
        (TallyTestKind::Objection, Threshold::AtLeast(ratio)) => format!("below {ratio}"),
        (TallyTestKind::Objection, Threshold::MoreThan(ratio)) => format!("at most {ratio}"),
        (_, Threshold::AtLeast(ratio)) => format!("at least {ratio}"),
        (_, Threshold::MoreThan(ratio)) => format!("more than {ratio}"),
    }
}
