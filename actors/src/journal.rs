//! Owns the hash-chained journal: an append-only file whose every record names the one before it by digest and is
//! durable before [`Journal::append`] returns. Refuses a broken chain; cuts a torn tail.
//!
//! File: `althjrn1` ‖ kind (8 bytes) ‖ frames. Frame: length `u32` ‖ its complement `u32` ‖ payload ‖ digest of the
//! payload (32 bytes), numbers little-endian. Payload: canonical encoding of (sequence, digest of the record before,
//! record); the record is a versioned enum. A power cut can only leave a last group that ends early, ends in zeros or
//! has a sector of zeros that was never written, so anything else that does not verify is damage, not a torn tail.

use std::{
    io::{self, BufReader, Read},
    marker::PhantomData,
    path::{Path, PathBuf},
};

use althing_contracts::{
    canonical,
    digest::{Digest, Purpose},
};
use borsh::{BorshDeserialize, BorshSerialize};

use crate::{
    disk::{Disk, FileDisk, SECTOR_LEN},
    failpoint,
};

mod place;
mod reading;

pub use place::{Place, Shelf};
pub use reading::Tip;

/// Names the format and its version.
const MAGIC: [u8; 8] = *b"althjrn1";
const HEADER_LEN: usize = 16;
const FRAME_HEAD_LEN: usize = 8;
const DIGEST_LEN: usize = 32;
/// Largest payload in bytes: actions and evidence are names and digests, far below this.
pub const RECORD_LEN_MAX: usize = 64 * 1024;

/// Bytes read at once when a journal is opened.
const READ_LEN: usize = 64 * 1024;
/// Bytes after which records that wait are a full group: a page, so that a write that a crash cut short touches as many
/// pages as one of a single record.
const GROUP_LEN_MAX: usize = 4_096;
/// Longest group: one that is a byte short of full takes one more record of any length.
const TORN_LEN_MAX: usize = GROUP_LEN_MAX + FRAME_HEAD_LEN + RECORD_LEN_MAX + DIGEST_LEN;

/// What a journal is of; a file of one kind never opens as another.
pub type Kind = [u8; 8];

/// An open journal; the only writer of its file.
#[derive(Debug)]
pub struct Journal<R> {
    disk: Box<dyn Disk>,
    name: String,
    /// As it is shown to people.
    path: PathBuf,
    /// Where the next record goes.
    end: End,
    /// Frames that are not written yet.
    pending: Vec<u8>,
    stopped: bool,
    record: PhantomData<fn(R)>,
}

/// The end of the records.
#[derive(Debug, Clone, Copy)]
struct End {
    sequence: u64,
    head: Digest,
    len: u64,
}

/// What was found when a journal was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recovery {
    /// Records that verify.
    pub records: u64,
    /// Bytes of a torn tail that were cut.
    pub cut_bytes: u64,
}

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk failed.
    #[error("the journal {path} cannot be {action}")]
    Disk {
        /// Which file.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file is not a journal of this kind and version.
    #[error(
        "{path} is not a journal of kind `{kind}` in format 1; move it away only if you know that it is not needed"
    )]
    OtherFile {
        /// Which file.
        path: PathBuf,
        /// As expected.
        kind: String,
    },
    /// The chain does not hold.
    #[error(
        "the journal {path} is damaged at byte {offset}, after record {record}: {problem}; restore it from a copy, \
         nothing was changed"
    )]
    Broken {
        /// Which file.
        path: PathBuf,
        /// Where the bad frame begins.
        offset: u64,
        /// Last record that verifies.
        record: u64,
        /// What is wrong.
        problem: &'static str,
    },
    /// The record is larger than any that is written.
    #[error(
        "a record of {len} bytes is too long for the journal {path}, at most {RECORD_LEN_MAX} are allowed"
    )]
    TooLong {
        /// Which file.
        path: PathBuf,
        /// As given.
        len: usize,
    },
    /// An earlier write failed, so what is on the disk is unknown.
    #[error("the journal {path} stopped at a failed write; restart to read it again")]
    Stopped {
        /// Which file.
        path: PathBuf,
    },
}

