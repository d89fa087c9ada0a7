//! Owns the memory of consensus signatures that were found valid, so that deciding a block verifies none twice.
//! Refuses to remember anything about an invalid one: who shares the memory is told no more than verifying would tell.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use althing_contracts::signature::{PublicKey, Signature, Signed};

/// Most signatures remembered: two votes of each of a hundred validators in some twenty rounds.
const VERDICTS_MAX: usize = 4_096;

/// A signature with all that it depends on.
type Known = (PublicKey, [u8; 32], [u8; 64]);

/// Signatures known to be valid, of the current height and of messages that came early. Clones share what was verified;
/// what a validator signed itself is believed by nobody else without looking.
#[derive(Debug, Default)]
pub struct Verdicts {
    verified: Arc<Mutex<BTreeSet<Known>>>,
    made: BTreeSet<Known>,
}

impl Clone for Verdicts {
    fn clone(&self) -> Self {
        Self { verified: Arc::clone(&self.verified), made: BTreeSet::new() }
    }
}

impl Verdicts {
    /// Whether the signature is valid; verifies it only when that is not known.
    #[must_use]
    pub fn check(&self, signed: &Signed) -> bool {
        let known = key_of(signed);
        if self.made.contains(&known) || self.verified().contains(&known) {
            return true;
        }
        let valid = signed.verify().is_ok();
        if valid {
            insert(&mut self.verified(), known);
        }
        valid
    }

    /// Remembers a signature that was made here.
    pub fn remember(&mut self, signed: &Signed) {
        insert(&mut self.made, key_of(signed));
    }

    /// Every change is one insertion: whoever panicked left nothing half done.
    fn verified(&self) -> MutexGuard<'_, BTreeSet<Known>> {
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn insert(known: &mut BTreeSet<Known>, new: Known) {
    if known.len() >= VERDICTS_MAX {
        known.clear();
    }
    known.insert(new);
}

fn key_of(signed: &Signed) -> Known {
    let Signature::Ed25519(signature) = signed.signature;
    (signed.key, *signed.message.as_bytes(), signature)
}

#[cfg(test)]
mod tests {
    use althing_contracts::{
        certificate::{VoteKind, VoteStatement},
        digest::Digest,
        quantity::{Height, Round},
    };

    use super::*;
    use crate::ledger::consensus::ConsensusKey;

    /// A vote, and the same signature in another validator's name.
    fn votes() -> [Signed; 2] {
        let statement = VoteStatement {
            kind: VoteKind::Prevote,
            height: Height::new(1),
            round: Round::ZERO,
            block: None,
        };
        let signed = ConsensusKey::from_seed([1; 32]).sign_vote(statement, Digest::ZERO).signed(Digest::ZERO);
        [signed, Signed { key: ConsensusKey::from_seed([2; 32]).public(), ..signed }]
    }

    #[test]
    fn only_valid_signatures_are_remembered() {
        let [signed, forged] = votes();
        let verdicts = Verdicts::default();
        let shared = verdicts.clone();
        assert!(!verdicts.check(&forged));
        assert!(verdicts.verified().is_empty());
        assert!(verdicts.check(&signed) && verdicts.check(&signed));
        assert_eq!(shared.verified().len(), 1);
        assert!(!verdicts.check(&forged) && !shared.check(&forged));
    }

    #[test]
    fn nobody_believes_what_another_has_signed() {
        let [_, unsound] = votes();
        let mut verdicts = Verdicts::default();
        verdicts.remember(&unsound);
        assert!(verdicts.check(&unsound));
        assert!(!verdicts.clone().check(&unsound));
    }
}
