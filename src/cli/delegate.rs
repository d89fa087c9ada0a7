//! Owns the commands about who speaks for whom.

use althing_contracts::{constitution::Track, name::MemberId, quantity::DurationMs};
use clap::{Subcommand, ValueEnum};

use super::{duration::Timeout, failure::Outcome, session::Session};
use crate::api::view::{
    delegation::{DelegateRequest, DelegatedView, DelegationsView, RevokeRequest},
    page::Page,
};

/// What can be done with a voice.
#[derive(Debug, Subcommand)]
pub enum DelegateCommand {
    /// Lets another voter speak for you until you cast a ballot, take it back, or the time is up
    #[command(before_help = "Examples:\n  \
                             althing delegate to acme/alice --for 30d --as birch/vera\n  \
                             althing delegate to acme/alice --track standard --for 12h --as birch/vera\n")]
    To {
        /// Who speaks for you
        to: MemberId,
        /// On this track only
        #[arg(long, value_name = "TRACK")]
        track: Option<TrackName>,
        /// For how long from now on, for example 30d
        #[arg(long = "for", value_name = "TIME")]
        length: Timeout,
        /// The voter
        #[arg(long = "as", value_name = "ORG/NAME")]
        member: Option<MemberId>,
    },
    /// Lists who has let whom speak for it
    List,
    /// Speaks for yourself again in everything that is submitted from here on
    #[command(before_help = "Examples:\n  althing delegate revoke --as birch/vera\n  \
                             althing delegate revoke --track standard --as birch/vera\n")]
    Revoke {
        /// On this track only
        #[arg(long, value_name = "TRACK")]
        track: Option<TrackName>,
        /// The voter
        #[arg(long = "as", value_name = "ORG/NAME")]
        member: Option<MemberId>,
    },
}

/// A track.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TrackName {
    /// Small changes
    Routine,
    /// Ordinary changes
    Standard,
    /// What much depends on
    High,
    /// Changes of the rules themselves
    Constitutional,
}

impl From<TrackName> for Track {
    fn from(track: TrackName) -> Self {
        match track {
            TrackName::Routine => Self::Routine,
            TrackName::Standard => Self::Standard,
            TrackName::High => Self::High,
            TrackName::Constitutional => Self::Constitutional,
        }
    }
}

/// Carries a command out.
pub(super) async fn run(command: DelegateCommand, session: &Session) -> Outcome {
    let client = session.client()?;
    match command {
        DelegateCommand::To { to, track, length, member } => {
            let (member, track) = (session.member(member)?, track.map(Track::from));
            let for_ms = DurationMs::new(u64::try_from(length.0.as_millis()).unwrap_or(u64::MAX));
            let request = DelegateRequest { member, to, track, for_ms };
            let accepted: DelegatedView = client.post("/v1/delegations", &request).await?;
            session.print(&accepted)?;
            session.suggest("althing delegate list");
        }
        DelegateCommand::List => {
            let voices: Page<DelegationsView> = client.list("/v1/delegations", usize::MAX).await?;
            session.print(&voices)?;
            session.suggest("althing delegate to ORG/NAME --for 30d");
        }
        DelegateCommand::Revoke { track, member } => {
            let request = RevokeRequest { member: session.member(member)?, track: track.map(Track::from) };
            let accepted: DelegatedView = client.post("/v1/delegations/revoke", &request).await?;
            session.print(&accepted)?;
            session.suggest("althing delegate list");
        }
    }
    Ok(())
}
