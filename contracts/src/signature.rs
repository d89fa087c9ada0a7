//! Owns signatures: Ed25519 by the rules of ZIP-215, where single and batch verification agree on every node.
//!
//! What is signed is a digest bound to one purpose and one network; raw bytes are never signed.

use std::{convert::Infallible, fmt, str::FromStr, sync::LazyLock};

use blake3::hazmat::{ContextKey, HasherExt as _, hash_derive_key_context};
use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::digest::Digest;

/// Name of the scheme before the digits of a key or a signature.
const ED25519: &str = "ed25519:";

/// What a signature is for; a signature for one purpose never verifies for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SigningPurpose {
    /// A member's transaction.
    Transaction,
    /// A validator's consensus prevote or precommit.
    ConsensusVote,
    /// A validator's consensus proposal.
    ConsensusProposal,
    /// A new key's own claim to be a member's from here on.
    KeyClaim,
    /// A node's statement about the use of its members' keys.
    KeyUses,
    /// A node's greeting when it joins a peer, and other node-to-node statements.
    Node,
}

impl SigningPurpose {
    const fn context(self) -> &'static str {
        match self {
            Self::Transaction => "althing 2026 v1 sign transaction",
            Self::ConsensusVote => "althing 2026 v1 sign consensus vote",
            Self::ConsensusProposal => "althing 2026 v1 sign consensus proposal",
            Self::KeyClaim => "althing 2026 v1 sign key claim",
            Self::KeyUses => "althing 2026 v1 sign key uses",
            Self::Node => "althing 2026 v1 sign node",
        }
    }

    /// A hasher keyed for this purpose; the key of the commonest is derived once.
    fn hasher(self) -> blake3::Hasher {
        static TRANSACTION: LazyLock<ContextKey> =
            LazyLock::new(|| hash_derive_key_context(SigningPurpose::Transaction.context()));
        match self {
            Self::Transaction => blake3::Hasher::new_from_context_key(&TRANSACTION),
            rare => blake3::Hasher::new_derive_key(rare.context()),
        }
    }
}

/// The 32 bytes that are signed: `blake3 derive_key(purpose)(network ‖ bytes)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SigningMessage([u8; 32]);

impl SigningMessage {
    /// Binds `bytes` to a purpose and a network.
    #[must_use]
    pub fn new(purpose: SigningPurpose, network: Digest, bytes: &[u8]) -> Self {
        let mut hasher = purpose.hasher();
        hasher.update(network.as_bytes());
        hasher.update(bytes);
        Self(*hasher.finalize().as_bytes())
    }

    /// The bytes handed to Ed25519.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A public key with its scheme.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub enum PublicKey {
    /// Ed25519, 32 bytes.
    Ed25519([u8; 32]),
}

/// A signature with its scheme.
#[derive(Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Signature {
    /// Ed25519, 64 bytes.
    Ed25519([u8; 64]),
}

/// A signature that does not verify, or a key that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not verify")]
pub struct SignatureError;

/// Why a text is not a signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a signature is `ed25519:` and 128 hexadecimal digits")]
pub struct SignatureTextError;

/// Why a text is not a public key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a public key is `ed25519:` and 64 hexadecimal digits")]
pub struct PublicKeyError;

/// One signature to check.
#[derive(Debug, Clone, Copy)]
pub struct Signed {
    /// Who is said to have signed.
    pub key: PublicKey,
    /// What was signed.
    pub message: SigningMessage,
    /// The signature.
    pub signature: Signature,
}

impl Signed {
    /// Checks one signature.
    ///
    /// # Errors
    /// The signature or the key is not valid.
    pub fn verify(&self) -> Result<(), SignatureError> {
        let (PublicKey::Ed25519(key), Signature::Ed25519(signature)) = (self.key, self.signature);
        ed25519_zebra::VerificationKey::try_from(key)
            .and_then(|key| key.verify(&signature.into(), self.message.as_bytes()))
            .map_err(|_| SignatureError)
    }
}

/// Checks many signatures at once: by ZIP-215 the answer is "all valid" exactly when each is valid alone.
///
/// The coefficients of the batch equation are expanded from `entropy`: 32 bytes that whoever made the signatures
/// could not foresee. They change the cost of forgery, never the answer for honest or invalid signatures beyond a
/// chance of 2⁻¹²⁸.
///
/// # Errors
/// At least one signature is not valid; check them singly to learn which.
pub fn verify_batch(signed: &[Signed], entropy: [u8; 32]) -> Result<(), SignatureError> {
    let mut batch = ed25519_zebra::batch::Verifier::new();
    for item in signed {
        let (PublicKey::Ed25519(key), Signature::Ed25519(signature)) = (item.key, item.signature);
        batch.queue((key.into(), signature.into(), item.message.as_bytes()));
    }
    batch.verify(Coefficients::new(entropy)).map_err(|_| SignatureError)
}

/// The random numbers of one batch, expanded from its entropy.
struct Coefficients(blake3::OutputReader);

impl Coefficients {
    fn new(entropy: [u8; 32]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("althing 2026 v1 batch coefficients");
        hasher.update(&entropy);
        Self(hasher.finalize_xof())
    }
}

impl rand_core::TryRng for Coefficients {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.0.fill(&mut bytes);
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill(bytes);
        Ok(())
    }
}

impl rand_core::TryCryptoRng for Coefficients {}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Ed25519(bytes) = self;
        write!(f, "{ED25519}{}", hex::encode(bytes))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Ed25519(bytes) = self;
        write!(f, "{ED25519}{}", hex::encode(bytes))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = PublicKeyError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        bytes_of(text).map(Self::Ed25519).ok_or(PublicKeyError)
    }
}

impl FromStr for Signature {
    type Err = SignatureTextError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        bytes_of(text).map(Self::Ed25519).ok_or(SignatureTextError)
    }
}

/// What a text says after the name of the scheme.
fn bytes_of<const LEN: usize>(text: &str) -> Option<[u8; LEN]> {
    let mut bytes = [0; LEN];
    hex::decode_to_slice(text.strip_prefix(ED25519)?, &mut bytes).ok()?;
    Some(bytes)
}

impl Serialize for Signature {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Signature {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <String as Deserialize>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for PublicKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <String as Deserialize>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests;
