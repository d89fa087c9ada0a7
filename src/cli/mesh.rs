//! Owns the commands about who takes part: what the ledger knows, and drafts of changes.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    str::FromStr,
};

use althing_contracts::{
    act::Act,
    document::ProposalDocument,
    genesis::{MemberRecord, ObserverRecord, OrganisationRecord, TargetRecord, Tier, ValidatorRecord},
    name::{Line, MemberId, Name, OrgId, Prose, TargetId},
    quantity::{TimeMs, Weight},
    role::Role,
    signature::PublicKey,
};
use clap::{Args, Subcommand};
use serde::de::DeserializeOwned;

use super::{
    client::Client,
    document,
    failure::{Exit, Failure, Outcome},
    proposal::{text_of, write_new},
    session::Session,
};
use crate::api::view::{
    node::NodeView,
    registry::{MemberView, OrganisationView, TargetView},
};

/// What can be done with who takes part.
#[derive(Debug, Subcommand)]
pub enum MeshCommand {
    /// Lists the organisations with their validators and observers
    Organisations,
    /// Lists the members with their roles and weights
    Members,
    /// Lists the governed targets
    Targets,
    /// Writes a proposal that changes who takes part; what is not given stays as it is
    #[command(
        before_help = "Examples:\n  althing mesh draft join.toml member acme/zoe --weight 100 --key voter=ed25519:…\n  \
                       althing mesh draft join.toml organisation echo --weight 1 --node ed25519:… --consensus ed25519:…\n  \
                       althing mesh draft leave.toml remove-member acme/zoe\n  \
                       althing mesh draft awaken.toml awaken\n  \
                       althing proposal plan join.toml\n"
    )]
    Draft(DraftArguments),
}

/// A draft.
#[derive(Debug, Args)]
pub struct DraftArguments {
    /// File to write; it must not exist
    file: PathBuf,
    /// Adds the change to those that the file holds
    #[arg(long, global = true)]
    add: bool,
    /// What is to change
    #[command(subcommand)]
    change: Change,
}

/// A change of who takes part.
#[derive(Debug, Subcommand)]
enum Change {
    /// Takes a member in, or gives one another weight, key or role
    Member {
        /// Who, written `organisation/name`
        member: MemberId,
        /// Voting weight; counts only with a voter key
        #[arg(long)]
        weight: Option<u64>,
        /// A role with its public key, as `althing init` and `althing key new` print it
        #[arg(long = "key", value_name = "ROLE=KEY", value_parser = role_key)]
        keys: Vec<(Role, PublicKey)>,
        /// A role that the member holds no more
        #[arg(long = "without", value_name = "ROLE", value_parser = role)]
        without: Vec<Role>,
    },
    /// Lets a member go
    RemoveMember {
        /// Who
        member: MemberId,
    },
    /// Takes an organisation in, or gives it another weight or another validator
    Organisation {
        /// Which
        organisation: OrgId,
        /// Consensus weight
        #[arg(long)]
        weight: Option<u64>,
        /// Public key of its validator's node
        #[arg(long, value_name = "KEY")]
        node: Option<PublicKey>,
        /// Public key of its validator
        #[arg(long, value_name = "KEY")]
        consensus: Option<PublicKey>,
    },
    /// Lets an organisation go with its validator, members and observers; it may own no target any more
    RemoveOrganisation {
        /// Which
        organisation: OrgId,
    },
    /// Lets a node read the ledger
    Observer {
        /// Its name
        observer: Name,
        /// Whose it is
        #[arg(long)]
        org: OrgId,
        /// Public key of the node
        #[arg(long, value_name = "KEY")]
        node: PublicKey,
    },
    /// Lets a node read no more
    RemoveObserver {
        /// Its name
        observer: Name,
    },
    /// Puts a target under governance, or changes what is known of it
    Target(TargetArguments),
    /// Governs a target no more
    RemoveTarget {
        /// Which
        target: TargetId,
    },
    /// Gives a guardian whose term ended, or whose powers an emergency cost, another term
    Reinstate {
        /// Who
        guardian: MemberId,
    },
    /// Ends the dormancy of governance
    Awaken,
}

