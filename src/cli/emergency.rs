//! Owns the commands about emergencies.

use althing_contracts::{
    constitution::Track,
    emergency::Measure,
    name::{Line, MemberId, TargetId},
    quantity::DurationMs,
};
use clap::{Args, Subcommand, ValueEnum};

use super::{
    client::{Client, encode},
    duration::Timeout,
    failure::Outcome,
    render::short,
    session::Session,
};
use crate::api::view::emergency::{DeclareRequest, EmergencyAcceptedView, EmergencyRequest, EmergencyView};

/// What can be done about emergencies.
#[derive(Debug, Subcommand)]
pub enum EmergencyCommand {
    /// Declares an emergency, to be signed by other guardians
    #[command(
        before_help = "Examples:\n  althing emergency declare --pause acme-north --reason \"disks fill up\" --for 4h --as acme/gert\n  \
                       althing emergency declare --halt standard --suspend birch/eve --reason \"key leaked\" --for 24h\n"
    )]
    Declare(DeclareArguments),
    /// Signs an emergency that another guardian declared
    Sign(OneArguments),
    /// Lists emergencies, newest first
    List,
    /// Shows an emergency
    Show {
        /// Its id, or the first 6 or more digits of it
        id: String,
    },
    /// Takes back an emergency that you signed, or ends one whose time is over
    End(OneArguments),
}

/// What is ordered, why, and for how long.
#[derive(Debug, Args)]
pub struct DeclareArguments {
    /// Takes no proposal on this track, and begins nothing on it; repeatable
    #[arg(long, value_enum, value_name = "TRACK")]
    halt: Vec<HaltedTrack>,
    /// Begins no step on this target, and rolls back what runs there; repeatable
    #[arg(long, value_name = "TARGET")]
    pause: Vec<TargetId>,
    /// Like --pause, and undoes nothing there either; repeatable
    #[arg(long, value_name = "TARGET")]
    isolate: Vec<TargetId>,
    /// Lets this executor's key do nothing; repeatable
    #[arg(long, value_name = "ORG/NAME")]
    suspend: Vec<MemberId>,
    /// Why
    #[arg(long)]
    reason: Line,
    /// How long from now, for example 4h
    #[arg(long = "for", value_name = "TIME")]
    length: Timeout,
    /// The guardian
    #[arg(long = "as", value_name = "ORG/NAME")]
    member: Option<MemberId>,
}

/// One emergency, and who acts.
#[derive(Debug, Args)]
pub struct OneArguments {
    /// Its id, or the first 6 or more digits of it; the whole id confirms its content
    id: String,
    /// Who acts
    #[arg(long = "as", value_name = "ORG/NAME")]
    member: Option<MemberId>,
}

/// A track that can be halted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum HaltedTrack {
    /// Small changes
    Routine,
    /// Ordinary changes
    Standard,
    /// What much depends on
    High,
}

impl From<HaltedTrack> for Track {
    fn from(track: HaltedTrack) -> Self {
        match track {
            HaltedTrack::Routine => Self::Routine,
            HaltedTrack::Standard => Self::Standard,
            HaltedTrack::High => Self::High,
        }
    }
}

/// Carries a command out.
pub(super) async fn run(command: EmergencyCommand, session: &Session) -> Outcome {
    let client = session.client()?;
    match command {
        EmergencyCommand::Declare(arguments) => declare(arguments, &client, session).await,
        EmergencyCommand::Sign(arguments) => sign(arguments, &client, session).await,
        EmergencyCommand::End(OneArguments { id, member }) => {
            let request = EmergencyRequest { member: session.member(member)? };
            let accepted: EmergencyAcceptedView = client.post(&path(&id, "/end"), &request).await?;
            session.print(&accepted)
        }
        EmergencyCommand::List => {
            let shown: Vec<EmergencyView> = client.get("/v1/emergencies").await?;
            session.print(&shown)
        }
        EmergencyCommand::Show { id } => {
            let shown: EmergencyView = client.get(&path(&id, "")).await?;
            session.print(&shown)?;
            suggest_next(&shown, session);
            Ok(())
        }
    }
}

async fn declare(arguments: DeclareArguments, client: &Client, session: &Session) -> Outcome {
    let DeclareArguments { halt, pause, isolate, suspend, reason, length, member } = arguments;
    let member = session.member(member)?;
    let tracks = halt.into_iter().map(|track| Measure::HaltTrack { track: track.into() });
    let paused = pause.into_iter().map(|target| Measure::PauseTarget { target });
    let isolated = isolate.into_iter().map(|target| Measure::IsolateTarget { target });
    let suspended = suspend.into_iter().map(|member| Measure::SuspendExecutor { member });
    let measures: Vec<Measure> = tracks.chain(paused).chain(isolated).chain(suspended).collect();
    let for_ms = DurationMs::new(u64::try_from(length.0.as_millis()).unwrap_or(u64::MAX));
    let request = DeclareRequest { member, measures, reason, for_ms };
    let accepted: EmergencyAcceptedView = client.post("/v1/emergencies", &request).await?;
    session.print(&accepted)?;
    suggest_next(&accepted.emergency, session);
    Ok(())
}

/// A guardian signs what is shown, or names the content by its whole id.
async fn sign(OneArguments { id, member }: OneArguments, client: &Client, session: &Session) -> Outcome {
    let member = session.member(member)?;
    let shown: EmergencyView = client.get(&path(&id, "")).await?;
    if shown.id != id {
        let measures: Vec<String> = shown.measures.iter().map(ToString::to_string).collect();
        let question = format!("sign to {} because of \"{}\"?", measures.join(", "), shown.reason);
        session.confirm(&question, "the whole id")?;
    }
    let request = EmergencyRequest { member };
    let accepted: EmergencyAcceptedView = client.post(&path(&shown.id, "/signatures"), &request).await?;
    session.print(&accepted)?;
    suggest_next(&accepted.emergency, session);
    Ok(())
}

fn suggest_next(shown: &EmergencyView, session: &Session) {
    match &shown.proposal {
        Some(proposal) => session.suggest(&format!("althing vote explain {}", short(proposal))),
        None => session.suggest(&format!("althing emergency sign {} --as ORG/GUARDIAN", shown.id)),
    }
}

fn path(id: &str, rest: &str) -> String {
    format!("/v1/emergencies/{}{rest}", encode(id))
}
