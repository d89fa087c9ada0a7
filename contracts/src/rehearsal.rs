//! Owns the rehearsal: the whole life of a proposal on a copy of the state, by the same rules, with chosen ballots and
//! failures. Nothing of it is signed, sent or kept: whom the state knows acts as the script says.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    digest::{Digest, Purpose},
    document::{HealthCheck, ProposalDocument},
    event::Event,
    name::{Line, MemberId, OrgId, TargetId},
    proposal::{Order, Proposal, Work},
    quantity::{DurationMs, TimeMs},
    reject::Reject,
    role::Role,
    stage::Stage,
    state::{Applied, Input, State},
    transaction::{
        AuditVerdict, Call, Choice, HealthReport, ProposalId, ReviewVerdict, StepOutcome, TransactionBody,
        VerifiedTransaction,
    },
};

/// Turns after which a rehearsal gives up: far more than the steps, gates and deadlines of any life.
const TURNS_MAX: usize = 4_096;
const TICK: DurationMs = DurationMs::new(1);

/// What happens that is not as it should be; everyone else reviews, votes for, signs and carries out at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// Who opens the proposal.
    pub author: MemberId,
    /// Ballots other than for; `None` is nobody's ballot.
    pub ballots: BTreeMap<MemberId, Option<Choice>>,
    /// Organisations whose reviewers refuse.
    pub refusing: BTreeSet<OrgId>,
    /// Whether no guardian signs.
    pub unsigned: bool,
    /// A step that fails without an effect.
    pub failing_step: Option<u16>,
    /// A stage whose targets are found unhealthy; the number of stages stands for the final verification.
    pub unhealthy_stage: Option<u8>,
}

impl Script {
    /// Everything goes well.
    #[must_use]
    pub const fn of(author: MemberId) -> Self {
        Self {
            author,
            ballots: BTreeMap::new(),
            refusing: BTreeSet::new(),
            unsigned: false,
            failing_step: None,
            unhealthy_stage: None,
        }
    }
}

/// Something that would happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scene {
    /// How long after the submission, when everyone acts at once.
    pub after: DurationMs,
    /// What.
    pub event: Event,
}

/// A life as it would go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rehearsal {
    /// What would happen, in order.
    pub scenes: Vec<Scene>,
    /// Where it ends.
    pub stage: Stage,
    /// How its execution ends, if there is one.
    pub ended: Option<Stage>,
}

impl State {
    /// Rehearses a proposal on a copy of this state.
    ///
    /// # Errors
    /// The rules refuse the submission, or an act that the script asks for.
    pub fn rehearse(&self, document: &ProposalDocument, script: &Script) -> Result<Rehearsal, Reject> {
        let mut play = Play::begin(self, document, script)?;
        for _ in 0..TURNS_MAX {
            if !play.turn()? {
                break;
            }
        }
        let proposal = play.proposal()?;
        let (stage, ended) = (proposal.stage, proposal.ended.map(|ending| ending.stage));
        Ok(Rehearsal { stage, ended, scenes: play.scenes })
    }
}

struct Play<'a> {
    script: &'a Script,
    state: State,
    id: ProposalId,
    began: TimeMs,
    scenes: Vec<Scene>,
}

impl<'a> Play<'a> {
    fn begin(state: &State, document: &ProposalDocument, script: &'a Script) -> Result<Self, Reject> {
        let (planned, author) = (state.plan(document)?, &script.author);
        let sequence = state.next_sequence(author, Role::Author);
        let id = ProposalId::derive(state.network(), author, sequence, planned.document);
        let mut play = Self { script, state: state.clone(), id, began: state.time(), scenes: Vec::new() };
        play.pass(TICK)?;
        play.began = play.state.time();
        let submit = Call::Submit { document: document.clone(), plan_hash: planned.hash() };
        play.act(author, Role::Author, submit)?;
        Ok(play)
    }

    fn proposal(&self) -> Result<&Proposal, Reject> {
        self.state.proposal(self.id).ok_or(Reject::UnknownProposal { proposal: self.id })
    }

