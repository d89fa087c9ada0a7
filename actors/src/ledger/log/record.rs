//! Owns the form of a record on disk: a checked header, a payload, and the digest that chains it to the record
//! before. Refuses unknown kinds, oversized payloads, and anything that does not match its digest.
//!
//! ```text
//! len u32 | kind u8 | number u64 | batch_index u32 | previous [16] | digest [16] | check [4] | payload
//! ```
//! Integers are little-endian. `digest` covers all fields but `check`, and the payload; `check` covers the fields
//! before it, so that damage to a length is told from a payload that was cut short. Digests are BLAKE3 truncated
//! to 16 bytes: they find accidents, and whoever can write the disk can rewrite any chain.

use althing_contracts::digest::{Digest, Purpose};
use borsh::{BorshDeserialize, BorshSerialize};

/// Largest payload: a block of 2 MiB with its certificate and as much again to grow.
pub const RECORD_LEN_MAX: usize = 4 * 1024 * 1024;
/// Bytes before the payload.
pub const RECORD_HEADER_LEN: usize = 53;

const LINK_LEN: usize = 16;
const FIELDS_LEN: usize = 33;
const CHECK_AT: usize = 49;

/// What a record is. Tags are part of the format; a retired one is never reused. The payload carries its own
/// version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum RecordKind {
    /// An input of consensus that a restart feeds again.
    Consensus = 1,
    /// The bytes of a block, decided or not.
    Block = 2,
    /// A certificate: from here on the block is final.
    Decision = 3,
    /// Proof that a validator signed twice.
    Evidence = 4,
}

impl RecordKind {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Consensus, Self::Block, Self::Decision, Self::Evidence];

    fn from_tag(tag: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == tag)
    }
}

/// A record as it was appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What it is.
    pub kind: RecordKind,
    /// The caller's bytes.
    pub payload: Vec<u8>,
}

/// Where a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct RecordPosition {
    /// Number in the whole log, from 0.
    pub number: u64,
    /// Number of the first record of its segment.
    pub segment: u64,
    /// Offset of its header in the segment, in bytes.
    pub offset: u32,
}

/// A truncated digest that ties a record to all before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Link([u8; LINK_LEN]);

impl Link {
    /// The link before the first record of a network's log.
    pub(super) fn start(network: Digest) -> Self {
        Self::truncated(Digest::of_parts(Purpose::Journal, &[b"ledger log", network.as_bytes()]))
    }

    pub(super) const fn from_bytes(bytes: [u8; LINK_LEN]) -> Self {
        Self(bytes)
    }

    pub(super) const fn as_bytes(&self) -> &[u8; LINK_LEN] {
        &self.0
    }

    fn truncated(digest: Digest) -> Self {
        Self(array(digest.as_bytes(), 0))
    }
}

/// The fields before a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RecordHeader {
    pub(super) payload_len: u32,
    pub(super) kind: u8,
    pub(super) number: u64,
    /// Records that were written before this one in the same write.
    pub(super) batch_index: u32,
    pub(super) previous: Link,
    pub(super) digest: Link,
}

/// Why bytes are not the record that should be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// The file ends inside the record.
    #[error("the record is cut short")]
    Incomplete,
    /// The header does not match its check.
    #[error("the record's header is damaged")]
    Header,
    /// The payload does not match its digest.
    #[error("the record's payload is damaged")]
    Payload,
    /// Another record is in this place.
    #[error("the record does not follow the one before it")]
    Order,
    /// This version does not know the kind.
    #[error("the record's kind {0} is unknown to this version")]
    Kind(u8),
    /// The file ends before records that were durable.
    #[error("records that were durable are gone")]
    Gone,
    /// The segment's header is damaged.
    #[error("the segment's header is damaged")]
    SegmentHeader,
    /// The segment's header names another place in the log.
    #[error("a segment is missing before it, or it was put in another's place")]
    SegmentOrder,
}

impl RecordHeader {
    /// The header of a record to be written.
    pub(super) fn new(
        kind: RecordKind,
        number: u64,
        batch_index: u32,
        previous: Link,
        payload: &[u8],
    ) -> Self {
        let payload_len = u32::try_from(payload.len()).expect("bounded by RECORD_LEN_MAX");
        let mut header =
            Self { payload_len, kind: kind as u8, number, batch_index, previous, digest: previous };
        header.digest = header.digest_over(payload);
        header
    }

