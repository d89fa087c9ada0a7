//! Owns completion scripts for shells.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use super::{Cli, failure::Outcome, session::Session};

/// For which shell.
#[derive(Debug, Args)]
#[command(
    before_help = "Examples:\n  althing completion bash > ~/.local/share/bash-completion/completions/althing\n"
)]
pub struct CompletionArguments {
    /// The shell
    shell: Shell,
}

/// Writes the script.
pub(super) fn run(arguments: &CompletionArguments, session: &Session) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut Cli::command(), "althing", &mut script);
    session.write(&String::from_utf8_lossy(&script))
}
