//! Owns the story: a service is installed and rolled out by common decision, a bad release rolls back, a rule is
//! kept, a validator and then half of the mesh are lost, and an outsider checks all of it.

use std::time::{Duration, Instant};

use althing_actors::ledger::message::EventBatch;
use althing_contracts::{
    event::Event,
    quantity::Height,
    stage::Stage,
    transaction::{Choice, ProposalId},
};
use tokio::sync::broadcast;

use super::{
    audit,
    narrator::{Narrator, is_over},
    operator::{self, Opened, failed},
    service,
    summary::{ProposalSummary, Summary},
};
use crate::{cli::failure::Outcome, dev::DevMesh};

/// Longest life of a proposal in the story.
const LIFE_MAX: Duration = Duration::from_secs(30);
/// Longest time for one ballot.
const VOTE_MAX: Duration = Duration::from_secs(20);
/// How long the halves of the mesh are watched; many times what a block takes.
const CUT: Duration = Duration::from_secs(2);
/// Longest time for a node to catch up, and for the mesh to heal.
const RECOVERY_MAX: Duration = Duration::from_secs(15);

/// A proposal's life as it is told.
struct Life<'a> {
    text: &'a str,
    ends: Stage,
    version: &'a str,
}

/// Tells the whole story.
pub(super) async fn tell(mesh: &mut DevMesh, narrator: &Narrator<'_>) -> Outcome<Summary> {
    let mut summary = Summary { network: mesh.files().network.to_string(), ..Summary::default() };
    begin(mesh, narrator, &mut summary).await?;
    install(mesh, narrator, &mut summary).await?;
    roll_out(mesh, narrator, &mut summary).await?;
    roll_back(mesh, narrator, &mut summary).await?;
    refuse(mesh, narrator, &mut summary).await?;
    lose_one(mesh, narrator, &mut summary).await?;
    cut_in_half(mesh, narrator, &mut summary).await?;
    narrator.chapter("e) Proof for an outsider")?;
    summary.audit = audit::tell(mesh, narrator).await?;
    summary.total_ms = narrator.elapsed_ms();
    summary.passed = true;
    Ok(summary)
}

async fn begin(mesh: &DevMesh, narrator: &Narrator<'_>, summary: &mut Summary) -> Outcome {
    narrator.chapter("Four organisations, one auditor, eight sites; nobody is in charge")?;
    reach(mesh, "acme", Height::new(1), RECOVERY_MAX).await?;
    summary.first_block_ms = narrator.elapsed_ms();
    narrator.tell("mesh", &format!("the first block is final; network {}", &summary.network[..16]))?;
    narrator.proves("four validators with keys and logs of their own agree")
}

async fn install(mesh: &DevMesh, narrator: &Narrator<'_>, summary: &mut Summary) -> Outcome {
    narrator.chapter("Version 1 is installed: examples/install-greeter-1.toml")?;
    let text = include_str!("../../examples/install-greeter-1.toml");
    summary.installed = live(mesh, narrator, &Life { text, ends: Stage::Closed, version: "1" }).await?;
    Ok(())
}

async fn roll_out(mesh: &DevMesh, narrator: &Narrator<'_>, summary: &mut Summary) -> Outcome {
    narrator.chapter("a) Version 2 is rolled out: examples/roll-greeter-2.toml")?;
    let text = include_str!("../../examples/roll-greeter-2.toml");
    summary.rolled_out = live(mesh, narrator, &Life { text, ends: Stage::Closed, version: "2" }).await?;
    narrator.proves("canary, two stages, two organisations judged each target before the next stage")
}

async fn roll_back(mesh: &DevMesh, narrator: &Narrator<'_>, summary: &mut Summary) -> Outcome {
    narrator.chapter("b) Version 3 fails in the canary: examples/roll-greeter-3.toml")?;
    let text = include_str!("../../examples/roll-greeter-3.toml");
    summary.rolled_back = live(mesh, narrator, &Life { text, ends: Stage::Closed, version: "2" }).await?;
    if summary.rolled_back.reason.is_empty() {
        return Err(failed("version 3 was not rolled back"));
    }
    narrator.proves("the plan's own rollback ran without a vote, and the other sites never saw version 3")
}

