//! Owns the mark: how many records are durable, written after each sync and not synced itself.
//!
//! It may lag after a power cut and never leads, so a log that ends before its mark has lost durable records: a cut
//! file is told from a torn tail.
//!
//! ```text
//! magic [8] | records u64 | check [8]
//! ```

use super::{
    LogError,
    record::{array, check},
};
use crate::{disk::Disk, failpoint};

/// The mark's file name.
pub(super) const MARK_NAME: &str = "durable.mark";

const MAGIC: &[u8; 8] = b"ALTHMARK";
const MARK_LEN: usize = 24;
const CHECK_AT: usize = 16;

/// The bytes of a mark.
pub(super) fn encode(records: u64) -> [u8; MARK_LEN] {
    let mut bytes = [0; MARK_LEN];
    bytes[..8].copy_from_slice(MAGIC);
    bytes[8..CHECK_AT].copy_from_slice(&records.to_le_bytes());
    let check: [u8; 8] = check(&bytes[..CHECK_AT]);
    bytes[CHECK_AT..].copy_from_slice(&check);
    bytes
}

/// Reads the mark; `None` if it is missing, short or damaged.
pub(super) fn read<D: Disk>(disk: &D) -> Result<Option<u64>, LogError> {
    let mut bytes = [0; MARK_LEN];
    match disk.read(MARK_NAME, 0, &mut bytes) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(LogError::Disk { operation: "read", file: MARK_NAME.to_owned(), source }),
    }
    let records = u64::from_le_bytes(array(&bytes, 8));
    Ok((bytes == encode(records)).then_some(records))
}

/// Makes a durable mark for a log without records.
pub(super) fn start<D: Disk>(disk: &mut D) -> Result<(), LogError> {
    let failed = |source| LogError::Disk { operation: "create", file: MARK_NAME.to_owned(), source };
    match disk.create(MARK_NAME) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        other => other.map_err(failed)?,
    }
    failpoint::reach("ledger.log.mark.created");
    disk.overwrite(MARK_NAME, &encode(0))
        .and_then(|()| disk.sync(MARK_NAME))
        .and_then(|()| disk.sync_dir())
        .map_err(failed)
}
