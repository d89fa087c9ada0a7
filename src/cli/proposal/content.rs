//! Owns the commands that bring a file's content before the members: its plan, a new proposal, a new revision. Refuses
//! to submit a plan that nobody has seen.

use std::path::Path;

use althing_contracts::{digest::Digest, document::ProposalDocument, name::MemberId, quantity::Revision};

use super::{parse_hash, path};
use crate::{
    api::view::{
        act::{AcceptedView, ReviseRequest, SubmitRequest},
        plan::{PlanReport, PlanRequest},
        proposal::ProposalView,
    },
    cli::{
        client::Client,
        document,
        failure::{Exit, Failure, Outcome},
        render::short,
        session::Session,
    },
};

/// Shows the plan of a file.
pub(super) async fn plan(file: &Path, session: &Session) -> Outcome {
    let (_, report) = ask_for_plan(&session.client()?, file).await?;
    session.print(&report)?;
    if report.findings.is_empty() {
        let hash = &report.plan.plan_hash;
        session.suggest(&format!("althing proposal submit {} --plan-hash {hash}", file.display()));
        return Ok(());
    }
    let detail =
        format!("{} hard rules are broken; submitted, it would be rejected at once", report.findings.len());
    Err(Failure::new(Exit::EndedBadly, detail))
}

/// Opens a proposal with the content of a file.
pub(super) async fn submit(
    file: &Path,
    hash: Option<Digest>,
    member: Option<MemberId>,
    session: &Session,
) -> Outcome {
    let member = session.member(member)?;
    let client = session.client()?;
    let (document, plan_hash) = seen(&client, file, hash, "submit", session).await?;
    let request = SubmitRequest { member, document, plan_hash };
    told(&client.post("/v1/proposals", &request).await?, session)
}

/// Replaces the content of a proposal by that of a file.
pub(super) async fn revise(
    id: &str,
    file: &Path,
    hash: Option<Digest>,
    revision: Option<Revision>,
    member: Option<MemberId>,
    session: &Session,
) -> Outcome {
    let member = session.member(member)?;
    let client = session.client()?;
    let replaces = if let Some(revision) = revision {
        revision
    } else {
        let shown: ProposalView = client.get(&path(id, "")).await?;
        Revision::new(shown.summary.revision)
    };
    let (document, plan_hash) = seen(&client, file, hash, &format!("revise {id} by"), session).await?;
    let request = ReviseRequest { member, replaces, document, plan_hash };
    told(&client.post(&path(id, "/revisions"), &request).await?, session)
}

async fn ask_for_plan(client: &Client, file: &Path) -> Outcome<(ProposalDocument, PlanReport)> {
    let request = PlanRequest { document: document::read(file)? };
    let report = client.post("/v1/proposals/plan", &request).await?;
    Ok((request.document, report))
}

/// The content of a file, and the hash of its plan that the person has seen or confirms.
async fn seen(
    client: &Client,
    file: &Path,
    hash: Option<Digest>,
    act: &str,
    session: &Session,
) -> Outcome<(ProposalDocument, Digest)> {
    if let Some(plan_hash) = hash {
        return Ok((document::read(file)?, plan_hash));
    }
    let (document, report) = ask_for_plan(client, file).await?;
    let plan_hash = parse_hash(&report.plan.plan_hash)?;
    let question = format!("{act} {} with plan hash {plan_hash}?", file.display());
    session.confirm(&question, "--plan-hash HASH as `althing proposal plan` prints it")?;
    Ok((document, plan_hash))
}

/// Shows what came of it; the hard rules may have rejected it at once.
fn told(accepted: &AcceptedView, session: &Session) -> Outcome {
    session.print(accepted)?;
    if let Some(finding) = accepted.findings.first() {
        let detail = format!("rejected by the hard rule {}: {}", finding.rule, finding.message);
        return Err(Failure::with_help(Exit::EndedBadly, detail, "change the proposal and submit it again"));
    }
    session.suggest(&format!("althing proposal wait {} --for executed", short(&accepted.proposal.id)));
    Ok(())
}
