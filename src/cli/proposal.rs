//! Owns the commands about proposals, from the empty file to the end of the wait.

use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use althing_contracts::{
    digest::Digest,
    document::ProposalDocument,
    name::{Line, MemberId},
    quantity::Revision,
    transaction::{Edition, ProposalId, ReviewVerdict},
};
use clap::{Subcommand, ValueEnum};

use super::{
    client::{Client, encode},
    document,
    failure::{Exit, Failure, Outcome},
    render::{figures, short},
    session::Session,
};
use crate::api::view::{
    act::{AcceptedView, CosignRequest, ReasonRequest, ReviewRequest},
    page::Page,
    progress::{Goal, Progress, WaitView},
    proposal::{ProposalSummary, ProposalView},
};

mod content;

const TEMPLATE: &str = include_str!("template.toml");
/// Longest wait when `--timeout` does not say.
const WAIT_DEFAULT: Duration = Duration::from_mins(10);
/// Longest time that one request of a wait is left open.
const POLL_MAX: Duration = Duration::from_secs(30);

/// What can be done with proposals.
#[derive(Debug, Subcommand)]
pub enum ProposalCommand {
    /// Writes a commented template to fill in
    #[command(before_help = "Examples:\n  althing proposal draft change.toml\n")]
    Draft {
        /// File to write; it must not exist
        file: PathBuf,
    },
    /// Checks a proposal file without a node
    Validate {
        /// Proposal file
        file: PathBuf,
    },
    /// Shows what every step will change, and the plan hash; changes nothing
    #[command(before_help = "Examples:\n  althing proposal plan change.toml\n  \
                             althing proposal plan change.toml -o name     only the hash\n")]
    Plan {
        /// Proposal file
        file: PathBuf,
    },
    /// Plays a proposal's whole life on a copy of the state, with ballots and failures of your choice; 1 unless it is executed
    #[command(before_help = "Examples:\n  althing proposal rehearse change.toml --as acme/alice\n  \
                             althing proposal rehearse change.toml --against birch --absent cedar/vera --fail-step 1\n")]
    Rehearse(content::RehearseArguments),
    /// Submits a proposal whose plan is the one that you saw
    #[command(before_help = "Examples:\n  \
                             althing proposal submit change.toml --plan-hash HASH --as acme/alice\n")]
    Submit {
        /// Proposal file
        file: PathBuf,
        /// The plan hash that `plan` printed; refused when the plan has moved
        #[arg(long, value_name = "HASH")]
        plan_hash: Option<Digest>,
        /// The author
        #[arg(long = "as", value_name = "ORG/NAME")]
        member: Option<MemberId>,
    },
    /// Replaces the content of your proposal while it is in review; sign-offs of the revision before are void
    #[command(
        before_help = "Examples:\n  althing proposal plan change.toml -o name     the hash of the new plan\n  \
                             althing proposal revise 3f9ac1 change.toml --plan-hash HASH --as acme/alice\n"
    )]
    Revise {
        /// Its id, or the first 6 or more digits of it
        id: String,
        /// Proposal file with the new content
        file: PathBuf,
        /// The plan hash that `plan` printed; refused when the plan has moved
        #[arg(long, value_name = "HASH")]
        plan_hash: Option<Digest>,
        /// The revision that you edited, instead of the current one; refused when it is not current any more
        #[arg(long, value_name = "NUMBER")]
        revision: Option<u32>,
        /// The author
        #[arg(long = "as", value_name = "ORG/NAME")]
        member: Option<MemberId>,
    },
    /// Lists proposals, newest first
    List {
        /// Only those in this stage
        #[arg(long)]
        stage: Option<String>,
        /// Only those of this author
        #[arg(long, value_name = "ORG/NAME")]
        author: Option<MemberId>,
        /// Only those that have not ended
        #[arg(long)]
        open: bool,
        /// Entries wanted, 1 to 500
        #[arg(long, default_value_t = 50)]
        page_size: u16,
        /// Token of the next page, as a page before printed it
        #[arg(long, value_name = "TOKEN")]
        page_token: Option<String>,
    },
    /// Shows a whole proposal
    Show {
        /// Its id, or the first 6 or more digits of it
        id: String,
    },
    /// Waits until a proposal reaches a stage: 1 when it ends otherwise, 6 when the time is up
    #[command(before_help = "Examples:\n  althing proposal wait 3f9ac1 --for executed --timeout 5m\n")]
    Wait {
        /// Its id, or the first 6 or more digits of it
        id: String,
        /// The stage to reach
        #[arg(long = "for", value_enum, default_value_t = Goal::Closed)]
        goal: Goal,
    },
    /// Signs a proposal of another organisation off, or refuses it
    Review {
        /// Its id, or the first 6 or more digits of it
        id: String,
        /// The verdict
        verdict: Verdict,
        /// The plan hash that you looked at; refused when the plan has moved
        #[arg(long, value_name = "HASH")]
        hash: Option<Digest>,
        /// Remark
        #[arg(long, default_value = "")]
        reason: Line,
        /// The reviewer
        #[arg(long = "as", value_name = "ORG/NAME")]
        member: Option<MemberId>,
    },
    /// Signs a decision of another organisation's, when its track asks for guardians
    #[command(before_help = "Examples:\n  althing proposal cosign 3f9ac1 --hash HASH --as birch/gert\n")]
    Cosign {
        /// Its id, or the first 6 or more digits of it
        id: String,
        /// The plan hash that you looked at; refused when the plan has moved
        #[arg(long, value_name = "HASH")]
        hash: Option<Digest>,
        /// The guardian
        #[arg(long = "as", value_name = "ORG/NAME")]
        member: Option<MemberId>,
    },
    /// Withdraws a proposal that is not decided
    #[command(before_help = "Examples:\n  \
                             althing proposal cancel 3f9ac1 --reason \"not needed\" --as acme/alice\n")]
    Cancel {
        /// Its id, or the first 6 or more digits of it
        id: String,
        /// Why
        #[arg(long)]
        reason: Line,
        /// The author
        #[arg(long = "as", value_name = "ORG/NAME")]
        member: Option<MemberId>,
    },
    /// Stops a decided proposal of another organisation while it is queued; a guardian has a few vetoes
    #[command(before_help = "Examples:\n  \
                             althing proposal veto 3f9ac1 --reason \"the site is on fire\" --as birch/gert\n")]
    Veto {
        /// Its id, or the first 6 or more digits of it
        id: String,
        /// Why; it goes onto the ledger
        #[arg(long)]
        reason: Line,
        /// The guardian
        #[arg(long = "as", value_name = "ORG/NAME")]
        member: Option<MemberId>,
    },
}

