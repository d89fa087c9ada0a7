//! Owns a node's data directory: who may use it, of which network and format it is, and where the parts are.
//! Refuses a directory of another network or version, and a second process.
//!
//! `LOCK` is held while the node runs and holds its process id; it is never removed, since a lock is on the file, not
//! on its name. `meta` is written once, whole or not at all.

#[cfg(test)]
mod tests;

use std::{
    fs::{DirBuilder, File, OpenOptions, TryLockError},
    io::{self, ErrorKind, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use althing_contracts::digest::Digest;
use serde::{Deserialize, Serialize};

use crate::failpoint;

/// Longest `meta` and `LOCK` read: both are a few lines.
const META_LEN_MAX: u64 = 4_096;

const LOCK_NAME: &str = "LOCK";
const META_NAME: &str = "meta";
const META_TEMPORARY_NAME: &str = "meta.tmp";
const LOG_NAME: &str = "log";
const INDEX_NAME: &str = "index";
const SNAPSHOT_NAME: &str = "snapshot";
const PARTS: [&str; 3] = [LOG_NAME, INDEX_NAME, SNAPSHOT_NAME];

/// A data directory that this process holds until the value is dropped.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    /// Closing it frees the directory, also when the process is killed.
    _lock: File,
}

/// Why a data directory is not used; nothing in it was changed but `LOCK`.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// A process has it.
    #[error("the data directory {path} is in use{}; stop that process or choose another directory", by(*pid))]
    Locked {
        /// Which directory.
        path: PathBuf,
        /// Its process id, if it could be read.
        pid: Option<u32>,
    },
    /// Its network is another.
    #[error(
        "the data directory {path} belongs to network {found}, this node is of network {expected}; choose \
         another directory or correct the genesis file"
    )]
    OtherNetwork {
        /// Which directory.
        path: PathBuf,
        /// Of the directory.
        found: Digest,
        /// Of this node.
        expected: Digest,
    },
    /// A newer version wrote it.
    #[error(
        "the data directory {path} has format {found}, this version reads format {expected}; start the newer version"
    )]
    Newer {
        /// Which directory.
        path: PathBuf,
        /// Of the directory.
        found: u16,
        /// Of this version.
        expected: u16,
    },
    /// An older version wrote it.
    #[error(
        "the data directory {path} has format {found}, this version reads format {expected}; set it aside, start with \
         an empty one and let the node catch up from its peers; a \
         validator waits first until the others have decided one more block, so that it never signs twice"
    )]
    Older {
        /// Which directory.
        path: PathBuf,
        /// Of the directory.
        found: u16,
        /// Of this version.
        expected: u16,
    },
    /// `meta` is damaged, or is missing beside data.
    #[error(
        "the data directory {path} has no readable file {META_NAME}: {reason}; set it aside, start with an empty one and let the node catch up from its peers; a \
         validator waits first until the others have decided one more block, so that it never signs twice"
    )]
    Meta {
        /// Which directory.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The path is something else.
    #[error("{path} is not a directory; choose another data directory")]
    NotADirectory {
        /// Which path.
        path: PathBuf,
    },
    /// This user may not write.
    #[error("the data directory {path} is not writable for this user; give it to the user or choose another")]
    NotWritable {
        /// Which directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// No room.
    #[error("the disk of the data directory {path} is full; free some space and start again")]
    Full {
        /// Which directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Anything else.
    #[error("cannot {operation} in the data directory {path}")]
    Disk {
        /// What was tried.
        operation: &'static str,
        /// Which directory.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}

/// The content of `meta`. A newer version may have more fields.
#[derive(Debug, Serialize, Deserialize)]
struct Meta {
    format: u16,
    network: Digest,
}

/// The one field that every version has.
#[derive(Debug, Deserialize)]
struct MetaFormat {
    format: u16,
}

impl DataDir {
    /// Takes a directory for this process; creates it, for its owner only, if it is not there.
    ///
    /// # Errors
    /// See [`DataDirError`].
    pub fn open(path: &Path, network: Digest, format: u16) -> Result<Self, DataDirError> {
        let failed = |operation| move |source| classify(path, operation, source);
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(failed("create files"))?;
        let lock = take_lock(path)?;
        match read_meta(path)? {
            Some(text) => check_meta(path, &text, &Meta { format, network })?,
            None => write_meta(path, &Meta { format, network }).map_err(failed("write the file meta"))?,
        }
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the log is.
    pub fn log(&self) -> PathBuf {
        self.path.join(LOG_NAME)
    }

    /// Where the index is.
    pub fn index(&self) -> PathBuf {
        self.path.join(INDEX_NAME)
    }

    /// Where the snapshots are.
    pub fn snapshot(&self) -> PathBuf {
        self.path.join(SNAPSHOT_NAME)
    }
}

/// Tells whether another process has a directory, without taking or changing it: what its owner starts with first says
/// why it cannot start. Whoever opens the directory asks again.
///
/// # Errors
/// [`DataDirError::Locked`] alone; what else is wrong shows when the directory is opened.
pub fn check_free(path: &Path) -> Result<(), DataDirError> {
    let Ok(lock) = File::open(path.join(LOCK_NAME)) else { return Ok(()) };
    match lock.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Err(locked(path, &lock)),
        Ok(()) | Err(TryLockError::Error(_)) => Ok(()),
    }
}

/// Takes `LOCK` and writes this process's id into it.
fn take_lock(path: &Path) -> Result<File, DataDirError> {
    let failed = |source| classify(path, "take the file LOCK", source);
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let mut lock = options.open(path.join(LOCK_NAME)).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            return Err(locked(path, &lock));
        }
        Err(TryLockError::Error(source)) => return Err(failed(source)),
    }
    lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id())).map_err(failed)?;
    Ok(lock)
}

