//! Owns the commands about key files.

use std::path::PathBuf;

use althing_actors::causes::with_causes;
use althing_contracts::quantity::TimeMs;
use althing_netconfig::keys::{self, KeyError, KeyPurpose, SecretKey};
use clap::Subcommand;
use serde::Serialize;

use super::{
    failure::{Exit, Failure, Outcome},
    output::{Render, fields},
    session::Session,
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
}

/// A key that was made.
#[derive(Debug, Serialize)]
struct KeyView {
    purpose: String,
    file: String,
    public_key: String,
}

/// Carries a command out.
pub(super) fn run(command: &KeyCommand, session: &Session) -> Outcome {
    let KeyCommand::New { purpose, file } = command;
    let failed = |error: KeyError| {
        let exit = if matches!(error, KeyError::Exists { .. }) { Exit::Conflict } else { Exit::Usage };
        Failure::new(exit, with_causes(&error))
    };
    let key = SecretKey::generate(*purpose).map_err(failed)?;
    keys::create(file, &key).map_err(failed)?;
    session.print(&KeyView {
        purpose: purpose.to_string(),
        file: file.display().to_string(),
        public_key: key.public().to_string(),
    })
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
