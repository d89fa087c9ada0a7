//! Owns the life of one proposal as its events may tell it: the model's own table of moves and what has to have
//! happened before each. It shares no rule with the contracts that it judges, only the names of things.

use std::collections::{BTreeMap, BTreeSet};

use althing_contracts::{
    constitution::Constitution,
    event::Event,
    name::{MemberId, OrgId, TargetId},
    quantity::{DurationMs, Fence, Revision, TimeMs},
    stage::Stage,
    transaction::{ReviewVerdict, StepOutcome},
};

/// An event that the model does not allow where it stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Deviation {
    /// What is wrong.
    pub what: String,
}

/// The shortest periods that any track asks for at the beginning: no proposal may be quicker. Those who change the rules that
/// are followed here shorten none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Periods {
    lease: DurationMs,
    timelock: DurationMs,
}

/// What the events have told of one proposal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Life {
    stage: Stage,
    revision: Revision,
    author: OrgId,
    approvals: BTreeSet<OrgId>,
    voters: BTreeSet<MemberId>,
    passes: bool,
    /// When its timelock began, and until when its execution may begin once that is over.
    queued: Option<TimeMs>,
    execute_by: Option<TimeMs>,
    steps: BTreeMap<u16, Step>,
    /// Who has judged which target healthy since the stage began; nobody judges twice.
    healthy: BTreeSet<(TargetId, OrgId)>,
    unhealthy: bool,
    cosigners: BTreeSet<MemberId>,
    /// When it changed the rules.
    enacted: Option<TimeMs>,
    auditors: BTreeSet<MemberId>,
    disputed: bool,
}

/// What the events have told of one step.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Step {
    target: TargetId,
    claim: Claim,
    outcome: Option<bool>,
    undone: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Claim {
    executor: MemberId,
    fence: Fence,
    undo: bool,
    since: TimeMs,
    /// It was reported, so that nobody is kept from the step by it.
    reported: bool,
}

impl Periods {
    pub(super) fn of(constitution: &Constitution) -> Self {
        let tracks = || constitution.tracks.values();
        let least = |period: fn(&_) -> DurationMs| tracks().map(period).min().unwrap_or(DurationMs::ZERO);
        Self { lease: least(|track| track.lease), timelock: least(|track| track.timelock) }
    }

    /// The same for the judgement over an emergency, which nothing waits for.
    pub(super) const fn without_timelock(self) -> Self {
        Self { timelock: DurationMs::ZERO, ..self }
    }
}

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Result<(), Deviation> {
    if holds { Ok(()) } else { Err(Deviation { what: what() }) }
}

impl Life {
    /// A proposal that was just received; the event has to be its submission.
    pub(super) fn begin(event: &Event) -> Result<Self, Deviation> {
        let Event::Submitted { author, revision, .. } = event else {
            return Err(Deviation { what: "its first event is not its submission".to_owned() });
        };
        ensure(revision.get() == 1, || format!("it began with revision {revision}"))?;
        Ok(Self::blank(author, *revision))
    }

    fn blank(author: &MemberId, revision: Revision) -> Self {
        Self {
            stage: Stage::Submitted,
            revision,
            author: author.org(),
            approvals: BTreeSet::new(),
            voters: BTreeSet::new(),
            passes: false,
            queued: None,
            execute_by: None,
            steps: BTreeMap::new(),
            healthy: BTreeSet::new(),
            unhealthy: false,
            cosigners: BTreeSet::new(),
            enacted: None,
            auditors: BTreeSet::new(),
            disputed: false,
        }
    }

    pub(super) const fn stage(&self) -> Stage {
        self.stage
    }

