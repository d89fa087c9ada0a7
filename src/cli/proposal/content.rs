//! Owns the commands that bring a file's content before the members: its plan, a new proposal, a new revision. Refuses
//! to submit a plan that nobody has seen.

use std::path::{Path, PathBuf};

use althing_contracts::{
    digest::Digest,
    document::ProposalDocument,
    name::{MemberId, OrgId},
    quantity::Revision,
    stage::Stage,
};
use clap::Args;

use super::{parse_hash, path};
use crate::{
    api::view::{
        act::{AcceptedView, ReviseRequest, SubmitRequest},
        plan::{PlanReport, PlanRequest},
        proposal::ProposalView,
        rehearsal::{RehearsalView, RehearseRequest},
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

/// What is rehearsed, and what is not as it should be.
#[derive(Debug, Args)]
pub struct RehearseArguments {
    /// Proposal file
    file: PathBuf,
    /// Voter, or organisation all of whose voters, who votes against; repeat for more
    #[arg(long, value_name = "WHO")]
    against: Vec<String>,
    /// Voter or organisation who abstains; repeat for more
    #[arg(long, value_name = "WHO")]
    abstain: Vec<String>,
    /// Voter or organisation who does not vote; repeat for more
    #[arg(long, value_name = "WHO")]
    absent: Vec<String>,
    /// Organisation whose reviewer refuses; repeat for more
    #[arg(long, value_name = "ORG")]
    refuse: Vec<OrgId>,
    /// No guardian signs
    #[arg(long)]
    unsigned: bool,
    /// Step that fails without an effect
    #[arg(long, value_name = "STEP")]
    fail_step: Option<u16>,
    /// Stage whose targets are found unhealthy; the number of stages stands for the final verification
    #[arg(long, value_name = "STAGE")]
    sick_stage: Option<u8>,
    /// The author
    #[arg(long = "as", value_name = "ORG/NAME")]
    member: Option<MemberId>,
}

/// Plays the life of a file's content.
pub(super) async fn rehearse(arguments: RehearseArguments, session: &Session) -> Outcome {
    let RehearseArguments { file, against, abstain, absent, refuse, unsigned, fail_step, sick_stage, member } =
        arguments;
    let request = RehearseRequest {
        member: session.member(member)?,
        document: document::read(&file)?,
        against,
        abstain,
        absent,
        refuse,
        unsigned,
        failing_step: fail_step,
        unhealthy_stage: sick_stage,
    };
    let rehearsal: RehearsalView = session.client()?.post("/v1/proposals/rehearse", &request).await?;
    session.print(&rehearsal)?;
    let ended = rehearsal.ended.as_deref().unwrap_or(&rehearsal.stage);
    if ended == Stage::Executed.name() {
        session.suggest(&format!("althing proposal plan {}", file.display()));
        return Ok(());
    }
    Err(Failure::new(Exit::EndedBadly, format!("it would end {ended}")))
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
