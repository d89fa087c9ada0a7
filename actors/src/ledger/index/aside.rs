//! Owns the directories of an index that is not trusted: the mark that a doubt leaves, and setting it aside.

use std::{
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use super::doubt::Doubt;
use crate::failpoint;

/// Most indexes kept for an inquiry; the oldest is removed for the next.
const BROKEN_MAX: usize = 3;
/// Longest mark read.
const MARK_LEN_MAX: usize = 1_024;

/// Notes beside the index that it is in doubt. When that fails the next open finds the damage by itself.
pub(super) fn mark(directory: &Path, doubt: &Doubt) {
    let path = beside(directory, "doubt");
    if let Err(error) = fs::write(&path, doubt.to_string()) {
        tracing::warn!(path = %path.display(), %error, "index in doubt and cannot be marked");
    }
}

/// The mark's text, if there is one.
pub(super) fn mark_of(directory: &Path) -> Option<String> {
    let mut bytes = fs::read(beside(directory, "doubt")).ok()?;
    bytes.truncate(MARK_LEN_MAX);
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Moves the index to the next free `directory.broken-N` and takes its mark away. One that a process moved before it was
/// killed is where it left it.
pub(super) fn set_aside(directory: &Path) -> io::Result<PathBuf> {
    let mut broken = broken_numbers(directory)?;
    if !directory.try_exists()? {
        take_mark_away(directory)?;
        return Ok(broken_path(directory, broken.last().copied().unwrap_or(1)));
    }
    while broken.len() >= BROKEN_MAX {
        fs::remove_dir_all(broken_path(directory, broken.remove(0)))?;
    }
    let path = broken_path(directory, broken.last().map_or(1, |last| last.saturating_add(1)));
    fs::rename(directory, &path)?;
    failpoint::reach("ledger.index.set_aside");
    take_mark_away(directory)?;
    Ok(path)
}

fn take_mark_away(directory: &Path) -> io::Result<()> {
    match fs::remove_file(beside(directory, "doubt")) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Numbers of the indexes that were set aside, in order.
fn broken_numbers(directory: &Path) -> io::Result<Vec<u64>> {
    let (Some(parent), Some(name)) = (directory.parent(), directory.file_name()) else {
        return Err(ErrorKind::InvalidInput.into());
    };
    let prefix = format!("{}.broken-", name.to_string_lossy());
    let mut numbers = Vec::new();
    for entry in fs::read_dir(parent)? {
        let name = entry?.file_name();
        numbers
            .extend(name.to_string_lossy().strip_prefix(&prefix).and_then(|rest| rest.parse::<u64>().ok()));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn broken_path(directory: &Path, number: u64) -> PathBuf {
    beside(directory, &format!("broken-{number}"))
}

/// `directory` with a suffix to its name.
fn beside(directory: &Path, suffix: &str) -> PathBuf {
    let mut name = directory.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(suffix);
    directory.with_file_name(name)
}
