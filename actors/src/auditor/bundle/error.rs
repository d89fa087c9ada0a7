//! Owns what a verification says when a bundle does not hold: where, what, and what it means.

use std::fmt;

use althing_contracts::{
    canonical::DecodeError, digest::Digest, genesis::GenesisError, invariant::Violation, quantity::Height,
    state::StageProofError,
};

use super::{
    format::{BUNDLE_VERSION, Kind},
    key_uses::KeyUseFlaw,
    split_view::SplitViewFlaw,
};
use crate::{auditor::replay::ReplayError, causes::with_causes};

/// Where in a bundle something does not hold.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Place {
    /// Number of the record, from 1; `None` is the file's header.
    pub record: Option<u64>,
    /// What the record says it holds, as far as it is known.
    pub kind: Option<Kind>,
    /// The block's height, for a block record whose place in the order is known.
    pub height: Option<Height>,
    /// Where the record begins in the file, in bytes.
    pub offset: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(record) = self.record else {
            return write!(f, "header (offset {})", self.offset);
        };
        match (self.kind, self.height) {
            (Some(Kind::Block), Some(height)) => {
                write!(f, "record {record} (block {height}, offset {})", self.offset)
            }
            (Some(kind), _) => write!(f, "record {record} ({kind}, offset {})", self.offset),
            (None, _) => write!(f, "record {record} (offset {})", self.offset),
        }
    }
}

/// A bundle that does not hold, with the first place where that shows.
#[derive(Debug)]
pub struct BundleError {
    place: Place,
    flaw: Box<Flaw>,
}

impl BundleError {
    pub(super) fn new(place: Place, flaw: Flaw) -> Self {
        Self { place, flaw: Box::new(flaw) }
    }

    /// Where.
    #[must_use]
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// What does not hold.
    #[must_use]
    pub fn flaw(&self) -> &Flaw {
        &self.flaw
    }
}

/// The whole message: place, flaw and every cause behind it.
impl fmt::Display for BundleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, with_causes(&*self.flaw))
    }
}

impl std::error::Error for BundleError {}

/// What does not hold, and what that means.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Flaw {
    /// The file cannot be read.
    #[error("the file cannot be read")]
    Io(#[source] std::io::Error),
    /// Another kind of file.
    #[error("the file does not begin with ALTHINGB: it is no bundle, or its first bytes were changed")]
    Magic,
    /// Another version of the format.
    #[error(
        "bundle version {found} is not known, this build reads {BUNDLE_VERSION}: use a build that knows it"
    )]
    Version {
        /// As given.
        found: u16,
    },
    /// The file ends inside the header or a record.
    #[error("the file ends here, {missing} bytes short: it was cut off")]
    CutOff {
        /// At least this many bytes are missing.
        missing: usize,
    },
    /// The file ends between records and has no trailer.
    #[error("the file ends without a trailer: records were cut off its end")]
    NoTrailer,
    /// Something follows the trailer.
    #[error("the file goes on after its trailer: something was added to its end")]
    AfterTrailer,
    /// A kind that the format does not have.
    #[error("kind {tag} is not known: the record was changed after export, or a newer build wrote it")]
    Kind {
        /// As given.
        tag: u8,
    },
    /// A length above the kind's bound.
    #[error(
        "{len} bytes are too long for a {kind} record, at most {max} are allowed: the length was changed"
    )]
    TooLong {
        /// What the record says it holds.
        kind: Kind,
        /// As given.
        len: u32,
        /// Bytes allowed.
        max: usize,
    },
    /// The chain is broken.
    #[error(
        "the chain digest does not match: the record was changed after export, or one before it was dropped, added or moved"
    )]
    Chain,
    /// A record in the wrong place.
    #[error(
        "a {found} record may not stand here: a bundle is one genesis, the key uses of nodes, the blocks with their evidence, the stage proofs and split views, one trailer"
    )]
    Order {
        /// What stands here.
        found: Kind,
    },
    /// The payload is not what its kind says.
    #[error("the payload is not the canonical form of a {kind}")]
    Payload {
        /// What the record says it holds.
        kind: Kind,
        /// Why it is not.
        source: DecodeError,
    },
    /// The genesis is another one than asked for.
    #[error("the genesis digest is {found}, not {expected}: this is the ledger of another network")]
    Genesis {
        /// Of this bundle.
        found: Digest,
        /// As asked for.
        expected: Digest,
    },
    /// No ledger can begin with the genesis.
    #[error("no ledger can begin with this genesis")]
    GenesisInvalid(#[source] GenesisError),
    /// The block does not follow from those before it.
    #[error(transparent)]
    Replay(ReplayError),
    /// The history breaks an invariant.
    #[error(transparent)]
    Invariant(Violation),
    /// Evidence that no receipt asked for.
    #[error("no receipt of this ledger names evidence {found}: it was changed, or it belongs elsewhere")]
    Evidence {
        /// Digest of the payload.
        found: Digest,
    },
    /// A proof that leads elsewhere.
    #[error("{0}: the proof was changed, or it is of another block")]
    StageProof(StageProofError),
    /// What a node testifies of its keys does not hold.
    #[error(transparent)]
    KeyUses(#[from] KeyUseFlaw),
    /// Two certificates that prove no split view.
    #[error(transparent)]
    SplitView(#[from] SplitViewFlaw),
    /// The trailer says something else than the records.
    #[error(
        "the trailer says {field} {said}, the records say {is}: records and trailer are of different exports"
    )]
    Trailer {
        /// Which field.
        field: &'static str,
        /// As in the trailer.
        said: String,
        /// As in the records.
        is: String,
    },
}
