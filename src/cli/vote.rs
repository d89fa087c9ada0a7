//! Owns the commands about votes.

use althing_contracts::{
    digest::Digest,
    name::MemberId,
    quantity::Revision,
    transaction::{Choice, Edition},
};
use clap::{Subcommand, ValueEnum};

use super::{
    failure::Outcome,
    proposal::{path, seen},
    render::short,
    session::Session,
};
use crate::api::view::{
    act::{AcceptedView, BatchRequest, BatchView, VoteRequest},
    explain::ExplainView,
    vote::VoteView,
};

/// What can be done with votes.
#[derive(Debug, Subcommand)]
pub enum VoteCommand {
    /// Casts a ballot on the plan that you saw
    #[command(before_help = "Examples:\n  althing vote cast 3f9ac1 yes --hash HASH --as birch/vera\n")]
    Cast {
        /// The proposal's id, or the first 6 or more digits of it
        id: String,
        /// The choice
        choice: Ballot,
        /// The plan hash that you looked at; refused when the plan has moved
        #[arg(long, value_name = "HASH")]
        hash: Option<Digest>,
        /// The revision that you looked at, instead of the current one
        #[arg(long, value_name = "NUMBER")]
        revision: Option<u32>,
        /// The voter
        #[arg(long = "as", value_name = "ORG/NAME")]
        member: Option<MemberId>,
    },
    /// Casts one ballot on several proposals of the routine track, on all of them or on none
    #[command(before_help = "Examples:\n  althing vote batch yes 3f9ac1 77b2e0 a41d93 --as birch/vera\n")]
    Batch {
        /// The choice
        choice: Ballot,
        /// The proposals' ids, or the first 6 or more digits of each
        #[arg(required = true)]
        ids: Vec<String>,
        /// The voter
        #[arg(long = "as", value_name = "ORG/NAME")]
        member: Option<MemberId>,
    },
    /// Lists the ballots and the count
    List {
        /// The proposal's id, or the first 6 or more digits of it
        id: String,
    },
    /// Explains why a proposal is where it is: what can come next, on which conditions with figures, who may act or why not
    Explain {
        /// The proposal's id, or the first 6 or more digits of it
        id: String,
    },
}

/// A choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Ballot {
    /// Do it; on the routine track: seen, no objection
    Yes,
    /// Do not; on the routine track: an objection
    No,
    /// Counts for turnout only
    Abstain,
}

impl From<Ballot> for Choice {
    fn from(ballot: Ballot) -> Self {
        match ballot {
            Ballot::Yes => Self::For,
            Ballot::No => Self::Against,
            Ballot::Abstain => Self::Abstain,
        }
    }
}

/// Carries a command out.
pub(super) async fn run(command: VoteCommand, session: &Session) -> Outcome {
    let client = session.client()?;
    match command {
        VoteCommand::Cast { id, choice, hash, revision, member } => {
            let member = session.member(member)?;
            let Edition { revision: current, plan_hash, .. } = seen(&client, &id, hash, session).await?;
            let revision = revision.map_or(current, Revision::new);
            let request = VoteRequest { member, revision, plan_hash, choice: choice.into() };
            let accepted: AcceptedView = client.post(&path(&id, "/votes"), &request).await?;
            session.print(&accepted)?;
            session.suggest(&format!("althing vote explain {}", short(&accepted.proposal.id)));
        }
        VoteCommand::Batch { choice, ids, member } => {
            let member = session.member(member)?;
            let mut editions = Vec::new();
            for id in &ids {
                editions.push(seen(&client, id, None, session).await?);
            }
            let request = BatchRequest { member, editions, choice: choice.into() };
            let accepted: BatchView = client.post("/v1/votes", &request).await?;
            session.print(&accepted)?;
            session.suggest("althing proposal list");
        }
        VoteCommand::List { id } => {
            let shown: VoteView = client.get(&path(&id, "/votes")).await?;
            session.print(&shown)?;
            session.suggest(&format!("althing vote explain {}", short(&shown.proposal)));
        }
        VoteCommand::Explain { id } => {
            let shown: ExplainView = client.get(&path(&id, "/explain")).await?;
            session.print(&shown)?;
            session.suggest(&format!("althing proposal wait {}", short(&shown.proposal.id)));
        }
    }
    Ok(())
}
