//! Owns the auditor's own files: append-only records, each chained to all before it and synced before it counts.
//!
//! Cuts a torn tail at open. Refuses a file of another network or version, and one that was edited.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use althing_contracts::digest::{Digest, Purpose};

/// Version of the format.
const VERSION: u16 = 1;
/// Bytes of the header: eight of magic, two of version, 32 of network.
const HEADER_LEN: usize = 42;
/// Bytes of the chain digest after each record.
const CHAIN_LEN: usize = 32;
/// Longest record: an alarm carries two block headers with their certificates.
pub(super) const RECORD_LEN_MAX: usize = 64 * 1024;

/// An open file.
#[derive(Debug)]
pub(super) struct ChainFile {
    file: File,
    chain: Digest,
}

/// Why a file of the auditor cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ChainFileError {
    /// The disk failed.
    #[error("{path} cannot be used")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the disk says.
        source: io::Error,
    },
    /// Another kind of file, version or network.
    #[error("{path} is not this auditor's: {problem}")]
    Foreign {
        /// Which file.
        path: PathBuf,
        /// How that shows.
        problem: String,
    },
    /// The file was edited, or the disk lost part of its middle.
    #[error(
        "{path}: record {record} at byte {offset} does not follow from those before it; keep the file as evidence and begin a new one"
    )]
    Edited {
        /// Which file.
        path: PathBuf,
        /// Which record, from 1.
        record: u64,
        /// Where it begins.
        offset: usize,
    },
}

/// What an open file holds.
pub(super) struct Opened {
    /// For appending.
    pub(super) file: ChainFile,
    /// Payloads in order.
    pub(super) records: Vec<Vec<u8>>,
    /// Bytes of a torn record that were cut off the end.
    pub(super) torn_len: usize,
}

impl ChainFile {
    /// Opens or creates a file.
    ///
    /// # Errors
    /// The disk fails, or the file is not what it should be.
    pub(super) fn open(path: &Path, magic: [u8; 8], network: Digest) -> Result<Opened, ChainFileError> {
        let at = |source| ChainFileError::Io { path: path.to_owned(), source };
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path).map_err(at)?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).map_err(at)?;
        let header = header(magic, network);
        if bytes.len() < HEADER_LEN && header.starts_with(&bytes) {
            return Self::create(file, header, path).map_err(at);
        }
        check_header(&bytes, &header, path)?;
        let scan = Scan::over(&bytes, Digest::of(Purpose::Journal, &header), path)?;
        let torn_len = bytes.len() - scan.end;
        if torn_len > 0 {
            file.set_len(scan.end as u64).and_then(|()| file.sync_data()).map_err(at)?;
        }
        Ok(Opened { file: Self { file, chain: scan.chain }, records: scan.records, torn_len })
    }

    /// Appends records and returns when they are on the disk.
    ///
    /// # Errors
    /// The disk fails, or a record is above its bound; nothing may be taken as recorded then.
    pub(super) fn append(&mut self, records: &[Vec<u8>]) -> io::Result<()> {
        let mut bytes = Vec::new();
        let mut chain = self.chain;
        for record in records {
            let len = u32::try_from(record.len()).ok().filter(|_| record.len() <= RECORD_LEN_MAX);
            let len =
                len.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the record is too long"))?;
            chain = link(chain, len.to_le_bytes(), record);
            bytes.extend_from_slice(&len.to_le_bytes());
            bytes.extend_from_slice(record);
            bytes.extend_from_slice(chain.as_bytes());
        }
        self.file.write_all(&bytes)?;
        self.file.sync_data()?;
        self.chain = chain;
        Ok(())
    }

    fn create(mut file: File, header: [u8; HEADER_LEN], path: &Path) -> io::Result<Opened> {
        file.set_len(0)?;
        file.write_all(&header)?;
        file.sync_all()?;
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            File::open(parent)?.sync_all()?;
        }
        let chain = Digest::of(Purpose::Journal, &header);
        Ok(Opened { file: Self { file, chain }, records: Vec::new(), torn_len: 0 })
    }
}

/// The records of a file as far as they are whole.
struct Scan {
    records: Vec<Vec<u8>>,
    chain: Digest,
    end: usize,
}

impl Scan {
    fn over(bytes: &[u8], chain: Digest, path: &Path) -> Result<Self, ChainFileError> {
        let mut scan = Self { records: Vec::new(), chain, end: HEADER_LEN };
        while let Some((payload, written, end)) = next_record(bytes, scan.end) {
            let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
            let chain = link(scan.chain, len.to_le_bytes(), payload);
            if chain.as_bytes() != written {
                return Err(ChainFileError::Edited {
                    path: path.to_owned(),
                    record: scan.records.len() as u64 + 1,
                    offset: scan.end,
                });
            }
            scan.records.push(payload.to_vec());
            scan.chain = chain;
            scan.end = end;
        }
        Ok(scan)
    }
}

