//! Owns the commands about executions.

use althing_contracts::name::{Line, MemberId};
use clap::Subcommand;

use super::{client::encode, failure::Outcome, render::short, session::Session};
use crate::api::view::{
    act::{AcceptedView, ReasonRequest, ResumeRequest},
    execution::ExecutionView,
};

/// What can be done with executions.
#[derive(Debug, Subcommand)]
pub enum ExecutionCommand {
    /// Shows steps by targets with receipts and health
    Show {
        /// The proposal's id, or the first 6 or more digits of it
        id: String,
    },
    /// Gives a running execution up and rolls it back
    Rollback {
        /// The proposal's id, or the first 6 or more digits of it
        id: String,
        /// Why
        #[arg(long)]
        reason: Line,
        /// An executor of one of its targets
        #[arg(long = "as", value_name = "ORG/NAME")]
        member: Option<MemberId>,
    },
    /// Continues a failed execution within its retry budget
    Resume {
        /// The proposal's id, or the first 6 or more digits of it
        id: String,
        /// The author, or an executor of one of its targets
        #[arg(long = "as", value_name = "ORG/NAME")]
        member: Option<MemberId>,
    },
}

/// Carries a command out.
pub(super) async fn run(command: ExecutionCommand, session: &Session) -> Outcome {
    let client = session.client()?;
    let path = |id: &str, rest: &str| format!("/v1/executions/{}{rest}", encode(id));
    match command {
        ExecutionCommand::Show { id } => {
            let shown: ExecutionView = client.get(&path(&id, "")).await?;
            session.print(&shown)?;
            session.suggest(&format!("althing proposal wait {}", short(&shown.proposal)));
        }
        ExecutionCommand::Rollback { id, reason, member } => {
            let request = ReasonRequest { member: session.member(member)?, reason };
            let accepted: AcceptedView = client.post(&path(&id, "/abort"), &request).await?;
            session.print(&accepted)?;
            session.suggest(&format!(
                "althing proposal wait {} --for rolled-back",
                short(&accepted.proposal.id)
            ));
        }
        ExecutionCommand::Resume { id, member } => {
            let request = ResumeRequest { member: session.member(member)? };
            let accepted: AcceptedView = client.post(&path(&id, "/resume"), &request).await?;
            session.print(&accepted)?;
            session
                .suggest(&format!("althing proposal wait {} --for executed", short(&accepted.proposal.id)));
        }
    }
    Ok(())
}
