//! Owns reading a journal beside its writer: nothing is created, cut or changed, and what is not whole yet is left out.

use std::io;

use althing_contracts::{
    canonical,
    digest::{Digest, Purpose},
};
use borsh::{BorshDeserialize, BorshSerialize};

use super::{EntryRef, HEADER_LEN, Journal, JournalError, Kind, Place, failed};

/// The end of a journal, as far as it was whole when it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tip {
    /// Records up to here.
    pub records: u64,
    /// Digest of the last one; [`Digest::ZERO`] when there is none.
    pub head: Digest,
}

impl Tip {
    /// The end of an empty journal.
    pub const START: Self = Self { records: 0, head: Digest::ZERO };

    /// The end after one more record.
    #[must_use]
    pub fn after<R: BorshSerialize>(self, record: &R) -> Self {
        let records = self.records.saturating_add(1);
        let payload = canonical::encode(&EntryRef { sequence: records, previous: self.head, record });
        Self { records, head: Digest::of(Purpose::Journal, &payload) }
    }
}

impl<R: BorshSerialize + BorshDeserialize> Journal<R> {
    /// Verifies the chain of a journal, which may be open for writing, and hands each record to `each` in order.
    ///
    /// # Errors
    /// The file cannot be read, is of another kind, or its chain is broken.
    pub fn read(place: impl Into<Place>, kind: Kind, mut each: impl FnMut(R)) -> Result<Tip, JournalError> {
        let mut journal = Self::at(place.into())?;
        let Some(file_len) = journal.file_len()? else {
            return Err(failed(&journal.path, "opened", io::ErrorKind::NotFound.into()));
        };
        if file_len < HEADER_LEN as u64 {
            return Ok(Tip::START);
        }
        journal.replay(kind, file_len, &mut each)?;
        Ok(Tip { records: journal.end.sequence, head: journal.end.head })
    }
}