/// The text of `meta`; `None` in a directory without data.
fn read_meta(path: &Path) -> Result<Option<String>, DataDirError> {
    let unreadable = |reason: String| DataDirError::Meta { path: path.to_owned(), reason };
    match File::open(path.join(META_NAME)) {
        Ok(file) => bounded_text(&file).map(Some).map_err(|error| unreadable(error.to_string())),
        Err(error) if error.kind() == ErrorKind::NotFound => match strange_part(path) {
            Ok(None) => Ok(None),
            Ok(Some(name)) => Err(unreadable(format!("it is missing and there is `{name}`"))),
            Err(source) => Err(classify(path, "list the files", source)),
        },
        Err(error) => Err(unreadable(error.to_string())),
    }
}

/// A part that a node without `meta` cannot have made; other files, such as keys, may be there before it.
fn strange_part(path: &Path) -> io::Result<Option<&'static str>> {
    for name in PARTS {
        if path.join(name).try_exists()? {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

fn bounded_text(file: &File) -> io::Result<String> {
    let mut text = String::new();
    file.take(META_LEN_MAX).read_to_string(&mut text)?;
    Ok(text)
}

fn check_meta(path: &Path, text: &str, expected: &Meta) -> Result<(), DataDirError> {
    let unreadable = |error: toml::de::Error| DataDirError::Meta {
        path: path.to_owned(),
        reason: error.message().to_owned(),
    };
    let MetaFormat { format: found } = toml::from_str(text).map_err(unreadable)?;
    let (path, expected_format) = (path.to_owned(), expected.format);
    if found > expected_format {
        return Err(DataDirError::Newer { path, found, expected: expected_format });
    }
    if found < expected_format {
        return Err(DataDirError::Older { path, found, expected: expected_format });
    }
    let Meta { network: found, .. } = toml::from_str(text).map_err(unreadable)?;
    if found == expected.network {
        Ok(())
    } else {
        Err(DataDirError::OtherNetwork { path, found, expected: expected.network })
    }
}

/// The process that holds a directory says who it is in the file that it holds.
fn locked(path: &Path, lock: &File) -> DataDirError {
    let pid = bounded_text(lock).ok().and_then(|text| text.trim().parse().ok());
    DataDirError::Locked { path: path.to_owned(), pid }
}

fn write_meta(path: &Path, meta: &Meta) -> io::Result<()> {
    let text = toml::to_string(meta).map_err(io::Error::other)?;
    let temporary = path.join(META_TEMPORARY_NAME);
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    failpoint::reach("ledger.meta.written");
    std::fs::rename(temporary, path.join(META_NAME))?;
    failpoint::reach("ledger.meta.renamed");
    File::open(path)?.sync_all()
}

/// The error that tells a person what to do.
fn classify(path: &Path, operation: &'static str, source: io::Error) -> DataDirError {
    let path = path.to_owned();
    match source.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            DataDirError::NotWritable { path, source }
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => DataDirError::Full { path, source },
        ErrorKind::AlreadyExists | ErrorKind::NotADirectory => DataDirError::NotADirectory { path },
        _ => DataDirError::Disk { operation, path, source },
    }
}

fn by(pid: Option<u32>) -> String {
    pid.map_or_else(|| " by another process".to_owned(), |pid| format!(" by process {pid}"))
}
