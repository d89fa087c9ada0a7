//! Owns the log: the append-only, hash-chained truth of this node, in segments, durable before anything is said.
//!
//! [`Log::append`] buffers; [`Log::sync`] writes all that is pending at once and makes it durable (group commit).
//! A failed write or sync leaves the log unusable, since the kernel may have dropped pages and report success
//! the next time (fsyncgate): the caller stops the process. Opening reads everything. It cuts what a crash left
//! of the last, never acknowledged write, reports it, and refuses any other damage.

#[cfg(test)]
mod crash_tests;
mod mark;
pub mod metrics;
pub mod record;
mod recovery;
mod scan;
pub mod segment;
#[cfg(test)]
mod tests;

use std::{io, time::Instant};

use althing_contracts::digest::Digest;

use crate::{disk::Disk, failpoint};

use self::{
    mark::MARK_NAME,
    record::{
        Damage, Link, RECORD_HEADER_LEN, RECORD_LEN_MAX, Record, RecordHeader, RecordKind, RecordPosition,
    },
    segment::{LOG_FORMAT, SEGMENT_HEADER_LEN, SegmentHeader, name_of},
};

pub use self::{
    recovery::{Recovery, TornTail},
    scan::Scan,
};

/// Most bytes pending: at this length [`Log::append`] syncs by itself, which is early but never wrong.
pub const PENDING_LEN_MAX: usize = 16 * 1024 * 1024;
/// Bytes that the last segment is lengthened by, ahead of what is written: a sync that changes no length writes no
/// metadata, which takes half the time. Opening cuts what is left of it.
const ROOM_LEN: u64 = 256 * 1024;

/// What to do about damage, for people.
const REMEDY: &str = "stop this node, set its data directory aside, start with an empty one and let it catch up \
                      from its peers; a \
         validator waits first until the others have decided one more block, so that it never signs twice";

/// A log that is open for reading and appending.
#[derive(Debug)]
pub struct Log<D> {
    disk: D,
    network: Digest,
    /// Whole segments before the last and the last one; lengths without what is pending.
    segments: Vec<Span>,
    /// Length of the last segment's file, with the zeros that wait for records.
    room_end: u64,
    /// Number of the next record.
    next: u64,
    /// Link of the last record.
    link: Link,
    /// Encoded records that are not written yet.
    pending: Vec<u8>,
    pending_count: u32,
    /// Records that were durable by the mark when the log was opened.
    marked: u64,
    segment_len_max: u64,
    is_poisoned: bool,
    meters: metrics::Meters,
}

/// A segment and the bytes of it that are written.
#[derive(Debug, Clone, Copy)]
struct Span {
    first: u64,
    len: u64,
}

/// Why the log cannot go on. After any of these on append or sync, stop the process.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The disk refused.
    #[error("cannot {operation} the log's file {file}")]
    Disk {
        /// What was tried.
        operation: &'static str,
        /// On which file.
        file: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Durable records are damaged or gone.
    #[error("the log's file {segment} is damaged at offset {offset}, record {record}: {damage}; {REMEDY}")]
    Damaged {
        /// File name of the segment.
        segment: String,
        /// Where, in bytes.
        offset: u64,
        /// Number of the record that should be there.
        record: u64,
        /// What is wrong.
        damage: Damage,
    },
    /// The file that says how many records are durable cannot be read.
    #[error("the log's file {MARK_NAME} is missing or damaged; {REMEDY}")]
    DamagedMark,
    /// A file in the directory has a segment's suffix and no segment's name.
    #[error("`{0}` in the log's directory is not the name of a segment; move it away")]
    StrangeFile(String),
    /// The log was written for another network.
    #[error(
        "the log belongs to network {found}, this node is of network {expected}; choose another directory"
    )]
    OtherNetwork {
        /// In the log.
        found: Digest,
        /// Of this node.
        expected: Digest,
    },
    /// The log was written by a newer version.
    #[error("the log has format {found}, this version reads up to {LOG_FORMAT}; start the newer version")]
    Newer {
        /// In the log.
        found: u16,
    },
    /// The caller's payload is too long; nothing was appended and the log goes on.
    #[error("a record of {len} bytes is too long, at most {RECORD_LEN_MAX} are allowed")]
    TooLong {
        /// Bytes given.
        len: usize,
    },
    /// No record has this position; the log goes on.
    #[error("the log has no record {number} at this position")]
    NoRecord {
        /// Number asked for.
        number: u64,
    },
    /// An earlier write or sync failed.
    #[error("the log stopped at a failed write or sync; stop the process and start it again")]
    Poisoned,
}

