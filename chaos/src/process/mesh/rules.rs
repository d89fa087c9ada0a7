//! Owns the rules of a mesh that is broken on purpose: those of any other, but for what they make of failures.

use althing_contracts::{
    constitution::Constitution,
    dormancy::VOTES_MAX,
    quantity::{BondPoints, DurationMs},
};

/// Faults keep voters away and let proposals fail, and the load asks for the same again: none of that is held against it.
pub(super) fn under_faults(mut rules: Constitution) -> Constitution {
    rules.dormancy.votes = VOTES_MAX;
    rules.bonds.base = BondPoints::ZERO;
    rules.tracks.values_mut().for_each(|track| track.cooldown = DurationMs::ZERO);
    rules
}
