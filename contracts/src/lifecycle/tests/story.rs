//! Whole lives from submission to their end.

use crate::{
    digest::Digest,
    document::ProposalDocument,
    event::Event,
    name::MemberId,
    quantity::{DurationMs, Fence},
    reject::Reject,
    role::Role,
    stage::Stage,
    state::Applied,
    testing::{World, deploy, healthy, unhealthy},
    transaction::{AuditVerdict, Call, Choice, HealthReport, ProposalId, ReviewVerdict, StepOutcome},
};

/// Three stages over one target each.
pub(crate) const STAGES: &[&[&str]] = &[&["acme-north"], &["birch-north"], &["cedar-north"]];

/// A world with one proposal that has passed its timelock.
pub(crate) fn executable(stages: &[&[&str]]) -> (World, ProposalId) {
    let mut world = World::new(4);
    let id = queue(&mut world, "2", stages);
    world.pass_to_deadline();
    (world, id)
}

/// Brings a proposal into the queue.
pub(crate) fn queue(world: &mut World, version: &str, stages: &[&[&str]]) -> ProposalId {
    world.pass(DurationMs::new(1));
    let id = world.submit("acme/author", deploy(version, stages)).unwrap();
    world.review("birch/author", id, ReviewVerdict::Approve).unwrap();
    for voter in ["acme/author", "birch/author", "cedar/author"] {
        world.vote(voter, id, Choice::For).unwrap();
    }
    while matches!(stage(world, id), Stage::Voting | Stage::Confirming) {
        world.pass_to_deadline();
    }
    assert_eq!(stage(world, id), Stage::Queued);
    id
}

pub(crate) fn stage(world: &World, id: ProposalId) -> Stage {
    world.state.proposal(id).unwrap().stage
}

/// The executor of the owner of a step's target.
pub(crate) fn executor(world: &World, id: ProposalId, step: u16) -> MemberId {
    let planned = &world.state.proposal(id).unwrap().plan.steps[usize::from(step)];
    crate::testing::member(&format!("{}/executor", planned.owner))
}

pub(crate) fn claim(world: &mut World, id: ProposalId, step: u16) -> Result<Applied, Reject> {
    let executor = executor(world, id, step);
    world.call(executor.as_str(), Role::Executor, Call::Claim { proposal: id, step })
}

pub(crate) fn fence(world: &World, id: ProposalId, step: u16) -> Fence {
    world.state.proposal(id).unwrap().execution.steps[usize::from(step)].claim.as_ref().unwrap().fence
}

pub(crate) fn report(
    world: &mut World,
    id: ProposalId,
    step: u16,
    outcome: StepOutcome,
) -> Result<Applied, Reject> {
    let (executor, fence) = (executor(world, id, step), fence(world, id, step));
    let call = Call::Receipt { proposal: id, step, fence, outcome, evidence: Digest::ZERO };
    world.call(executor.as_str(), Role::Executor, call)
}

pub(crate) fn carry_out(world: &mut World, id: ProposalId, step: u16) {
    claim(world, id, step).unwrap();
    report(world, id, step, StepOutcome::Done).unwrap();
}

pub(crate) fn attest(
    world: &mut World,
    id: ProposalId,
    by: &str,
    step: u16,
    health: HealthReport,
) -> Result<Applied, Reject> {
    let stage = world.state.proposal(id).unwrap().execution.stage;
    world.call(by, Role::Executor, Call::AttestHealth { proposal: id, stage, step, health })
}

/// The owner and one other organisation find a step's target healthy.
pub(crate) fn judge(world: &mut World, id: ProposalId, step: u16) {
    let owner = executor(world, id, step);
    let other = if owner.org_str() == "delta" { "acme/executor" } else { "delta/executor" };
    attest(world, id, owner.as_str(), step, healthy()).unwrap();
    attest(world, id, other, step, healthy()).unwrap();
}

pub(crate) fn audit(world: &mut World, id: ProposalId, verdict: AuditVerdict) -> Result<Applied, Reject> {
    let ended = world.state.proposal(id).unwrap().ended.unwrap().height;
    let block = world.state.block_digest(ended).unwrap_or(Digest::ZERO);
    world.call("acme/auditor", Role::Auditor, Call::Attest { proposal: id, verdict, height: ended, block })
}

