//! Owns contexts: names for nodes that a person talks to, in one small file of the user's.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use althing_contracts::name::{MemberId, Name};
use clap::Subcommand;
use serde::{Deserialize, Serialize};

use super::{
    client::Address,
    failure::{Exit, Failure, Outcome},
    session::Session,
};

/// Largest file of contexts.
const FILE_LEN_MAX: u64 = 256 * 1024;

/// What can be done with contexts.
#[derive(Debug, Subcommand)]
pub enum ContextCommand {
    /// Adds or replaces a context, and makes it current when it is the first
    Add {
        /// Its name
        name: Name,
        /// Address of the node: `unix:/path/to/api.sock` or `http://127.0.0.1:PORT`
        address: Address,
        /// Member to act as when `--as` is not given
        #[arg(long = "as", value_name = "ORG/NAME")]
        member: Option<MemberId>,
    },
    /// Makes a context current
    Use {
        /// Its name
        name: Name,
    },
    /// Lists contexts
    List,
}

/// All contexts of a user.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contexts {
    /// The one that is used when none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<Name>,
    /// Contexts by name.
    #[serde(default)]
    pub contexts: BTreeMap<Name, Context>,
}

/// One node to talk to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// Its address.
    pub addr: Address,
    /// Member to act as when `--as` is not given.
    #[serde(default, rename = "as", skip_serializing_if = "Option::is_none")]
    pub member: Option<MemberId>,
}

/// The file of the contexts: as given, or under the user's configuration directory.
///
/// # Errors
/// There is neither a home nor a configuration directory.
pub fn file(given: Option<&Path>) -> Outcome<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    given
        .map(Path::to_owned)
        .or_else(|| set("XDG_CONFIG_HOME").map(|dir| dir.join("althing/contexts.toml")))
        .or_else(|| set("HOME").map(|dir| dir.join(".config/althing/contexts.toml")))
        .ok_or_else(|| {
            Failure::with_help(
                Exit::Configuration,
                "there is no place for contexts: neither HOME nor XDG_CONFIG_HOME is set",
                "set ALTHING_CONTEXT_FILE to a file, or give --addr",
            )
        })
}

impl Contexts {
    /// Reads the file; none is no contexts.
    ///
    /// # Errors
    /// The file cannot be read, or is not in this form.
    pub fn read(path: &Path) -> Outcome<Self> {
        let unreadable = |error: io::Error| {
            Failure::new(Exit::Configuration, format!("cannot read {}: {error}", path.display()))
        };
        match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(unreadable(error)),
            Ok(metadata) if metadata.len() > FILE_LEN_MAX => {
                let detail = format!(
                    "{} has {} bytes, at most {FILE_LEN_MAX} are read",
                    path.display(),
                    metadata.len()
                );
                return Err(Failure::new(Exit::Configuration, detail));
            }
            Ok(_) => {}
        }
        let text = fs::read_to_string(path).map_err(unreadable)?;
        super::document::parse_toml(
            Exit::Configuration,
            &path.display().to_string(),
            text,
            "`althing context add` writes it",
        )
    }

    /// Writes the file in one step.
    ///
    /// # Errors
    /// It cannot be written.
    ///
    /// # Panics
    /// Never: contexts are tables of strings.
    pub fn write(&self, path: &Path) -> Outcome {
        let text = toml::to_string(self).expect("contexts are tables of strings");
        let part = path.with_extension("part");
        let write = || {
            if let Some(dir) = path.parent() {
                fs::create_dir_all(dir)?;
            }
            fs::write(&part, text)?;
            fs::rename(&part, path)
        };
        write().map_err(|error| {
            Failure::new(Exit::Configuration, format!("cannot write {}: {error}", path.display()))
        })
    }
}

/// Carries a command out.
pub(super) fn run(command: ContextCommand, session: &Session) -> Outcome {
    let path = file(session.global.context_file.as_deref())?;
    let mut contexts = Contexts::read(&path)?;
    match command {
        ContextCommand::Add { name, address, member } => {
            contexts.contexts.insert(name.clone(), Context { addr: address, member });
            contexts.current.get_or_insert_with(|| name.clone());
            contexts.write(&path)?;
            session.say(&format!("context {name} is in {}", path.display()));
            session.suggest("althing node status");
        }
        ContextCommand::Use { name } => {
            if !contexts.contexts.contains_key(&name) {
                return Err(unknown(name.as_str(), &contexts));
            }
            contexts.current = Some(name);
            contexts.write(&path)?;
            session.suggest("althing node status");
        }
        ContextCommand::List => session.print(&contexts)?,
    }
    Ok(())
}

/// There is no such context.
pub(super) fn unknown(name: &str, contexts: &Contexts) -> Failure {
    let names: Vec<&str> = contexts.contexts.keys().map(Name::as_str).collect();
    let help = if names.is_empty() {
        "add one with `althing context add NAME ADDRESS`".to_owned()
    } else {
        format!("there are {}", names.join(", "))
    };
    Failure::with_help(Exit::NotFound, format!("there is no context {name}"), help)
}
