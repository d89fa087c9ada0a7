//! Owns reading what organisations have: one file, or every `.toml` file of a directory, as one list.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use althing_contracts::{
    genesis::{TARGETS_MAX, TargetRecord, Tier},
    name::{Line, MemberId, Name, OrgId, TargetId},
    quantity::AmountMilli,
};
use serde::Deserialize;

use crate::cli::{
    document,
    failure::{Exit, Failure, Outcome},
};

/// Most files of a directory.
const FILES_MAX: usize = 1_000;

/// What an inventory says about everything, by name.
pub(super) type Inventory = BTreeMap<TargetId, Listed>;

/// One thing that changes are made to.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listed {
    name: TargetId,
    /// Whose it is.
    pub(super) owner: OrgId,
    /// The provider that acts on it.
    pub(super) provider: Name,
    /// Where it is.
    pub(super) jurisdiction: Name,
    /// How much depends on it.
    pub(super) tier: Tier,
    /// Base URLs of its service instances.
    #[serde(default)]
    pub(super) endpoints: Vec<Line>,
    /// Members that may act on it.
    #[serde(default)]
    pub(super) executors: BTreeSet<MemberId>,
    /// The classes of the data that it holds.
    #[serde(default)]
    pub(super) data_classes: BTreeSet<Name>,
    /// What it costs a month, in thousandths.
    #[serde(default)]
    pub(super) monthly_milli: AmountMilli,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    targets: Vec<Listed>,
}

impl Listed {
    /// As the ledger would know it.
    pub(super) fn record(&self) -> TargetRecord {
        TargetRecord {
            owner: self.owner.clone(),
            provider: self.provider.clone(),
            jurisdiction: self.jurisdiction.clone(),
            tier: self.tier,
            endpoints: self.endpoints.clone(),
            executors: self.executors.clone(),
        }
    }
}

/// Reads a file or a directory.
///
/// # Errors
/// Names the file, and the place in it, of the first thing that is wrong.
pub(super) fn read(place: &Path) -> Outcome<Inventory> {
    let mut found: BTreeMap<TargetId, (Listed, PathBuf)> = BTreeMap::new();
    for file in files(place)? {
        let File { targets } = document::read_as(&file, "`althing assess --help` shows an entry")?;
        for listed in targets {
            if let Some((_, first)) = found.get(&listed.name) {
                let (name, shown) = (&listed.name, file.display());
                let detail = if *first == file {
                    format!("{shown} lists {name} twice")
                } else {
                    format!("{shown} lists {name}, which {} lists too", first.display())
                };
                return Err(Failure::with_help(Exit::Usage, detail, "a target has one entry in one file"));
            }
            found.insert(listed.name.clone(), (listed, file.clone()));
        }
    }
    match found.len() {
        0 => Err(Failure::with_help(
            Exit::Usage,
            format!("{} lists no targets", place.display()),
            "list each with [[targets]]; `althing assess --help` shows one",
        )),
        1..=TARGETS_MAX => Ok(found.into_iter().map(|(name, (listed, _))| (name, listed)).collect()),
        more => Err(Failure::new(
            Exit::Usage,
            format!("{} lists {more} targets, at most {TARGETS_MAX} are governed by a mesh", place.display()),
        )),
    }
}

fn files(place: &Path) -> Outcome<Vec<PathBuf>> {
    let unread = |error: std::io::Error| {
        let exit = if error.kind() == std::io::ErrorKind::NotFound { Exit::NotFound } else { Exit::Usage };
        Failure::new(exit, format!("cannot read {}: {error}", place.display()))
    };
    if !fs::metadata(place).map_err(unread)?.is_dir() {
        return Ok(vec![place.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(place).map_err(unread)? {
        let path = entry.map_err(unread)?.path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    if files.len() > FILES_MAX {
        let (place, found) = (place.display(), files.len());
        let detail = format!("{place} has {found} .toml files, at most {FILES_MAX} are read");
        return Err(Failure::new(Exit::Usage, detail));
    }
    files.sort();
    Ok(files)
}
