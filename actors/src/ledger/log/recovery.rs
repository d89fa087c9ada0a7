//! Owns opening a log: reading it through, cutting a torn tail, and making durable what a killed process left.
//! Refuses every other damage.

use althing_contracts::digest::Digest;

use super::{
    Log, LogError, Span, first_of, mark, metrics,
    record::{Damage, Link, RecordPosition},
    segment::{self, Found, SEGMENT_HEADER_LEN, SEGMENT_LEN_MAX, Walk, is_unborn, name_of},
};
use crate::{disk::Disk, failpoint};

/// Bytes that are written again at once.
const AGAIN_LEN: usize = 256 * 1024;

/// What opening found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovery {
    /// Records in the log.
    pub records: u64,
    /// The last record.
    pub last: Option<RecordPosition>,
    /// What was cut.
    pub torn_tail: Option<TornTail>,
}

/// The rest of a write that a crash interrupted; nothing in it was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TornTail {
    /// File name of the segment.
    pub segment: String,
    /// Where it was cut.
    pub offset: u64,
    /// Bytes cut.
    pub len: u64,
}

impl<D: Disk> Log<D> {
    /// Opens the log in a directory, or starts one in an empty directory, and reads it through.
    ///
    /// # Errors
    /// Refuses damage before the last write, another network's log, a newer format, and what the disk refuses.
    pub fn open(disk: D, network: Digest) -> Result<(Self, Recovery), LogError> {
        Self::open_sized(disk, network, SEGMENT_LEN_MAX)
    }

    pub(super) fn open_sized(
        mut disk: D,
        network: Digest,
        segment_len_max: u64,
    ) -> Result<(Self, Recovery), LogError> {
        let mut firsts = Self::list(&disk)?;
        let mut torn_tail = Self::remove_unborn(&mut disk, &mut firsts)?;
        let marked = Self::take_mark(&mut disk, firsts.is_empty())?;
        let mut log = Self {
            disk,
            network,
            segments: Vec::new(),
            room_end: 0,
            next: 0,
            link: Link::start(network),
            pending: Vec::new(),
            pending_count: 0,
            marked,
            segment_len_max,
            is_poisoned: false,
            meters: metrics::Meters::new(),
        };
        let mut last = None;
        for (index, first) in firsts.iter().enumerate() {
            let is_last = index + 1 == firsts.len() && torn_tail.is_none();
            let (found, torn) = log.take_in(*first, is_last)?;
            last = found.or(last);
            torn_tail = torn_tail.or(torn);
        }
        log.check_mark()?;
        if log.segments.is_empty() {
            log.start_segment()?;
        }
        log.settle()?;
        if torn_tail.is_some() {
            ::metrics::counter!(metrics::TORN_TAILS_TOTAL).increment(1);
        }
        let recovery = Recovery { records: log.next, last, torn_tail };
        Ok((log, recovery))
    }

    /// First records of the segments in the directory, in order.
    fn list(disk: &D) -> Result<Vec<u64>, LogError> {
        let names = disk.list().map_err(|source| LogError::Disk {
            operation: "list",
            file: "directory".to_owned(),
            source,
        })?;
        names.iter().filter_map(|name| segment::first_in(name)).collect()
    }

    /// Removes a last segment that a crash left without its header.
    fn remove_unborn(disk: &mut D, firsts: &mut Vec<u64>) -> Result<Option<TornTail>, LogError> {
        let Some(first) = firsts.last() else { return Ok(None) };
        let name = name_of(*first);
        let failed = |source| LogError::Disk { operation: "repair", file: name.clone(), source };
        let len = disk.len(&name).map_err(failed)?;
        if !is_unborn(disk, &name, len).map_err(failed)? {
            return Ok(None);
        }
        disk.remove(&name).and_then(|()| disk.sync_dir()).map_err(failed)?;
        failpoint::reach("ledger.log.unborn.removed");
        firsts.pop();
        Ok(Some(TornTail { segment: name, offset: 0, len }))
    }

    /// Records that are durable by the mark; makes the mark of a log without segments.
    fn take_mark(disk: &mut D, is_new: bool) -> Result<u64, LogError> {
        match mark::read(disk)? {
            // What a start left whose sync failed is read from the kernel and may never have reached the disk.
            Some(0) | None if is_new => mark::start(disk).map(|()| 0),
            Some(records) => Ok(records),
            None => Err(LogError::DamagedMark),
        }
    }

