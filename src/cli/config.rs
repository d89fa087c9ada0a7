//! Owns showing what the command line is configured with, and where each value comes from.

use althing_contracts::quantity::TimeMs;
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
    /// Shows each setting with its origin
    Show,
}

#[derive(Debug, Serialize)]
struct Settings {
    settings: Vec<Setting>,
}

#[derive(Debug, Serialize)]
struct Setting {
    name: &'static str,
    value: String,
    origin: String,
}

impl Render for Settings {
    fn table(&self, _: TimeMs) -> String {
        let rows = self.settings.iter();
        let rows =
            rows.map(|setting| [setting.name.to_owned(), setting.value.clone(), setting.origin.clone()]);
        table(["setting", "value", "origin"], rows)
    }

    fn names(&self) -> Vec<String> {
        self.settings.iter().map(|setting| setting.name.to_owned()).collect()
    }
}

/// Carries a command out.
pub(super) fn run(command: &ConfigCommand, session: &Session) -> Outcome {
    let ConfigCommand::Show = command;
    let given = session.global.context_file.as_deref();
    let file = context::file(given)?;
    let origin = session.origin()?;
    let place = if given.is_some() { "ALTHING_CONTEXT_FILE" } else { "the user's configuration directory" };
    let mut settings = vec![
        Setting { name: "context-file", value: file.display().to_string(), origin: place.to_owned() },
        Setting { name: "addr", value: origin.address.to_string(), origin: origin.origin.clone() },
    ];
    if let Some(member) = origin.member {
        settings.push(Setting { name: "as", value: member.to_string(), origin: origin.origin });
    }
    session.print(&Settings { settings })
}
