//! Starts the program: logs, arguments, dispatch, exit code.
#![forbid(unsafe_code)]

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use althing::cli::{
    self, Cli,
    failure::{Failure, Outcome},
    output::Format,
};
use clap::Parser as _;
use tracing_subscriber::EnvFilter;

fn main() -> ExitCode {
    let cli = Cli::parse();
    start_logs(cli.global.verbose);
    let format = cli.global.output;
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            tell(&failure, format);
            ExitCode::from(failure.exit as u8)
        }
    }
}

fn run(cli: Cli) -> Outcome {
    // Nodes need actix's system; commands of the client run in it as well.
    let runtime = || {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        runtime.expect("the system has threads and file descriptors for a runtime")
    };
    actix::System::with_tokio_rt(runtime).block_on(cli::run(cli))
}

/// Logs go to stderr: warnings, and more with `-v` or by `RUST_LOG`. Gossip warns of every head that a neighbour showed
/// first, which is how heads spread.
fn start_logs(verbose: u8) {
    let level = ["warn", "althing=info,warn", "info", "debug"][usize::from(verbose.min(3))];
    let chosen = format!("{level},libp2p_gossipsub=error");
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(chosen));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
}

/// Says on stderr why it failed. Nobody may be listening there; then the exit code is all.
fn tell(failure: &Failure, format: Format) {
    let text = match (&failure.report, format) {
        (None, _) => return,
        (Some(_), Format::Json | Format::Ndjson) => failure.to_json().to_string(),
        (Some(report), Format::Table | Format::Name) => format!("{report:?}"),
    };
    let _told = writeln!(io::stderr(), "{}", text.trim_end());
}