    /// Takes the next event, at the time of its block.
    pub(super) fn take(&mut self, periods: Periods, time: TimeMs, event: &Event) -> Result<(), Deviation> {
        match event {
            Event::Submitted { author, revision, .. } => self.edited(author, *revision),
            Event::StageChanged { from, to, .. } => self.went(periods, time, (*from, *to)),
            Event::RulesBroken { .. } => self.in_stage(&[Stage::Submitted], "the hard rules judged it"),
            Event::Reviewed { reviewer, verdict, .. } => self.reviewed(reviewer, *verdict),
            Event::Voted { voter, .. } => self.voted(voter),
            Event::VotingExtended { until, .. } => {
                ensure(*until > time, || "its vote was extended into the past".to_owned())?;
                self.in_stage(&[Stage::Voting], "its vote was extended")
            }
            Event::Tallied { tally, .. } => {
                ensure(tally.passes == tally.tests.iter().all(|test| test.holds), || {
                    "the count and its tests disagree".to_owned()
                })?;
                self.passes = tally.passes;
                self.in_stage(&[Stage::Voting, Stage::Confirming], "its vote was counted")
            }
            Event::Promoted { .. } => self.in_stage(&[Stage::Voting], "its vote became a full one"),
            Event::TimelockElapsed { execute_by, .. } => self.released(periods, time, *execute_by),
            Event::StepClaimed { step, target, executor, fence, undo, .. } => {
                let (executor, fence, undo) = (executor.clone(), *fence, *undo);
                let claim = Claim { executor, fence, undo, since: time, reported: false };
                self.claimed(periods, *step, target, claim)
            }
            Event::StepReported { step, executor, fence, undo, outcome, .. } => {
                self.reported(*step, (executor, *fence, *undo), outcome)
            }
            Event::HealthAttested { target, attester, org, health, .. } => {
                ensure(attester.org() == *org, || format!("{attester} judged for {org}"))?;
                self.judged(target, org, health.healthy)
            }
            Event::Resumed { .. } => self.resumed(),
            Event::Attested { auditor, verdict, .. } => {
                self.disputed |= *verdict != althing_contracts::transaction::AuditVerdict::Sound;
                ensure(self.auditors.insert(auditor.clone()), || format!("{auditor} attested twice"))?;
                self.in_stage(&[Stage::Auditing], "an auditor attested")
            }
            Event::Warned { .. } => self.in_stage(&[Stage::Auditing], "its audit was overdue"),
            Event::Cosigned { guardian, .. } => {
                ensure(guardian.org() != self.author, || {
                    format!("{guardian} signed for the own organisation")
                })?;
                ensure(self.cosigners.insert(guardian.clone()), || format!("{guardian} signed twice"))?;
                self.in_stage(&[Stage::Queued], "a guardian signed it")
            }
            Event::Amended { .. }
            | Event::Enacted { .. }
            | Event::Reinstated { .. }
            | Event::EmergencyRatified { .. }
            | Event::Awake { .. } => self.enacted(periods, time),
            Event::ExpiryNear { at, .. } => {
                ensure(*at > time, || "it was said to expire when it had".to_owned())?;
                self.in_stage(&[Stage::Review, Stage::Voting, Stage::Queued], "it was about to expire")
            }
            Event::Dormant { .. } => self.in_stage(&[Stage::Defeated], "governance fell dormant with it"),
            Event::CooldownBegan { .. } => self.in_stage(
                &[Stage::Rejected, Stage::Defeated, Stage::Vetoed, Stage::Expired],
                "its content was kept out",
            ),
            Event::BondHeld { author, .. } => {
                ensure(author.org() == self.author, || format!("{author} gave its bond"))?;
                self.in_stage(&[Stage::Review, Stage::Voting], "its bond was taken")
            }
            Event::BondSettled { .. } => {
                ensure(self.stage.is_terminal() || self.stage == Stage::Auditing, || {
                    format!("its bond was settled while it was {}", self.stage)
                })
            }
            Event::EmergencyReverted { .. } => self.in_stage(&[Stage::Defeated], "an emergency fell with it"),
            Event::Equivocated { .. }
            | Event::Delegated { .. }
            | Event::Revoked { .. }
            | Event::KeyReplaced { .. }
            | Event::RecoverySigned { .. }
            | Event::RecoveryAgreed { .. }
            | Event::RecoveryStopped { .. }
            | Event::EmergencyDeclared { .. }
            | Event::EmergencySigned { .. }
            | Event::EmergencyLapsed { .. }
            | Event::EmergencyActivated { .. }
            | Event::EmergencyLifted { .. }
            | Event::EmergencyAttested { .. } => Ok(()),
        }
    }

