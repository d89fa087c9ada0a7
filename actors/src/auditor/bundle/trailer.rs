//! Owns the last record of a bundle: what the exporter says the records before it amount to.

use althing_contracts::{digest::Digest, name::Line, quantity::Height};
use borsh::{BorshDeserialize, BorshSerialize};

/// What a bundle should hold. Every field but `exporter` is checked against the records.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Trailer {
    /// Height of the last block; 0 when there is none.
    pub height: Height,
    /// Digest of the last block; [`Digest::ZERO`] when there is none.
    pub head: Digest,
    /// State root that the last block's header carries; [`Digest::ZERO`] when there is none.
    pub state_root: Digest,
    /// Records before this one.
    pub records: u64,
    /// Who wrote the bundle, for people; nothing rests on it.
    pub exporter: Line,
}
