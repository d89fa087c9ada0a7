//! Owns the members' keys of this node while it runs, and where they come from.

use std::{collections::BTreeMap, sync::Arc};

use althing_contracts::{name::MemberId, role::Role, signature::PublicKey};
use ed25519_zebra::SigningKey;
use zeroize::Zeroize;

/// The members' keys of this node: of each member and role one or more, of which the ledger knows one. Wiped when dropped;
/// neither printed nor copied.
pub struct SignerKeys(BTreeMap<(MemberId, Role), Vec<SigningKey>>);

/// Where a node's keys are kept: asked again when the ledger names a key that the node has not read so far.
pub trait KeyStore: Send + Sync {
    /// Every key.
    ///
    /// # Errors
    /// See [`KeyStoreError`]; the keys that were read before stay in use.
    fn load(&self) -> Result<Arc<SignerKeys>, KeyStoreError>;
}

/// Keys that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("the keys cannot be read")]
pub struct KeyStoreError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Keys that never change.
impl KeyStore for Arc<SignerKeys> {
    fn load(&self) -> Result<Arc<SignerKeys>, KeyStoreError> {
        Ok(Self::clone(self))
    }
}

impl SignerKeys {
    /// Takes loaded keys over; a member may have several for a role.
    pub fn new(keys: impl IntoIterator<Item = ((MemberId, Role), SigningKey)>) -> Self {
        let mut held: BTreeMap<_, Vec<SigningKey>> = BTreeMap::new();
        for (holder, key) in keys {
            held.entry(holder).or_default().push(key);
        }
        Self(held)
    }

    /// Whose keys these are.
    pub fn holders(&self) -> impl Iterator<Item = &(MemberId, Role)> {
        self.0.keys()
    }

    /// Whether a member's key for a role is here.
    pub fn holds(&self, member: &MemberId, role: Role, key: PublicKey) -> bool {
        self.find(member, role, key).is_some()
    }

    /// One key of a member, by its public half.
    pub(super) fn find(&self, member: &MemberId, role: Role, key: PublicKey) -> Option<&SigningKey> {
        self.of(member, role).iter().find(|held| public(held) == key)
    }

    /// The keys of a member for a role, in the order in which they were given.
    pub(super) fn of(&self, member: &MemberId, role: Role) -> &[SigningKey] {
        self.0.get(&(member.clone(), role)).map_or(&[], Vec::as_slice)
    }
}

/// The public half of a key.
pub(super) fn public(key: &SigningKey) -> PublicKey {
    PublicKey::Ed25519(key.verification_key().into())
}

impl Drop for SignerKeys {
    fn drop(&mut self) {
        for key in self.0.values_mut().flatten() {
            key.zeroize();
        }
    }
}

impl std::fmt::Debug for SignerKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