    fn in_stage(&self, stages: &[Stage], what: &str) -> Result<(), Deviation> {
        ensure(stages.contains(&self.stage), || format!("{what} while it was {}", self.stage))
    }

    fn edited(&mut self, author: &MemberId, revision: Revision) -> Result<(), Deviation> {
        self.in_stage(&[Stage::Submitted], "it was edited")?;
        let expected = self.revision.next();
        ensure(revision == expected, || format!("revision {revision} follows {}", self.revision))?;
        ensure(author.org() == self.author, || format!("{author} edited what is not theirs"))?;
        *self = Self::blank(author, revision);
        Ok(())
    }

    fn reviewed(&mut self, reviewer: &MemberId, verdict: ReviewVerdict) -> Result<(), Deviation> {
        self.in_stage(&[Stage::Review], "it was reviewed")?;
        ensure(reviewer.org() != self.author, || format!("{reviewer} reviewed for the own organisation"))?;
        if verdict == ReviewVerdict::Approve {
            self.approvals.insert(reviewer.org());
        }
        Ok(())
    }

    fn voted(&mut self, voter: &MemberId) -> Result<(), Deviation> {
        self.in_stage(&[Stage::Voting, Stage::Confirming], "a ballot was cast")?;
        ensure(self.voters.insert(voter.clone()), || format!("{voter} voted twice"))
    }

    fn enacted(&mut self, periods: Periods, time: TimeMs) -> Result<(), Deviation> {
        self.in_stage(&[Stage::Queued], "it changed the rules")?;
        ensure(self.enacted.is_none_or(|before| before == time), || {
            "it changed the rules at two times".to_owned()
        })?;
        let since = self.queued.ok_or_else(|| Deviation { what: "it was never queued".to_owned() })?;
        let ended = since.after(periods.timelock);
        ensure(time >= ended, || {
            format!("it changed the rules at {time}, its timelock of {since} ends {ended}")
        })?;
        self.enacted = Some(time);
        Ok(())
    }

    fn released(&mut self, periods: Periods, time: TimeMs, execute_by: TimeMs) -> Result<(), Deviation> {
        self.in_stage(&[Stage::Queued], "its timelock ended")?;
        let since = self.queued.ok_or_else(|| Deviation { what: "it was never queued".to_owned() })?;
        ensure(time >= since.after(periods.timelock), || format!("its timelock of {since} ended at {time}"))?;
        ensure(execute_by > time, || "its time was over with its timelock".to_owned())?;
        self.execute_by = Some(execute_by);
        Ok(())
    }

    fn went(&mut self, periods: Periods, time: TimeMs, (from, to): (Stage, Stage)) -> Result<(), Deviation> {
        ensure(from == self.stage, || format!("it left {from}, but was {}", self.stage))?;
        ensure(may_go(from, to), || format!("it went from {from} to {to}"))?;
        self.check_cause(periods, time, to).map_err(|Deviation { what }| Deviation {
            what: format!("it went from {from} to {to}: {what}"),
        })?;
        if !matches!(to, Stage::RollingBack) {
            self.healthy.clear();
            self.unhealthy = false;
        }
        match to {
            Stage::Queued => self.queued = Some(time),
            Stage::Canary if from == Stage::Failed => self.steps.clear(),
            _ => {}
        }
        self.stage = to;
        Ok(())
    }

