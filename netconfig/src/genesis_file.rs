//! Owns the genesis document on disk: TOML that reads back to the same network. Refuses one that the rules
//! would not start.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write},
    path::Path,
};

use althing_contracts::genesis::Genesis;

use crate::{
    config::{ConfigError, place_error},
    identity::NodeId,
};

/// Longest genesis document, in bytes: the largest mesh that the rules allow, written out.
const FILE_LEN_MAX: u64 = 16 * 1024 * 1024;

/// Writes a new genesis document and checks that it reads back to the same network.
///
/// # Errors
/// The file exists, the disk refuses, or the document does not survive its own text.
pub fn write(path: &Path, genesis: &Genesis) -> io::Result<()> {
    let text = toml::to_string_pretty(genesis).map_err(io::Error::other)?;
    let reread: Genesis = toml::from_str(&text).map_err(io::Error::other)?;
    if reread.network() != genesis.network() {
        return Err(io::Error::other("the genesis document does not read back to the same network"));
    }
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Reads a genesis document and checks it by the rules.
///
/// # Errors
/// The file cannot be read, is no genesis document, or cannot start a mesh.
pub fn read(path: &Path) -> Result<Genesis, ConfigError> {
    let whole = |message: String, help: &str| ConfigError {
        file: path.display().to_string(),
        line: None,
        column: None,
        snippet: String::new(),
        message,
        help: Some(help.to_owned()),
    };
    let cannot_read = |error: io::Error| {
        whole(
            format!("the genesis document cannot be read: {error}"),
            "set `node.genesis` to the file that every node of the mesh was given",
        )
    };
    let length = fs::metadata(path).map_err(cannot_read)?.len();
    if length > FILE_LEN_MAX {
        let message = format!("{length} bytes are more than the {FILE_LEN_MAX} allowed");
        return Err(whole(message, "this is not a genesis document"));
    }
    let text = fs::read_to_string(path).map_err(cannot_read)?;
    let genesis: Genesis = toml::from_str(&text)
        .map_err(|error| place_error(path, &text, error.span(), error.message().to_owned()))?;
    genesis.check().map_err(|error| {
        let reason =
            std::error::Error::source(&error).map(|source| format!(": {source}")).unwrap_or_default();
        whole(
            format!("{error}{reason}"),
            "every node needs the same sound document; ask who founded the mesh",
        )
    })?;
    Ok(genesis)
}

/// The nodes that a genesis names: those that may connect to each other.
#[must_use]
pub fn nodes(genesis: &Genesis) -> Vec<NodeId> {
    let validators = genesis.organisations.values().map(|record| record.validator.node);
    validators.chain(genesis.observers.values().map(|record| record.node)).collect()
}