#[derive(BorshSerialize)]
struct EntryRef<'a, R> {
    sequence: u64,
    previous: Digest,
    record: &'a R,
}

#[derive(BorshDeserialize)]
struct Entry<R> {
    sequence: u64,
    previous: Digest,
    record: R,
}

enum Frame {
    End,
    Torn,
    Broken(&'static str),
    Payload(Vec<u8>),
}

impl<R: BorshSerialize + BorshDeserialize> Journal<R> {
    /// Opens or creates the journal at a place, verifies the whole chain and hands each record to `each` in order.
    ///
    /// # Errors
    /// The disk fails, the file is of another kind, or the chain is broken; the file is left as it is.
    pub fn open(
        place: impl Into<Place>,
        kind: Kind,
        mut each: impl FnMut(R),
    ) -> Result<(Self, Recovery), JournalError> {
        let mut journal = Self::at(place.into())?;
        let file_len = journal.file_len()?;
        let whole_len = file_len.filter(|len| *len >= HEADER_LEN as u64);
        let Some(whole_len) = whole_len else {
            journal.create(kind, file_len.is_some())?;
            return Ok((journal, Recovery { records: 0, cut_bytes: 0 }));
        };
        journal.replay(kind, whole_len, &mut each)?;
        let cut_bytes = whole_len.saturating_sub(journal.end.len);
        if cut_bytes > 0 {
            let (path, records) = (journal.path.display(), journal.end.sequence);
            tracing::warn!(%path, records, cut_bytes, "journal ended in a write that a stop cut short, which was cut off");
            journal.cut_tail()?;
        }
        journal.write_tail_again()?;
        let recovery = Recovery { records: journal.end.sequence, cut_bytes };
        Ok((journal, recovery))
    }

    /// Appends a record; it is on the disk when this returns.
    ///
    /// # Errors
    /// The record is too long, or the disk failed; after a failed write the journal takes nothing more.
    pub fn append(&mut self, record: &R) -> Result<u64, JournalError> {
        let sequence = self.add(record)?;
        self.sync()?;
        Ok(sequence)
    }

    /// Adds a record to the next group. It is not on the disk before [`Self::sync`] returns.
    ///
    /// # Errors
    /// The record is too long, or an earlier write failed.
    pub fn add(&mut self, record: &R) -> Result<u64, JournalError> {
        self.check_running()?;
        let sequence = self.end.sequence.saturating_add(1);
        let payload = canonical::encode(&EntryRef { sequence, previous: self.end.head, record });
        let len = u32::try_from(payload.len()).ok().filter(|_| payload.len() <= RECORD_LEN_MAX);
        let len = len.ok_or(JournalError::TooLong { path: self.path.clone(), len: payload.len() })?;
        let digest = Digest::of(Purpose::Journal, &payload);
        for part in [&len.to_le_bytes()[..], &(!len).to_le_bytes(), &payload, digest.as_bytes()] {
            self.pending.extend_from_slice(part);
        }
        self.end.sequence = sequence;
        self.end.head = digest;
        Ok(sequence)
    }

    /// Whether [`Self::sync`] is due before another record is added.
    pub const fn is_group_full(&self) -> bool {
        self.pending.len() >= GROUP_LEN_MAX
    }

    /// Writes the group at once and makes it durable; does nothing when it is empty.
    ///
    /// # Errors
    /// The disk failed: the journal takes nothing more.
    pub fn sync(&mut self) -> Result<(), JournalError> {
        self.check_running()?;
        if self.pending.is_empty() {
            return Ok(());
        }
        let written = self.disk.write_at(&self.name, self.end.len, &self.pending);
        let written = written.and_then(|()| failpoint::attempt("journal.written"));
        written.and_then(|()| self.disk.sync(&self.name)).map_err(|source| {
            self.stopped = true;
            failed(&self.path, "written", source)
        })?;
        failpoint::reach("journal.synced");
        self.end.len = self.end.len.saturating_add(self.pending.len() as u64);
        self.pending.clear();
        Ok(())
    }

    fn check_running(&self) -> Result<(), JournalError> {
        if self.stopped { Err(JournalError::Stopped { path: self.path.clone() }) } else { Ok(()) }
    }

