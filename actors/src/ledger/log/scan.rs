//! Owns reading the open log in order, across segments and into what is still pending.

use super::{
    Log, LogError, first_of,
    record::{Link, RECORD_HEADER_LEN, Record, RecordHeader, RecordPosition},
    segment::{Found, Walk},
};
use crate::disk::Disk;

/// Records of a [`Log`] in order. After an error it ends.
#[derive(Debug)]
pub struct Scan<'a, D> {
    log: &'a Log<D>,
    position: RecordPosition,
    previous: Option<Link>,
    walk: Option<Walk<'a, D>>,
    is_over: bool,
}

impl<'a, D: Disk> Scan<'a, D> {
    pub(super) const fn new(log: &'a Log<D>, position: RecordPosition) -> Self {
        Self { log, position, previous: None, walk: None, is_over: false }
    }

    fn advance(&mut self) -> Result<Option<(RecordPosition, Record)>, LogError> {
        loop {
            if self.position.number >= self.log.next {
                return Ok(None);
            }
            let Some(index) = self.log.segments.iter().position(|span| span.first == self.position.segment)
            else {
                return Err(LogError::NoRecord { number: self.position.number });
            };
            let span = self.log.segments[index];
            if u64::from(self.position.offset) < span.len {
                return self.written(span.len).map(Some);
            }
            match self.log.segments.get(index + 1) {
                Some(next) if next.first == self.position.number => self.position = first_of(next.first),
                Some(_) => return Err(LogError::NoRecord { number: self.position.number }),
                None => return self.pending(span.len).map(Some),
            }
        }
    }

    /// The record at the position, from the disk.
    fn written(&mut self, len: u64) -> Result<(RecordPosition, Record), LogError> {
        let (position, previous) = (self.position, self.previous);
        let walk = match &mut self.walk {
            Some(walk) if walk.position == position => walk,
            other => other.insert(Walk::new(&self.log.disk, position, previous, len)),
        };
        match walk.step()? {
            Found::Record(_, record) => {
                self.position = walk.position;
                self.previous = walk.previous;
                Ok((position, record))
            }
            Found::Damage(damage) => Err(walk.damaged(damage)),
            Found::End => Err(LogError::NoRecord { number: position.number }),
        }
    }

    /// The record at the position, from what is not written yet.
    fn pending(&mut self, written: u64) -> Result<(RecordPosition, Record), LogError> {
        let position = self.position;
        let none = || LogError::NoRecord { number: position.number };
        let at = usize::try_from(u64::from(position.offset) - written).map_err(|_| none())?;
        let rest = self.log.pending.get(at..).ok_or_else(none)?;
        let (head, rest) = rest.split_first_chunk::<RECORD_HEADER_LEN>().ok_or_else(none)?;
        let header = RecordHeader::decode(head).map_err(|_| none())?;
        let payload = rest.get(..header.payload_len as usize).ok_or_else(none)?;
        if header.number != position.number {
            return Err(none());
        }
        let record = header.open(payload.to_vec()).map_err(|_| none())?;
        self.position.number += 1;
        self.position.offset += u32::try_from(header.record_len()).expect("bounded by RECORD_LEN_MAX");
        Ok((position, record))
    }
}

impl<D: Disk> Iterator for Scan<'_, D> {
    type Item = Result<(RecordPosition, Record), LogError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let item = self.advance().transpose();
        self.is_over = !matches!(item, Some(Ok(_)));
        item
    }
}
