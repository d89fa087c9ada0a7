//! Owns whole lives of proposals as load: each installs a release of the greeter at every site, canary first, is reviewed,
//! voted, waits out its timelock and is carried out by the executors, whatever is broken meanwhile.

use std::{
    thread,
    time::{Duration, Instant},
};

use serde::Serialize;
use serde_json::{Value, json};

use super::reads::Record;
use crate::{
    process::{
        client::{ClientError, NodeClient},
        vote::fresh_key,
    },
    run::stop::Stop,
};

/// Longest time for one request.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);
/// How often a proposal is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// Longest time that a life is followed: every stage of it has a deadline on the ledger that comes before.
const LIFE_MAX: Duration = Duration::from_mins(3);
/// The first releases; both are sound. Their digests are those of the files that `althing init mesh` lays out.
const RELEASES: [&str; 2] = [
    include_str!("../../../../examples/install-greeter-1.toml"),
    include_str!("../../../../examples/roll-greeter-2.toml"),
];

/// One life.
#[derive(Debug, Clone, Serialize)]
pub struct Life {
    /// The proposal; empty when it was never submitted.
    pub proposal: String,
    /// Who opened it.
    pub author: String,
    /// The release that it installs.
    pub version: String,
    /// Where it ended, or how far it was seen.
    pub stage: String,
    /// From the beginning of the run to its submission and to its end.
    pub began_ms: u64,
    /// See [`Self::began_ms`].
    pub ended_ms: u64,
}

/// Runs one life after another.
#[derive(Debug)]
pub struct Lives {
    thread: thread::JoinHandle<Vec<Life>>,
}

/// What is needed to begin a life: the nodes, and what each may change.
#[derive(Debug, Clone)]
pub struct Author {
    nodes: Vec<NodeClient>,
    targets: Vec<(String, String)>,
    begun: Instant,
    record: Record,
}

impl Author {
    /// Reads from the first node what there is to change.
    ///
    /// # Errors
    /// It does not answer.
    pub fn new(nodes: &[NodeClient], begun: Instant, record: &Record) -> Result<Self, ClientError> {
        let nodes: Vec<_> = nodes.iter().map(|node| node.within(ANSWER_WITHIN)).collect();
        let shown = nodes[0].get("/v1/targets?page_size=500")?;
        let named =
            |target: &Value| Some((target["owner"].as_str()?.to_owned(), target["id"].as_str()?.to_owned()));
        let targets = shown["items"].as_array().into_iter().flatten().filter_map(named).collect();
        Ok(Self { nodes, targets, begun, record: record.clone() })
    }

    /// One life from its submission to its end; `turn` says whose it is and what it installs.
    #[must_use]
    pub fn live(&self, turn: usize, stop: &Stop) -> Life {
        let author = turn % self.nodes.len();
        let (document, version) = self.document(author, turn);
        let mut life = Life {
            proposal: String::new(),
            author: self.nodes[author].org().to_owned(),
            version,
            stage: "not submitted".to_owned(),
            began_ms: self.now_ms(),
            ended_ms: 0,
        };
        self.decide(author, &document, &mut life, stop);
        life.ended_ms = self.now_ms();
        life
    }

    fn decide(&self, author: usize, document: &Value, life: &mut Life, stop: &Stop) {
        let node = &self.nodes[author];
        let (key, deadline) = (fresh_key(), Instant::now() + LIFE_MAX);
        let submit = || {
            let planned = node.post("/v1/proposals/plan", &fresh_key(), &json!({ "document": document }))?;
            let plan_hash = planned.pointer("/plan/plan_hash").cloned().unwrap_or_default();
            let body = json!({ "as": format!("{}/alice", node.org()), "document": document, "plan_hash": plan_hash });
            node.post("/v1/proposals", &key, &body)
        };
        let call = self.record.submits(author);
        let Some(accepted) = until(deadline, stop, submit, &mut life.stage) else { return };
        let shown = &accepted["proposal"];
        shown["id"].as_str().unwrap_or_default().clone_into(&mut life.proposal);
        self.record.opened(&life.proposal);
        let bound = json!({ "revision": shown["revision"], "plan_hash": shown["plan_hash"] });
        let reviewer = &self.nodes[(author + 1) % self.nodes.len()];
        let review = merged(
            &bound,
            &json!({
                "as": format!("{}/rita", reviewer.org()), "verdict": "approve", "reason": "looked at",
            }),
        );
        let path = format!("/v1/proposals/{}", life.proposal);
        let key = fresh_key();
        let height = accepted["height"].as_u64().unwrap_or(0);
        self.record.acknowledged(call, height);
        let sign_off = || {
            reviewer.wait_for_height(height)?;
            reviewer.post(&format!("{path}/reviews"), &key, &review)
        };
        let Some(sign_off) = until(deadline, stop, sign_off, &mut life.stage) else { return };
        // A node that has not seen the sign-off yet would refuse the ballot, and rightly so.
        let height = sign_off["height"].as_u64().unwrap_or(height);
        thread::scope(|scope| {
            for node in &self.nodes {
                let vote = merged(&bound, &json!({ "as": format!("{}/vera", node.org()), "choice": "for" }));
                let (path, key) = (format!("{path}/votes"), fresh_key());
                // Whether each of them gets through is not what matters: enough of them do, or the vote fails.
                let cast = move || {
                    node.wait_for_height(height)?;
                    node.post(&path, &key, &vote)
                };
                scope.spawn(move || until(deadline, stop, cast, &mut String::new()));
            }
        });
        self.follow(&path, deadline, life, stop);
    }