    /// The digest of the last record; [`Digest::ZERO`] when there is none.
    pub const fn head(&self) -> Digest {
        self.end.head
    }

    /// The file at a place, not looked at yet.
    fn at(place: Place) -> Result<Self, JournalError> {
        let (disk, name, path) = match place {
            Place::Path(path) => {
                let (disk, name) =
                    FileDisk::of_file(&path).map_err(|source| failed(&path, "opened", source))?;
                (Box::new(disk) as Box<dyn Disk>, name, path)
            }
            Place::Disk(disk, name) => (disk, name.clone(), PathBuf::from(name)),
        };
        Ok(Self {
            disk,
            name,
            path,
            end: End::START,
            pending: Vec::new(),
            stopped: false,
            record: PhantomData,
        })
    }

    /// The length of the file; `None` when there is none.
    fn file_len(&self) -> Result<Option<u64>, JournalError> {
        match self.disk.len(&self.name) {
            Ok(len) => Ok(Some(len)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(failed(&self.path, "read", source)),
        }
    }

    fn create(&mut self, kind: Kind, exists: bool) -> Result<(), JournalError> {
        let Self { disk, name, .. } = self;
        let made = if exists { disk.truncate(name, 0) } else { disk.create(name) };
        failpoint::reach("journal.created");
        let written = made
            .and_then(|()| disk.write_at(name, 0, &[MAGIC, kind].concat()))
            .and_then(|()| disk.sync(name))
            .and_then(|()| disk.sync_dir());
        written.map_err(|source| failed(&self.path, "created", source))
    }

    fn replay(&mut self, kind: Kind, file_len: u64, each: &mut impl FnMut(R)) -> Result<(), JournalError> {
        let Self { disk, name, path, end, .. } = self;
        let unread = |source| failed(path, "read", source);
        let mut reader = BufReader::with_capacity(READ_LEN, Reader { disk: &**disk, name, offset: 0 });
        let mut header = [0; HEADER_LEN];
        reader.read_exact(&mut header).map_err(unread)?;
        if header[..] != [MAGIC, kind].concat() {
            let kind = String::from_utf8_lossy(&kind).trim_end().to_owned();
            return Err(JournalError::OtherFile { path: path.clone(), kind });
        }
        loop {
            let accepted = match read_frame(&mut reader, file_len.saturating_sub(end.len)).map_err(unread)? {
                Frame::End | Frame::Torn => return Ok(()),
                // What a power cut left of the last group, which was never acknowledged.
                Frame::Broken(_) if is_torn(&**disk, name, end.len, file_len).map_err(unread)? => {
                    return Ok(());
                }
                Frame::Broken(problem) => Err(problem),
                Frame::Payload(payload) => end.accept(&payload),
            };
            let broken = |problem| {
                let (offset, record) = (end.len, end.sequence);
                JournalError::Broken { path: path.clone(), offset, record, problem }
            };
            each(accepted.map_err(broken)?);
        }
    }

    /// Writes the last group once more: if its sync failed in an earlier life, the kernel shows it and never writes it.
    fn write_tail_again(&mut self) -> Result<(), JournalError> {
        let Self { disk, name, path, end, .. } = self;
        let from = end.len.saturating_sub(TORN_LEN_MAX as u64);
        let mut tail = vec![0; usize::try_from(end.len - from).unwrap_or(0)];
        let read = Reader { disk: &**disk, name, offset: from }.read_exact(&mut tail);
        read.map_err(|source| failed(path, "read", source))?;
        let written = disk.write_at(name, from, &tail);
        failpoint::reach("journal.written_again");
        let durable = written.and_then(|()| disk.sync(name)).and_then(|()| disk.sync_dir());
        durable.map_err(|source| failed(path, "written", source))
    }

    fn cut_tail(&mut self) -> Result<(), JournalError> {
        let cut = self.disk.truncate(&self.name, self.end.len);
        cut.map_err(|source| failed(&self.path, "cut", source))
    }
}

impl End {
    const START: Self = Self { sequence: 0, head: Digest::ZERO, len: HEADER_LEN as u64 };