async fn refuse(mesh: &DevMesh, narrator: &Narrator<'_>, summary: &mut Summary) -> Outcome {
    narrator.chapter("c) A hard rule is kept: examples/residency-breach.toml")?;
    let document = operator::document(include_str!("../../examples/residency-breach.toml"))?;
    let opened = operator::submit(mesh, "acme", document).await?;
    let reason = opened.accepted.findings.iter().map(|finding| finding.message.clone());
    let reason = reason.collect::<Vec<_>>().join("; ");
    if opened.accepted.proposal.stage != Stage::Rejected.name() {
        return Err(failed(format!("the proposal is {}, not rejected", opened.accepted.proposal.stage)));
    }
    narrator.tell("ledger", &format!("rejected: {reason}"))?;
    narrator.proves("every node refused it alike, in the block that took it")?;
    summary.refused = ProposalSummary {
        proposal: opened.id.to_string(),
        stage: opened.accepted.proposal.stage.clone(),
        reason,
        ..ProposalSummary::default()
    };
    Ok(())
}

async fn lose_one(mesh: &mut DevMesh, narrator: &Narrator<'_>, summary: &mut Summary) -> Outcome {
    narrator.chapter("d) One of four is lost, then half of the mesh")?;
    let before = height(mesh, "acme");
    mesh.kill("delta").await;
    narrator.tell("delta", "its validator is gone")?;
    let opened = open_vote(mesh).await?;
    for org in ["acme", "birch", "cedar"] {
        operator::vote(mesh, org, &opened, Choice::For, VOTE_MAX).await?;
    }
    operator::cancel(mesh, "acme", &opened, "only to show that three decide").await?;
    let decided = height(mesh, "acme");
    summary.blocks_without_one = decided.get().saturating_sub(before.get());
    narrator.tell(
        "mesh",
        &format!("{} blocks without delta: three of four decide", summary.blocks_without_one),
    )?;
    let restarted = mesh.restart("delta").await;
    restarted.map_err(|error| failed(format!("delta does not come back: {error}")))?;
    reach(mesh, "delta", decided, RECOVERY_MAX).await?;
    summary.blocks_caught_up = summary.blocks_without_one;
    same_root(mesh, &["acme", "delta"], decided).await?;
    narrator.tell("delta", &format!("is back at height {decided} with the same state root as acme"))?;
    narrator.proves("with one of four faulty decisions go on, and nothing is lost for the one that was away")
}

async fn cut_in_half(mesh: &DevMesh, narrator: &Narrator<'_>, summary: &mut Summary) -> Outcome {
    let opened = open_vote(mesh).await?;
    // A block that is under way when the mesh is cut is no decision of a half.
    let decided = height(mesh, "birch");
    for name in mesh.names() {
        reach(mesh, name.as_str(), decided, RECOVERY_MAX).await?;
    }
    let half = ["acme", "birch", "auditor-1"];
    mesh.cut(&half).await;
    let before = heights(mesh);
    narrator.tell("network", "acme and birch are cut off from cedar and delta")?;
    let votes = ["acme", "cedar"].map(|org| operator::vote(mesh, org, &opened, Choice::For, CUT));
    if futures::future::join_all(votes).await.iter().any(Result::is_ok) {
        return Err(failed("a half of the mesh decided alone"));
    }
    let during = heights(mesh);
    summary.blocks_while_cut = during.iter().zip(&before).map(|(now, then)| now - then).max().unwrap_or(0);
    if summary.blocks_while_cut > 0 {
        return Err(failed(format!("{} blocks were decided by a half", summary.blocks_while_cut)));
    }
    narrator.tell("mesh", "a ballot on each side stays undecided: no block in either half")?;
    let healed = Instant::now();
    mesh.heal(&half).await;
    let next = Height::new(during.iter().max().copied().unwrap_or(0) + 1);
    reach(mesh, "cedar", next, RECOVERY_MAX).await?;
    summary.heal_ms = u64::try_from(healed.elapsed().as_millis()).unwrap_or(u64::MAX);
    reach(mesh, "acme", next, RECOVERY_MAX).await?;
    same_root(mesh, &["acme", "birch", "cedar", "delta"], next).await?;
    narrator.tell(
        "mesh",
        &format!("healed: the next block is final after {} ms, one root everywhere", summary.heal_ms),
    )?;
    narrator.proves("more than a third away means a standstill, never two histories")
}

/// Opens a proposal that only serves to be voted on.
async fn open_vote(mesh: &DevMesh) -> Outcome<Opened> {
    let document = operator::document(include_str!("../../examples/roll-greeter-3.toml"))?;
    let opened = operator::submit(mesh, "acme", document).await?;
    operator::approve(mesh, "birch", &opened).await?;
    Ok(opened)
}

