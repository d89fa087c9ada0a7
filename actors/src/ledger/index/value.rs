//! Owns the form of a value in the index: a version, the canonical bytes, and a digest over tree, key and both.

use althing_contracts::{
    canonical,
    digest::{Digest, Purpose},
};
use borsh::{BorshDeserialize, BorshSerialize};

use super::doubt::Doubt;

/// Largest value: above it sled writes values to files of their own, which it never syncs.
pub const VALUE_LEN_MAX: usize = 16 * 1024;

const VERSION: u8 = 1;
const DIGEST_LEN: usize = 8;

/// What is wrong with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// It does not match its digest, or stands under another key.
    #[error("its digest does not match")]
    Digest,
    /// This version does not know the form.
    #[error("its version {0} is unknown")]
    Version(u8),
    /// The digest matches and the bytes are no such object.
    #[error("it cannot be decoded")]
    Malformed,
}

/// The bytes to store under `key`.
pub(super) fn seal<T: BorshSerialize>(tree: &'static str, key: &[u8], object: &T) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    bytes.extend(canonical::encode(object));
    let digest = digest(tree, key, &bytes);
    bytes.extend(digest);
    bytes
}

/// The object that was stored under `key`.
pub(super) fn open<T: BorshDeserialize>(tree: &'static str, key: &[u8], bytes: &[u8]) -> Result<T, Doubt> {
    let failed = |error| Doubt::Value { tree, error };
    let (sealed, found) = bytes.split_last_chunk::<DIGEST_LEN>().ok_or(failed(ValueError::Digest))?;
    if *found != digest(tree, key, sealed) {
        return Err(failed(ValueError::Digest));
    }
    match sealed.split_first() {
        Some((&VERSION, object)) => {
            canonical::decode(object, VALUE_LEN_MAX).map_err(|_| failed(ValueError::Malformed))
        }
        Some((&version, _)) => Err(failed(ValueError::Version(version))),
        None => Err(failed(ValueError::Malformed)),
    }
}

/// Reads and opens a value.
pub(super) fn get<T: BorshDeserialize>(
    tree: &sled::Tree,
    name: &'static str,
    key: &[u8],
) -> Result<Option<T>, Doubt> {
    tree.get(key)?.map(|bytes| open(name, key, &bytes)).transpose()
}

fn digest(tree: &'static str, key: &[u8], bytes: &[u8]) -> [u8; DIGEST_LEN] {
    // Names of trees differ and keys of a tree have one width, so the parts are told apart.
    let digest = Digest::of_parts(Purpose::Journal, &[b"index ", tree.as_bytes(), key, bytes]);
    let mut truncated = [0; DIGEST_LEN];
    truncated.copy_from_slice(&digest.as_bytes()[..DIGEST_LEN]);
    truncated
}
