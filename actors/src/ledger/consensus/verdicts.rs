//! Owns the memory of consensus signatures that were found valid, so that deciding a block verifies none twice.
//! Refuses to remember anything about an invalid one.

use std::collections::BTreeSet;

use althing_contracts::signature::{PublicKey, Signature, Signed};

/// Most signatures remembered: two votes of each of a hundred validators in some twenty rounds.
const VERDICTS_MAX: usize = 4_096;

/// Signatures known to be valid, of the current height and of messages that came early.
#[derive(Debug, Default)]
pub struct Verdicts {
    valid: BTreeSet<(PublicKey, [u8; 32], [u8; 64])>,
}

impl Verdicts {
    /// Whether the signature is valid; verifies it only when that is not known.
    pub fn check(&mut self, signed: &Signed) -> bool {
        let key = key_of(signed);
        if self.valid.contains(&key) {
            return true;
        }
        let valid = signed.verify().is_ok();
        if valid {
            self.insert(key);
        }
        valid
    }

    /// Remembers a signature that was verified elsewhere, or made here.
    pub fn remember(&mut self, signed: &Signed) {
        self.insert(key_of(signed));
    }

    fn insert(&mut self, key: (PublicKey, [u8; 32], [u8; 64])) {
        if self.valid.len() >= VERDICTS_MAX {
            self.valid.clear();
        }
        self.valid.insert(key);
    }
}

fn key_of(signed: &Signed) -> (PublicKey, [u8; 32], [u8; 64]) {
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

    #[test]
    fn only_valid_signatures_are_remembered() {
        let statement = VoteStatement {
            kind: VoteKind::Prevote,
            height: Height::new(1),
            round: Round::ZERO,
            block: None,
        };
        let signed = ConsensusKey::from_seed([1; 32]).sign_vote(statement, Digest::ZERO).signed(Digest::ZERO);
        let forged = Signed { key: ConsensusKey::from_seed([2; 32]).public(), ..signed };
        let mut verdicts = Verdicts::default();
        assert!(!verdicts.check(&forged));
        assert!(verdicts.valid.is_empty());
        assert!(verdicts.check(&signed) && verdicts.check(&signed));
        assert_eq!(verdicts.valid.len(), 1);
        assert!(!verdicts.check(&forged));
    }
}
