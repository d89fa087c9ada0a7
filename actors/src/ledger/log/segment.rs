//! Owns segments: the name and header of one file of the log, and reading its records one after another.
//!
//! ```text
//! magic [8] | format u16 | network [32] | first record u64 | link of the record before [16] | check [8] | records
//! ```

use std::io;

use althing_contracts::digest::Digest;

use super::{
    LogError,
    record::{
        Damage, Link, RECORD_HEADER_LEN, RECORD_LEN_MAX, Record, RecordHeader, RecordPosition, array, check,
    },
};
use crate::disk::{Disk, SECTOR_LEN};

/// Version of the log's format; a higher one is refused.
pub const LOG_FORMAT: u16 = 1;
/// Largest segment: large enough that a directory stays small, small enough to copy, check or drop in one go.
pub const SEGMENT_LEN_MAX: u64 = 64 * 1024 * 1024;

pub(super) const SEGMENT_HEADER_LEN: usize = 74;

const MAGIC: &[u8; 8] = b"ALTHLOG\n";
const SUFFIX: &str = ".seg";
const CHECK_AT: usize = 66;
/// Bytes of the first read: a small record with its header.
const CHUNK_LEN_MIN: usize = 4 * 1024;
/// Bytes of later reads, when a segment is read through.
const CHUNK_LEN_MAX: usize = 256 * 1024;
/// Zeros at the end of a record that was not written to its end; records end in a signature or a digest.
const ZERO_TAIL_LEN: u64 = 8;

/// The file name of the segment whose first record has this number; names sort as numbers do.
pub(super) fn name_of(first: u64) -> String {
    format!("{first:020}{SUFFIX}")
}

/// The first record of the segment that `name` names; `None` if the file is no segment by its suffix.
pub(super) fn first_in(name: &str) -> Option<Result<u64, LogError>> {
    let number = name.strip_suffix(SUFFIX)?.parse().ok();
    let number = number.filter(|number| name_of(*number) == name);
    Some(number.ok_or_else(|| LogError::StrangeFile(name.to_owned())))
}

/// What stands before the records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    pub(super) network: Digest,
    pub(super) first: u64,
    pub(super) previous: Link,
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> [u8; SEGMENT_HEADER_LEN] {
        let mut bytes = [0; SEGMENT_HEADER_LEN];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..10].copy_from_slice(&LOG_FORMAT.to_le_bytes());
        bytes[10..42].copy_from_slice(self.network.as_bytes());
        bytes[42..50].copy_from_slice(&self.first.to_le_bytes());
        bytes[50..CHECK_AT].copy_from_slice(self.previous.as_bytes());
        let check: [u8; 8] = check(&bytes[..CHECK_AT]);
        bytes[CHECK_AT..].copy_from_slice(&check);
        bytes
    }

    /// Reads a header and holds it against what should be there.
    pub(super) fn check(&self, bytes: &[u8; SEGMENT_HEADER_LEN]) -> Result<(), LogError> {
        let damaged = |damage| LogError::Damaged {
            segment: name_of(self.first),
            offset: 0,
            record: self.first,
            damage,
        };
        if bytes[..8] != *MAGIC || bytes[CHECK_AT..] != check::<8>(&bytes[..CHECK_AT]) {
            return Err(damaged(Damage::SegmentHeader));
        }
        let format = u16::from_le_bytes(array(bytes, 8));
        if format > LOG_FORMAT {
            return Err(LogError::Newer { found: format });
        }
        let network = Digest::from_bytes(array(bytes, 10));
        if network != self.network {
            return Err(LogError::OtherNetwork { found: network, expected: self.network });
        }
        let (first, previous) = (u64::from_le_bytes(array(bytes, 42)), Link::from_bytes(array(bytes, 50)));
        if format != LOG_FORMAT || first != self.first || previous != self.previous {
            return Err(damaged(Damage::SegmentOrder));
        }
        Ok(())
    }
}

/// What is at an offset.
#[derive(Debug)]
pub(super) enum Found {
    Record(RecordHeader, Record),
    Damage(Damage),
    End,
}

/// Reads records of one segment, a chunk of the file at a time.
#[derive(Debug)]
pub(super) struct SegmentReader<'a, D> {
    disk: &'a D,
    first: u64,
    len: u64,
    chunk: Vec<u8>,
    chunk_at: u64,
    chunk_len: usize,
}

