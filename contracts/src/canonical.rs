//! Owns the canonical encoding: borsh, where one value has exactly one form. Refuses everything else.

use borsh::{BorshDeserialize, BorshSerialize};

/// Why bytes from outside were not taken.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// More bytes than the object may have.
    #[error("{len} bytes are too long, at most {max} are allowed")]
    TooLong {
        /// Bytes given.
        len: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// Truncated, trailing, out of bounds or not canonical.
    #[error("the bytes are not a canonical encoding")]
    Malformed(#[source] borsh::io::Error),
}

/// Room for a ballot, an event or a vote, so that encoding one allocates once.
const ENCODED_LEN: usize = 256;

/// The canonical bytes of a value.
#[must_use]
pub fn encode<T: BorshSerialize>(value: &T) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(ENCODED_LEN);
    // Writing to memory cannot fail, and every bound is checked when a value is built.
    let _infallible = borsh::to_writer(&mut bytes, value);
    bytes
}

/// Decodes bytes from outside, all of them and nothing else.
///
/// # Errors
/// Refuses more than `len_max` bytes before it reads them, and any form but the canonical one.
pub fn decode<T: BorshDeserialize>(bytes: &[u8], len_max: usize) -> Result<T, DecodeError> {
    if bytes.len() > len_max {
        return Err(DecodeError::TooLong { len: bytes.len(), max: len_max });
    }
    borsh::from_slice(bytes).map_err(DecodeError::Malformed)
}
