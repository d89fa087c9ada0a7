//! Owns checking many signatures at once. Refuses to say which one is bad: that is asked singly.

use althing_contracts::signature::{Signed, verify_batch};

/// Whether all signatures are valid; a single one is cheaper to check alone.
///
/// # Panics
/// The system has no random bytes.
pub(crate) fn are_valid(signed: &[Signed]) -> bool {
    match signed {
        [] => true,
        [single] => single.verify().is_ok(),
        many => verify_batch(many, entropy()).is_ok(),
    }
}

fn entropy() -> [u8; 32] {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the system that runs this process has random bytes");
    bytes
}