/// What is known of a target.
#[derive(Debug, Args)]
struct TargetArguments {
    /// Which
    target: TargetId,
    /// Whose it is
    #[arg(long)]
    owner: Option<OrgId>,
    /// The provider that acts on it
    #[arg(long)]
    provider: Option<Name>,
    /// Where it is, for the residency rule
    #[arg(long)]
    jurisdiction: Option<Name>,
    /// How much depends on it: low, medium or high
    #[arg(long, value_parser = tier)]
    tier: Option<Tier>,
    /// Base URLs of its service instances in order; they replace those known
    #[arg(long = "endpoint", value_name = "URL")]
    endpoints: Vec<Line>,
    /// Members that may act on it; they replace those known
    #[arg(long = "executor", value_name = "ORG/NAME")]
    executors: Vec<MemberId>,
}

/// Carries a command out.
pub(super) async fn run(command: MeshCommand, session: &Session) -> Outcome {
    let client = session.client()?;
    match command {
        MeshCommand::Organisations => session.print(&all::<OrganisationView>(&client, ORGANISATIONS).await?),
        MeshCommand::Members => session.print(&all::<MemberView>(&client, MEMBERS).await?),
        MeshCommand::Targets => session.print(&all::<TargetView>(&client, TARGETS).await?),
        MeshCommand::Draft(arguments) => draft(arguments, &client, session).await,
    }
}

const ORGANISATIONS: &str = "/v1/organisations";
const MEMBERS: &str = "/v1/members";
const TARGETS: &str = "/v1/targets";

async fn draft(arguments: DraftArguments, client: &Client, session: &Session) -> Outcome {
    let DraftArguments { file, add, change } = arguments;
    let act = change.into_act(client).await?;
    let shown = file.display();
    if add {
        let mut document = document::read(&file)?;
        document.acts.push(act);
        document.check().map_err(|reject| Failure::new(Exit::Usage, format!("{shown}: {reject}")))?;
        std::fs::write(&file, text_of(&document)?)
            .map_err(|error| Failure::new(Exit::Usage, format!("cannot write {shown}: {error}")))?;
    } else {
        write_new(&file, &text_of(&blank(act)?)?)?;
    }
    session.say(&format!("wrote {shown}"));
    session.suggest(&format!("say in it why, then althing proposal plan {shown}"));
    Ok(())
}

fn blank(act: Act) -> Outcome<ProposalDocument> {
    let title = Line::shortened(&format!("{} changes", act.subject()));
    let reason = Prose::new("why this should change")
        .map_err(|error| Failure::new(Exit::EndedBadly, error.to_string()))?;
    Ok(ProposalDocument::of_acts(title, reason, vec![act]))
}

impl Change {
    async fn into_act(self, client: &Client) -> Outcome<Act> {
        Ok(match self {
            Self::Member { member, weight, keys, without } => {
                let members: Vec<MemberView> = all(client, MEMBERS).await?;
                let known = members.into_iter().find(|known| known.id == member.as_str());
                let mut record = MemberRecord { weight: Weight::ZERO, keys: BTreeMap::new() };
                if let Some(known) = known {
                    record.weight = Weight::new(known.weight);
                    for (name, key) in &known.keys {
                        let role = role(name).map_err(|problem| Failure::new(Exit::EndedBadly, problem))?;
                        record.keys.insert(role, parsed(key)?);
                    }
                }
                record.weight = weight.map_or(record.weight, Weight::new);
                record.keys.extend(keys);
                record.keys.retain(|role, _| !without.contains(role));
                if record.keys.is_empty() {
                    return Err(missing(&format!("member {member}"), "--key"));
                }
                Act::SetMember { member, record }
            }
            Self::RemoveMember { member } => Act::RemoveMember { member },
            Self::Organisation { organisation, weight, node, consensus } => {
                let organisations: Vec<OrganisationView> = all(client, ORGANISATIONS).await?;
                let known = organisations.into_iter().find(|known| known.id == organisation.as_str());
                let whose = format!("organisation {organisation}");
                let need = |option| missing(&whose, option);
                let weight = weight.or(known.as_ref().map(|known| known.weight)).map(Weight::new);
                let known = known.as_ref();
                let node = node.or(known.map(|known| parsed(&known.node)).transpose()?);
                let consensus = consensus.or(known.map(|known| parsed(&known.consensus)).transpose()?);
                let record = OrganisationRecord {
                    weight: weight.ok_or_else(|| need("--weight"))?,
                    validator: ValidatorRecord {
                        node: node.ok_or_else(|| need("--node"))?,
                        consensus: consensus.ok_or_else(|| need("--consensus"))?,
                    },
                };
                Act::SetOrganisation { organisation, record }
            }
            Self::RemoveOrganisation { organisation } => Act::RemoveOrganisation { organisation },
            Self::Observer { observer, org, node } => {
                Act::SetObserver { observer, record: ObserverRecord { org, node } }
            }
            Self::RemoveObserver { observer } => Act::RemoveObserver { observer },
            Self::Target(arguments) => arguments.into_act(client).await?,
            Self::RemoveTarget { target } => Act::RemoveTarget { target },
            Self::Reinstate { guardian } => Act::Reinstate { guardian },
            Self::Awaken => {
                let node: NodeView = client.get("/v1/node").await?;
                let is_awake = || Failure::new(Exit::Conflict, "governance is not dormant");
                Act::Awaken { since: TimeMs::new(node.dormant_since_ms.ok_or_else(is_awake)?) }
            }
        })
    }
}