    /// Makes durable what was found: a killed process may have left records that only the kernel holds.
    fn settle(&mut self) -> Result<(), LogError> {
        let name = name_of(self.last_span().first);
        self.change("sync", &name, |disk, name, _| disk.sync(name))?;
        self.change("sync the directory of", &name, |disk, _, _| disk.sync_dir())?;
        failpoint::reach("ledger.log.settled");
        self.mark()
    }

    /// Refuses a log that ends before records that were durable.
    fn check_mark(&self) -> Result<(), LogError> {
        if self.next >= self.marked {
            return Ok(());
        }
        let last = self.segments.last().copied().unwrap_or(Span { first: self.next, len: 0 });
        Err(LogError::Damaged {
            segment: name_of(last.first),
            offset: last.len,
            record: self.next,
            damage: Damage::Gone,
        })
    }

    /// Reads a segment through and takes its records into the log; cuts a torn tail of the last one.
    fn take_in(
        &mut self,
        first: u64,
        is_last: bool,
    ) -> Result<(Option<RecordPosition>, Option<TornTail>), LogError> {
        let name = name_of(first);
        let failed = |source| LogError::Disk { operation: "read", file: name.clone(), source };
        let len = self.disk.len(&name).map_err(failed)?;
        let mut bytes = [0; SEGMENT_HEADER_LEN];
        self.disk.read(&name, 0, &mut bytes).map_err(failed)?;
        self.expected_header(first).check(&bytes)?;
        let mut walk = Walk::new(&self.disk, first_of(first), Some(self.link), len);
        if first != self.next || len > SEGMENT_LEN_MAX {
            return Err(walk.damaged(Damage::SegmentOrder));
        }
        let mut last = None;
        // What may not be durable begins here: at the header when no record of the segment is below the mark.
        let mut unsure_from = (first >= self.marked).then_some(0);
        let damage = loop {
            let position = walk.position;
            match walk.step()? {
                Found::Record(..) => {
                    last = Some(position);
                    if position.number >= self.marked {
                        unsure_from = unsure_from.or(Some(u64::from(position.offset)));
                    }
                }
                Found::Damage(_) if is_last && walk.is_blank()? => break None,
                Found::Damage(damage) => break Some(damage),
                Found::End => break None,
            }
        };
        if let Some(damage) = damage
            && !(is_last && walk.position.number >= self.marked && walk.is_torn(damage)?)
        {
            return Err(walk.damaged(damage));
        }
        let end = walk.position;
        self.link = walk.previous.unwrap_or(self.link);
        self.next = end.number;
        self.segments.push(Span { first, len: u64::from(end.offset) });
        self.room_end = u64::from(end.offset);
        let torn = self.cut(&name, u64::from(end.offset), len)?;
        if let Some(from) = unsure_from.filter(|_| is_last) {
            self.write_again(&name, from, u64::from(end.offset))?;
        }
        Ok((last, torn.filter(|_| damage.is_some())))
    }

    /// Writes what was read once more. A process that stopped at a failed sync leaves bytes that the kernel shows, takes for
    /// written and never writes: a later sync of them succeeds and does nothing (Rebello et al., *Can Applications Recover
    /// from fsync Failures?*, USENIX ATC 2020).
    fn write_again(&mut self, name: &str, from: u64, end: u64) -> Result<(), LogError> {
        let mut at = from;
        while at < end {
            let len = usize::try_from(end - at).unwrap_or(usize::MAX).min(AGAIN_LEN);
            let mut bytes = vec![0; len];
            self.change("read", name, |disk, name, _| disk.read(name, at, &mut bytes).map(drop))?;
            self.change("write again", name, |disk, name, _| disk.write_at(name, at, &bytes))?;
            at += len as u64;
        }
        failpoint::reach("ledger.log.written_again");
        Ok(())
    }

    /// Cuts a segment at `offset` for good.
    fn cut(&mut self, name: &str, offset: u64, len: u64) -> Result<Option<TornTail>, LogError> {
        if offset == len {
            return Ok(None);
        }
        self.change("cut", name, |disk, name, _| disk.truncate(name, offset))?;
        failpoint::reach("ledger.log.cut");
        self.change("sync", name, |disk, name, _| disk.sync(name))?;
        Ok(Some(TornTail { segment: name.to_owned(), offset, len: len - offset }))
    }
}