    /// What has to have happened before it goes there.
    fn check_cause(&self, periods: Periods, time: TimeMs, to: Stage) -> Result<(), Deviation> {
        match (self.stage, to) {
            (Stage::Voting, Stage::Confirming) => ensure(self.passes, || "the count fails".to_owned()),
            (Stage::Confirming, Stage::Queued) => ensure(self.passes, || "the count fails".to_owned()),
            (Stage::Confirming, Stage::Voting) | (Stage::Voting, Stage::Defeated) => {
                ensure(!self.passes, || "the count passes".to_owned())
            }
            (Stage::Queued, Stage::Canary) => {
                let begins = self.execute_by.is_some_and(|by| time < by)
                    && self.queued.is_some_and(|since| since.after(periods.timelock) <= time);
                ensure(begins, || "it is not its time".to_owned())
            }
            (Stage::Queued, Stage::Executed) => {
                ensure(self.enacted == Some(time), || "the ledger has carried nothing out".to_owned())
            }
            (Stage::Canary | Stage::Rollout(_), Stage::Rollout(_) | Stage::Verifying)
            | (Stage::Verifying, Stage::Executed) => self.check_gate(),
            (_, Stage::RollingBack) => {
                ensure(self.next_undo().is_some(), || "there is nothing to undo".to_owned())
            }
            (Stage::Canary | Stage::Rollout(_) | Stage::Verifying, Stage::Failed) => {
                ensure(self.next_undo().is_none(), || "a step may have taken effect".to_owned())
            }
            (Stage::RollingBack, Stage::RolledBack) => {
                ensure(self.next_undo().is_none(), || "a step is not undone".to_owned())
            }
            (Stage::Auditing, Stage::Closed) => {
                let sound = !self.disputed && !self.auditors.is_empty();
                ensure(sound, || "no auditor finds it sound".to_owned())
            }
            (Stage::Auditing, Stage::Disputed) => {
                ensure(self.disputed, || "no auditor disputes it".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Every step is done, and some target was judged healthy by two organisations.
    fn check_gate(&self) -> Result<(), Deviation> {
        let done = !self.steps.is_empty() && self.steps.values().all(|step| step.outcome == Some(true));
        ensure(done, || "a step is not done".to_owned())?;
        ensure(!self.unhealthy, || "a target is unhealthy".to_owned())?;
        let judges = |target: &TargetId| self.healthy.iter().filter(|(judged, _)| judged == target).count();
        let looked_at: BTreeSet<&TargetId> = self.healthy.iter().map(|(target, _)| target).collect();
        let enough = !looked_at.is_empty() && looked_at.into_iter().all(|target| judges(target) >= 2);
        ensure(enough, || "its health was not judged by two organisations".to_owned())
    }

    fn claimed(
        &mut self,
        periods: Periods,
        step: u16,
        target: &TargetId,
        claim: Claim,
    ) -> Result<(), Deviation> {
        if claim.undo {
            self.in_stage(&[Stage::RollingBack], "an undo was claimed")?;
            let next = self.next_undo();
            ensure(next == Some(step), || format!("the undo of step {step} was claimed, {next:?} is due"))?;
        } else {
            let executing = matches!(self.stage, Stage::Canary | Stage::Rollout(_));
            ensure(executing, || format!("step {step} was claimed while it was {}", self.stage))?;
        }
        if let Some(known) = self.steps.get(&step) {
            let held = &known.claim;
            let free = held.reported
                || claim.since >= held.since.after(periods.lease)
                || (claim.undo && !held.undo && claim.executor == held.executor);
            ensure(free, || format!("step {step} was claimed while {} held it", held.executor))?;
            ensure(claim.fence > held.fence, || format!("fence {} of step {step} fell", claim.fence))?;
            ensure(claim.undo || known.outcome.is_none(), || format!("step {step} was claimed again"))?;
        }
        let new = Step { target: target.clone(), claim: claim.clone(), outcome: None, undone: false };
        let known = self.steps.entry(step).or_insert(new);
        known.claim = claim;
        ensure(known.target == *target, || format!("step {step} moved to {target}"))
    }

    fn reported(
        &mut self,
        step: u16,
        (executor, fence, undo): (&MemberId, Fence, bool),
        outcome: &StepOutcome,
    ) -> Result<(), Deviation> {
        let executing = matches!(self.stage, Stage::Canary | Stage::Rollout(_) | Stage::RollingBack);
        ensure(executing, || format!("step {step} was reported while it was {}", self.stage))?;
        let known = self.steps.get_mut(&step);
        let known = known.ok_or_else(|| Deviation { what: format!("step {step} was never claimed") })?;
        let claim = &mut known.claim;
        let held = claim.executor == *executor && claim.fence == fence && claim.undo == undo;
        ensure(held, || format!("{executor} reported step {step} under fence {fence}, which is not held"))?;
        ensure(!claim.reported, || format!("step {step} was reported twice under fence {fence}"))?;
        claim.reported = true;
        let done = *outcome == StepOutcome::Done;
        if undo {
            ensure(!known.undone, || format!("step {step} was undone twice"))?;
            known.undone = done;
        } else {
            ensure(known.outcome.is_none(), || format!("step {step} has two outcomes"))?;
            known.outcome = Some(done);
        }
        Ok(())
    }

    fn judged(&mut self, target: &TargetId, org: &OrgId, healthy: bool) -> Result<(), Deviation> {
        let gate = matches!(self.stage, Stage::Canary | Stage::Rollout(_) | Stage::Verifying);
        ensure(gate, || format!("{target} was judged while it was {}", self.stage))?;
        self.unhealthy |= !healthy;
        ensure(self.healthy.insert((target.clone(), org.clone())), || format!("{org} judged {target} twice"))
    }

    fn resumed(&mut self) -> Result<(), Deviation> {
        self.in_stage(&[Stage::Canary], "it was taken up again")?;
        ensure(self.steps.is_empty(), || "it was taken up again half-way".to_owned())
    }

    /// The last step that took or may have taken effect and is not undone.
    fn next_undo(&self) -> Option<u16> {
        let may_have_effect = |step: &&Step| step.outcome != Some(false) && !step.undone;
        self.steps.iter().filter(|(_, step)| may_have_effect(step)).map(|(step, _)| *step).next_back()
    }
}

/// The moves of a life, written down from the design and not from the code.
fn may_go(from: Stage, to: Stage) -> bool {
    use Stage::{
        Auditing, Canary, Cancelled, Closed, Confirming, Defeated, Disputed, Executed, Expired, Failed,
        Queued, Rejected, Review, RollbackFailed, RolledBack, RollingBack, Rollout, Submitted, Superseded,
        Verifying, Vetoed, Voting,
    };
    match from {
        Submitted => matches!(to, Review | Rejected),
        Review => matches!(to, Submitted | Voting | Rejected | Expired | Cancelled | Superseded),
        Voting => matches!(to, Confirming | Defeated | Cancelled | Superseded),
        Confirming => matches!(to, Queued | Voting | Cancelled | Superseded),
        Queued => matches!(to, Canary | Executed | Vetoed | Superseded | Expired),
        Canary => matches!(to, Rollout(1) | Verifying | RollingBack | Failed),
        Rollout(stage) => {
            matches!(to, Verifying | RollingBack | Failed)
                || matches!(to, Rollout(next) if Some(next) == stage.checked_add(1))
        }
        Verifying => matches!(to, Executed | RollingBack | Failed),
        RollingBack => matches!(to, RolledBack | RollbackFailed),
        Executed | RolledBack | RollbackFailed => to == Auditing,
        Failed => matches!(to, Canary | Auditing),
        Auditing => matches!(to, Closed | Disputed),
        Closed | Disputed | Rejected | Defeated | Vetoed | Superseded | Expired | Cancelled => false,
    }
}