/// A reviewer's verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Verdict {
    /// It may be voted on
    Approve,
    /// It must not be voted on as it is
    Refuse,
}

/// Carries a command out.
pub(super) async fn run(command: ProposalCommand, session: &Session) -> Outcome {
    match command {
        ProposalCommand::Draft { file } => draft(&file, session),
        ProposalCommand::Validate { file } => validate(&file, session),
        ProposalCommand::Plan { file } => content::plan(&file, session).await,
        ProposalCommand::Rehearse(arguments) => content::rehearse(arguments, session).await,
        ProposalCommand::Submit { file, plan_hash, member } => {
            content::submit(&file, plan_hash, member, session).await
        }
        ProposalCommand::Revise { id, file, plan_hash, revision, member } => {
            content::revise(&id, &file, plan_hash, revision.map(Revision::new), member, session).await
        }
        ProposalCommand::List { stage, author, open, page_size, page_token } => {
            let mut query = vec![("page_size", page_size.to_string())];
            query.extend(stage.map(|stage| ("stage", stage)));
            query.extend(author.map(|author| ("author", author.to_string())));
            query.extend(open.then(|| ("ended", "false".to_owned())));
            query.extend(page_token.map(|token| ("page_token", token)));
            list(&query, session).await
        }
        ProposalCommand::Show { id } => {
            let shown: ProposalView = session.client()?.get(&path(&id, "")).await?;
            // Whoever reads it may sign it next.
            rendered(&shown)?;
            session.print(&shown)?;
            session.suggest(&format!("althing vote explain {}", short(&shown.summary.id)));
            Ok(())
        }
        ProposalCommand::Wait { id, goal } => wait(&id, goal, session).await,
        ProposalCommand::Review { id, verdict, hash, reason, member } => {
            review(&id, verdict, hash, reason, member, session).await
        }
        ProposalCommand::Cosign { id, hash, member } => cosign(&id, hash, member, session).await,
        ProposalCommand::Cancel { id, reason, member } => stop(&id, "/cancel", reason, member, session).await,
        ProposalCommand::Veto { id, reason, member } => stop(&id, "/veto", reason, member, session).await,
    }
}

