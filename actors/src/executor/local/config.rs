//! Owns what the provider may do on a target: the allow list and the bounds. Refuses what cannot work when it is
//! read, never when it is used.

use std::{collections::BTreeMap, path::PathBuf};

use althing_contracts::name::{Name, TargetId};

/// Most instances of a service; the bound of the document.
pub const INSTANCES_MAX: u8 = 16;
/// Words in braces that a command's arguments may hold.
pub const PLACEHOLDERS: [&str; 5] = ["{artefact}", "{listen}", "{version}", "{target}", "{instance}"];

/// One target of the provider `local`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalTarget {
    /// Where the provider keeps the target's state, artefacts and logs; nobody else writes there.
    pub root: PathBuf,
    /// Where artefacts are looked for, by their BLAKE3 digest; the file names do not matter.
    pub artefacts: PathBuf,
    /// Services that may be deployed, with the one command that runs each.
    pub commands: BTreeMap<Name, CommandTemplate>,
    /// Files that may be configured; a relative path is below `root`.
    pub files: BTreeMap<Name, PathBuf>,
    /// Most instances of one service, 1 to 16.
    pub instances_max: u8,
    /// Size in bytes at which an instance's log is cut; one older part of this size is kept.
    pub log_len_max: u64,
    /// Longest time from the start of an instance to its first accepted connection.
    pub ready_within_ms: u64,
    /// Time between asking an instance to end and ending it.
    pub stop_within_ms: u64,
}

/// A command. The environment of the node is not passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandTemplate {
    /// Absolute path of the program, or `{artefact}` to run the artefact itself.
    pub program: String,
    /// Arguments; see [`PLACEHOLDERS`].
    pub args: Vec<String>,
}

/// Why a target's configuration cannot work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("target {target}: {field} {problem}")]
pub struct ConfigError {
    /// Whose configuration.
    pub target: TargetId,
    /// Path of the field.
    pub field: String,
    /// What is wrong and what would be right.
    pub problem: String,
}

/// What a command's placeholders stand for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Values<'a> {
    pub(super) artefact: &'a str,
    pub(super) listen: &'a str,
    pub(super) version: &'a str,
    pub(super) target: &'a str,
    pub(super) instance: &'a str,
}

impl LocalTarget {
    /// Checks everything that can be checked before the first order.
    ///
    /// # Errors
    /// Names the first field that cannot work.
    pub fn check(&self, target: &TargetId) -> Result<(), ConfigError> {
        let refuse = |field: String, problem: &str| {
            Err(ConfigError { target: target.clone(), field, problem: problem.to_owned() })
        };
        if !self.root.is_absolute() || !self.artefacts.is_absolute() {
            return refuse("root, artefacts".to_owned(), "must be absolute paths");
        }
        if !(1..=INSTANCES_MAX).contains(&self.instances_max) {
            return refuse("instances_max".to_owned(), "must be from 1 to 16");
        }
        for (name, command) in &self.commands {
            if command.program != "{artefact}" && !command.program.starts_with('/') {
                let problem = "must be an absolute path or `{artefact}`";
                return refuse(format!("commands.{name}.program"), problem);
            }
            if let Some(unknown) = command.args.iter().find_map(|arg| unknown_placeholder(arg)) {
                let problem = format!("holds {unknown}, which is none of {}", PLACEHOLDERS.join(", "));
                return refuse(format!("commands.{name}.args"), &problem);
            }
        }
        let escapes = |path: &&PathBuf| path.components().any(|part| part.as_os_str() == "..");
        if let Some(path) = self.files.values().find(escapes) {
            return refuse("files".to_owned(), &format!("holds `..` in {}", path.display()));
        }
        match self.files.keys().find(|name| self.commands.contains_key(*name)) {
            Some(both) => refuse(format!("files.{both}"), "is also the name of a command"),
            None => Ok(()),
        }
    }

    /// The path of an allowed file.
    pub(super) fn file_path(&self, file: &Name) -> Option<PathBuf> {
        self.files.get(file).map(|path| self.root.join(path))
    }
}

impl CommandTemplate {
    pub(super) fn resolve(&self, values: Values<'_>) -> (String, Vec<String>) {
        let replace = |text: &String| {
            let pairs = [values.artefact, values.listen, values.version, values.target, values.instance];
            PLACEHOLDERS.iter().zip(pairs).fold(text.clone(), |text, (name, value)| text.replace(name, value))
        };
        (replace(&self.program), self.args.iter().map(replace).collect())
    }
}

fn unknown_placeholder(arg: &str) -> Option<String> {
    let stripped = PLACEHOLDERS.iter().fold(arg.to_owned(), |text, name| text.replace(name, ""));
    let begin = stripped.find('{')?;
    let end = stripped[begin..].find('}')?;
    Some(stripped[begin..=begin + end].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sound() -> LocalTarget {
        LocalTarget {
            root: "/r".into(),
            artefacts: "/a".into(),
            commands: BTreeMap::new(),
            files: BTreeMap::new(),
            instances_max: INSTANCES_MAX,
            log_len_max: 1_024,
            ready_within_ms: 1_000,
            stop_within_ms: 1_000,
        }
    }

    fn with_command(program: &str, args: &[&str]) -> LocalTarget {
        let args = args.iter().map(ToString::to_string).collect();
        let command = CommandTemplate { program: program.to_owned(), args };
        LocalTarget { commands: BTreeMap::from([(Name::new("web").unwrap(), command)]), ..sound() }
    }

    fn refused(target: &LocalTarget) -> String {
        target.check(&TargetId::new("acme-1").unwrap()).unwrap_err().to_string()
    }

    #[test]
    fn what_cannot_work_is_refused_before_the_first_order() {
        assert_eq!(sound().check(&TargetId::new("acme-1").unwrap()), Ok(()));
        assert_eq!(
            refused(&LocalTarget { root: "r".into(), ..sound() }),
            "target acme-1: root, artefacts must be absolute paths"
        );
        assert_eq!(
            refused(&LocalTarget { instances_max: 0, ..sound() }),
            "target acme-1: instances_max must be from 1 to 16"
        );
        assert_eq!(
            refused(&with_command("/bin/web", &["{port}"])),
            "target acme-1: commands.web.args holds {port}, which is none of {artefact}, {listen}, {version}, \
             {target}, {instance}"
        );
        assert_eq!(
            refused(&with_command("web", &[])),
            "target acme-1: commands.web.program must be an absolute path or `{artefact}`"
        );
        let files = BTreeMap::from([(Name::new("conf").unwrap(), PathBuf::from("../etc/passwd"))]);
        assert_eq!(
            refused(&LocalTarget { files, ..sound() }),
            "target acme-1: files holds `..` in ../etc/passwd"
        );
    }
}