/// The payload, chain digest and end of the record at `start`, or `None` when it is not whole.
fn next_record(bytes: &[u8], start: usize) -> Option<(&[u8], &[u8], usize)> {
    let (len, rest) = bytes.get(start..)?.split_first_chunk::<4>()?;
    let len = usize::try_from(u32::from_le_bytes(*len)).ok()?;
    let payload = rest.get(..len)?;
    let written = rest.get(len..len.checked_add(CHAIN_LEN)?)?;
    Some((payload, written, start + 4 + len + CHAIN_LEN))
}

fn link(chain: Digest, len: [u8; 4], payload: &[u8]) -> Digest {
    Digest::of_parts(Purpose::Journal, &[chain.as_bytes(), &len, payload])
}

fn header(magic: [u8; 8], network: Digest) -> [u8; HEADER_LEN] {
    let mut header = [0; HEADER_LEN];
    header[..8].copy_from_slice(&magic);
    header[8..10].copy_from_slice(&VERSION.to_le_bytes());
    header[10..].copy_from_slice(network.as_bytes());
    header
}

fn check_header(bytes: &[u8], expected: &[u8; HEADER_LEN], path: &Path) -> Result<(), ChainFileError> {
    let foreign = |problem: String| Err(ChainFileError::Foreign { path: path.to_owned(), problem });
    let Some(found) = bytes.first_chunk::<HEADER_LEN>() else {
        return foreign("its first bytes are not those of such a file".to_owned());
    };
    if found[..8] != expected[..8] {
        return foreign("its first bytes are not those of such a file".to_owned());
    }
    if found[8..10] != expected[8..10] {
        return foreign(format!(
            "its version is {}, this build reads {VERSION}",
            u16::from_le_bytes([found[8], found[9]])
        ));
    }
    if found != expected {
        return foreign(format!("it belongs to network {}", hex::encode(&found[10..])));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAGIC: [u8; 8] = *b"ALTHTEST";

    fn written(records: &[&[u8]]) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("chain");
        let mut opened = ChainFile::open(&path, MAGIC, Digest::ZERO).unwrap();
        for record in records {
            opened.file.append(&[record.to_vec()]).unwrap();
        }
        (directory, path)
    }

    #[test]
    fn records_come_back_in_order_and_more_can_follow() {
        let (_directory, path) = written(&[b"one", b"", b"three"]);
        let mut opened = ChainFile::open(&path, MAGIC, Digest::ZERO).unwrap();
        assert_eq!(opened.records, [b"one".to_vec(), Vec::new(), b"three".to_vec()]);
        opened.file.append(&[b"four".to_vec(), b"five".to_vec()]).unwrap();
        assert_eq!(ChainFile::open(&path, MAGIC, Digest::ZERO).unwrap().records.len(), 5);
    }

    #[test]
    fn a_torn_tail_of_any_length_is_cut_and_whole_records_stay() {
        let (_directory, path) = written(&[b"one", b"two"]);
        let whole = std::fs::read(&path).unwrap();
        let first_end = HEADER_LEN + 4 + 3 + CHAIN_LEN;
        for len in first_end..whole.len() {
            std::fs::write(&path, &whole[..len]).unwrap();
            let opened = ChainFile::open(&path, MAGIC, Digest::ZERO).unwrap();
            assert_eq!(opened.records, [b"one".to_vec()], "cut at {len}");
            assert_eq!(opened.torn_len, len - first_end);
            assert_eq!(std::fs::metadata(&path).unwrap().len(), first_end as u64);
        }
    }

    #[test]
    fn an_edited_record_is_named() {
        let (_directory, path) = written(&[b"one", b"two", b"three"]);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[HEADER_LEN + 4 + 3 + CHAIN_LEN + 5] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let error = ChainFile::open(&path, MAGIC, Digest::ZERO).err().expect("the file was edited");
        assert!(matches!(error, ChainFileError::Edited { record: 2, .. }), "{error}");
    }

    #[test]
    fn another_network_version_or_kind_is_refused_by_name() {
        let (_directory, path) = written(&[b"one"]);
        let other = Digest::from_bytes([1; 32]);
        let error = ChainFile::open(&path, MAGIC, other).err().expect("another network");
        assert!(error.to_string().contains("it belongs to network 0000"), "{error}");
        let error = ChainFile::open(&path, *b"ALTHXXXX", Digest::ZERO).err().expect("another kind");
        assert!(matches!(error, ChainFileError::Foreign { .. }), "{error}");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[8] = 9;
        std::fs::write(&path, &bytes).unwrap();
        let error = ChainFile::open(&path, MAGIC, Digest::ZERO).err().expect("another version");
        assert!(error.to_string().contains("its version is 9, this build reads 1"), "{error}");
    }

    #[test]
    fn the_bytes_of_version_1_do_not_change() {
        let (_directory, path) = written(&[b"one"]);
        let header = hex::encode(*b"ALTHTEST") + "0100" + &"00".repeat(32);
        let chain = "0b098e05b9aede9d62ecd798e7036c24ec0d3fb735d76fd4046fffc638de44ab";
        let expected = header + "03000000" + &hex::encode(b"one") + chain;
        assert_eq!(hex::encode(std::fs::read(&path).unwrap()), expected);
    }
}
