//! Owns where a run breaks: in a mesh that it lays itself, or in one that stands, once a person has named its folder twice.
//! Refuses every other folder that has anything in it, and a mesh of which a daemon runs.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use althing_actors::ledger::data_dir::{self, DataDirError};
use althing_contracts::genesis::Genesis;
use althing_netconfig::genesis_file;

use super::{VALIDATORS, fault::Kind};
use crate::{
    host::facility::{Facility, Lack},
    process::mesh::ProcessMesh,
};

/// Where a run breaks.
#[derive(Debug)]
pub enum Place {
    /// In a mesh of its own, in a folder that is new or empty.
    Fresh,
    /// In a mesh that stands, with everything that its nodes have.
    Standing(ProcessMesh),
}

/// Why nothing is broken there.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// There is something in the folder that is no mesh.
    #[error("{folder} is not empty, and what is in it was not made to be broken")]
    NotThrowAway {
        /// Which.
        folder: PathBuf,
    },
    /// A mesh stands in the folder.
    #[error("the mesh in {folder} was not made to be broken")]
    Standing {
        /// Which.
        folder: PathBuf,
    },
    /// The folder was named twice, and not alike.
    #[error("--yes-break names {named}, and --dir names {folder}")]
    Another {
        /// The mesh's.
        folder: PathBuf,
        /// What else was named.
        named: PathBuf,
    },
    /// What stands in the folder cannot be broken there.
    #[error("{folder} holds no mesh that can be broken where it stands: {why}")]
    NoMesh {
        /// Which.
        folder: PathBuf,
        /// Why.
        why: String,
    },
    /// A daemon of the mesh runs.
    #[error("the node {node} of the mesh runs")]
    Running {
        /// Which.
        node: String,
        /// By which process.
        #[source]
        source: Box<DataDirError>,
    },
}

impl Place {
    /// Looks at the folder that a person named, and named again to break what stands there; touches nothing.
    ///
    /// # Errors
    /// See [`PlaceError`].
    pub fn find(binary: &Path, folder: Option<&Path>, named: Option<&Path>) -> Result<Self, PlaceError> {
        let Some(folder) = folder else { return Ok(Self::Fresh) };
        let has_something = fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some());
        let (owned, mesh) = (folder.to_owned(), ProcessMesh::open(binary, folder));
        match named {
            None if !has_something => Ok(Self::Fresh),
            None if mesh.as_ref().is_ok_and(|mesh| mesh.nodes().is_empty()) => {
                Err(PlaceError::NotThrowAway { folder: owned })
            }
            None => Err(PlaceError::Standing { folder: owned }),
            Some(_) if !folder.is_dir() => {
                Err(PlaceError::NoMesh { folder: owned, why: "there is no such directory".to_owned() })
            }
            Some(named) if !is_same(folder, named) => {
                Err(PlaceError::Another { folder: owned, named: named.to_owned() })
            }
            Some(_) => {
                let mesh = mesh.map_err(|error| PlaceError::NoMesh {
                    folder: owned.clone(),
                    why: althing_actors::causes::with_causes(&error),
                })?;
                check_whole(&mesh).map_err(|why| PlaceError::NoMesh { folder: owned, why })?;
                check_stopped(&mesh)?;
                Ok(Self::Standing(mesh))
            }
        }
    }

    /// Why a kind cannot be done here, whatever the machine can do.
    #[must_use]
    pub fn lack(&self, kind: Kind) -> Option<Lack> {
        let Self::Standing(mesh) = self else { return None };
        let why = match kind.needs() {
            Some(Facility::Network) => {
                "the addresses of a mesh that stands are in its genesis, and a network that can be cut has others"
                    .to_owned()
            }
            Some(Facility::Disks) => {
                "the data of a mesh that stands would have to move to disks that can be taken away".to_owned()
            }
            _ => {
                let keyless = mesh.validators().find(|node| !node.consensus_key().exists());
                let keyless = keyless.filter(|_| matches!(kind, Kind::Lies(_)))?;
                format!("{} does not hold its validator's key in a file", keyless.name())
            }
        };
        Some(Lack { why, remedy: "lay a mesh for it: leave out --dir and --yes-break".to_owned() })
    }
}

/// Both may be spelled in their own way.
fn is_same(one: &Path, other: &Path) -> bool {
    match (fs::canonicalize(one), fs::canonicalize(other)) {
        (Ok(one), Ok(other)) => one == other,
        _ => false,
    }
}

/// Every validator is there, there are enough to lose one, and each counts as much as another: what keeps more than two
/// thirds is counted by heads.
fn check_whole(mesh: &ProcessMesh) -> Result<(), String> {
    let first = mesh.nodes().first().ok_or("no folder in it has a node.toml")?;
    let genesis = genesis_file::read(first.genesis()).map_err(|error| error.to_string())?;
    let Genesis { organisations, .. } = &genesis;
    let here: BTreeSet<_> = mesh.validators().map(|node| node.client().org()).collect();
    if let Some(org) = organisations.keys().find(|org| !here.contains(org.as_str())) {
        return Err(format!("the validator of {org} is not in it"));
    }
    let count = u8::try_from(organisations.len()).unwrap_or(u8::MAX);
    if !VALIDATORS.contains(&count) {
        let (least, most) = (VALIDATORS.start(), VALIDATORS.end());
        return Err(format!("it has {count} validators, and has to have {least} to {most}"));
    }
    let weights: BTreeSet<_> = organisations.values().map(|org| org.weight).collect();
    if weights.len() > 1 {
        return Err("its validators have different weights".to_owned());
    }
    Ok(())
}

fn check_stopped(mesh: &ProcessMesh) -> Result<(), PlaceError> {
    for node in mesh.nodes() {
        data_dir::check_free(node.data()).map_err(|source| PlaceError::Running {
            node: node.name().to_owned(),
            source: Box::new(source),
        })?;
    }
    Ok(())
}
