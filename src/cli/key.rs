//! Owns the commands about keys: their files, their replacement, their recovery.

use std::path::{Path, PathBuf};

use althing_actors::causes::with_causes;
use althing_contracts::{name::MemberId, quantity::TimeMs, recovery::KeyClaim, role::Role};
use althing_netconfig::keys::{self, KeyError, KeyPurpose, SecretKey};
use clap::{Subcommand, ValueEnum};
use serde::Serialize;

use super::{
    client::Client,
    document::read_as,
    failure::{Exit, Failure, Outcome},
    output::{Render, fields},
    proposal::write_new,
    session::Session,
};
use crate::api::view::{
    key::{KeyAcceptedView, RecoverKeyRequest, RecoveryView, ReplaceKeyRequest, StopRecoveryRequest},
    node::NodeView,
    page::Page,
    registry::MemberView,
};

/// What can be done with keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Makes a key, writes it to a file that only you can read, and prints its public half
    #[command(
        before_help = "Examples:\n  althing key new voter keys/zoe.voter.key\n  althing key new node node.key -o name\n"
    )]
    New {
        /// What it is for: node, consensus, or a role of a member
        purpose: KeyPurpose,
        /// File to write; it must not exist
        file: PathBuf,
    },
    /// Has another key in the place of the one you sign with; from then on the old one signs nothing
    #[command(before_help = "Examples:\n  althing key new voter keys/zoe.voter.2.key\n  \
                             althing key replace keys/zoe.voter.2.key --as acme/zoe\n\n\
                             The node signs with both: the new file has to be in its directory of keys.\n")]
    Replace {
        /// File of the new key
        key: PathBuf,
        /// Whose it is to be
        #[arg(long = "as", value_name = "ORG/NAME")]
        member: Option<MemberId>,
    },
    /// Writes down that a new key is to be yours, for colleagues who recover one that is lost
    #[command(before_help = "Examples:\n  althing key claim zoe.voter.2.key zoe.claim.toml --as acme/zoe\n")]
    Claim {
        /// File of the new key
        key: PathBuf,
        /// File to write; it must not exist
        file: PathBuf,
        /// Whose it is to be
        #[arg(long = "as", value_name = "ORG/NAME")]
        member: Option<MemberId>,
    },
    /// Says that a colleague has lost a key, and that it is the claimed one from now on
    #[command(before_help = "Examples:\n  althing key recover zoe.claim.toml --as acme/yan\n\n\
                             Ask the colleague in person whether the claim is theirs.\n")]
    Recover {
        /// The colleague's claim
        file: PathBuf,
        /// Who says so
        #[arg(long = "as", value_name = "ORG/NAME")]
        member: Option<MemberId>,
    },
    /// Lists the keys that colleagues say are lost
    Recoveries,
    /// Refuses a recovery of your own key, or takes back what you said about a colleague's
    #[command(before_help = "Examples:\n  althing key stop acme/zoe voter --as acme/zoe\n")]
    Stop {
        /// Whose key
        member: MemberId,
        /// For which role
        role: RoleName,
        /// Who stops it
        #[arg(long = "as", value_name = "ORG/NAME")]
        by: Option<MemberId>,
    },
}

/// A role whose keys people replace by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RoleName {
    /// Writes proposals
    Author,
    /// Signs proposals off
    Reviewer,
    /// Votes
    Voter,
    /// Vetoes, co-signs, and acts in emergencies
    Guardian,
}

impl From<RoleName> for Role {
    fn from(role: RoleName) -> Self {
        match role {
            RoleName::Author => Self::Author,
            RoleName::Reviewer => Self::Reviewer,
            RoleName::Voter => Self::Voter,
            RoleName::Guardian => Self::Guardian,
        }
    }
}

/// A key that was made.
#[derive(Debug, Serialize)]
struct KeyView {
    purpose: String,
    file: String,
    public_key: String,
}

/// A claim that was written.
#[derive(Debug, Serialize)]
struct ClaimView {
    file: String,
    claim: KeyClaim,
}