#[test]
fn a_change_goes_from_submission_to_closed_stage_by_stage() {
    let (mut world, id) = executable(STAGES);
    let mut seen = Vec::new();
    for step in 0..3 {
        carry_out(&mut world, id, step);
        seen.push(stage(&world, id));
        judge(&mut world, id, step);
    }
    assert_eq!(seen, [Stage::Canary, Stage::Rollout(1), Stage::Rollout(2)]);
    assert_eq!(stage(&world, id), Stage::Verifying);
    for step in 0..3 {
        judge(&mut world, id, step);
    }
    assert_eq!(stage(&world, id), Stage::Auditing);
    world.pass(DurationMs::new(1));
    audit(&mut world, id, AuditVerdict::Sound).unwrap();
    assert_eq!(stage(&world, id), Stage::Closed);
    let applied = &world.state.target(&crate::testing::target("cedar-north")).unwrap().applied;
    assert_eq!(applied.len(), 1);
}

#[test]
fn a_failed_health_check_undoes_every_step_from_the_last_to_the_first() {
    let (mut world, id) = executable(STAGES);
    for step in 0..2 {
        carry_out(&mut world, id, step);
        if step == 0 {
            judge(&mut world, id, step);
        }
    }
    attest(&mut world, id, "birch/executor", 1, unhealthy()).unwrap();
    assert_eq!(stage(&world, id), Stage::RollingBack);
    assert!(claim(&mut world, id, 0).is_err(), "the last step is undone first");
    for step in [1, 0] {
        carry_out(&mut world, id, step);
    }
    let proposal = world.state.proposal(id).unwrap();
    assert_eq!(proposal.ended.unwrap().stage, Stage::RolledBack);
    assert!(world.state.targets().all(|(_, target)| target.applied.is_empty() && target.busy.is_none()));
}

/// Brings a document with acts to a vote that all but the last take part in.
pub(crate) fn propose_acts(world: &mut World, document: ProposalDocument) -> ProposalId {
    world.pass(DurationMs::new(1));
    let id = world.submit("acme/author", document).unwrap();
    for reviewer in ["birch/author", "cedar/author", "delta/author"] {
        if stage(world, id) == Stage::Review {
            world.review(reviewer, id, ReviewVerdict::Approve).unwrap();
        }
    }
    assert_eq!(stage(world, id), Stage::Voting, "{:?}", world.state.proposal(id).unwrap().findings);
    let voters: Vec<MemberId> = world.state.members_with(Role::Voter).cloned().collect();
    for voter in voters.iter().rev().skip(1) {
        world.vote(voter.as_str(), id, Choice::For).unwrap();
    }
    id
}

/// Brings a document with acts into the queue.
pub(crate) fn decide_acts(world: &mut World, document: ProposalDocument) -> ProposalId {
    let id = propose_acts(world, document);
    while stage(world, id) != Stage::Queued {
        world.pass_to_deadline();
    }
    id
}

/// Decides acts and goes on until the ledger has carried them out, or not; yields what happened at the end of the timelock.
pub(crate) fn enact_acts(world: &mut World, document: ProposalDocument) -> (ProposalId, Vec<Event>) {
    let id = decide_acts(world, document);
    sign(world, id);
    let events = pass_timelock(world, id);
    (id, events)
}

/// Guardians of two organisations sign what acme proposed.
pub(crate) fn sign(world: &mut World, id: ProposalId) {
    world.cosign("birch/guardian", id).unwrap();
    world.cosign("cedar/guardian", id).unwrap();
}

/// Goes on until the proposal's timelock is over.
pub(crate) fn pass_timelock(world: &mut World, id: ProposalId) -> Vec<Event> {
    let eta = world.state.proposal(id).unwrap().eta.unwrap();
    world.pass(eta.since(world.state.time()))
}

/// Why a proposal was superseded.
pub(crate) fn cause_of(events: &[Event], proposal: ProposalId) -> String {
    let cause = events.iter().find_map(|event| match event {
        Event::StageChanged { proposal: about, to: Stage::Superseded, cause, .. } if *about == proposal => {
            Some(cause.to_string())
        }
        _ => None,
    });
    cause.unwrap_or_else(|| panic!("it was not superseded: {events:?}"))
}
