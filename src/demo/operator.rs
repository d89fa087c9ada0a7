//! Owns what people do in the story, each through the API of their own organisation's node.

use std::time::Duration;

use althing_contracts::{
    digest::Digest,
    document::ProposalDocument,
    name::{Line, MemberId},
    quantity::Revision,
    transaction::{Choice, ProposalId, ReviewVerdict},
};
use serde_json::Value;

use crate::{
    api::view::{
        act::{AcceptedView, ReasonRequest, ReviewRequest, SubmitRequest, VoteRequest},
        plan::PlanRequest,
    },
    cli::{
        client::{Address, Client},
        failure::{Exit, Failure, Outcome},
    },
    dev::DevMesh,
};

/// Longest time for one act of the story.
const ACT_MAX: Duration = Duration::from_secs(20);

/// A proposal of the story.
#[derive(Debug, Clone)]
pub(super) struct Opened {
    pub(super) id: ProposalId,
    pub(super) plan_hash: Digest,
    pub(super) accepted: AcceptedView,
}

/// A client of an organisation's node.
pub(super) fn client(mesh: &DevMesh, node: &str) -> Outcome<Client> {
    client_within(mesh, node, ACT_MAX)
}

/// A client whose requests end within `timeout`.
pub(super) fn client_within(mesh: &DevMesh, node: &str, timeout: Duration) -> Outcome<Client> {
    let address = mesh.places(node).and_then(|places| places.address);
    let address = address.ok_or_else(|| failed(format!("the node {node} is down")))?;
    Client::new(Address::Http(format!("http://{address}")), timeout, mesh.heights().clone())
}

/// A document out of the text of an example.
pub(super) fn document(text: &str) -> Outcome<ProposalDocument> {
    toml::from_str(text).map_err(|error| failed(format!("an example is no proposal: {error}")))
}

/// Makes the dry run of a document.
pub(super) async fn plan(mesh: &DevMesh, node: &str, document: &ProposalDocument) -> Outcome<Digest> {
    let request = PlanRequest { document: document.clone() };
    let answer: Value = client(mesh, node)?.post("/v1/proposals/plan", &request).await?;
    let hash = answer.pointer("/plan/plan_hash").and_then(Value::as_str).unwrap_or_default();
    hash.parse().map_err(|error| failed(format!("the plan has no hash: {error}")))
}

/// Plans and submits as the organisation's author.
pub(super) async fn submit(mesh: &DevMesh, org: &str, document: ProposalDocument) -> Outcome<Opened> {
    let plan_hash = plan(mesh, org, &document).await?;
    let request = SubmitRequest { member: member(org, "alice")?, document, plan_hash };
    let accepted: AcceptedView = client(mesh, org)?.post("/v1/proposals", &request).await?;
    let id: Digest = accepted.proposal.id.parse().map_err(|error| failed(format!("no proposal: {error}")))?;
    Ok(Opened { id: ProposalId::from_digest(id), plan_hash, accepted })
}

/// Signs off as the organisation's reviewer.
pub(super) async fn approve(mesh: &DevMesh, org: &str, opened: &Opened) -> Outcome<AcceptedView> {
    let request = ReviewRequest {
        member: member(org, "rita")?,
        revision: Revision::new(opened.accepted.proposal.revision),
        plan_hash: opened.plan_hash,
        verdict: ReviewVerdict::Approve,
        reason: Line::new("the plan does what it says").map_err(|error| failed(error.to_string()))?,
    };
    client(mesh, org)?.post(&format!("/v1/proposals/{}/reviews", opened.id), &request).await
}

/// Votes as the organisation's voter, within a time.
pub(super) async fn vote(
    mesh: &DevMesh,
    org: &str,
    opened: &Opened,
    choice: Choice,
    within: Duration,
) -> Outcome<AcceptedView> {
    let request = VoteRequest {
        member: member(org, "vera")?,
        revision: Revision::new(opened.accepted.proposal.revision),
        plan_hash: opened.plan_hash,
        choice,
    };
    let client = client_within(mesh, org, within)?;
    client.post(&format!("/v1/proposals/{}/votes", opened.id), &request).await
}

/// Withdraws as the author.
pub(super) async fn cancel(
    mesh: &DevMesh,
    org: &str,
    opened: &Opened,
    reason: &str,
) -> Outcome<AcceptedView> {
    let reason = Line::new(reason).map_err(|error| failed(error.to_string()))?;
    let request = ReasonRequest { member: member(org, "alice")?, reason };
    client(mesh, org)?.post(&format!("/v1/proposals/{}/cancel", opened.id), &request).await
}

/// The story did not come out as told.
pub(super) fn failed(text: impl Into<String>) -> Failure {
    Failure::new(Exit::EndedBadly, text)
}

fn member(org: &str, name: &str) -> Outcome<MemberId> {
    MemberId::new(&format!("{org}/{name}")).map_err(|error| failed(error.to_string()))
}
