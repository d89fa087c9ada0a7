//! Owns the work that a mesh is given under test: proposals that are open for ballots, and ballots on them, all through
//! the API of real nodes.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use super::client::{ClientError, NodeClient};
use crate::http::Connection;

/// Numbers the requests of this process, so that each has an idempotency key of its own.
static NEXT_REQUEST: AtomicU64 = AtomicU64::new(0);

/// The title of proposals that are there to be voted on, and for nothing else.
pub const TITLE: &str = "Try the mesh under load";

/// A proposal that takes ballots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenVote {
    proposal: String,
    revision: u64,
    plan_hash: String,
}

/// Members of one node that cast their ballots one after another: each member once on each proposal. A ballot without an
/// answer is cast again as it was.
#[derive(Debug)]
pub struct Voter {
    node: NodeClient,
    connection: Option<Connection>,
    members: Vec<String>,
    votes: Vec<OpenVote>,
    cast: usize,
    key: String,
}

/// A ballot that is final.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Acknowledged {
    /// On which proposal.
    pub proposal: String,
    /// Whose.
    pub member: String,
    /// The height of its block.
    pub height: u64,
    /// Whether it had taken effect before it was asked for in this request.
    pub repeated: bool,
}

/// A key that no request of this process had.
#[must_use]
pub fn fresh_key() -> String {
    format!("{}-{}", std::process::id(), NEXT_REQUEST.fetch_add(1, Ordering::Relaxed))
}

impl OpenVote {
    /// Submits a proposal at `author`, has it reviewed at `reviewer` when its track asks for that, and answers when it
    /// takes ballots.
    ///
    /// # Errors
    /// A node cannot be reached or refuses.
    pub fn begin(author: &NodeClient, reviewer: &NodeClient) -> Result<Self, ClientError> {
        Self::begin_with(author, reviewer, &document(author)?)
    }

    /// As [`Self::begin`], with a document of the caller's.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub fn begin_with(
        author: &NodeClient,
        reviewer: &NodeClient,
        document: &Value,
    ) -> Result<Self, ClientError> {
        let report = author.post("/v1/proposals/plan", &fresh_key(), &json!({ "document": document }))?;
        let plan_hash = text(author, &report, "/plan/plan_hash")?;
        let member = member_with(author, "author")?;
        let submission = json!({ "as": member, "document": document, "plan_hash": plan_hash });
        let accepted = author.post("/v1/proposals", &fresh_key(), &submission)?;
        let vote = Self {
            proposal: text(author, &accepted, "/proposal/id")?,
            revision: accepted.pointer("/proposal/revision").and_then(Value::as_u64).unwrap_or(0),
            plan_hash,
        };
        if text(author, &accepted, "/proposal/stage")? == "review" {
            reviewer.wait_for_height(accepted["height"].as_u64().unwrap_or(0))?;
            vote.review(reviewer)?;
        }
        Ok(vote)
    }

    /// The proposal's id.
    #[must_use]
    pub fn proposal(&self) -> &str {
        &self.proposal
    }

    /// A ballot of `member`.
    #[must_use]
    pub fn ballot(&self, member: &str, choice: &str) -> Value {
        json!({ "as": member, "revision": self.revision, "plan_hash": self.plan_hash, "choice": choice })
    }

    /// Where ballots go.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/v1/proposals/{}/votes", self.proposal)
    }

    fn review(&self, reviewer: &NodeClient) -> Result<(), ClientError> {
        let body = json!({
            "as": member_with(reviewer, "reviewer")?,
            "revision": self.revision,
            "plan_hash": self.plan_hash,
            "verdict": "approve",
            "reason": "looked at",
        });
        reviewer.post(&format!("/v1/proposals/{}/reviews", self.proposal), &fresh_key(), &body)?;
        Ok(())
    }
}

impl Voter {
    /// All members of `node` that hold a voter's key.
    ///
    /// # Errors
    /// The node cannot be reached.
    pub fn of(node: &NodeClient, votes: &[OpenVote]) -> Result<Self, ClientError> {
        Ok(Self::named(node, members_with(node, "voter")?, votes))
    }

    /// Named members of `node`.
    #[must_use]
    pub fn named(node: &NodeClient, members: Vec<String>, votes: &[OpenVote]) -> Self {
        Self {
            node: node.clone(),
            connection: None,
            members,
            votes: votes.to_vec(),
            cast: 0,
            key: fresh_key(),
        }
    }

