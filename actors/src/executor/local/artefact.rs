//! Owns a target's store of artefacts: every file in it is named by its BLAKE3 digest and was hashed on its way in.
//! Refuses an artefact that is missing or differs.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use althing_contracts::digest::Digest;

use crate::{disk::sync_parent, failpoint};

/// Most files in an artefact directory that are hashed in search of one.
pub const ARTEFACT_FILES_MAX: usize = 1_000;
/// Largest artefact in bytes.
pub const ARTEFACT_LEN_MAX: u64 = 1024 * 1024 * 1024;
/// Artefacts are read and executed by their owner, never written.
const MODE: u32 = 0o500;

/// The artefacts of one target.
#[derive(Debug, Clone)]
pub struct Store {
    dir: PathBuf,
    source: PathBuf,
}

/// Why an artefact cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ArtefactError {
    /// No file has the digest.
    #[error("no file in {source_dir} has the digest {digest}; copy the artefact there")]
    Missing {
        /// As planned.
        digest: Digest,
        /// Where it was looked for.
        source_dir: PathBuf,
    },
    /// The file that should be it is not.
    #[error("{path} has the digest {found}, the plan names {digest}")]
    Differs {
        /// Which file.
        path: PathBuf,
        /// As planned.
        digest: Digest,
        /// As read.
        found: Digest,
    },
    /// The disk failed.
    #[error("the artefact {digest} cannot be read or stored: {source}")]
    Disk {
        /// Which.
        digest: Digest,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Store {
    /// Opens the store below `root`; new artefacts come from `source`.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn open(root: &Path, source: &Path) -> io::Result<Self> {
        let dir = root.join("store");
        fs::create_dir_all(&dir)?;
        Ok(Self { dir, source: source.to_owned() })
    }

    /// Where the artefact is when it was fetched.
    pub fn path(&self, digest: Digest) -> PathBuf {
        self.dir.join(digest.to_string())
    }

    /// Brings an artefact into the store, if it is not there, and hashes it in any case.
    ///
    /// # Errors
    /// See [`ArtefactError`].
    pub fn fetch(&self, digest: Digest) -> Result<PathBuf, ArtefactError> {
        let path = self.path(digest);
        let disk = |source| ArtefactError::Disk { digest, source };
        match hash(&path) {
            Ok(found) if found == digest => return Ok(path),
            Ok(_) => fs::remove_file(&path).map_err(disk)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(disk(error)),
        }
        let source = self.find(digest)?;
        self.copy(&source, digest)?;
        Ok(path)
    }

    /// Finds an artefact without bringing it in.
    ///
    /// # Errors
    /// See [`ArtefactError`].
    pub fn locate(&self, digest: Digest) -> Result<PathBuf, ArtefactError> {
        match hash(&self.path(digest)) {
            Ok(found) if found == digest => Ok(self.path(digest)),
            _ => self.find(digest),
        }
    }

    fn find(&self, digest: Digest) -> Result<PathBuf, ArtefactError> {
        let named = self.source.join(digest.to_string());
        if let Ok(found) = hash(&named) {
            let differs = || ArtefactError::Differs { path: named.clone(), digest, found };
            return if found == digest { Ok(named) } else { Err(differs()) };
        }
        let entries = fs::read_dir(&self.source).map_err(|source| ArtefactError::Disk { digest, source })?;
        let files = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_file());
        let mut files: Vec<PathBuf> = files.take(ARTEFACT_FILES_MAX).collect();
        files.sort();
        let found = files.into_iter().find(|path| hash(path).is_ok_and(|found| found == digest));
        found.ok_or_else(|| ArtefactError::Missing { digest, source_dir: self.source.clone() })
    }

    /// Copies what was found and hashes the very bytes that are stored: the source may change at any time.
    fn copy(&self, source: &Path, digest: Digest) -> Result<(), ArtefactError> {
        let temporary = self.dir.join(format!("{digest}.new"));
        let copied =
            copy_hashed(source, &temporary).map_err(|source| ArtefactError::Disk { digest, source })?;
        if copied != digest {
            return Err(ArtefactError::Differs { path: source.to_owned(), digest, found: copied });
        }
        failpoint::reach("local.artefact.copied");
        let stored = fs::rename(&temporary, self.path(digest)).and_then(|()| sync_parent(&temporary));
        stored.map_err(|source| ArtefactError::Disk { digest, source })
    }
}

/// The digest of a file's content.
///
/// # Errors
/// The file cannot be read or is larger than an artefact may be.
pub fn hash(path: &Path) -> io::Result<Digest> {
    let file = File::open(path)?;
    if file.metadata()?.len() > ARTEFACT_LEN_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file)?;
    Ok(Digest::from_bytes(*hasher.finalize().as_bytes()))
}

/// Copies a file, makes the copy durable and returns the digest of what was written.
pub(super) fn copy_hashed(source: &Path, to: &Path) -> io::Result<Digest> {
    let mut from = File::open(source)?.take(ARTEFACT_LEN_MAX);
    let mut hasher = blake3::Hasher::new();
    let mut copy = File::create(to)?;
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let read = from.read(&mut chunk)?;
        if read == 0 {
            break;
        }
        hasher.update(&chunk[..read]);
        copy.write_all(&chunk[..read])?;
    }
    copy.set_permissions(fs::Permissions::from_mode(MODE))?;
    copy.sync_all()?;
    Ok(Digest::from_bytes(*hasher.finalize().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("artefacts")).unwrap();
        let store = Store::open(&dir.path().join("root"), &dir.path().join("artefacts")).unwrap();
        (dir, store)
    }

    #[test]
    fn an_artefact_is_found_by_its_content() {
        let (dir, store) = store();
        fs::write(dir.path().join("artefacts/web-2.0"), b"release 2").unwrap();
        let digest = Digest::of_artefact(b"release 2");
        assert_eq!(fs::read(store.fetch(digest).unwrap()).unwrap(), b"release 2");
        fs::remove_file(dir.path().join("artefacts/web-2.0")).unwrap();
        assert!(store.fetch(digest).is_ok(), "the store keeps it");
    }

    #[test]
    fn a26_a_missing_or_different_artefact_is_refused() {
        let (dir, store) = store();
        let digest = Digest::of_artefact(b"release 2");
        assert!(matches!(store.fetch(digest), Err(ArtefactError::Missing { .. })));
        fs::write(dir.path().join("artefacts").join(digest.to_string()), b"other").unwrap();
        let message = store.fetch(digest).unwrap_err().to_string();
        assert!(message.ends_with(&format!(
            "has the digest {}, the plan names {digest}",
            Digest::of_artefact(b"other")
        )));
    }

    #[test]
    fn a_stored_artefact_that_was_changed_is_replaced() {
        let (dir, store) = store();
        fs::write(dir.path().join("artefacts/web"), b"release 2").unwrap();
        let digest = Digest::of_artefact(b"release 2");
        let path = store.fetch(digest).unwrap();
        fs::remove_file(&path).unwrap();
        fs::write(&path, b"changed").unwrap();
        assert_eq!(fs::read(store.fetch(digest).unwrap()).unwrap(), b"release 2");
    }
}
