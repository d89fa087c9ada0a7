//! Owns the signed transactions of a model: each distinct one is signed and verified once, whatever the number of
//! states that it is tried in.

use std::{
    collections::BTreeMap,
    sync::{PoisonError, RwLock},
};

use althing_contracts::{
    canonical,
    quantity::TimeMs,
    role::Role,
    state::State,
    testing::{World, member},
    transaction::{Call, TransactionBody, VerifiedTransaction},
};

/// Signs what the model's people and machines say.
pub(super) struct Notary {
    world: World,
    signed: RwLock<BTreeMap<Vec<u8>, VerifiedTransaction>>,
}

impl Notary {
    pub(super) const fn new(world: World) -> Self {
        Self { world, signed: RwLock::new(BTreeMap::new()) }
    }

    /// The sender's next transaction as the ledger stands.
    pub(super) fn sign(&self, state: &State, sender: &str, role: Role, call: Call) -> VerifiedTransaction {
        let sender = member(sender);
        let sequence = state.next_sequence(&sender, role);
        let body = TransactionBody { sender, role, sequence, not_after: TimeMs::MAX, call };
        let bytes = canonical::encode(&body);
        if let Some(known) = self.signed.read().unwrap_or_else(PoisonError::into_inner).get(&bytes) {
            return known.clone();
        }
        let verified = self.world.verify(&self.world.sign_as(body));
        let mut signed = self.signed.write().unwrap_or_else(PoisonError::into_inner);
        signed.insert(bytes, verified.clone());
        verified
    }
}
