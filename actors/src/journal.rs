//! Owns the hash-chained journal: an append-only file whose every record names the one before it by digest and is
//! durable before [`Journal::append`] returns. Refuses a broken chain; cuts a torn tail.
//!
//! File: `althjrn1` ‖ kind (8 bytes) ‖ frames. Frame: length `u32` ‖ its complement `u32` ‖ payload ‖ digest of the
//! payload (32 bytes), numbers little-endian. Payload: canonical encoding of (sequence, digest of the record before,
//! record); the record is a versioned enum. A power cut can only leave a frame that ends early or ends in zeros,
//! so anything else that does not verify is damage, not a torn tail.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufReader, Read, Seek, SeekFrom, Write},
    marker::PhantomData,
    path::{Path, PathBuf},
};

use althing_contracts::{
    canonical,
    digest::{Digest, Purpose},
};
use borsh::{BorshDeserialize, BorshSerialize};

mod reading;

pub use reading::Tip;

/// Names the format and its version.
const MAGIC: [u8; 8] = *b"althjrn1";
const HEADER_LEN: usize = 16;
const FRAME_HEAD_LEN: u64 = 8;
const DIGEST_LEN: usize = 32;
/// Largest payload in bytes: actions and evidence are names and digests, far below this.
pub const RECORD_LEN_MAX: usize = 64 * 1024;

/// Bytes after which records that wait are a full group: a page, so that a write that a crash cut short touches as many
/// pages as one of a single record.
const GROUP_LEN_MAX: usize = 4_096;

/// What a journal is of; a file of one kind never opens as another.
pub type Kind = [u8; 8];