impl<D: Disk> Log<D> {
    /// Appends a record to the next write. It is not durable before [`Self::sync`] returns.
    ///
    /// # Errors
    /// Refuses oversized payloads; fails when an earlier write failed or, at a segment's end, this one.
    pub fn append(&mut self, kind: RecordKind, payload: &[u8]) -> Result<RecordPosition, LogError> {
        if payload.len() > RECORD_LEN_MAX {
            return Err(LogError::TooLong { len: payload.len() });
        }
        let record_len = RECORD_HEADER_LEN + payload.len();
        if self.pending.len() + record_len > PENDING_LEN_MAX {
            self.sync()?;
        }
        if self.end_of_last() + record_len as u64 > self.segment_len_max {
            self.sync()?;
            self.start_segment()?;
        }
        self.check_sound()?;
        failpoint::reach("ledger.log.append");
        let position = self.next_position();
        let header = RecordHeader::new(kind, self.next, self.pending_count, self.link, payload);
        self.pending.extend_from_slice(&header.encode());
        self.pending.extend_from_slice(payload);
        self.pending_count += 1;
        self.next += 1;
        self.link = header.digest;
        Ok(position)
    }

    /// Makes every appended record durable; does nothing when none is pending.
    ///
    /// # Errors
    /// The write or the sync failed: what was pending may or may not be in the log, and the log is unusable.
    pub fn sync(&mut self) -> Result<(), LogError> {
        self.check_sound()?;
        if self.pending.is_empty() {
            return Ok(());
        }
        let start = Instant::now();
        let name = name_of(self.last_span().first);
        let end = self.last_span().len;
        self.make_room(&name, end + self.pending.len() as u64);
        self.change("append to", &name, |disk, name, bytes| {
            // A write that stopped a few bytes before the end of a record looks like damage at the next start; nothing beyond
            // `end` was ever told, and a disk that refuses to cut it leaves no more than there was.
            disk.write_at(name, end, bytes).inspect_err(|_| drop(disk.truncate(name, end)))
        })?;
        self.change("sync", &name, |disk, name, _| {
            failpoint::attempt("ledger.log.written").and_then(|()| disk.sync(name))
        })?;
        failpoint::reach("ledger.log.synced");
        self.mark()?;
        failpoint::reach("ledger.log.marked");
        let written = self.pending.len() as u64;
        self.last_span_mut().len += written;
        self.pending.clear();
        self.pending_count = 0;
        self.meters.synced(written, start.elapsed());
        Ok(())
    }

    /// Whether records wait for [`Self::sync`].
    pub const fn has_pending(&self) -> bool {
        !self.pending.is_empty()
    }

    /// The record at a position, pending ones included; its digest is checked.
    ///
    /// # Errors
    /// There is no such record, it is damaged, or the disk refuses.
    pub fn read(&self, position: RecordPosition) -> Result<Record, LogError> {
        self.scan_from(position)
            .next()
            .ok_or(LogError::NoRecord { number: position.number })?
            .map(|(_, record)| record)
    }