    /// Takes the payload of the next frame.
    fn accept<R: BorshDeserialize>(&mut self, payload: &[u8]) -> Result<R, &'static str> {
        let entry: Entry<R> = canonical::decode(payload, RECORD_LEN_MAX)
            .map_err(|_| "the record is of a version that this build does not read")?;
        if entry.previous != self.head || entry.sequence != self.sequence.saturating_add(1) {
            return Err("the record does not follow the one before it");
        }
        self.sequence = entry.sequence;
        self.head = Digest::of(Purpose::Journal, payload);
        self.len = self.len.saturating_add((FRAME_HEAD_LEN + payload.len() + DIGEST_LEN) as u64);
        Ok(entry.record)
    }
}

/// Reads a file of a disk from its beginning.
struct Reader<'a> {
    disk: &'a dyn Disk,
    name: &'a str,
    offset: u64,
}

impl Read for Reader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.disk.read(self.name, self.offset, buffer)?;
        self.offset = self.offset.saturating_add(count as u64);
        Ok(count)
    }
}

fn read_frame(reader: &mut impl Read, left: u64) -> io::Result<Frame> {
    if left == 0 {
        return Ok(Frame::End);
    }
    if left < FRAME_HEAD_LEN as u64 {
        return Ok(Frame::Torn);
    }
    let (len, complement) = (read_u32(reader)?, read_u32(reader)?);
    if len != !complement {
        let zeros = rest_is_zero(reader)?;
        return Ok(if zeros { Frame::Torn } else { Frame::Broken("the length of the record is damaged") });
    }
    if len as usize > RECORD_LEN_MAX {
        return Ok(Frame::Broken("the record is longer than any that is written"));
    }
    let whole = u64::from(len) + (FRAME_HEAD_LEN + DIGEST_LEN) as u64;
    if left < whole {
        return Ok(Frame::Torn);
    }
    let mut payload = vec![0; len as usize];
    let mut digest = [0; DIGEST_LEN];
    reader.read_exact(&mut payload)?;
    reader.read_exact(&mut digest)?;
    if Digest::of(Purpose::Journal, &payload).as_bytes() == &digest {
        return Ok(Frame::Payload(payload));
    }
    let torn = left == whole && digest.ends_with(&[0; 4]);
    Ok(if torn { Frame::Torn } else { Frame::Broken("the record's digest does not fit") })
}

/// Whether the file from `offset` on is a group that was not written whole: a disk writes sectors in any order, and one
/// beyond the old end of the file that it did not come to reads as zeros. A digest or an encoding is never that long a
/// row of them.
fn is_torn(disk: &dyn Disk, name: &str, offset: u64, file_len: u64) -> io::Result<bool> {
    let len = usize::try_from(file_len.saturating_sub(offset)).unwrap_or(usize::MAX);
    if len > TORN_LEN_MAX {
        return Ok(false);
    }
    let mut group = vec![0; len];
    let mut reader = Reader { disk, name, offset };
    reader.read_exact(&mut group)?;
    let into_sector = usize::try_from(offset % SECTOR_LEN as u64).unwrap_or(0);
    let (first, rest) = group.split_at(len.min(SECTOR_LEN - into_sector));
    let is_zero = |sector: &[u8]| sector.iter().all(|byte| *byte == 0);
    // A few zeros may be the length of a record; then its complement says so.
    let has_length = group.first_chunk().is_some_and(|head: &[u8; FRAME_HEAD_LEN]| {
        head[..4].iter().zip(&head[4..]).all(|(byte, complement)| *byte == !complement)
    });
    Ok(is_zero(first) && !has_length || rest.chunks(SECTOR_LEN).any(is_zero))
}

fn read_u32(reader: &mut impl Read) -> io::Result<u32> {
    let mut bytes = [0; 4];
    reader.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

fn rest_is_zero(reader: &mut impl Read) -> io::Result<bool> {
    let mut chunk = [0; 4096];
    loop {
        match reader.read(&mut chunk)? {
            0 => return Ok(true),
            read if chunk[..read].iter().any(|byte| *byte != 0) => return Ok(false),
            _ => {}
        }
    }
}

fn failed(path: &Path, action: &'static str, source: io::Error) -> JournalError {
    JournalError::Disk { path: path.to_owned(), action, source }
}

#[cfg(test)]
mod tests;
