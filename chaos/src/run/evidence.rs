//! Owns gathering what verdicts rest on, after the last thing was mended: every proposal's events as the ledger tells
//! them, every node's bundle, and the providers' own logs.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use althing_contracts::{quantity::TimeMs, stage::Stage};
use serde_json::Value;

use super::{
    effects::{self, Effect},
    ground::{Ground, GroundError},
    outsider,
};
use crate::process::client::{ClientError, NodeClient};

/// Longest time until the node that is asked knows what all the others do.
const AGREE_WITHIN: Duration = Duration::from_secs(10);
/// Longest time that a node's events are listened to.
const EVENTS_WITHIN: &str = "2s";

/// What the ledger says of one proposal, in the order of its events.
#[derive(Debug, Clone, Default)]
pub struct Story {
    /// Its events, as the API shows them.
    pub events: Vec<Value>,
    /// The change, as it was decided.
    pub document: Value,
}

/// Everything that verdicts rest on.
#[derive(Debug)]
pub struct Evidence {
    /// By proposal.
    pub stories: BTreeMap<String, Story>,
    /// The last block of whoever told them, from before it did.
    pub height: u64,
    /// What `althing audit verify` says of each node's bundle: its report, or why not.
    pub bundles: BTreeMap<String, Result<Value, String>>,
    /// For each node, the organisations whose validators its ledger shows as having signed twice.
    pub equivocated: BTreeMap<String, BTreeSet<String>>,
    /// What the checkers that know nothing of daemons found.
    pub findings: Vec<String>,
    /// What the providers did.
    pub effects: Vec<Effect>,
}

impl Evidence {
    /// Gathers it: all nodes run, and are killed on the way. What was on the ledger at the height `since` is not the run's
    /// doing.
    ///
    /// # Errors
    /// A node does not answer, or a log cannot be read.
    pub fn gather(
        ground: &mut Ground,
        binary: &Path,
        folder: &Path,
        since: u64,
    ) -> Result<Self, GroundError> {
        let _behind = ground.mesh().wait_for_agreement(AGREE_WITHIN);
        let first = ground.mesh().nodes()[0].client().clone();
        let height = first.head()?.height;
        let mut stories = stories(&first)?;
        let network = first.get("/v1/audit/head")?["network"].as_str().unwrap_or_default().to_owned();
        let mut bundles = BTreeMap::new();
        for node in ground.mesh().nodes() {
            let file = folder.join(format!("{}.bundle", node.name()));
            let verified = export(node.client(), &file).and_then(|()| verify(binary, &file, &network));
            bundles.insert(node.name().to_owned(), verified.map_err(|error| error.to_string()));
        }
        let mut equivocated = BTreeMap::new();
        for node in ground.mesh().nodes() {
            equivocated.insert(node.name().to_owned(), equivocations(binary, node.client(), since)?);
        }
        ground.end()?;
        let mut effects = effects::read(ground.sites())?;
        let highest = stories.values().filter_map(Story::highest_fence).max().unwrap_or(0);
        effects.retain(|effect| !is_later(effect, highest, &stories));
        let nodes = ground.mesh().nodes();
        let journals: Vec<_> = nodes.iter().map(|node| node.folder().join("data/signer.journal")).collect();
        let bundle = folder.join(format!("{}.bundle", nodes[0].name()));
        let findings = outsider::judge(&bundle, &journals, &effects, &stories)?;
        let is_older = |story: &Story| story.began() <= since;
        effects.retain(|effect| !stories.get(effect.proposal()).is_some_and(is_older));
        stories.retain(|_, story| !is_older(story));
        Ok(Self { stories, height, bundles, equivocated, findings, effects })
    }
}

/// Whether an effect follows a claim that was made after the ledger was read, which is before the logs are: a run that was
/// ended early is in the middle of something. The ledger's fences tell, of which `highest` was given last, never the clocks,
/// which runs set wrong.
fn is_later(effect: &Effect, highest: u64, stories: &BTreeMap<String, Story>) -> bool {
    effect.fence > highest && stories.get(effect.proposal()).is_some_and(|story| !story.is_over())
}

impl Story {
    /// The stages that it came to, in order; one that cannot be read is left out.
    pub(super) fn stages(&self) -> impl DoubleEndedIterator<Item = Stage> {
        self.moves().map(|(stage, _)| stage)
    }