impl<'a, D: Disk> SegmentReader<'a, D> {
    /// Reads the segment with this first record up to `len` bytes.
    pub(super) const fn new(disk: &'a D, first: u64, len: u64) -> Self {
        Self { disk, first, len, chunk: Vec::new(), chunk_at: 0, chunk_len: CHUNK_LEN_MIN }
    }

    /// The record at `offset`, whatever its number.
    pub(super) fn at(&mut self, offset: u64) -> Result<Found, LogError> {
        if offset >= self.len {
            return Ok(Found::End);
        }
        let Some(header) = self.header_at(offset)? else { return Ok(Found::Damage(Damage::Incomplete)) };
        let header = match RecordHeader::decode(&header) {
            Ok(header) if offset + header.record_len() > self.len => {
                return Ok(Found::Damage(Damage::Incomplete));
            }
            Ok(header) => header,
            Err(damage) => return Ok(Found::Damage(damage)),
        };
        let payload_at = offset + RECORD_HEADER_LEN as u64;
        let payload = self.bytes(payload_at, header.payload_len as usize)?.to_vec();
        Ok(match header.open(payload) {
            Ok(record) => Found::Record(header, record),
            Err(damage) => Found::Damage(damage),
        })
    }

    /// Header bytes at `offset`; `None` when the file ends before.
    fn header_at(&mut self, offset: u64) -> Result<Option<[u8; RECORD_HEADER_LEN]>, LogError> {
        let bytes = self.bytes(offset, RECORD_HEADER_LEN)?;
        Ok(bytes.try_into().ok())
    }

    /// At most `len` bytes from `offset`, fewer at the end of the segment.
    fn bytes(&mut self, offset: u64, len: usize) -> Result<&[u8], LogError> {
        let end = self.len.min(offset + len as u64);
        let held = self.chunk_at..self.chunk_at + self.chunk.len() as u64;
        if offset < held.start || end > held.end {
            self.load(offset, len)?;
        }
        let start = usize::try_from(offset - self.chunk_at).expect("within the chunk");
        let end = usize::try_from(end - self.chunk_at).expect("within the chunk");
        Ok(self.chunk.get(start..end).unwrap_or_default())
    }

    fn load(&mut self, offset: u64, len: usize) -> Result<(), LogError> {
        let rest = usize::try_from(self.len - offset).unwrap_or(usize::MAX);
        self.chunk.resize(len.max(self.chunk_len).min(rest), 0);
        self.chunk_at = offset;
        self.chunk_len = (self.chunk_len * 4).min(CHUNK_LEN_MAX);
        let name = name_of(self.first);
        let filled = self.disk.read(&name, offset, &mut self.chunk).map_err(|source| LogError::Disk {
            operation: "read",
            file: name,
            source,
        })?;
        self.chunk.truncate(filled);
        Ok(())
    }

    /// Whether the bytes from `offset` on can be what a crash left of the last write, and nothing that was
    /// durable is among them.
    ///
    /// A torn record is cut short, holds a sector that was never written and reads as zeros, or is followed by the zeros
    /// of its room where a write that failed stopped. A record of a later write after it proves that this one had been made durable: a write starts only when the one before is. Zeros
    /// may be the record's own, so this is asked only beyond the mark.
    pub(super) fn is_torn(&mut self, offset: u64, number: u64, damage: Damage) -> Result<bool, LogError> {
        let is_unwritten = match damage {
            Damage::Incomplete => true,
            Damage::Header => {
                let len = RECORD_HEADER_LEN as u64;
                self.has_zero_sector(offset, len)? || self.is_blank(offset + len)?
            }
            Damage::Payload => {
                let len = match self.header_at(offset)?.map(|bytes| RecordHeader::decode(&bytes)) {
                    Some(Ok(header)) => header.record_len(),
                    _ => 0,
                };
                self.has_zero_sector(offset, len)? || self.ends_in_zeros(offset, len)?
            }
            _ => false,
        };
        Ok(is_unwritten && !self.is_followed(offset, number)?)
    }

    /// Whether there is nothing but zeros from `offset` on: room that no record has taken.
    fn is_blank(&mut self, offset: u64) -> Result<bool, LogError> {
        let mut at = offset;
        while at < self.len {
            let next = self.len.min(at + CHUNK_LEN_MIN as u64);
            let part = self.bytes(at, usize::try_from(next - at).expect("at most a chunk"))?;
            if part.iter().any(|byte| *byte != 0) {
                return Ok(false);
            }
            at = next;
        }
        Ok(true)
    }