/// An open journal; the only writer of its file.
#[derive(Debug)]
pub struct Journal<R> {
    file: File,
    path: PathBuf,
    sequence: u64,
    head: Digest,
    len: u64,
    /// Frames that are not written yet.
    pending: Vec<u8>,
    stopped: bool,
    record: PhantomData<fn(R)>,
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
    /// Opens or creates the journal at `path`, verifies the whole chain and hands each record to `each` in order.
    ///
    /// # Errors
    /// The disk fails, the file is of another kind, or the chain is broken; the file is left as it is.
    pub fn open(path: &Path, kind: Kind, mut each: impl FnMut(R)) -> Result<(Self, Recovery), JournalError> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = file.map_err(|source| disk(path, "opened", source))?;
        let file_len = file.metadata().map_err(|source| disk(path, "read", source))?.len();
        let mut journal = Self::over(file, path);
        if file_len < HEADER_LEN as u64 {
            journal.create(kind)?;
            return Ok((journal, Recovery { records: 0, cut_bytes: 0 }));
        }
        journal.replay(kind, file_len, &mut each)?;
        let cut_bytes = file_len.saturating_sub(journal.len);
        if cut_bytes > 0 {
            journal.cut_tail()?;
        }
        let recovery = Recovery { records: journal.sequence, cut_bytes };
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
        let sequence = self.sequence.saturating_add(1);
        let payload = canonical::encode(&EntryRef { sequence, previous: self.head, record });
        let len = u32::try_from(payload.len()).ok().filter(|_| payload.len() <= RECORD_LEN_MAX);
        let len = len.ok_or(JournalError::TooLong { path: self.path.clone(), len: payload.len() })?;
        let digest = Digest::of(Purpose::Journal, &payload);
        for part in [&len.to_le_bytes()[..], &(!len).to_le_bytes(), &payload, digest.as_bytes()] {
            self.pending.extend_from_slice(part);
        }
        self.sequence = sequence;
        self.head = digest;
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
        let written = self.file.write_all(&self.pending).and_then(|()| self.file.sync_data());
        written.map_err(|source| {
            self.stopped = true;
            disk(&self.path, "written", source)
        })?;
        self.len = self.len.saturating_add(self.pending.len() as u64);
        self.pending.clear();
        Ok(())
    }

    fn check_running(&self) -> Result<(), JournalError> {
        if self.stopped { Err(JournalError::Stopped { path: self.path.clone() }) } else { Ok(()) }
    }

    /// The digest of the last record; [`Digest::ZERO`] when there is none.
    pub fn head(&self) -> Digest {
        self.head
    }

    fn over(file: File, path: &Path) -> Self {
        Self {
            file,
            path: path.to_owned(),
            sequence: 0,
            head: Digest::ZERO,
            len: HEADER_LEN as u64,
            pending: Vec::new(),
            stopped: false,
            record: PhantomData,
        }
    }

    fn create(&mut self, kind: Kind) -> Result<(), JournalError> {
        let written = self
            .file
            .set_len(0)
            .and_then(|()| self.file.write_all(&[MAGIC, kind].concat()))
            .and_then(|()| self.file.sync_all())
            .and_then(|()| sync_parent(&self.path));
        written.map_err(|source| disk(&self.path, "created", source))
    }

    fn replay(&mut self, kind: Kind, file_len: u64, each: &mut impl FnMut(R)) -> Result<(), JournalError> {
        let file = self.file.try_clone().map_err(|source| disk(&self.path, "read", source))?;
        let mut reader = BufReader::new(file);
        let mut header = [0; HEADER_LEN];
        reader.read_exact(&mut header).map_err(|source| disk(&self.path, "read", source))?;
        if header[..] != [MAGIC, kind].concat() {
            let kind = String::from_utf8_lossy(&kind).trim_end().to_owned();
            return Err(JournalError::OtherFile { path: self.path.clone(), kind });
        }
        loop {
            let left = file_len.saturating_sub(self.len);
            match read_frame(&mut reader, left).map_err(|source| disk(&self.path, "read", source))? {
                Frame::End | Frame::Torn => return self.seek_end(),
                Frame::Broken(problem) => return Err(self.broken(problem)),
                Frame::Payload(payload) => each(self.accept(&payload)?),
            }
        }
    }

    fn accept(&mut self, payload: &[u8]) -> Result<R, JournalError> {
        let entry: Entry<R> = canonical::decode(payload, RECORD_LEN_MAX)
            .map_err(|_| self.broken("the record is of a version that this build does not read"))?;
        if entry.previous != self.head || entry.sequence != self.sequence.saturating_add(1) {
            return Err(self.broken("the record does not follow the one before it"));
        }
        self.sequence = entry.sequence;
        self.head = Digest::of(Purpose::Journal, payload);
        self.len = self.len.saturating_add(FRAME_HEAD_LEN + payload.len() as u64 + DIGEST_LEN as u64);
        Ok(entry.record)
    }

    fn seek_end(&mut self) -> Result<(), JournalError> {
        let moved = self.file.seek(SeekFrom::Start(self.len));
        moved.map(drop).map_err(|source| disk(&self.path, "read", source))
    }

    fn cut_tail(&self) -> Result<(), JournalError> {
        let cut = self.file.set_len(self.len).and_then(|()| self.file.sync_all());
        cut.map_err(|source| disk(&self.path, "cut", source))
    }

    fn broken(&self, problem: &'static str) -> JournalError {
        JournalError::Broken { path: self.path.clone(), offset: self.len, record: self.sequence, problem }
    }
}

fn read_frame(reader: &mut impl Read, left: u64) -> io::Result<Frame> {
    if left == 0 {
        return Ok(Frame::End);
    }
    if left < FRAME_HEAD_LEN {
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
    let whole = FRAME_HEAD_LEN + u64::from(len) + DIGEST_LEN as u64;
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

/// Makes the name of a new or renamed file durable.
pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(parent.unwrap_or(Path::new("."))).and_then(|directory| directory.sync_all())
}

fn disk(path: &Path, action: &'static str, source: io::Error) -> JournalError {
    JournalError::Disk { path: path.to_owned(), action, source }
}

#[cfg(test)]
mod tests;