    /// Takes the life a little further; `false` when nothing can follow.
    fn turn(&mut self) -> Result<bool, Reject> {
        match self.proposal()?.stage {
            Stage::Review => self.review()?,
            Stage::Voting => self.vote()?,
            Stage::Confirming => self.pass_to_deadline()?,
            Stage::Queued => self.queue()?,
            Stage::Canary | Stage::Rollout(_) | Stage::Verifying | Stage::RollingBack => self.carry_out()?,
            Stage::Auditing => return self.audit(),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// One reviewer of each other organisation says what the script has it say.
    fn review(&mut self) -> Result<(), Reject> {
        let (own, edition) = (self.proposal()?.author.org(), self.edition()?);
        let reviewers: BTreeMap<OrgId, MemberId> =
            self.with(Role::Reviewer).into_iter().map(|id| (id.org(), id)).collect();
        for (org, reviewer) in reviewers.into_iter().filter(|(org, _)| *org != own) {
            if self.proposal()?.stage != Stage::Review {
                return Ok(());
            }
            let refuses = self.script.refusing.contains(&org);
            let verdict = if refuses { ReviewVerdict::Refuse } else { ReviewVerdict::Approve };
            let (proposal, (revision, plan_hash)) = (self.id, edition);
            let reason = Line::shortened("rehearsed");
            let call = Call::Review { proposal, revision, plan_hash, verdict, reason };
            self.act(&reviewer, Role::Reviewer, call)?;
        }
        if self.proposal()?.stage == Stage::Review { self.pass_to_deadline() } else { Ok(()) }
    }

    /// Everyone who has not voted does, then the vote runs to its end.
    fn vote(&mut self) -> Result<(), Reject> {
        let (revision, plan_hash) = self.edition()?;
        let voters: Vec<MemberId> = self.proposal()?.electorate.weights.keys().cloned().collect();
        for voter in voters {
            let choice = self.script.ballots.get(&voter).copied().unwrap_or(Some(Choice::For));
            let Some(choice) = choice.filter(|_| self.state.may_vote(self.id, &voter).is_ok()) else {
                continue;
            };
            self.act(&voter, Role::Voter, Call::Vote { proposal: self.id, revision, plan_hash, choice })?;
        }
        self.pass_to_deadline()
    }

    /// Guardians sign when they are asked to, the timelock runs out, and the first step is taken.
    fn queue(&mut self) -> Result<(), Reject> {
        let own = self.proposal()?.author.org();
        let (revision, plan_hash) = self.edition()?;
        let mut guardians = self.with(Role::Guardian).into_iter().filter(|id| id.org() != own);
        while !self.script.unsigned && !self.proposal()?.is_cosigned() {
            let Some(guardian) = guardians.next() else { break };
            self.act(&guardian, Role::Guardian, Call::Cosign { proposal: self.id, revision, plan_hash })?;
        }
        if self.proposal()?.stage != Stage::Queued {
            return Ok(());
        }
        self.carry_out()
    }

    /// Does the first piece of work that is due; when there is none, time passes.
    fn carry_out(&mut self) -> Result<(), Reject> {
        let Some(order) = self.order() else { return self.pass_to_deadline() };
        self.pass(TICK)?;
        match order.work {
            Work::Step { step, undo, .. } => self.step(step, undo),
            Work::Judge { stage, step, attested } => self.judge(stage, step, &attested),
        }
    }

    fn step(&mut self, step: u16, undo: bool) -> Result<(), Reject> {
        let proposal = self.id;
        let Some(executor) = self.executor_of(step)? else { return self.pass_to_deadline() };
        self.act(&executor, Role::Executor, Call::Claim { proposal, step })?;
        let claim = self.proposal()?.execution.steps.get(usize::from(step)).and_then(|it| it.claim.clone());
        let Some(claim) = claim else { return Ok(()) };
        let fails = !undo && self.script.failing_step == Some(step);
        let reason = Line::shortened("it fails in this rehearsal");
        let outcome =
            if fails { StepOutcome::Failed { reason, retryable: false } } else { StepOutcome::Done };
        let receipt = Call::Receipt { proposal, step, fence: claim.fence, outcome, evidence: Digest::ZERO };
        self.act(&executor, Role::Executor, receipt)
    }

    /// The owner judges first, then an executor of the next other organisation.
    fn judge(&mut self, stage: u8, step: u16, attested: &BTreeSet<OrgId>) -> Result<(), Reject> {
        let owner = self.proposal()?.plan.steps.get(usize::from(step)).map(|planned| planned.owner.clone());
        let judge = match owner {
            Some(owner) if !attested.contains(&owner) => self.executor_of(step)?,
            owner => self.with(Role::Executor).into_iter().find(|id| Some(id.org()) != owner),
        };
        let Some(judge) = judge else { return self.pass_to_deadline() };
        let is_unhealthy = self.script.unhealthy_stage == Some(stage);
        let health = report(self.proposal()?.document.health.as_ref(), !is_unhealthy);
        self.act(&judge, Role::Executor, Call::AttestHealth { proposal: self.id, stage, step, health })
    }

    /// Auditors find it sound one after the other; `false` when none is left.
    fn audit(&mut self) -> Result<bool, Reject> {
        let known = &self.proposal()?.attestations;
        let next = self.with(Role::Auditor).into_iter().find(|id| !known.contains_key(id));
        let (Some(auditor), Some(ended)) = (next, self.proposal()?.ended) else { return Ok(false) };
        self.pass(TICK)?;
        let Some(block) = self.state.block_digest(ended.height) else { return Ok(false) };
        let (proposal, verdict, height) = (self.id, AuditVerdict::Sound, ended.height);
        self.act(&auditor, Role::Auditor, Call::Attest { proposal, verdict, height, block })?;
        Ok(true)
    }

    fn edition(&self) -> Result<(crate::quantity::Revision, Digest), Reject> {
        self.proposal().map(|proposal| (proposal.revision, proposal.plan_hash))
    }

    fn with(&self, role: Role) -> Vec<MemberId> {
        self.state.members_with(role).cloned().collect()
    }

    /// The first piece of work that is due.
    fn order(&self) -> Option<Order> {
        self.state.orders().into_iter().find(|order| order.proposal == self.id)
    }

    fn executor_of(&self, step: u16) -> Result<Option<MemberId>, Reject> {
        let target = self.proposal()?.plan.steps.get(usize::from(step)).map(|planned| planned.target.clone());
        let executors = |target: TargetId| self.state.target(&target)?.record.executors.first().cloned();
        Ok(target.and_then(executors))
    }

    /// A member acts; the state knows the key, and nobody signs.
    fn act(&mut self, sender: &MemberId, role: Role, call: Call) -> Result<(), Reject> {
        let not_in_role = || Reject::NotInRole { member: sender.clone(), role };
        let member =
            self.state.member(sender).ok_or_else(|| Reject::NotAMember { member: sender.clone() })?;
        let key = member.keys.get(&role).copied().ok_or_else(not_in_role)?;
        let sequence = self.state.next_sequence(sender, role);
        let not_after = self.state.time();
        let body = TransactionBody { sender: sender.clone(), role, sequence, not_after, call };
        let applied = self.state.apply(Input::Transaction(&VerifiedTransaction::rehearsed(key, body)))?;
        self.keep(applied);
        Ok(())
    }

    fn pass_to_deadline(&mut self) -> Result<(), Reject> {
        let due = self.proposal()?.deadline.map_or(TICK, |due| due.since(self.state.time()));
        self.pass(due.max(TICK))
    }

    fn pass(&mut self, later: DurationMs) -> Result<(), Reject> {
        let (height, time) = (self.state.height().next(), self.state.time().after(later));
        let parent = Digest::of_object(Purpose::Header, &height);
        let applied = self.state.apply(Input::Begin { height, time, parent })?;
        self.keep(applied);
        Ok(())
    }

    /// What happens to others on the way is not told.
    fn keep(&mut self, applied: Applied) {
        let Applied::New(events) = applied else { return };
        let after = self.state.time().since(self.began);
        let own = events.into_iter().filter(|event| event.proposal() == Some(self.id));
        self.scenes.extend(own.map(|event| Scene { after, event }));
    }
}

/// Figures that meet a check, or say that it was not met.
fn report(check: Option<&HealthCheck>, healthy: bool) -> HealthReport {
    let samples = check.map_or(0, |check| u32::from(check.samples));
    let reason = if healthy { "" } else { "unhealthy in this rehearsal" };
    HealthReport {
        healthy,
        samples,
        succeeded: if healthy { samples } else { 0 },
        latency_p95_ms: DurationMs::ZERO,
        reason: Line::shortened(reason),
    }
}

#[cfg(test)]
mod tests;