/// Ends a proposal, with a reason that goes onto the ledger.
async fn stop(id: &str, act: &str, reason: Line, member: Option<MemberId>, session: &Session) -> Outcome {
    let body = ReasonRequest { member: session.member(member)?, reason };
    let accepted: AcceptedView = session.client()?.post(&path(id, act), &body).await?;
    session.print(&accepted)?;
    session.suggest(&format!("althing proposal show {}", short(&accepted.proposal.id)));
    Ok(())
}

/// Path of a proposal's resource.
pub(super) fn path(id: &str, rest: &str) -> String {
    format!("/v1/proposals/{}{rest}", encode(id))
}

/// A proposal as its file says it.
///
/// # Errors
/// Never: every document has a text form.
pub(super) fn text_of(document: &ProposalDocument) -> Outcome<String> {
    toml::to_string(document)
        .map_err(|error| Failure::new(Exit::EndedBadly, format!("the proposal has no text form: {error}")))
}

/// Writes a file that must not exist.
pub(super) fn write_new(file: &Path, text: &str) -> Outcome {
    let name = file.display();
    let written = OpenOptions::new().write(true).create_new(true).open(file);
    written.and_then(|mut out| out.write_all(text.as_bytes())).map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => Failure::with_help(
            Exit::Conflict,
            format!("{name} exists and is not overwritten"),
            "choose another name, or remove it first",
        ),
        _ => Failure::new(Exit::Usage, format!("cannot write {name}: {error}")),
    })
}

fn draft(file: &Path, session: &Session) -> Outcome {
    write_new(file, TEMPLATE)?;
    let name = file.display();
    session.say(&format!("wrote {name}"));
    session.suggest(&format!("fill it in, then althing proposal plan {name}"));
    Ok(())
}

fn validate(file: &Path, session: &Session) -> Outcome {
    let document = document::read(file)?;
    session.write(&format!("{}\n", document.digest()))?;
    session.say(&format!("{} has a sound form; the rules are judged by a node", file.display()));
    session.suggest(&format!("althing proposal plan {}", file.display()));
    Ok(())
}

/// The hash of a node's answer.
pub(super) fn parse_hash(text: &str) -> Outcome<Digest> {
    text.parse()
        .map_err(|error| Failure::new(Exit::Unreachable, format!("the node sent a wrong hash: {error}")))
}

async fn list(query: &[(&str, String)], session: &Session) -> Outcome {
    let page: Page<ProposalSummary> = session.client()?.get_with("/v1/proposals", query).await?;
    session.print(&page)?;
    match (&page.next_page_token, page.items.first()) {
        (Some(token), _) => session.suggest(&format!("althing proposal list --page-token {token}")),
        (None, Some(first)) => session.suggest(&format!("althing proposal show {}", short(&first.id))),
        (None, None) => session.suggest("althing proposal draft change.toml"),
    }
    Ok(())
}

async fn review(
    id: &str,
    verdict: Verdict,
    hash: Option<Digest>,
    reason: Line,
    member: Option<MemberId>,
    session: &Session,
) -> Outcome {
    let member = session.member(member)?;
    let client = session.client()?;
    let Edition { revision, plan_hash, .. } = seen(&client, id, hash, session).await?;
    let verdict = match verdict {
        Verdict::Approve => ReviewVerdict::Approve,
        Verdict::Refuse => ReviewVerdict::Refuse,
    };
    let request = ReviewRequest { member, revision, plan_hash, verdict, reason };
    let accepted: AcceptedView = client.post(&path(id, "/reviews"), &request).await?;
    session.print(&accepted)?;
    session.suggest(&format!("althing vote explain {}", short(&accepted.proposal.id)));
    Ok(())
}