    /// Whether every member has cast every ballot.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.next().is_none()
    }

    /// Casts the next ballot, or again the one that has no answer yet, and answers when it is final.
    ///
    /// # Errors
    /// The node cannot be reached or refuses, or no ballot is left.
    pub fn cast(&mut self) -> Result<Acknowledged, ClientError> {
        let next = self.next().map(|(vote, member)| (vote.clone(), member.to_owned()));
        let (vote, member) = next.ok_or_else(|| self.node.unexpected("no ballot is left".to_owned()))?;
        let ballot = vote.ballot(&member, "for");
        let accepted = match self.connection.take() {
            // A kept connection may have ended with the process that it led to: the same request goes out once more.
            Some(kept) => match self.send(kept, &vote, &ballot) {
                Err(ClientError::NoAnswer { .. }) => self.send(self.node.connect()?, &vote, &ballot),
                answered => answered,
            },
            None => self.send(self.node.connect()?, &vote, &ballot),
        }?;
        let height = accepted["height"].as_u64();
        let height =
            height.ok_or_else(|| self.node.unexpected(format!("its answer has no height: {accepted}")))?;
        self.cast += 1;
        self.key = fresh_key();
        Ok(Acknowledged { proposal: vote.proposal, member, height, repeated: accepted["repeated"] == true })
    }

    fn next(&self) -> Option<(&OpenVote, &str)> {
        let vote = self.votes.get(self.cast.checked_div(self.members.len())?)?;
        Some((vote, self.members.get(self.cast % self.members.len())?))
    }

    fn send(
        &mut self,
        mut connection: Connection,
        vote: &OpenVote,
        ballot: &Value,
    ) -> Result<Value, ClientError> {
        let accepted = self.node.post_on(&mut connection, &vote.path(), &self.key, ballot)?;
        self.connection = Some(connection);
        Ok(accepted)
    }
}

/// Withdraws a proposal in the name of its author, whose node this is.
///
/// # Errors
/// The node cannot be reached or refuses, for example because the proposal is decided.
pub fn withdraw(node: &NodeClient, author: &str, proposal: &str, key: &str) -> Result<(), ClientError> {
    let body = json!({ "as": author, "reason": "it was there to be voted on" });
    node.post(&format!("/v1/proposals/{proposal}/cancel"), key, &body).map(drop)
}

/// The members whose keys of this role the node holds.
///
/// # Errors
/// The node cannot be reached.
pub fn members_with(node: &NodeClient, role: &str) -> Result<Vec<String>, ClientError> {
    let shown = node.get("/v1/node")?;
    let keys = shown["keys"].as_array().into_iter().flatten().filter(|key| key["role"] == role);
    Ok(keys.filter_map(|key| key["member"].as_str().map(str::to_owned)).collect())
}

/// The first of them.
///
/// # Errors
/// The node cannot be reached, or holds no such key.
pub fn member_with(node: &NodeClient, role: &str) -> Result<String, ClientError> {
    let first = members_with(node, role)?.into_iter().next();
    first.ok_or_else(|| node.unexpected(format!("it holds no {role}'s key")))
}

/// A sound change of one of the author's own targets.
fn document(author: &NodeClient) -> Result<Value, ClientError> {
    let targets = author.get("/v1/targets?page_size=500")?;
    let own = |target: &&Value| target["owner"] == author.org();
    let target = targets["items"].as_array().into_iter().flatten().find(own);
    let target = target.ok_or_else(|| author.unexpected(format!("{} owns no target", author.org())))?;
    let action = json!({ "kind": "deploy", "service": "web", "version": "1", "artefact": "00".repeat(32), "instances": 1 });
    Ok(json!({
        "schema": 1,
        "title": TITLE,
        "reason": "Ballots are cast on this proposal; it is never carried out.",
        "cost": { "monthly_milli": 1 },
        "slo": { "success": "99/100", "latency_p95_ms": 250 },
        "data_classes": [],
        "health": { "path": "/", "samples": 20, "success": "9/10", "latency_p95_ms": 250, "within_ms": 60_000 },
        "rollback": { "to": "previous" },
        "stages": [{ "name": "canary", "steps": [{ "target": target["id"], "action": action }] }],
    }))
}

fn text(node: &NodeClient, value: &Value, pointer: &str) -> Result<String, ClientError> {
    let found = value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    found.ok_or_else(|| node.unexpected(format!("its answer has no {pointer}: {value}")))
}
