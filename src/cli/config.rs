//! Owns showing what the command line is configured with, and where each value comes from.

use std::{
    fmt::Display,
    path::{Path, PathBuf},
};

use althing_contracts::quantity::TimeMs;
use althing_netconfig::config::Config;
use clap::Subcommand;
use serde::Serialize;

use super::{
    context,
    failure::Outcome,
    output::{Render, table},
    session::Session,
};

/// What can be seen of the configuration.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Shows each setting of the command line, or of a node, with its origin
    #[command(
        before_help = "Examples:\n  althing config show\n  althing config show -c mesh/acme/node.toml\n"
    )]
    Show {
        /// A node's configuration, instead of the command line's
        #[arg(short, long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

#[derive(Debug, Serialize)]
struct Settings {
    settings: Vec<Setting>,
}

#[derive(Debug, Serialize)]
struct Setting {
    name: String,
    value: String,
    origin: String,
}

impl Render for Settings {
    fn table(&self, _: TimeMs) -> String {
        let rows = self.settings.iter();
        let rows = rows.map(|setting| [setting.name.clone(), setting.value.clone(), setting.origin.clone()]);
        table(["setting", "value", "origin"], rows)
    }

    fn names(&self) -> Vec<String> {
        self.settings.iter().map(|setting| setting.name.clone()).collect()
    }
}

/// Carries a command out.
pub(super) fn run(command: &ConfigCommand, session: &Session) -> Outcome {
    let ConfigCommand::Show { config } = command;
    let settings = match config {
        Some(file) => of_node(file)?,
        None => of_client(session)?,
    };
    session.print(&Settings { settings })
}

fn setting(name: &str, value: &dyn Display, origin: &str) -> Setting {
    Setting { name: name.to_owned(), value: value.to_string(), origin: origin.to_owned() }
}

fn of_node(file: &Path) -> Outcome<Vec<Setting>> {
    let loaded = Config::load(file, std::env::vars())?;
    Ok(loaded
        .origins
        .into_iter()
        .map(|origin| setting(&origin.path, &origin.value, &origin.origin))
        .collect())
}

fn of_client(session: &Session) -> Outcome<Vec<Setting>> {
    let given = session.global.context_file.as_deref();
    let file = context::file(given)?;
    let origin = session.origin()?;
    let place = if given.is_some() { "ALTHING_CONTEXT_FILE" } else { "the user's configuration directory" };
    let mut settings = vec![
        setting("context-file", &file.display(), place),
        setting("addr", &origin.address, &origin.origin),
    ];
    settings.extend(origin.member.map(|member| setting("as", &member, &origin.origin)));
    Ok(settings)
}
