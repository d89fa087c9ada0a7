//! Owns the commands that prepare and run nodes.

use std::{io, path::PathBuf};

use althing_actors::ledger::StoreError;
use althing_contracts::name::OrgId;
use althing_netconfig::{mesh::MeshError, mesh_init::InitError};
use clap::{Args, Subcommand};

use super::{
    chaos::failpoint,
    failure::{Exit, Failure, Outcome},
    session::Session,
};
use crate::{
    daemon::{self, DaemonError},
    demo::{self, greeter},
    dev::{self, DevError},
    wiring::{Node, NodeError},
};

/// What to do about a full disk.
const FULL_HELP: &str =
    "free some space on the disk of `node.data_dir` and start again; what was acknowledged is kept";

/// What can be prepared.
#[derive(Debug, Subcommand)]
pub enum InitCommand {
    /// Writes configuration, keys and genesis of a whole mesh on this machine
    Mesh(InitMeshArguments),
}

/// A whole mesh in one process.
#[derive(Debug, Clone, Args)]
#[command(before_help = "Examples:\n  althing dev\n  althing dev --demo\n  althing dev --demo -o json\n")]
pub struct DevArguments {
    /// Organisations, each with one validator
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub orgs: u8,
    /// Nodes that re-apply and attest
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=4))]
    pub auditors: u8,
    /// Tells the story of three proposals and a partition, then ends
    #[arg(long)]
    pub demo: bool,
    /// Stays up after the story
    #[arg(long, requires = "demo")]
    pub keep: bool,
    /// Directory of the mesh; a temporary one is removed at the end
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// Configuration, keys and genesis of a new mesh.
#[derive(Debug, Clone, Args)]
#[command(before_help = "Examples:\n  althing init mesh --orgs acme,birch,cedar,delta mesh\n")]
pub struct InitMeshArguments {
    /// Names of the organisations, separated by commas
    #[arg(long, value_delimiter = ',', required = true, value_name = "ORG,ORG,…")]
    pub orgs: Vec<OrgId>,
    /// Directory to write; it must not exist or be empty
    pub dir: PathBuf,
}

/// One node in this process.
#[derive(Debug, Clone, Args)]
#[command(before_help = "Examples:\n  althing node run -c mesh/acme/node.toml\n")]
pub struct NodeRunArguments {
    /// The node's configuration
    #[arg(short, long, value_name = "FILE")]
    pub config: PathBuf,
}

/// Runs a node until it is told to end.
pub(super) async fn run_node(arguments: &NodeRunArguments, session: &Session) -> Outcome {
    let started = |node: &Node| {
        let places = node.places();
        session.say(&format!("node {} is up", node.name()));
        if let Some(socket) = &places.socket {
            session.suggest(&format!("althing --addr unix:{} node status", socket.display()));
        }
    };
    failpoint::arm()?;
    daemon::run(&arguments.config, started).await.map_err(daemon_failure)
}

/// Writes a new mesh.
pub(super) fn init(command: &InitCommand, session: &Session) -> Outcome {
    let InitCommand::Mesh(arguments) = command;
    let files = dev::found(&arguments.orgs, &arguments.dir).map_err(|error| dev_failure(&error))?;
    session.say(&format!("network {}", files.network));
    for node in &files.nodes {
        session.write(&format!("{}\n", node.config.display()))?;
    }
    if let Some(first) = files.nodes.first() {
        session.suggest(&format!("althing node run -c {}", first.config.display()));
    }
    Ok(())
}

/// Runs a whole mesh.
pub(super) async fn run_dev(arguments: &DevArguments, session: &Session) -> Outcome {
    demo::run(arguments, session).await
}

/// Serves one release of the greeter.
pub(super) async fn run_service(arguments: &greeter::GreeterArguments) -> Outcome {
    greeter::run(arguments).await.map_err(|error| failure(Exit::EndedBadly, &error))
}

fn daemon_failure(error: DaemonError) -> Failure {
    match error {
        DaemonError::Config(error) | DaemonError::Node(NodeError::Genesis(error)) => error.into(),
        DaemonError::Node(error) => failure(exit_of_node(&error), &error),
        other => failure(Exit::EndedBadly, &other),
    }
}

/// Whether another configuration helps, or the machine has to be looked after first.
fn exit_of_node(error: &NodeError) -> Exit {
    let is_configuration = match error {
        NodeError::Genesis(_) | NodeError::Key(_) | NodeError::Join(_) | NodeError::Api(_) => true,
        NodeError::Mesh(error) => !matches!(error, MeshError::Setup(_)),
        NodeError::Part { source, .. } => {
            source.downcast_ref::<StoreError>().is_some_and(StoreError::is_configuration)
        }
    };
    if is_configuration { Exit::Configuration } else { Exit::EndedBadly }
}

pub(crate) fn dev_failure(error: &DevError) -> Failure {
    let exit = match error {
        DevError::Init(InitError::NotEmpty { .. }) => Exit::Conflict,
        DevError::Init(InitError::Duplicate { .. } | InitError::Name(_)) => Exit::Usage,
        DevError::Node(error) => exit_of_node(error),
        _ => Exit::EndedBadly,
    };
    failure(exit, error)
}

/// An error with its causes.
fn failure(exit: Exit, error: &(dyn std::error::Error + 'static)) -> Failure {
    let causes = || std::iter::successors(Some(error), |error| error.source());
    let text = causes().map(ToString::to_string).collect::<Vec<_>>().join(": ");
    let mut system = causes().filter_map(|error| error.downcast_ref::<io::Error>());
    if system.any(|error| error.kind() == io::ErrorKind::StorageFull) {
        Failure::with_help(exit, text, FULL_HELP)
    } else {
        Failure::new(exit, text)
    }
}
