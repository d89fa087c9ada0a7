//! Owns hashing: BLAKE3 digests separated by purpose, so that bytes of one kind never pass as another.

use std::{fmt, str::FromStr, sync::LazyLock};

use blake3::hazmat::{ContextKey, HasherExt as _, hash_derive_key_context};
use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::canonical;

/// What a digest is of. Each purpose has its own BLAKE3 key-derivation context (BLAKE3 specification §2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The genesis document; its digest is the network's identity.
    Genesis,
    /// A transaction's bytes; its digest is the transaction's id.
    Transaction,
    /// A block header; its digest is the block's id and the consensus value.
    Header,
    /// A leaf of a transactions or events tree.
    Leaf,
    /// An inner node of a transactions or events tree.
    Node,
    /// A proposal's document.
    Document,
    /// A proposal's plan together with its document.
    Plan,
    /// A proposal's identity.
    Proposal,
    /// The set of validators.
    Roster,
    /// The running chain over a proposal's ballots.
    Ballots,
    /// Evidence behind a receipt or an attestation.
    Evidence,
    /// A record of a hash-chained journal.
    Journal,
    /// An event on the ledger.
    Event,
    /// An object of the state that the authenticated map commits to.
    State,
    /// A record of an audit bundle.
    Bundle,
    /// The content of an emergency.
    Emergency,
    /// What a proposal does, whoever asks for it and in whatever words.
    Content,
}

impl Purpose {
    const fn context(self) -> &'static str {
        match self {
            Self::Genesis => "althing 2026 v1 genesis",
            Self::Transaction => "althing 2026 v1 transaction",
            Self::Header => "althing 2026 v1 header",
            Self::Leaf => "althing 2026 v1 leaf",
            Self::Node => "althing 2026 v1 node",
            Self::Document => "althing 2026 v1 document",
            Self::Plan => "althing 2026 v1 plan",
            Self::Proposal => "althing 2026 v1 proposal",
            Self::Roster => "althing 2026 v1 roster",
            Self::Ballots => "althing 2026 v1 ballots",
            Self::Evidence => "althing 2026 v1 evidence",
            Self::Journal => "althing 2026 v1 journal",
            Self::Event => "althing 2026 v1 event",
            Self::State => "althing 2026 v1 state",
            Self::Bundle => "althing 2026 v1 bundle",
            Self::Emergency => "althing 2026 v1 emergency",
            Self::Content => "althing 2026 v1 content",
        }
    }

    /// A hasher keyed for this purpose. Deriving the key costs as much as hashing 64 bytes, which is half of a small
    /// digest: each key is derived once.
    fn hasher(self) -> blake3::Hasher {
        static KEYS: LazyLock<[ContextKey; Purpose::ALL.len()]> =
            LazyLock::new(|| Purpose::ALL.map(|purpose| hash_derive_key_context(purpose.context())));
        let position = Self::ALL.iter().position(|purpose| *purpose == self);
        match position.and_then(|position| KEYS.get(position)) {
            Some(key) => blake3::Hasher::new_from_context_key(key),
            None => blake3::Hasher::new_derive_key(self.context()),
        }
    }

    /// Every purpose.
    const ALL: [Self; 17] = [
        Self::Genesis,
        Self::Transaction,
        Self::Header,
        Self::Leaf,
        Self::Node,
        Self::Document,
        Self::Plan,
        Self::Proposal,
        Self::Roster,
        Self::Ballots,
        Self::Evidence,
        Self::Journal,
        Self::Event,
        Self::State,
        Self::Bundle,
        Self::Emergency,
        Self::Content,
    ];
}

/// A 32-byte digest, printed as 64 hexadecimal digits.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct Digest([u8; 32]);

/// Why a text is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a digest is 64 hexadecimal digits, this has {len} characters")]
pub struct DigestError {
    /// Characters given.
    pub len: usize,
}

impl Digest {
    /// The digest of nothing, used as the parent of the first block and the start of chains.
    pub const ZERO: Self = Self([0; 32]);

    /// Wraps 32 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The digest of `bytes` for one purpose.
    #[must_use]
    pub fn of(purpose: Purpose, bytes: &[u8]) -> Self {
        Self::of_parts(purpose, &[bytes])
    }

    /// The digest of the concatenation of `parts` for one purpose; the parts must be fixed-width or self-delimiting.
    #[must_use]
    pub fn of_parts(purpose: Purpose, parts: &[&[u8]]) -> Self {
        let mut hasher = purpose.hasher();
        for part in parts {
            hasher.update(part);
        }
        Self(*hasher.finalize().as_bytes())
    }

    /// The digest of an object's canonical encoding.
    #[must_use]
    pub fn of_object<T: BorshSerialize>(purpose: Purpose, object: &T) -> Self {
        // One long update lets the hash use the processor's vector units; many short ones do not.
        Self::of(purpose, &canonical::encode(object))
    }

    /// The plain BLAKE3 digest of an artefact's bytes, as `b3sum` prints it.
    #[must_use]
    pub fn of_artefact(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// The first eight hexadecimal digits, for people.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string().chars().take(8).collect()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| DigestError { len: text.chars().count() })?;
        Ok(Self(bytes))
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <String as Deserialize>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// The root of a binary Merkle tree over `leaves` in order (RFC 6962 §2.1 shape, BLAKE3 by purpose).
///
/// The root of no leaves is [`Digest::ZERO`].
#[must_use]
pub fn merkle_root(leaves: &[Digest]) -> Digest {
    match leaves {
        [] => Digest::ZERO,
        [leaf] => Digest::of(Purpose::Leaf, leaf.as_bytes()),
        _ => {
            let half = leaves.len().next_power_of_two().checked_div(2).unwrap_or(1);
            let (left, right) = leaves.split_at(half);
            let (left, right) = (merkle_root(left), merkle_root(right));
            Digest::of_parts(Purpose::Node, &[left.as_bytes(), right.as_bytes()])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purposes_separate_equal_bytes() {
        assert_ne!(Digest::of(Purpose::Header, b"x"), Digest::of(Purpose::Transaction, b"x"));
    }

    #[test]
    fn every_purpose_is_the_derive_key_mode_of_its_context() {
        for purpose in Purpose::ALL {
            let expected =
                *blake3::Hasher::new_derive_key(purpose.context()).update(b"x").finalize().as_bytes();
            assert_eq!(Digest::of(purpose, b"x"), Digest::from_bytes(expected), "{purpose:?}");
        }
    }

    #[test]
    fn merkle_roots_depend_on_order_and_count() {
        let [a, b, c] = [1, 2, 3].map(|n| Digest::from_bytes([n; 32]));
        assert_eq!(merkle_root(&[]), Digest::ZERO);
        assert_ne!(merkle_root(&[a, b]), merkle_root(&[b, a]));
        assert_ne!(merkle_root(&[a, b, c]), merkle_root(&[a, b, c, c]));
        assert_ne!(merkle_root(&[a]), a);
    }

    #[test]
    fn text_round_trips_and_refuses_other_lengths() {
        let digest = Digest::of_artefact(b"");
        assert_eq!(digest.to_string().parse(), Ok(digest));
        assert_eq!("abc".parse::<Digest>(), Err(DigestError { len: 3 }));
    }
}