/// Carries a command out.
pub(super) async fn run(command: KeyCommand, session: &Session) -> Outcome {
    match command {
        KeyCommand::New { purpose, file } => new(purpose, &file, session),
        KeyCommand::Claim { key, file, member } => {
            let claim = claim(&session.client()?, session.member(member)?, &key).await?;
            write_new(&file, &toml_of(&claim)?)?;
            session.print(&ClaimView { file: file.display().to_string(), claim })?;
            session.suggest(&format!("althing key recover {} --as ORG/COLLEAGUE", file.display()));
            Ok(())
        }
        KeyCommand::Replace { key, member } => {
            let client = session.client()?;
            let claim = claim(&client, session.member(member)?, &key).await?;
            let accepted: KeyAcceptedView =
                client.post("/v1/keys/replace", &ReplaceKeyRequest { claim }).await?;
            session.print(&accepted)
        }
        KeyCommand::Recover { file, member } => {
            let signer = session.member(member)?;
            let request = RecoverKeyRequest {
                signer,
                claim: read_as(&file, "a claim is written by `althing key claim KEY FILE`")?,
            };
            let accepted: KeyAcceptedView = session.client()?.post("/v1/recoveries", &request).await?;
            session.print(&accepted)?;
            session.suggest("althing key recoveries");
            Ok(())
        }
        KeyCommand::Recoveries => {
            let held: Page<RecoveryView> = session.client()?.list("/v1/recoveries", usize::MAX).await?;
            session.print(&held)
        }
        KeyCommand::Stop { member, role, by } => {
            let request = StopRecoveryRequest { by: session.member(by)?, member, role: role.into() };
            let accepted: KeyAcceptedView = session.client()?.post("/v1/recoveries/stop", &request).await?;
            session.print(&accepted)
        }
    }
}

fn new(purpose: KeyPurpose, file: &Path, session: &Session) -> Outcome {
    let key = SecretKey::generate(purpose).map_err(|error| failed(&error))?;
    keys::create(file, &key).map_err(|error| failed(&error))?;
    session.print(&KeyView {
        purpose: purpose.to_string(),
        file: file.display().to_string(),
        public_key: key.public().to_string(),
    })
}

/// What a new key says that is to be a member's, by what the ledger knows of the member.
async fn claim(client: &Client, member: MemberId, file: &Path) -> Outcome<KeyClaim> {
    let key = keys::load_any(file).map_err(|error| failed(&error))?;
    let KeyPurpose::Member(role) = key.purpose() else {
        let text =
            format!("{} holds a key for {}, not for a role of a member", file.display(), key.purpose());
        return Err(Failure::with_help(Exit::Usage, text, "make one with `althing key new ROLE FILE`"));
    };
    let node: NodeView = client.get("/v1/node").await?;
    let members: Page<MemberView> = client.list("/v1/members", usize::MAX).await?;
    let held = members.items.into_iter().find(|it| it.id == member.as_str());
    let Some(replaces) = held.and_then(|mut it| it.keys.remove(role.name())) else {
        let text = format!("{member} has no key for the role {role} that another could replace");
        return Err(Failure::with_help(Exit::Usage, text, "`althing mesh members` lists who has which role"));
    };
    let unreadable = || Failure::new(Exit::EndedBadly, "the node names a key or a network that is none");
    let replaces = replaces.parse().map_err(|_| unreadable())?;
    let network = node.head.network.parse().map_err(|_| unreadable())?;
    let message = KeyClaim::signing_message(network, (&member, role), replaces, key.public());
    Ok(KeyClaim { proof: key.sign(message), member, role, replaces, key: key.public() })
}

fn toml_of(claim: &KeyClaim) -> Outcome<String> {
    toml::to_string(claim).map_err(|error| Failure::new(Exit::EndedBadly, error.to_string()))
}

fn failed(error: &KeyError) -> Failure {
    let exit = if matches!(error, KeyError::Exists { .. }) { Exit::Conflict } else { Exit::Usage };
    Failure::new(exit, with_causes(error))
}

impl Render for ClaimView {
    fn table(&self, _: TimeMs) -> String {
        fields([
            ("member", Some(self.claim.member.to_string())),
            ("role", Some(self.claim.role.to_string())),
            ("new key", Some(self.claim.key.to_string())),
            ("replaces", Some(self.claim.replaces.to_string())),
            ("file", Some(self.file.clone())),
        ])
    }

    fn names(&self) -> Vec<String> {
        vec![self.file.clone()]
    }
}

impl Render for KeyView {
    fn table(&self, _: TimeMs) -> String {
        fields([
            ("purpose", Some(self.purpose.clone())),
            ("file", Some(self.file.clone())),
            ("public key", Some(self.public_key.clone())),
        ])
    }

    fn names(&self) -> Vec<String> {
        vec![self.public_key.clone()]
    }
}
