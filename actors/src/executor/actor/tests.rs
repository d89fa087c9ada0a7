use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};

use actix::Arbiter;
use althing_contracts::{
    document::{Action, ProposalDocument},
    genesis::Genesis,
    name::Line,
    quantity::{DurationMs, Fence},
    stage::Stage,
    testing::{World, deploy, genesis, name, target},
    transaction::{HealthReport, ProposalId},
};
use async_trait::async_trait;

use super::*;
use crate::{
    executor::health::{HttpProber, tests::server},
    port::{Effect, Evidence, ProviderOrder, ProviderPlan, TargetContext},
    signer::{actor::SignerOptions, submitter::SubmitterOptions},
    test_ledger::{TestLedger, decide, keys},
    watcher::RestartLimits,
};

mod crash;
mod spans;
mod story;

use story::{Life, Mesh};

#[actix_rt::test]
async fn a_decided_change_is_carried_out_and_judged_by_two_organisations() {
    let mesh = Mesh::new(&["200 OK"]).await;
    let id = mesh.decide(deploy("v2", &[&["acme-north"], &["acme-south", "birch-north"]]));
    let nodes = ["acme", "birch", "cedar"].map(|org| mesh.node(org, Life::endless()));
    mesh.ledger.wait(id, |proposal| proposal.ended.is_some()).await;
    let proposal = mesh.ledger.proposal(id);
    assert_eq!(proposal.ended.map(|ending| ending.stage), Some(Stage::Executed));
    assert_eq!(mesh.world.effects(), ["acme-north", "acme-south", "birch-north"]);
    nodes.into_iter().for_each(story::Node::kill);
}

#[actix_rt::test]
async fn what_the_actors_do_for_a_proposal_is_in_spans_with_its_id() {
    let spans = spans::Spans::default();
    tracing::subscriber::set_global_default(spans.clone()).unwrap();
    let mesh = Mesh::new(&["200 OK"]).await;
    let id = mesh.decide(deploy("v2", &[&["acme-north"]]));
    let nodes = ["acme", "birch"].map(|org| mesh.node(org, Life::endless()));
    mesh.ledger.wait(id, |proposal| proposal.ended.is_some()).await;
    for actor in [NAME, crate::signer::actor::NAME] {
        assert!(spans.has(actor, id), "{actor}: {spans:?}");
    }
    nodes.into_iter().for_each(story::Node::kill);
}

#[actix_rt::test]
async fn an_unhealthy_change_is_rolled_back_by_its_own_plan() {
    let mesh = Mesh::new(&["503 Service Unavailable"]).await;
    let id = mesh.decide(deploy("v2", &[&["acme-north"]]));
    let nodes = [mesh.node("acme", Life::endless()), mesh.node("birch", Life::endless())];
    mesh.ledger.wait(id, |proposal| proposal.ended.is_some()).await;
    assert_eq!(mesh.ledger.proposal(id).ended.map(|ending| ending.stage), Some(Stage::RolledBack));
    assert_eq!(mesh.world.effects(), ["acme-north", "undo acme-north"]);
    assert_eq!(mesh.world.applied("acme-north"), None);
    nodes.into_iter().for_each(story::Node::kill);
}

#[actix_rt::test]
async fn a_target_that_has_moved_fails_the_step_before_any_effect() {
    let mesh = Mesh::new(&["200 OK"]).await;
    let id = mesh.decide(deploy("v2", &[&["acme-north"]]));
    let Action::Deploy { service, artefact, instances, .. } =
        story::action(&deploy("v0", &[&["acme-north"]]))
    else {
        unreachable!()
    };
    let moved = Action::Deploy { service, version: name("by-hand"), artefact, instances };
    mesh.world.put("acme-north", moved);
    let node = mesh.node("acme", Life::endless());
    mesh.ledger.wait(id, |proposal| proposal.execution.steps[0].outcome.is_some()).await;
    let StepOutcome::Failed { reason, retryable } =
        mesh.ledger.proposal(id).execution.steps[0].outcome.clone().unwrap()
    else {
        panic!("the step must fail")
    };
    assert_eq!(reason.as_str(), "drift: the target is neither as the plan expects nor as it wants");
    assert!(!retryable);
    assert!(mesh.world.effects().is_empty());
    node.kill();
}

#[actix_rt::test]
async fn an_executor_that_panicked_goes_on_with_its_step() {
    let mesh = Mesh::new(&["200 OK"]).await;
    let id = mesh.decide(deploy("v2", &[&["acme-north"]]));
    mesh.world.panic_at_next_read();
    let nodes = [mesh.node("acme", Life::endless()), mesh.node("birch", Life::endless())];
    mesh.ledger.wait(id, |proposal| proposal.ended.is_some()).await;
    assert_eq!(mesh.world.effects(), ["acme-north"]);
    assert_eq!(*nodes[0].watcher.read_only().borrow(), None);
    nodes.into_iter().for_each(story::Node::kill);
}

#[actix_rt::test]
async fn an_organisation_out_of_turn_judges_when_half_of_the_window_is_over() {
    let mesh = Mesh::new(&["200 OK"]).await;
    let mut document = deploy("v2", &[&["acme-north"]]);
    if let Some(check) = &mut document.health {
        check.within_ms = DurationMs::new(2_000);
    }
    let id = mesh.decide(document);
    // The second judge of acme is birch, which is away; cedar comes in for it.
    let nodes = [mesh.node("acme", Life::endless()), mesh.node("cedar", Life::endless())];
    mesh.ledger.wait(id, |proposal| proposal.stage == Stage::Verifying || proposal.ended.is_some()).await;
    assert_eq!(mesh.ledger.proposal(id).stage, Stage::Verifying);
    nodes.into_iter().for_each(story::Node::kill);
}