impl TargetArguments {
    async fn into_act(self, client: &Client) -> Outcome<Act> {
        let targets: Vec<TargetView> = all(client, TARGETS).await?;
        let known = targets.into_iter().find(|known| known.id == self.target.as_str());
        let whose = format!("target {}", self.target);
        let need = |option| missing(&whose, option);
        let known = known.as_ref().map(record_of).transpose()?;
        let record = known.as_ref();
        let executors: BTreeSet<MemberId> = self.executors.into_iter().collect();
        let record = TargetRecord {
            owner: self.owner.or(record.map(|it| it.owner.clone())).ok_or_else(|| need("--owner"))?,
            provider: self
                .provider
                .or(record.map(|it| it.provider.clone()))
                .ok_or_else(|| need("--provider"))?,
            jurisdiction: self
                .jurisdiction
                .or(record.map(|it| it.jurisdiction.clone()))
                .ok_or_else(|| need("--jurisdiction"))?,
            tier: self.tier.or(record.map(|it| it.tier)).ok_or_else(|| need("--tier"))?,
            endpoints: match record {
                Some(it) if self.endpoints.is_empty() => it.endpoints.clone(),
                _ => self.endpoints,
            },
            executors: match record {
                Some(it) if executors.is_empty() => it.executors.clone(),
                _ if executors.is_empty() => return Err(need("--executor")),
                _ => executors,
            },
        };
        Ok(Act::SetTarget { target: self.target, record })
    }
}

/// A target as the ledger knows it.
fn record_of(view: &TargetView) -> Outcome<TargetRecord> {
    let wrong = |problem: String| Failure::new(Exit::EndedBadly, problem);
    Ok(TargetRecord {
        owner: parsed(&view.owner)?,
        provider: parsed(&view.provider)?,
        jurisdiction: parsed(&view.jurisdiction)?,
        tier: tier(&view.tier).map_err(wrong)?,
        endpoints: view.endpoints.iter().map(|endpoint| parsed(endpoint)).collect::<Outcome<_>>()?,
        executors: view.executors.iter().map(|executor| parsed(executor)).collect::<Outcome<_>>()?,
    })
}

/// Every entry of a list.
async fn all<T: DeserializeOwned>(client: &Client, path: &str) -> Outcome<Vec<T>> {
    client.list(path, usize::MAX).await.map(|page| page.items)
}

/// A text of the node's in its type.
fn parsed<T: FromStr<Err: std::fmt::Display>>(text: &str) -> Outcome<T> {
    text.parse().map_err(|error: T::Err| {
        Failure::new(Exit::EndedBadly, format!("the node answers `{text}`: {error}"))
    })
}

fn missing(whose: &str, option: &str) -> Failure {
    let detail = format!("{whose} is new to the mesh and {option} is not given");
    Failure::with_help(
        Exit::Usage,
        detail,
        "a new record needs everything; of a known one the rest stays as it is",
    )
}

fn role(text: &str) -> Result<Role, String> {
    let names = Role::ALL.map(Role::name).join(", ");
    Role::ALL
        .into_iter()
        .find(|role| role.name() == text)
        .ok_or(format!("there is no role {text}; there are {names}"))
}

fn role_key(text: &str) -> Result<(Role, PublicKey), String> {
    let (name, key) = text.split_once('=').ok_or("write it as ROLE=KEY")?;
    Ok((role(name)?, key.parse::<PublicKey>().map_err(|error| error.to_string())?))
}

fn tier(text: &str) -> Result<Tier, String> {
    match text {
        "low" => Ok(Tier::Low),
        "medium" => Ok(Tier::Medium),
        "high" => Ok(Tier::High),
        _ => Err(format!("there is no tier {text}; there are low, medium, high")),
    }
}