    /// Whether the last bytes of the range are zeros, more of them than records end in by themselves.
    fn ends_in_zeros(&mut self, offset: u64, len: u64) -> Result<bool, LogError> {
        let (Some(end), Some(start)) = (offset.checked_add(len), len.checked_sub(ZERO_TAIL_LEN)) else {
            return Ok(false);
        };
        if end > self.len {
            return Ok(false);
        }
        let tail = self.bytes(offset + start, usize::try_from(end - offset - start).expect("a few bytes"))?;
        Ok(tail.iter().all(|byte| *byte == 0))
    }

    /// Whether a sector that the range touches is all zeros from `offset` on.
    fn has_zero_sector(&mut self, offset: u64, len: u64) -> Result<bool, LogError> {
        let end = self.len.min(offset + len);
        let mut at = offset;
        while at < end {
            let next = self.len.min((at / SECTOR_LEN as u64 + 1) * SECTOR_LEN as u64);
            let part = self.bytes(at, usize::try_from(next - at).expect("at most a sector"))?;
            if part.iter().all(|byte| *byte == 0) {
                return Ok(true);
            }
            at = next;
        }
        Ok(false)
    }

    /// Whether a whole record of a later write stands anywhere after `offset`.
    fn is_followed(&mut self, offset: u64, number: u64) -> Result<bool, LogError> {
        let records_max = (self.len - offset) / RECORD_HEADER_LEN as u64;
        for at in offset + 1..self.len {
            let Some(header) = self.header_at(at)? else { break };
            let found = super::record::number_in(&header);
            if found <= number || found - number > records_max {
                continue;
            }
            if let Found::Record(header, _) = self.at(at)?
                && header.number.saturating_sub(u64::from(header.batch_index)) > number
            {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Walks the records of a segment in order and holds each against the one before.
#[derive(Debug)]
pub(super) struct Walk<'a, D> {
    reader: SegmentReader<'a, D>,
    pub(super) position: RecordPosition,
    pub(super) previous: Option<Link>,
}

impl<'a, D: Disk> Walk<'a, D> {
    /// Starts at a record; `previous` is the link of the record before, if it is known.
    pub(super) const fn new(disk: &'a D, position: RecordPosition, previous: Option<Link>, len: u64) -> Self {
        Self { reader: SegmentReader::new(disk, position.segment, len), position, previous }
    }

    /// The record at the walk's position; moves on if there is one.
    pub(super) fn step(&mut self) -> Result<Found, LogError> {
        let found = self.reader.at(u64::from(self.position.offset))?;
        let Found::Record(header, _) = &found else { return Ok(found) };
        let follows = self.previous.is_none_or(|previous| previous == header.previous);
        if header.number != self.position.number || !follows {
            return Ok(Found::Damage(Damage::Order));
        }
        let record_len = u32::try_from(header.record_len()).expect("bounded by RECORD_LEN_MAX");
        self.position.number += 1;
        self.position.offset += record_len;
        self.previous = Some(header.digest);
        Ok(found)
    }

    /// Whether what is at the walk's position is a torn tail.
    pub(super) fn is_torn(&mut self, damage: Damage) -> Result<bool, LogError> {
        self.reader.is_torn(u64::from(self.position.offset), self.position.number, damage)
    }

    /// Whether nothing was written from the walk's position on.
    pub(super) fn is_blank(&mut self) -> Result<bool, LogError> {
        self.reader.is_blank(u64::from(self.position.offset))
    }

    /// The error that names the walk's position.
    pub(super) fn damaged(&self, damage: Damage) -> LogError {
        LogError::Damaged {
            segment: name_of(self.position.segment),
            offset: u64::from(self.position.offset),
            record: self.position.number,
            damage,
        }
    }
}

/// Whether the header of a segment was never written whole: a crash came while the file was being made.
pub(super) fn is_unborn<D: Disk>(disk: &D, name: &str, len: u64) -> io::Result<bool> {
    if len > SEGMENT_HEADER_LEN as u64 {
        return Ok(false);
    }
    let mut bytes = [0; SEGMENT_HEADER_LEN];
    let filled = disk.read(name, 0, &mut bytes)?;
    Ok(filled < SEGMENT_HEADER_LEN || bytes.iter().all(|byte| *byte == 0))
}

const _: () = assert!(
    SEGMENT_LEN_MAX >= (SEGMENT_HEADER_LEN + RECORD_HEADER_LEN + RECORD_LEN_MAX) as u64
        && SEGMENT_LEN_MAX <= u32::MAX as u64,
    "the largest record fits into an empty segment, and offsets fit into 32 bits"
);
