use althing_contracts::{
    quantity::DurationMs,
    testing::{World, deploy},
    transaction::{Choice, ReviewVerdict},
};

use super::*;
use crate::test_ledger::decide;

fn submitted() -> (World, ProposalId) {
    let mut world = World::new(4);
    world.pass(DurationMs::new(1));
    let id = world.submit("acme/author", deploy("v2", &[&["acme-north"]])).unwrap();
    (world, id)
}

fn judge(world: &World, id: ProposalId, until: &[Stage]) -> Progress {
    progress(world.state.proposal(id).unwrap(), &until.iter().copied().collect())
}

#[test]
fn a_stage_is_reached_when_the_proposal_is_there_or_beyond() {
    let (mut world, id) = submitted();
    assert_eq!(judge(&world, id, &[Stage::Review]), Progress::Reached(Stage::Review));
    assert_eq!(judge(&world, id, &[Stage::Queued]), Progress::Underway(Stage::Review));
    decide(&mut world, id);
    assert_eq!(judge(&world, id, &[Stage::Voting]), Progress::Reached(Stage::Voting));
    assert_eq!(judge(&world, id, &[Stage::Executed]), Progress::Underway(Stage::Queued));
    assert_eq!(judge(&world, id, &[Stage::Canary, Stage::Queued]), Progress::Reached(Stage::Queued));
}

#[test]
fn another_end_ends_the_wait_at_once() {
    let (mut world, id) = submitted();
    world.review("birch/author", id, ReviewVerdict::Refuse).unwrap();
    assert_eq!(judge(&world, id, &[Stage::Executed]), Progress::Ended(Stage::Rejected));
    assert_eq!(judge(&world, id, &[Stage::Rejected]), Progress::Reached(Stage::Rejected));
}

#[test]
fn an_execution_that_ended_in_the_block_that_began_its_audit_is_seen() {
    let (mut world, id) = submitted();
    decide(&mut world, id);
    let mut proposal = world.state.proposal(id).unwrap().clone();
    proposal.stage = Stage::Auditing;
    let ended = |stage| althing_contracts::proposal::Ending { stage, height: world.state.height() };
    let executed = BTreeSet::from([Stage::Executed]);
    proposal.ended = Some(ended(Stage::Executed));
    assert_eq!(progress(&proposal, &executed), Progress::Reached(Stage::Executed));
    proposal.ended = Some(ended(Stage::RolledBack));
    assert_eq!(progress(&proposal, &executed), Progress::Ended(Stage::RolledBack));
    assert_eq!(progress(&proposal, &BTreeSet::from([Stage::Closed])), Progress::Underway(Stage::Auditing));
}

#[test]
fn what_is_missing_is_named_with_its_figures() {
    let (mut world, id) = submitted();
    let lines = unmet(&world.state, id).join("\n");
    assert!(lines.contains("have signed it off (0 of 1)"), "{lines}");
    assert!(lines.contains("waiting for a reviewer to review: birch/author"), "{lines}");
    world.review("birch/author", id, ReviewVerdict::Approve).unwrap();
    world.vote("acme/author", id, Choice::For).unwrap();
    let lines = unmet(&world.state, id).join("\n");
    assert!(lines.contains("waiting for a voter to vote: birch/author"), "{lines}");
}