/// A proposal from its submission to its end.
async fn live(mesh: &DevMesh, narrator: &Narrator<'_>, life: &Life<'_>) -> Outcome<ProposalSummary> {
    let began = Instant::now();
    let node = mesh.node("acme").ok_or_else(|| failed("acme is down"))?;
    let mut events = node.ledger().feed().events.subscribe();
    let opened = operator::submit(mesh, "acme", operator::document(life.text)?).await?;
    let hash = &opened.plan_hash.to_string()[..16];
    narrator.tell("acme/alice", &format!("plans and submits; plan hash {hash}, bound to every ballot"))?;
    operator::approve(mesh, "birch", &opened).await?;
    narrator.tell("birch/rita", "of another organisation signs the plan off")?;
    let votes =
        [("acme", Choice::For), ("birch", Choice::For), ("cedar", Choice::For), ("delta", Choice::Abstain)];
    for (org, choice) in votes {
        operator::vote(mesh, org, &opened, choice, VOTE_MAX).await?;
    }
    narrator.tell("voters", "three organisations for it, one abstains")?;
    let ended = tokio::time::timeout(LIFE_MAX, follow(narrator, opened.id, &mut events)).await;
    let (stage, reason) = ended.map_err(|_| failed(format!("proposal {} does not end", opened.id)))??;
    if stage != life.ends {
        return Err(failed(format!("proposal {} ended as {stage}: {reason}", opened.id)));
    }
    let instances = service::expect_everywhere(mesh, life.version).await?;
    narrator.tell("service", &format!("{instances} instances answer with version {}", life.version))?;
    Ok(ProposalSummary {
        proposal: opened.id.to_string(),
        stage: stage.name().to_owned(),
        reason,
        service_version: life.version.to_owned(),
        took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}

/// Tells a proposal's events until its end; yields the end, and the reason of a rollback.
async fn follow(
    narrator: &Narrator<'_>,
    id: ProposalId,
    events: &mut broadcast::Receiver<EventBatch>,
) -> Outcome<(Stage, String)> {
    let mut reason = String::new();
    loop {
        let batch = events.recv().await.map_err(|error| failed(format!("the events broke off: {error}")))?;
        for record in batch.iter() {
            narrator.event(id, &record.event)?;
            let Event::StageChanged { proposal, to, cause, .. } = &record.event else { continue };
            if *proposal != id {
                continue;
            }
            if *to == Stage::RollingBack {
                reason = cause.to_string();
            }
            if let Some(stage) = is_over(&record.event) {
                return Ok((stage, reason));
            }
        }
    }
}

/// Waits until a node has a block.
async fn reach(mesh: &DevMesh, name: &str, wanted: Height, within: Duration) -> Outcome {
    let node = mesh.node(name).ok_or_else(|| failed(format!("{name} is down")))?;
    let mut view = node.ledger().feed().view;
    let reached = tokio::time::timeout(within, view.wait_for(|view| view.state.height() >= wanted)).await;
    match reached {
        Ok(Ok(_)) => Ok(()),
        _ => Err(failed(format!("{name} does not reach height {wanted} within {within:?}"))),
    }
}

fn height(mesh: &DevMesh, name: &str) -> Height {
    mesh.node(name).map_or(Height::ZERO, |node| node.ledger().feed().view.borrow().state.height())
}

fn heights(mesh: &DevMesh) -> Vec<u64> {
    mesh.names().map(|name| height(mesh, name.as_str()).get()).collect()
}

/// Checks that nodes have the same block at a height.
async fn same_root(mesh: &DevMesh, names: &[&str], height: Height) -> Outcome {
    let mut roots = Vec::new();
    for name in names {
        reach(mesh, name, height, RECOVERY_MAX).await?;
        let node = mesh.node(name).ok_or_else(|| failed(format!("{name} is down")))?;
        let blocks = node.ledger().read_blocks(height, 1).await;
        let blocks = blocks.map_err(|error| failed(format!("{name} cannot read block {height}: {error}")))?;
        roots.push(blocks.first().map(|block| block.certificate.block));
    }
    roots.dedup();
    if roots.len() == 1 && roots[0].is_some() {
        Ok(())
    } else {
        Err(failed(format!("two blocks at height {height}")))
    }
}