    pub(super) fn encode(&self) -> [u8; RECORD_HEADER_LEN] {
        let mut bytes = [0; RECORD_HEADER_LEN];
        bytes[..FIELDS_LEN].copy_from_slice(&self.fields());
        bytes[FIELDS_LEN..CHECK_AT].copy_from_slice(self.digest.as_bytes());
        let check: [u8; 4] = check(&bytes[..CHECK_AT]);
        bytes[CHECK_AT..].copy_from_slice(&check);
        bytes
    }

    pub(super) fn decode(bytes: &[u8; RECORD_HEADER_LEN]) -> Result<Self, Damage> {
        if bytes[CHECK_AT..] != check::<4>(&bytes[..CHECK_AT]) {
            return Err(Damage::Header);
        }
        let header = Self {
            payload_len: u32::from_le_bytes(array(bytes, 0)),
            kind: bytes[4],
            number: number_in(bytes),
            batch_index: u32::from_le_bytes(array(bytes, 13)),
            previous: Link(array(bytes, 17)),
            digest: Link(array(bytes, FIELDS_LEN)),
        };
        if header.payload_len as usize > RECORD_LEN_MAX { Err(Damage::Header) } else { Ok(header) }
    }

    /// The record, if `payload` is what the header was made for.
    pub(super) fn open(&self, payload: Vec<u8>) -> Result<Record, Damage> {
        if self.digest_over(&payload) != self.digest {
            return Err(Damage::Payload);
        }
        let kind = RecordKind::from_tag(self.kind).ok_or(Damage::Kind(self.kind))?;
        Ok(Record { kind, payload })
    }

    /// Header and payload in bytes.
    pub(super) const fn record_len(&self) -> u64 {
        RECORD_HEADER_LEN as u64 + self.payload_len as u64
    }

    fn fields(&self) -> [u8; FIELDS_LEN] {
        let mut bytes = [0; FIELDS_LEN];
        bytes[..4].copy_from_slice(&self.payload_len.to_le_bytes());
        bytes[4] = self.kind;
        bytes[5..13].copy_from_slice(&self.number.to_le_bytes());
        bytes[13..17].copy_from_slice(&self.batch_index.to_le_bytes());
        bytes[17..].copy_from_slice(self.previous.as_bytes());
        bytes
    }

    fn digest_over(&self, payload: &[u8]) -> Link {
        Link::truncated(Digest::of_parts(Purpose::Journal, &[&self.fields(), payload]))
    }
}

/// The number field of a header whose check has not been made, to look for headers cheaply.
pub(super) fn number_in(bytes: &[u8; RECORD_HEADER_LEN]) -> u64 {
    u64::from_le_bytes(array(bytes, 5))
}

/// The first `N` bytes of a digest over a header.
pub(super) fn check<const N: usize>(bytes: &[u8]) -> [u8; N] {
    array(Digest::of(Purpose::Journal, bytes).as_bytes(), 0)
}

/// `N` bytes from `at` on; `at + N` is a constant within the length of every caller's array.
pub(super) fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes[at..at + N].try_into().expect("a range of N bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(payload: &[u8]) -> RecordHeader {
        RecordHeader::new(RecordKind::Block, 7, 2, Link::start(Digest::ZERO), payload)
    }

    #[test]
    fn a_header_round_trips_and_opens_its_payload() {
        let header = header(b"payload");
        let decoded = RecordHeader::decode(&header.encode()).unwrap();
        assert_eq!(decoded, header);
        let record = Record { kind: RecordKind::Block, payload: b"payload".to_vec() };
        assert_eq!(decoded.open(b"payload".to_vec()), Ok(record));
        assert_eq!(decoded.open(b"Payload".to_vec()), Err(Damage::Payload));
    }

    #[test]
    fn every_flipped_bit_of_a_header_is_found() {
        let bytes = header(b"payload").encode();
        for bit in 0..RECORD_HEADER_LEN * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(RecordHeader::decode(&flipped), Err(Damage::Header), "bit {bit}");
        }
    }

    #[test]
    fn an_unknown_kind_is_named() {
        let mut header = header(b"");
        header.kind = 9;
        header.digest = header.digest_over(b"");
        assert_eq!(header.open(Vec::new()), Err(Damage::Kind(9)));
    }
}