    /// Looks at the proposal, at whichever node answers, until nothing can follow.
    fn follow(&self, path: &str, deadline: Instant, life: &mut Life, stop: &Stop) {
        let mut turn = 0_usize;
        while Instant::now() < deadline {
            let shown = self.nodes[turn % self.nodes.len()].get(path);
            turn += 1;
            if let Ok(shown) = shown {
                let stage =
                    shown["stage"].as_str().or(shown.pointer("/proposal/stage").and_then(Value::as_str));
                stage.unwrap_or_default().clone_into(&mut life.stage);
                let ended =
                    shown["ended"].as_bool().or(shown.pointer("/proposal/ended").and_then(Value::as_bool));
                if ended == Some(true) {
                    return;
                }
            }
            if stop.wait(LOOK_EVERY) {
                return;
            }
        }
    }

    /// A canary at one site of the author, then one site of every organisation, then the rest.
    fn document(&self, author: usize, turn: usize) -> (Value, String) {
        let release: Value = toml::from_str(RELEASES[turn % RELEASES.len()]).expect("an example is TOML");
        let action = release.pointer("/stages/0/steps/0/action").cloned().unwrap_or_default();
        let version = action["version"].as_str().unwrap_or_default().to_owned();
        let own = self.nodes[author].org();
        let of = |org: &str| {
            self.targets
                .iter()
                .filter(move |(owner, _)| owner == org)
                .map(|(_, id)| id.clone())
                .collect::<Vec<_>>()
        };
        let canary: Vec<String> = of(own).into_iter().take(1).collect();
        let mut stages = vec![("canary", canary)];
        let others = || self.nodes.iter().map(NodeClient::org).filter(|org| *org != own);
        let first = others().flat_map(|org| of(org).into_iter().take(1));
        stages.push(("first", of(own).into_iter().skip(1).take(1).chain(first).collect()));
        stages.push(("second", others().flat_map(|org| of(org).into_iter().skip(1).take(1)).collect()));
        let stage = |(name, targets): (&str, Vec<String>)| {
            let steps: Vec<_> =
                targets.iter().map(|target| json!({ "target": target, "action": action })).collect();
            json!({ "name": name, "steps": steps })
        };
        let stages: Vec<_> =
            stages.into_iter().filter(|(_, targets)| !targets.is_empty()).map(stage).collect();
        let changes = json!({ "title": format!("Install greeter {version}, turn {turn}"), "stages": stages });
        (merged(&release, &changes), version)
    }

    fn now_ms(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl Lives {
    /// Begins with the first life. The one that runs when there is `enough` is lived to its end, unless `stop` comes.
    #[must_use]
    pub fn start(author: Author, enough: &Stop, stop: &Stop) -> Self {
        let (enough, stop) = (enough.clone(), stop.clone());
        let run = move || {
            let mut lives = Vec::new();
            while !enough.is_requested() && !stop.is_requested() {
                lives.push(author.live(lives.len(), &stop));
            }
            lives
        };
        Self { thread: thread::spawn(run) }
    }

    /// Waits for the end of the life that runs, after [`Stop::request`].
    ///
    /// # Panics
    /// The thread panicked.
    #[must_use]
    pub fn join(self) -> Vec<Life> {
        self.thread.join().expect("an author does not panic")
    }
}

/// Asks until there is an answer that is not worth another try; what was refused says why in `stage`.
fn until(
    deadline: Instant,
    stop: &Stop,
    ask: impl Fn() -> Result<Value, ClientError>,
    stage: &mut String,
) -> Option<Value> {
    while Instant::now() < deadline {
        match ask() {
            Ok(answer) => return Some(answer),
            Err(error) if error.may_pass() => {}
            Err(error) => {
                *stage = format!("refused: {error}");
                return None;
            }
        }
        if stop.wait(LOOK_EVERY) {
            return None;
        }
    }
    None
}

fn merged(one: &Value, other: &Value) -> Value {
    let mut merged = one.clone();
    if let (Some(merged), Some(other)) = (merged.as_object_mut(), other.as_object()) {
        merged.extend(other.clone());
    }
    merged
}