async fn cosign(id: &str, hash: Option<Digest>, member: Option<MemberId>, session: &Session) -> Outcome {
    let member = session.member(member)?;
    let client = session.client()?;
    let Edition { revision, plan_hash, .. } = seen(&client, id, hash, session).await?;
    let request = CosignRequest { member, revision, plan_hash };
    let accepted: AcceptedView = client.post(&path(id, "/cosignatures"), &request).await?;
    session.print(&accepted)?;
    session.suggest(&format!("althing vote explain {}", short(&accepted.proposal.id)));
    Ok(())
}

/// The revision, and the plan hash that the person has seen or confirms.
pub(super) async fn seen(
    client: &Client,
    id: &str,
    hash: Option<Digest>,
    session: &Session,
) -> Outcome<Edition> {
    let shown: ProposalView = client.get(&path(id, "")).await?;
    let current = rendered(&shown)?;
    if hash.is_none() {
        session.confirm(
            &format!("{}: is the plan hash {current} the one you looked at?", shown.summary.title),
            "--hash HASH",
        )?;
    }
    let proposal = shown.summary.id.parse::<Digest>().map_err(|error| {
        Failure::new(Exit::EndedBadly, format!("the node names a proposal by what is no id: {error}"))
    })?;
    Ok(Edition {
        proposal: ProposalId::from_digest(proposal),
        revision: Revision::new(shown.summary.revision),
        plan_hash: hash.unwrap_or(current),
    })
}

/// The plan hash, derived here from what the node shows; refuses what is not what it says.
fn rendered(shown: &ProposalView) -> Outcome<Digest> {
    shown.rendered_plan_hash().map_err(|error| {
        Failure::with_help(
            Exit::EndedBadly,
            format!("refused: {error}"),
            "sign nothing through this node, and look at the proposal through another one with --addr or --context",
        )
    })
}

async fn wait(id: &str, goal: Goal, session: &Session) -> Outcome {
    let client = session.client_within(session.timeout(WAIT_DEFAULT) + POLL_MAX)?;
    loop {
        let left = client.left().saturating_sub(POLL_MAX);
        let query = [("for", goal_name(goal)), ("timeout_ms", left.min(POLL_MAX).as_millis().to_string())];
        let shown: WaitView = client.get_with(&path(id, "/wait"), &query).await?;
        if shown.progress == Progress::Pending && client.left() > POLL_MAX {
            continue;
        }
        session.print(&shown)?;
        return end_of_wait(&shown, goal, session);
    }
}

fn goal_name(goal: Goal) -> String {
    goal.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
}

fn end_of_wait(shown: &WaitView, goal: Goal, session: &Session) -> Outcome {
    let (id, stage, goal) = (short(&shown.proposal.id), &shown.proposal.stage, goal_name(goal));
    match shown.progress {
        Progress::Reached => {
            session.suggest(&format!("althing execution show {id}"));
            Ok(())
        }
        Progress::Missed => {
            let because = shown.cause.as_ref().map_or_else(String::new, |cause| format!(": {cause}"));
            let detail = format!("{id} is {stage} and will not be {goal}{because}");
            Err(Failure::with_help(Exit::EndedBadly, detail, format!("see `althing proposal show {id}`")))
        }
        Progress::Pending => {
            let unmet: Vec<String> = shown
                .unmet
                .iter()
                .map(|condition| format!("{}: {} ({})", condition.name, condition.what, figures(condition)))
                .collect();
            let detail = format!("{id} is {stage} and not {goal} yet; {}", unmet.join("; "));
            Err(Failure::with_help(Exit::Timeout, detail, format!("see `althing vote explain {id}`")))
        }
    }
}
