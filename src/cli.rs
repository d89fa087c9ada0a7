//! Owns the command line: arguments, dispatch and exit codes. It reaches nodes through their HTTP API alone.
//!
//! Data goes to stdout, everything else to stderr. Exit codes are those of [`failure::Exit`].

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use self::{
    duration::Timeout,
    failure::{Failure, Outcome},
    output::Format,
    session::Session,
};

mod assess;
pub mod audit;
pub mod calendar;
pub mod chaos;
pub mod client;
pub mod completion;
pub mod config;
pub mod context;
pub mod daemon;
pub mod delegate;
pub mod document;
pub mod duration;
pub mod emergency;
pub mod event;
pub mod execution;
pub mod failure;
pub mod heights;
mod key;
mod mesh;
pub mod node;
pub mod output;
pub mod policy;
pub mod proposal;
mod render;
pub mod session;
mod trial;
pub mod version;
pub mod vote;

const EXAMPLES: &str = "\
Examples:
  althing proposal draft change.toml
  althing proposal plan change.toml
  althing proposal submit change.toml --plan-hash HASH --as acme/alice
  althing vote explain 3f9ac1
  althing vote cast 3f9ac1 yes --hash HASH --as birch/vera
  althing proposal wait 3f9ac1 --for executed --timeout 5m
  althing event tail --after 0 -o ndjson
";
const EXIT_CODES: &str = "\
Exit codes: 0 done · 1 it ended badly · 2 usage · 3 not found · 4 not allowed · 5 conflict · 6 timeout or undecided
            7 node unreachable · 8 bad configuration · 130 interrupted";

/// Governs changes across organisations that do not trust each other.
#[derive(Debug, Parser)]
#[command(name = "althing", version, before_help = EXAMPLES, after_help = EXIT_CODES, max_term_width = 110)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// How to do it.
    #[command(flatten)]
    pub global: Global,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Form of the output
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table, value_name = "FORM")]
    pub output: Format,
    /// Context to use instead of the current one
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,
    /// Address of the node: `unix:/path/to/api.sock` or `http://127.0.0.1:PORT`
    #[arg(long, global = true, value_name = "ADDRESS", env = "ALTHING_ADDR")]
    pub addr: Option<String>,
    /// Longest time for the whole command, for example 30s or 5m [default: 30s; `wait`: 10m]
    #[arg(long, global = true, value_name = "TIME")]
    pub timeout: Option<Timeout>,
    /// Never ask; refuse when something is missing
    #[arg(long, global = true)]
    pub no_input: bool,
    /// Take what would be asked for as confirmed
    #[arg(short, long, global = true)]
    pub yes: bool,
    /// Leave out hints
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Log more to stderr; repeat for more
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// File of the contexts
    #[arg(long, global = true, hide = true, env = "ALTHING_CONTEXT_FILE", value_name = "FILE")]
    pub context_file: Option<PathBuf>,
}

/// What can be done.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs a whole mesh in this process
    Dev(daemon::DevArguments),
    /// Prepares a new mesh
    #[command(subcommand)]
    Init(daemon::InitCommand),
    /// Runs a node, and looks at one
    #[command(subcommand)]
    Node(node::NodeCommand),
    /// Drafts, plans, submits and follows proposals
    #[command(subcommand)]
    Proposal(proposal::ProposalCommand),
    /// Casts, lists and explains votes
    #[command(subcommand)]
    Vote(vote::VoteCommand),
    /// Lets others speak for you in votes, lists who speaks for whom, and takes a voice back
    #[command(subcommand)]
    Delegate(delegate::DelegateCommand),
    /// Shows who takes part, and drafts changes of that
    #[command(subcommand)]
    Mesh(mesh::MeshCommand),
    /// Makes keys, replaces them, and recovers those that are lost
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Shows the rules in force, and what a change of them would change
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Declares, signs, shows and ends emergencies
    #[command(subcommand)]
    Emergency(emergency::EmergencyCommand),
    /// Looks at executions, and stops or continues them
    #[command(subcommand)]
    Execution(execution::ExecutionCommand),
    /// Shows what falls due: when the ledger acts by itself, and by when members have to
    Calendar(calendar::CalendarArguments),
    /// Follows what happens on the ledger
    #[command(subcommand)]
    Event(event::EventCommand),
    /// Exports what an outsider needs to check everything
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Says which decisions governing what organisations have would need, and drafts rules and proposals to begin with
    Assess(assess::AssessArguments),
    /// Breaks a throw-away mesh of real daemons, and judges how it takes that
    #[command(subcommand)]
    Chaos(chaos::ChaosCommand),
    /// Chooses which node to talk to
    #[command(subcommand)]
    Context(context::ContextCommand),
    /// Shows what the command line is configured with
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Shows the versions of this program and of what it speaks
    Version,
    /// Writes a completion script for a shell to stdout
    Completion(completion::CompletionArguments),
    /// Serves one release of the greeter that `dev` governs
    #[command(hide = true)]
    DevService(crate::demo::greeter::GreeterArguments),
}

/// Carries a command of the client out.
///
/// # Errors
/// What went wrong with its exit code.
pub async fn run(cli: Cli) -> Outcome {
    let session = Session::new(cli.global);
    match cli.command {
        // These end in order when they are interrupted.
        Command::Dev(arguments) => return daemon::run_dev(&arguments, &session).await,
        Command::Node(command @ node::NodeCommand::Run(_)) => return node::run(command, &session).await,
        Command::DevService(arguments) => return daemon::run_service(&arguments).await,
        Command::Chaos(command) => return chaos::run(command, &session).await,
        _ => {}
    }
    let work = dispatch(cli.command, &session);
    tokio::select! {
        outcome = work => outcome,
        _ = tokio::signal::ctrl_c() => Err(Failure::interrupted()),
    }
}

async fn dispatch(command: Command, session: &Session) -> Outcome {
    match command {
        Command::Dev(arguments) => daemon::run_dev(&arguments, session).await,
        Command::DevService(arguments) => daemon::run_service(&arguments).await,
        Command::Init(command) => daemon::init(&command, session),
        Command::Node(command) => node::run(command, session).await,
        Command::Proposal(command) => proposal::run(command, session).await,
        Command::Vote(command) => vote::run(command, session).await,
        Command::Delegate(command) => delegate::run(command, session).await,
        Command::Mesh(command) => mesh::run(command, session).await,
        Command::Key(command) => key::run(command, session).await,
        Command::Policy(command) => policy::run(command, session).await,
        Command::Emergency(command) => emergency::run(command, session).await,
        Command::Execution(command) => execution::run(command, session).await,
        Command::Calendar(arguments) => calendar::run(arguments, session).await,
        Command::Event(command) => event::run(command, session).await,
        Command::Audit(command) => audit::run(command, session).await,
        Command::Assess(arguments) => assess::run(arguments, session).await,
        Command::Chaos(command) => chaos::run(command, session).await,
        Command::Context(command) => context::run(command, session),
        Command::Config(command) => config::run(&command, session),
        Command::Version => version::run(session),
        Command::Completion(arguments) => completion::run(&arguments, session),
    }
}
