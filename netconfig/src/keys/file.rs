//! Owns the files: created once, synced, private; read only when they are private.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

use zeroize::Zeroizing;

use super::{KeyError, KeyPurpose, SecretKey, text};

/// Longest key file, in bytes; one of version 1 has fewer than 300.
const FILE_LEN_MAX: u64 = 4 * 1024;
const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;
/// Bits by which the group or others read, write or run.
const OTHERS_ANY: u32 = 0o077;
/// Bits by which the group or others write.
const OTHERS_WRITE: u32 = 0o022;

/// Writes a new key file and syncs it; its directory is made, with mode 0700, if there is none.
///
/// # Errors
/// The file exists, its directory is writable by others, or the system refuses.
pub fn create(path: &Path, key: &SecretKey) -> Result<(), KeyError> {
    let failed = |what, source| KeyError::Io { what, path: path.to_owned(), source };
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let made = DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(directory);
    made.map_err(|source| failed("make the directory of", source))?;
    check_directory(directory)?;
    let opened = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(path);
    let mut file = opened.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => KeyError::Exists { path: path.to_owned() },
        _ => failed("create", source),
    })?;
    file.write_all(text::write(key).as_bytes()).map_err(|source| failed("write", source))?;
    file.sync_all().map_err(|source| failed("sync", source))?;
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(|source| failed("sync", source))
}

/// Reads a key file for one purpose.
///
/// # Errors
/// The file is missing, others can read it, it is malformed, or it holds a key for another purpose.
pub fn load(path: &Path, expected: KeyPurpose) -> Result<SecretKey, KeyError> {
    let key = load_any(path)?;
    if key.purpose() == expected {
        Ok(key)
    } else {
        Err(KeyError::Purpose { path: path.to_owned(), expected, found: key.purpose() })
    }
}

/// Reads a key file whose purpose is for the caller to judge.
///
/// # Errors
/// The file is missing, others can read it, or it is malformed.
pub fn load_any(path: &Path) -> Result<SecretKey, KeyError> {
    let failed = |what, source| KeyError::Io { what, path: path.to_owned(), source };
    let file = File::open(path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => KeyError::Missing { path: path.to_owned() },
        _ => failed("open", source),
    })?;
    check_file(path, &file)?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(FILE_LEN_MAX).unwrap_or_default() + 1));
    file.take(FILE_LEN_MAX + 1).read_to_end(&mut bytes).map_err(|source| failed("read", source))?;
    let malformed = |reason: &str| KeyError::Malformed { path: path.to_owned(), reason: reason.to_owned() };
    if u64::try_from(bytes.len()).is_ok_and(|len| len > FILE_LEN_MAX) {
        return Err(malformed("it is longer than 4 KiB"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| malformed("it is not text"))?;
    text::read(text).map_err(|reason| malformed(&reason))
}

/// The mode is read from the open file, so that what is checked is what is read.
fn check_file(path: &Path, file: &File) -> Result<(), KeyError> {
    let metadata = file.metadata();
    let metadata =
        metadata.map_err(|source| KeyError::Io { what: "inspect", path: path.to_owned(), source })?;
    if !metadata.is_file() {
        let reason = "it is not a regular file".to_owned();
        return Err(KeyError::Malformed { path: path.to_owned(), reason });
    }
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & OTHERS_ANY == 0 {
        return Ok(());
    }
    Err(KeyError::Permissions { path: path.to_owned(), mode, risk: "read", remedy: "600" })
}

fn check_directory(path: &Path) -> Result<(), KeyError> {
    let metadata = fs::metadata(path);
    let metadata =
        metadata.map_err(|source| KeyError::Io { what: "inspect", path: path.to_owned(), source })?;
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & OTHERS_WRITE == 0 {
        return Ok(());
    }
    Err(KeyError::Permissions { path: path.to_owned(), mode, risk: "write to", remedy: "700" })
}
