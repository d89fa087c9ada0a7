//! Owns snapshots: the state after a block as one checked file, written whole or not at all. Refuses to hand out one
//! that is damaged; the one before is used then, and without any the log is replayed.
//!
//! ```text
//! magic [8] | version u16 | network [32] | height u64 | state root [32] | block [32] | payload len u64 | digest [32] | payload
//! ```
//! Integers are little-endian; `digest` is over everything else.

#[cfg(test)]
mod tests;

use std::io::{self, ErrorKind};

use althing_contracts::{
    digest::{Digest, Purpose},
    quantity::Height,
};

use super::log::metrics::SNAPSHOTS_REFUSED_TOTAL;
use crate::{disk::Disk, failpoint};

/// Version of the format; a higher one is passed over.
pub const SNAPSHOT_FORMAT: u16 = 1;
/// Largest payload: more than a state of a million proposals needs, and less than memory.
pub const SNAPSHOT_LEN_MAX: u64 = 1024 * 1024 * 1024;
/// Snapshots kept: the last one, and the one before in case it is damaged.
pub const SNAPSHOTS_MAX: usize = 2;

const MAGIC: &[u8; 8] = b"ALTHSNAP";
const HEADER_LEN: usize = 154;
const DIGEST_AT: usize = 122;
const SUFFIX: &str = ".snap";
const TEMPORARY_NAME: &str = "snapshot.tmp";

/// A state after a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The block's height.
    pub height: Height,
    /// Root of the state after it; the reader holds it against the decoded state.
    pub state_root: Digest,
    /// The block.
    pub block: Digest,
    /// `State::encode_snapshot`.
    pub payload: Vec<u8>,
}

/// The snapshots of one network in one directory.
#[derive(Debug)]
pub struct SnapshotStore<D> {
    disk: D,
    network: Digest,
}

/// A snapshot that was passed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedSnapshot {
    /// File name.
    pub name: String,
    /// Why.
    pub reason: SnapshotDamage,
}

/// Why a snapshot is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotDamage {
    /// The file ends too early, or goes on too long.
    #[error("its length is wrong")]
    Length,
    /// It is no snapshot, or its bytes changed.
    #[error("its digest does not match")]
    Digest,
    /// Another version wrote it.
    #[error("its format {0} is unknown to this version")]
    Format(u16),
    /// Another network's.
    #[error("it belongs to network {0}")]
    OtherNetwork(Digest),
    /// The name and the content differ.
    #[error("it is of height {0}, which its name does not say")]
    Height(Height),
}

/// Why a snapshot could not be written or read at all.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The disk refused.
    #[error("cannot {operation} the snapshot {file}")]
    Disk {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        file: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The payload is too long; nothing was written.
    #[error("a snapshot of {len} bytes is too long, at most {SNAPSHOT_LEN_MAX} are allowed")]
    TooLong {
        /// Bytes given.
        len: u64,
    },
}

impl<D: Disk> SnapshotStore<D> {
    /// The snapshots of a directory.
    pub const fn new(disk: D, network: Digest) -> Self {
        Self { disk, network }
    }

    /// Writes a snapshot durably and removes all but the last [`SNAPSHOTS_MAX`].
    ///
    /// # Errors
    /// The payload is too long, or the disk refused: the snapshots before are untouched.
    pub fn write(&mut self, snapshot: &Snapshot) -> Result<(), SnapshotError> {
        let len = snapshot.payload.len() as u64;
        if len > SNAPSHOT_LEN_MAX {
            return Err(SnapshotError::TooLong { len });
        }
        let name = name_of(snapshot.height);
        let header = self.header(snapshot);
        let failed = |source| SnapshotError::Disk { operation: "write", file: name.clone(), source };
        self.remove_temporary().map_err(failed)?;
        self.write_temporary(&header, &snapshot.payload).map_err(failed)?;
        failpoint::reach("ledger.snapshot.written");
        self.disk.rename(TEMPORARY_NAME, &name).and_then(|()| self.disk.sync_dir()).map_err(failed)?;
        failpoint::reach("ledger.snapshot.renamed");
        self.remove_old()
    }

    /// The last snapshot that is whole, and those that were passed over before it.
    ///
    /// # Errors
    /// The disk refused.
    pub fn last(&self) -> Result<(Option<Snapshot>, Vec<RefusedSnapshot>), SnapshotError> {
        let mut refused = Vec::new();
        for (height, name) in self.list()?.into_iter().rev() {
            match self.read(height, &name)? {
                Ok(snapshot) => return Ok((Some(snapshot), refused)),
                Err(reason) => {
                    ::metrics::counter!(SNAPSHOTS_REFUSED_TOTAL).increment(1);
                    tracing::warn!(name, %reason, "snapshot passed over");
                    refused.push(RefusedSnapshot { name, reason });
                }
            }
        }
        Ok((None, refused))
    }

