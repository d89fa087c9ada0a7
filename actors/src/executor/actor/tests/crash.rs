//! A node is killed at every boundary between itself and the world, and started again from its disk: each effect
//! happens at most once, and the proposal comes to the end that it would have come to.

use super::*;
use crate::{
    executor::local::{
        effects::{EFFECT_LOG, EffectRecord, Progress},
        tests::service::Site,
    },
    journal::Journal,
};

/// Carries a change out with a crash of acme's node at one boundary. `false` when there are fewer boundaries.
async fn crash_at(boundary: usize, answers: &'static [&'static str], end: Stage, effects: &[&str]) -> bool {
    let mesh = Mesh::new(answers).await;
    let id = mesh.decide(deploy("v2", &[&["acme-north"], &["acme-south"]]));
    let birch = mesh.node("birch", Life::endless());
    let life = Life::until(boundary);
    let acme = mesh.node("acme", Arc::clone(&life));
    let crashed = tokio::select! {
        () = life.crashed() => true,
        () = mesh.ledger.wait(id, |proposal| proposal.ended.is_some()) => false,
    };
    acme.kill();
    let acme = mesh.node("acme", Life::endless());
    mesh.ledger.wait(id, |proposal| proposal.ended.is_some()).await;
    let ended = mesh.ledger.proposal(id).ended.map(|ending| ending.stage);
    assert_eq!(ended, Some(end), "crash at boundary {boundary}");
    assert_eq!(mesh.world.effects(), effects, "crash at boundary {boundary}");
    [acme, birch].into_iter().for_each(story::Node::kill);
    crashed
}

async fn crash_everywhere(answers: &'static [&'static str], end: Stage, effects: &[&str], least: usize) {
    let mut boundary = 0;
    while crash_at(boundary, answers, end, effects).await {
        boundary += 1;
    }
    assert!(boundary >= least, "only {boundary} boundaries were crossed");
}

#[actix_rt::test]
async fn a_crash_at_any_boundary_of_a_rollout_doubles_no_effect() {
    // Two claims, reads, orders and receipts, and four judgements.
    crash_everywhere(&["200 OK"], Stage::Executed, &["acme-north", "acme-south"], 20).await;
}

#[actix_rt::test]
async fn a_crash_at_any_boundary_of_a_rollback_doubles_no_effect() {
    let effects = ["acme-north", "undo acme-north"];
    crash_everywhere(&["500 Internal Server Error"], Stage::RolledBack, &effects, 12).await;
}

/// The same with real processes: the provider dies with its node too.
async fn crash_local_at(boundary: usize) -> bool {
    let site = Site::new(2);
    let mut genesis = genesis(4);
    let north = genesis.targets.get_mut(&target("acme-north")).unwrap();
    north.endpoints = vec![story::endpoint(site.address(0)), story::endpoint(site.address(1))];
    let mesh = Mesh::with(genesis);
    let mut document = deploy("v2", &[&["acme-north"]]);
    document.stages[0].steps[0].action = site.release("v2", "serve two");
    let id = mesh.decide(document);
    let birch = mesh.node("birch", Life::endless());
    let life = Life::until(boundary);
    let acme = mesh.node_with("acme", Arc::clone(&life), Arc::new(site.open()));
    let crashed = tokio::select! {
        () = life.crashed() => true,
        () = mesh.ledger.wait(id, |proposal| proposal.ended.is_some()) => false,
    };
    acme.kill();
    let provider = site.open();
    let acme = mesh.node_with("acme", Life::endless(), Arc::new(provider.clone()));
    mesh.ledger.wait(id, |proposal| proposal.ended.is_some()).await;
    let ended = mesh.ledger.proposal(id).ended.map(|ending| ending.stage);
    assert_eq!(ended, Some(Stage::Executed), "crash at boundary {boundary}");
    assert_eq!(site.answers().await, ["200 two", "200 two"]);
    let mut done = 0;
    Journal::open(&site.root().join("effects.log"), EFFECT_LOG, |record| {
        let EffectRecord::V1 { progress, .. } = record;
        done += usize::from(matches!(progress, Progress::Done { .. }));
    })
    .unwrap();
    assert_eq!(done, 1, "crash at boundary {boundary}");
    [acme, birch].into_iter().for_each(story::Node::kill);
    provider.shutdown_services().await;
    crashed
}

#[actix_rt::test]
async fn a_crash_around_real_processes_starts_them_once() {
    let mut boundary = 0;
    while crash_local_at(boundary).await {
        boundary += 1;
    }
    assert!(boundary >= 8, "only {boundary} boundaries were crossed");
}