    /// Every record from a position on, in order, pending ones included.
    pub fn scan_from(&self, position: RecordPosition) -> Scan<'_, D> {
        Scan::new(self, position)
    }

    /// Every record, in order.
    pub fn scan(&self) -> Scan<'_, D> {
        let segment = self.segments.first().map_or(0, |span| span.first);
        self.scan_from(first_of(segment))
    }

    /// The network that the log is of.
    pub const fn network(&self) -> Digest {
        self.network
    }

    /// Lengthens the last segment ahead of what is written. On a disk that cannot, the write itself does.
    fn make_room(&mut self, name: &str, needed: u64) {
        if needed > self.room_end {
            let wanted = needed.next_multiple_of(ROOM_LEN).min(self.segment_len_max).max(needed);
            let reserved = self.disk.reserve(name, wanted);
            self.room_end = if reserved.is_ok() { wanted } else { needed };
        }
    }

    /// Writes how many records are durable.
    fn mark(&mut self) -> Result<(), LogError> {
        let mark = mark::encode(self.next);
        self.change("overwrite", MARK_NAME, |disk, name, _| disk.overwrite(name, &mark))
    }

    /// Starts the next segment; its header and name are durable before any record goes into it.
    fn start_segment(&mut self) -> Result<(), LogError> {
        self.give_room_back()?;
        let header = self.expected_header(self.next).encode();
        let name = name_of(self.next);
        self.change("create", &name, |disk, name, _| disk.create(name))?;
        failpoint::reach("ledger.log.segment.created");
        self.change("append to", &name, |disk, name, _| disk.append(name, &header))?;
        self.change("sync", &name, |disk, name, _| disk.sync(name))?;
        self.change("sync the directory of", &name, |disk, _, _| disk.sync_dir())?;
        failpoint::reach("ledger.log.segment.named");
        self.segments.push(Span { first: self.next, len: SEGMENT_HEADER_LEN as u64 });
        self.room_end = SEGMENT_HEADER_LEN as u64;
        Ok(())
    }

    /// Cuts the zeros after the last record, before another segment begins.
    fn give_room_back(&mut self) -> Result<(), LogError> {
        let Some(Span { first, len }) = self.segments.last().copied() else { return Ok(()) };
        let name = name_of(first);
        if len == self.room_end {
            return Ok(());
        }
        self.change("cut", &name, |disk, name, _| disk.truncate(name, len))?;
        self.change("sync", &name, |disk, name, _| disk.sync(name))
    }

    const fn expected_header(&self, first: u64) -> SegmentHeader {
        SegmentHeader { network: self.network, first, previous: self.link }
    }

    /// Changes the disk; the log is unusable until that succeeded.
    fn change(
        &mut self,
        operation: &'static str,
        name: &str,
        act: impl FnOnce(&mut D, &str, &[u8]) -> io::Result<()>,
    ) -> Result<(), LogError> {
        self.is_poisoned = true;
        act(&mut self.disk, name, &self.pending).map_err(|source| LogError::Disk {
            operation,
            file: name.to_owned(),
            source,
        })?;
        self.is_poisoned = false;
        Ok(())
    }

    const fn check_sound(&self) -> Result<(), LogError> {
        if self.is_poisoned { Err(LogError::Poisoned) } else { Ok(()) }
    }

    fn last_span(&self) -> Span {
        *self.segments.last().expect("open leaves at least one segment")
    }

    fn last_span_mut(&mut self) -> &mut Span {
        self.segments.last_mut().expect("open leaves at least one segment")
    }

    /// Where the next record goes, unless it starts a segment.
    fn next_position(&self) -> RecordPosition {
        let offset = u32::try_from(self.end_of_last()).expect("bounded by SEGMENT_LEN_MAX");
        RecordPosition { number: self.next, segment: self.last_span().first, offset }
    }

    /// Length of the last segment once all that is pending is written.
    fn end_of_last(&self) -> u64 {
        self.last_span().len + self.pending.len() as u64
    }
}

/// The position of a segment's first record.
fn first_of(segment: u64) -> RecordPosition {
    let offset = u32::try_from(SEGMENT_HEADER_LEN).expect("a small constant");
    RecordPosition { number: segment, segment, offset }
}
