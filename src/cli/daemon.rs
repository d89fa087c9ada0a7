//! Owns the arguments of the commands that prepare and start nodes.

use std::path::PathBuf;

use althing_contracts::name::OrgId;
use clap::Args;

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
