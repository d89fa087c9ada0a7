//! Owns what the provider knows is on a target: one JSON file, switched atomically and durably.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use althing_contracts::{digest::Digest, document::Action, name::Name};
use serde::{Deserialize, Serialize};

use super::process::Identity;
use crate::{disk::sync_parent, failpoint};

/// Version of the file.
pub const VERSION: u16 = 1;
/// Largest file in bytes; a target has a handful of services and files.
const LEN_MAX: u64 = 4 * 1024 * 1024;

/// What is on a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetState {
    /// Version of the form, 1.
    pub version: u16,
    /// The action in effect on each service and file.
    pub applied: BTreeMap<Name, Action>,
    /// Resources that are being changed, with the order that does it.
    pub changing: BTreeMap<Name, Changing>,
    /// Instances that should run, by service and index.
    pub instances: BTreeMap<Name, BTreeMap<u8, Instance>>,
}

/// A change that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Changing {
    /// Of the order.
    pub idempotency_key: String,
    /// To what.
    pub to: Action,
}

/// One instance of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    /// Where it listens.
    pub listen: String,
    /// Version for people.
    pub release: Name,
    /// What it runs.
    pub artefact: Digest,
    /// The process; `None` between the decision to start it and its start.
    pub process: Option<Identity>,
}

/// Why the file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateFileError {
    /// The disk failed.
    #[error("the state file {path} cannot be read or written")]
    Disk {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The content is not a state of version 1.
    #[error("{path} is not a state file of version {VERSION}; restore it from a copy")]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// Another version.
    #[error("{path} is of version {found}, this build reads {VERSION}")]
    Version {
        /// Which file.
        path: PathBuf,
        /// As read.
        found: u16,
    },
}

impl Default for TargetState {
    fn default() -> Self {
        Self {
            version: VERSION,
            applied: BTreeMap::new(),
            changing: BTreeMap::new(),
            instances: BTreeMap::new(),
        }
    }
}

impl TargetState {
    /// Reads the file; a missing one is a target on which nothing is applied.
    ///
    /// # Errors
    /// See [`StateFileError`].
    pub fn load(path: &Path) -> Result<Self, StateFileError> {
        let disk = |source| StateFileError::Disk { path: path.to_owned(), source };
        match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(disk(error)),
            Ok(found) if found.len() > LEN_MAX => return Err(disk(io::ErrorKind::FileTooLarge.into())),
            Ok(_) => {}
        }
        let bytes = fs::read(path).map_err(disk)?;
        let malformed = |source| StateFileError::Malformed { path: path.to_owned(), source };
        let state: Self = serde_json::from_slice(&bytes).map_err(malformed)?;
        let found = state.version;
        let other = || StateFileError::Version { path: path.to_owned(), found };
        (found == VERSION).then_some(state).ok_or_else(other)
    }

    /// Puts the state in place of the file's content; the file is the old or the new one, never a part.
    ///
    /// # Errors
    /// The disk failed.
    ///
    /// # Panics
    /// Never: a state has only names, numbers and digests.
    pub fn save(&self, path: &Path) -> Result<(), StateFileError> {
        let disk = |source| StateFileError::Disk { path: path.to_owned(), source };
        let bytes = serde_json::to_vec_pretty(self).expect("a state has only names, numbers and digests");
        switch(path, &bytes).map_err(disk)
    }
}

/// Replaces a file's content atomically and durably.
pub(super) fn switch(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let temporary = PathBuf::from(name);
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_data()?;
    failpoint::reach("local.file.written");
    fs::rename(&temporary, path)?;
    failpoint::reach("local.file.renamed");
    sync_parent(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIXTURE: &str = r#"{
  "version": 1,
  "applied": {
    "web": {
      "kind": "deploy",
      "service": "web",
      "version": "v1",
      "artefact": "0101010101010101010101010101010101010101010101010101010101010101",
      "instances": 1
    }
  },
  "changing": {
    "web": {
      "idempotency_key": "k",
      "to": {
        "kind": "remove",
        "resource": "web"
      }
    }
  },
  "instances": {
    "web": {
      "0": {
        "listen": "127.0.0.1:8080",
        "release": "v1",
        "artefact": "0101010101010101010101010101010101010101010101010101010101010101",
        "process": {
          "pid": 7,
          "started_ticks": 9,
          "boot": "b"
        }
      }
    }
  }
}"#;

    #[test]
    fn the_file_is_version_1() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        fs::write(&path, FIXTURE).unwrap();
        let state = TargetState::load(&path).unwrap();
        state.save(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), FIXTURE);
        assert_eq!(TargetState::load(&path).unwrap(), state);
    }

    #[test]
    fn another_version_and_damage_are_refused_and_a_missing_file_is_empty() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        assert_eq!(TargetState::load(&path).unwrap(), TargetState::default());
        fs::write(&path, FIXTURE.replace("\"version\": 1", "\"version\": 2")).unwrap();
        assert!(matches!(TargetState::load(&path), Err(StateFileError::Version { found: 2, .. })));
        fs::write(&path, &FIXTURE[..40]).unwrap();
        assert!(matches!(TargetState::load(&path), Err(StateFileError::Malformed { .. })));
    }
}
