//! Owns the layout of a bundle: header, record frame, kinds, bounds and the chain over records.

use althing_contracts::{
    block::BLOCK_LEN_MAX,
    digest::{Digest, Purpose},
    state::STAGE_PROOF_LEN_MAX,
};

/// The first eight bytes of a bundle.
pub const MAGIC: [u8; 8] = *b"ALTHINGB";
/// Version of the format.
pub const BUNDLE_VERSION: u16 = 1;
/// Bytes of the header: magic and version.
pub(super) const HEADER_LEN: usize = 10;
/// Bytes before a record's payload: kind and length.
pub(super) const FRAME_HEAD_LEN: usize = 5;
/// Bytes after a record's payload: the chain digest.
pub(super) const FRAME_TAIL_LEN: usize = 32;

/// Largest genesis: 10,000 members with six keys and 10,000 targets with a few endpoints take under 12 MiB.
pub const GENESIS_LEN_MAX: usize = 16 * 1024 * 1024;
/// Largest certificate: 100 validators at 98 bytes and the fixed part, with room to spare.
pub const CERTIFICATE_LEN_MAX: usize = 16 * 1024;
/// Largest block record: the block's length, the block and its certificate.
pub const BLOCK_RECORD_LEN_MAX: usize = 4 + BLOCK_LEN_MAX + CERTIFICATE_LEN_MAX;
/// Largest evidence of one receipt: a provider's named facts, without logs.
pub const EVIDENCE_LEN_MAX: usize = 64 * 1024;
/// Largest statement of a node about its keys: 1,000 keys of members with the longest names.
const KEY_USE_STATEMENT_LEN_MAX: usize = 256 * 1024;
/// Largest page of key uses.
const KEY_USES_LEN_MAX: usize = 64 * 1024;
/// Largest trailer: fixed fields and the exporter's name.
const TRAILER_LEN_MAX: usize = 1024;

/// What a record holds. The number is part of the format; a retired one is never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The genesis document, once, first.
    Genesis,
    /// A block with its certificate, one for each height from 1.
    Block,
    /// The evidence that a receipt of an earlier block names by digest.
    Evidence,
    /// Where a proposal stands under the last block's state root; after the last block.
    StageProof,
    /// What a node states of the use of its keys; before the first block, its key uses follow.
    KeyUseStatement,
    /// Uses of keys in the order of the node's journal.
    KeyUses,
    /// Two certified blocks at one height; after the last block.
    SplitView,
    /// What the bundle should hold, once, last.
    Trailer,
}

impl Kind {
    /// The number in the file.
    pub(super) const fn tag(self) -> u8 {
        match self {
            Self::Genesis => 1,
            Self::Block => 2,
            Self::Evidence => 3,
            Self::StageProof => 4,
            Self::KeyUseStatement => 5,
            Self::KeyUses => 6,
            Self::SplitView => 7,
            Self::Trailer => 255,
        }
    }

    /// The kind with this number.
    pub(super) const fn from_tag(tag: u8) -> Option<Self> {
        match tag {
            1 => Some(Self::Genesis),
            2 => Some(Self::Block),
            3 => Some(Self::Evidence),
            4 => Some(Self::StageProof),
            5 => Some(Self::KeyUseStatement),
            6 => Some(Self::KeyUses),
            7 => Some(Self::SplitView),
            255 => Some(Self::Trailer),
            _ => None,
        }
    }

    /// The kind's name in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Genesis => "genesis",
            Self::Block => "block",
            Self::Evidence => "evidence",
            Self::StageProof => "stage proof",
            Self::KeyUseStatement => "key-use statement",
            Self::KeyUses => "key uses",
            Self::SplitView => "split view",
            Self::Trailer => "trailer",
        }
    }

    /// The longest payload in bytes.
    pub(super) const fn len_max(self) -> usize {
        match self {
            Self::Genesis => GENESIS_LEN_MAX,
            Self::Block => BLOCK_RECORD_LEN_MAX,
            Self::Evidence => EVIDENCE_LEN_MAX,
            Self::StageProof => STAGE_PROOF_LEN_MAX,
            Self::KeyUseStatement => KEY_USE_STATEMENT_LEN_MAX,
            Self::KeyUses => KEY_USES_LEN_MAX,
            Self::SplitView => 1 + 2 * CERTIFICATE_LEN_MAX,
            Self::Trailer => TRAILER_LEN_MAX,
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// The header's bytes.
pub(super) fn header() -> [u8; HEADER_LEN] {
    let [low, high] = BUNDLE_VERSION.to_le_bytes();
    let [m0, m1, m2, m3, m4, m5, m6, m7] = MAGIC;
    [m0, m1, m2, m3, m4, m5, m6, m7, low, high]
}

/// The running digest over header and records: each link covers everything before it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chain(Digest);

impl Chain {
    /// The chain over the header alone.
    pub(super) fn start() -> Self {
        Self(Digest::of(Purpose::Bundle, &header()))
    }

    /// Adds a record and returns the digest that follows it in the file.
    pub(super) fn push(&mut self, head: [u8; FRAME_HEAD_LEN], payload: &[u8]) -> Digest {
        self.0 = Digest::of_parts(Purpose::Bundle, &[self.0.as_bytes(), &head, payload]);
        self.0
    }
}

/// The bytes before a payload.
pub(super) fn frame_head(tag: u8, len: u32) -> [u8; FRAME_HEAD_LEN] {
    let [a, b, c, d] = len.to_le_bytes();
    [tag, a, b, c, d]
}
