//! Owns the keys that a member may come to have in the place of its first, and their claims.

use super::{TestKey, World, member_key};
use crate::{
    digest::Digest, name::MemberId, recovery::KeyClaim, role::Role, signature::PublicKey, state::State,
};

/// Keys that are known of each member for each role.
pub const KEYS_PER_ROLE: u8 = 4;

/// The keys of a member for a role: the one that it has in a genesis, and those that may come in its place.
pub fn member_keys(member: &MemberId, role: Role) -> impl Iterator<Item = TestKey> + use<> {
    let spare = (1..KEYS_PER_ROLE).map({
        let member = member.clone();
        move |number| TestKey::of(&format!("{role} {member} {number}"))
    });
    std::iter::once(member_key(member, role)).chain(spare)
}

/// What a key says that is to be a member's from here on.
#[must_use]
pub fn key_claim(
    network: Digest,
    (member, role): (&MemberId, Role),
    replaces: PublicKey,
    key: &TestKey,
) -> KeyClaim {
    let message = KeyClaim::signing_message(network, (member, role), replaces, key.public());
    KeyClaim { member: member.clone(), role, replaces, key: key.public(), proof: key.sign(message) }
}

/// The claim of another key of a member: the one after that which it has, or the first after the last, and never the one that
/// the mesh gave it.
#[must_use]
pub fn next_claim(state: &State, member: &MemberId, role: Role) -> Option<KeyClaim> {
    let held = state.member(member)?;
    let replaces = *held.keys.get(&role)?;
    let keys: Vec<TestKey> = member_keys(member, role).collect();
    let current = keys.iter().position(|key| key.public() == replaces)?;
    let is_given = |key: &&TestKey| held.given.get(&role) == Some(&key.public());
    let mut after = keys.iter().skip(current.checked_add(1)?).chain(&keys);
    let key = after.find(|key| !is_given(key))?;
    Some(key_claim(state.network(), (member, role), replaces, key))
}

impl World {
    /// The key with which a member signs: the one that the ledger knows, as far as it is one of those that are known here.
    pub(super) fn key_of(&self, sender: &MemberId, role: Role) -> TestKey {
        let first = member_key(sender, role);
        let held = self.state.member(sender).and_then(|held| held.keys.get(&role)).copied();
        if held.is_none_or(|held| held == first.public()) {
            return first;
        }
        let same = member_keys(sender, role).find(|key| Some(key.public()) == held);
        same.unwrap_or(first)
    }
}