    /// The same, with the time of each.
    pub(super) fn moves(&self) -> impl DoubleEndedIterator<Item = (Stage, Option<TimeMs>)> {
        let changes = self.events.iter().filter(|event| event["type"] == "io.althing.stage-changed");
        changes.filter_map(|event| {
            let stage = serde_json::from_value(event["data"]["to"].clone()).ok()?;
            Some((stage, event["data"]["time_ms"].as_u64().map(TimeMs::new)))
        })
    }

    fn highest_fence(&self) -> Option<u64> {
        let claims = self.events.iter().filter(|event| event["type"] == "io.althing.step-claimed");
        claims.filter_map(|event| event["data"]["fence"].as_u64()).max()
    }

    /// Whether nothing can follow.
    fn is_over(&self) -> bool {
        self.stages().next_back().is_some_and(Stage::is_terminal)
    }

    /// The height of its first event.
    fn began(&self) -> u64 {
        self.events.first().and_then(|event| event["data"]["height"].as_u64()).unwrap_or(u64::MAX)
    }
}

fn stories(client: &NodeClient) -> Result<BTreeMap<String, Story>, ClientError> {
    let mut stories = BTreeMap::new();
    for shown in client.get_all("/v1/proposals")? {
        let Some(id) = shown["id"].as_str() else { continue };
        let events = client.get_all(&format!("/v1/proposals/{id}/timeline"))?;
        let document = client.get(&format!("/v1/proposals/{id}"))?["document"].take();
        stories.insert(id.to_owned(), Story { events, document });
    }
    Ok(stories)
}

/// Asks the node's event feed, as anybody may; it ends when no more events come.
fn equivocations(binary: &Path, client: &NodeClient, since: u64) -> Result<BTreeSet<String>, GroundError> {
    let mut command = Command::new(binary);
    command.args(["-q", "--addr", &client.address(), "event", "tail", "-o", "ndjson", "--after", "0"]);
    command.args(["--type", "equivocated", "--timeout", EVENTS_WITHIN]);
    let output = command.output()?;
    let lines = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut organisations = BTreeSet::new();
    for line in lines.lines() {
        let event: Value = serde_json::from_str(line)?;
        if event["data"]["height"].as_u64().is_some_and(|height| height > since) {
            organisations.extend(event["data"]["org"].as_str().map(str::to_owned));
        }
    }
    Ok(organisations)
}

fn export(client: &NodeClient, file: &PathBuf) -> Result<(), GroundError> {
    let answer = client.connect()?.request("GET", "/v1/audit/export", &[], &[])?;
    if answer.status != 200 {
        return Err(format!("the bundle was refused with {}: {}", answer.status, answer.text()).into());
    }
    Ok(fs::write(file, answer.body)?)
}

/// Has a process of its own judge a bundle, as an outsider would.
fn verify(binary: &Path, file: &Path, network: &str) -> Result<Value, GroundError> {
    let mut command = Command::new(binary);
    command.args(["-q", "-o", "json", "audit", "verify"]).arg(file).args(["--genesis", network]);
    let output = command.output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).trim().into());
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use althing_actors::executor::local::effects::Progress;
    use althing_contracts::{document::Action, name::Name};
    use serde_json::json;

    use super::*;

    fn story(stage: &str) -> Story {
        let event = |kind: &str, data: Value| json!({ "type": format!("io.althing.{kind}"), "data": data });
        let events = vec![
            event("step-claimed", json!({ "fence": 7 })),
            event("stage-changed", json!({ "to": { "name": stage } })),
        ];
        Story { events, document: Value::Null }
    }

    /// The clock of its node is an hour ahead.
    fn effect(proposal: &str, fence: u64) -> Effect {
        let action = Action::Remove { resource: Name::new("web").expect("a name") };
        let (site, key) = ("acme-north".to_owned(), format!("{proposal}/0/do"));
        Effect { site, key, fence, action, time_ms: u64::MAX, progress: Progress::Begun }
    }

    #[test]
    fn only_what_follows_a_claim_that_came_after_the_ledger_was_read_is_left_out() {
        let stories =
            BTreeMap::from([("going".to_owned(), story("canary")), ("over".to_owned(), story("closed"))]);
        assert_eq!(stories["going"].highest_fence(), Some(7));
        assert!(is_later(&effect("going", 8), 7, &stories));
        assert!(!is_later(&effect("going", 7), 7, &stories), "its claim was there");
        assert!(!is_later(&effect("over", 8), 7, &stories), "nothing can follow");
        assert!(!is_later(&effect("nobody's", 8), 7, &stories), "no proposal has it");
    }
}