    fn remove_temporary(&mut self) -> io::Result<()> {
        match self.disk.remove(TEMPORARY_NAME) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    fn write_temporary(&mut self, header: &[u8], payload: &[u8]) -> io::Result<()> {
        self.disk.create(TEMPORARY_NAME)?;
        self.disk.append(TEMPORARY_NAME, header)?;
        self.disk.append(TEMPORARY_NAME, payload)?;
        self.disk.sync(TEMPORARY_NAME)
    }

    fn remove_old(&mut self) -> Result<(), SnapshotError> {
        let names = self.list()?;
        let old = names.len().saturating_sub(SNAPSHOTS_MAX);
        for (_, name) in names.into_iter().take(old) {
            let failed = |source| SnapshotError::Disk { operation: "remove", file: name.clone(), source };
            self.disk.remove(&name).map_err(failed)?;
        }
        Ok(())
    }

    /// Heights and names of the snapshots, oldest first.
    fn list(&self) -> Result<Vec<(Height, String)>, SnapshotError> {
        let failed = |source| SnapshotError::Disk { operation: "list", file: "directory".to_owned(), source };
        let names = self.disk.list().map_err(failed)?;
        Ok(names.into_iter().filter_map(|name| Some((height_in(&name)?, name))).collect())
    }

    fn read(&self, height: Height, name: &str) -> Result<Result<Snapshot, SnapshotDamage>, SnapshotError> {
        let failed = |source| SnapshotError::Disk { operation: "read", file: name.to_owned(), source };
        let len = self.disk.len(name).map_err(failed)?;
        if len < HEADER_LEN as u64 || len - HEADER_LEN as u64 > SNAPSHOT_LEN_MAX {
            return Ok(Err(SnapshotDamage::Length));
        }
        let mut header = [0; HEADER_LEN];
        self.disk.read(name, 0, &mut header).map_err(failed)?;
        let payload_len = usize::try_from(len - HEADER_LEN as u64).unwrap_or(usize::MAX);
        let mut payload = vec![0; payload_len];
        let filled = self.disk.read(name, HEADER_LEN as u64, &mut payload).map_err(failed)?;
        payload.truncate(filled);
        Ok(self.open(height, &header, payload))
    }

    fn open(
        &self,
        height: Height,
        header: &[u8; HEADER_LEN],
        payload: Vec<u8>,
    ) -> Result<Snapshot, SnapshotDamage> {
        let (format, network) = (u16::from_le_bytes(array(header, 8)), Digest::from_bytes(array(header, 10)));
        if header[..8] != *MAGIC || digest(header, &payload).as_bytes() != &header[DIGEST_AT..] {
            return Err(SnapshotDamage::Digest);
        }
        if format != SNAPSHOT_FORMAT {
            return Err(SnapshotDamage::Format(format));
        }
        if network != self.network {
            return Err(SnapshotDamage::OtherNetwork(network));
        }
        let found = Height::new(u64::from_le_bytes(array(header, 42)));
        if found != height {
            return Err(SnapshotDamage::Height(found));
        }
        if u64::from_le_bytes(array(header, 114)) != payload.len() as u64 {
            return Err(SnapshotDamage::Length);
        }
        let (state_root, block) = (array(header, 50), array(header, 82));
        Ok(Snapshot {
            height,
            state_root: Digest::from_bytes(state_root),
            block: Digest::from_bytes(block),
            payload,
        })
    }

    fn header(&self, snapshot: &Snapshot) -> [u8; HEADER_LEN] {
        let mut header = [0; HEADER_LEN];
        header[..8].copy_from_slice(MAGIC);
        header[8..10].copy_from_slice(&SNAPSHOT_FORMAT.to_le_bytes());
        header[10..42].copy_from_slice(self.network.as_bytes());
        header[42..50].copy_from_slice(&snapshot.height.get().to_le_bytes());
        header[50..82].copy_from_slice(snapshot.state_root.as_bytes());
        header[82..114].copy_from_slice(snapshot.block.as_bytes());
        header[114..DIGEST_AT].copy_from_slice(&(snapshot.payload.len() as u64).to_le_bytes());
        let digest = digest(&header, &snapshot.payload);
        header[DIGEST_AT..].copy_from_slice(digest.as_bytes());
        header
    }
}

/// The digest over a snapshot's header fields and payload.
fn digest(header: &[u8; HEADER_LEN], payload: &[u8]) -> Digest {
    Digest::of_parts(Purpose::State, &[&header[..DIGEST_AT], payload])
}

/// The file name of a height's snapshot; names sort as heights do.
fn name_of(height: Height) -> String {
    format!("{:020}{SUFFIX}", height.get())
}

fn height_in(name: &str) -> Option<Height> {
    let height = Height::new(name.strip_suffix(SUFFIX)?.parse().ok()?);
    (name_of(height) == name).then_some(height)
}

/// `N` bytes from `at` on; every caller's range is a constant within the header.
fn array<const N: usize>(header: &[u8; HEADER_LEN], at: usize) -> [u8; N] {
    header[at..at + N].try_into().expect("a range of N bytes")
}
