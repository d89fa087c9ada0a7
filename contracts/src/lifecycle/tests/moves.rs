//! The table of moves as a whole: what it takes, what it refuses, and that both agree with what it says.

use super::story::{STAGES, attest, carry_out, claim, executable, judge, queue, report, stage};
use crate::{
    digest::Digest,
    lifecycle::allowed,
    quantity::{Fence, Height},
    reject::Reject,
    role::Role,
    testing::{World, deploy, healthy, line, unhealthy},
    transaction::{AuditVerdict, Call, Choice, ProposalId, ReviewVerdict, StepOutcome},
};

/// One world for each stage in which a proposal can rest.
pub(crate) fn worlds() -> Vec<(World, ProposalId)> {
    let mut worlds = Vec::new();
    let mut world = World::new(4);
    let id = world.submit("acme/author", deploy("2", STAGES)).unwrap();
    worlds.push((world.clone(), id));
    world.review("birch/author", id, ReviewVerdict::Approve).unwrap();
    worlds.push((world.clone(), id));
    world.vote("acme/author", id, Choice::For).unwrap();
    world.vote("birch/author", id, Choice::For).unwrap();
    world.pass_to_deadline();
    worlds.push((world, id));
    let mut world = World::new(4);
    let queued = queue(&mut world, "2", STAGES);
    worlds.push((world, queued));
    worlds.extend(executing());
    worlds
}

fn executing() -> Vec<(World, ProposalId)> {
    let mut worlds = Vec::new();
    let (mut world, id) = executable(STAGES);
    claim(&mut world, id, 0).unwrap();
    worlds.push((world.clone(), id));
    let mut failing = world.clone();
    let outcome = StepOutcome::Failed { reason: line("no"), retryable: true };
    report(&mut failing, id, 0, outcome).unwrap();
    worlds.push((failing, id));
    report(&mut world, id, 0, StepOutcome::Done).unwrap();
    let mut rolling = world.clone();
    attest(&mut rolling, id, "delta/executor", 0, unhealthy()).unwrap();
    worlds.push((rolling, id));
    judge(&mut world, id, 0);
    worlds.push((world.clone(), id));
    for step in 1..3 {
        carry_out(&mut world, id, step);
        judge(&mut world, id, step);
    }
    worlds.push((world.clone(), id));
    for step in 0..3 {
        judge(&mut world, id, step);
    }
    worlds.push((world.clone(), id));
    world.pass(crate::quantity::DurationMs::new(1));
    super::story::audit(&mut world, id, AuditVerdict::Sound).unwrap();
    worlds.push((world, id));
    worlds
}

pub(super) fn calls(world: &World, id: ProposalId) -> Vec<(&'static str, Role, &'static str, Call)> {
    let proposal = world.state.proposal(id).unwrap();
    let (revision, plan_hash) = (proposal.revision, proposal.plan_hash);
    let document = deploy("9", STAGES);
    let edited = world.state.plan(&document).map(|plan| plan.hash()).unwrap_or_default();
    let reason = || line("a reason");
    let (step, fence, evidence) = (0, Fence::new(77), Digest::ZERO);
    vec![
        (
            "acme/author",
            Role::Author,
            "revise",
            Call::Revise { proposal: id, replaces: revision, document, plan_hash: edited },
        ),
        ("acme/author", Role::Author, "cancel", Call::Cancel { proposal: id, reason: reason() }),
        (
            "cedar/author",
            Role::Reviewer,
            "review",
            Call::Review {
                proposal: id,
                revision,
                plan_hash,
                verdict: ReviewVerdict::Refuse,
                reason: reason(),
            },
        ),
        (
            "delta/author",
            Role::Voter,
            "vote",
            Call::Vote { proposal: id, revision, plan_hash, choice: Choice::Against },
        ),
        ("birch/guardian", Role::Guardian, "veto", Call::Veto { proposal: id, reason: reason() }),
        ("birch/guardian", Role::Guardian, "cosign", Call::Cosign { proposal: id, revision, plan_hash }),
        ("delta/executor", Role::Executor, "claim", Call::Claim { proposal: id, step }),
        (
            "acme/executor",
            Role::Executor,
            "receipt",
            Call::Receipt { proposal: id, step, fence, outcome: StepOutcome::Done, evidence },
        ),
        (
            "birch/executor",
            Role::Executor,
            "attest-health",
            Call::AttestHealth { proposal: id, stage: 99, step, health: healthy() },
        ),
        ("acme/executor", Role::Executor, "resume", Call::Resume { proposal: id }),
        ("acme/executor", Role::Executor, "abort", Call::Abort { proposal: id, reason: reason() }),
        (
            "acme/auditor",
            Role::Auditor,
            "attest",
            Call::Attest {
                proposal: id,
                verdict: AuditVerdict::Unsound { finding: reason() },
                height: Height::ZERO,
                block: Digest::ZERO,
            },
        ),
    ]
}

#[test]
fn every_stage_takes_what_it_says_it_takes_and_refuses_the_rest() {
    let mut seen = std::collections::BTreeSet::new();
    for (world, id) in worlds() {
        let stands = stage(&world, id);
        seen.insert(stands);
        for (sender, role, name, call) in calls(&world, id) {
            let refused = matches!(world.ask(sender, role, call), Err(Reject::IllegalMove { .. }));
            let possible = allowed(stands).contains(&name);
            assert_eq!(refused, !possible, "{name} while {stands}");
        }
        let without_cosign: Vec<_> = allowed(stands).into_iter().filter(|call| *call != "cosign").collect();
        assert_eq!(world.state.allowed_moves(id), without_cosign, "its track asks for no co-signature");
    }
    assert_eq!(seen.len(), 11, "{seen:?}");
}
