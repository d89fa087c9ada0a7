//! Owns what people do about keys: they replace their own, and say that a colleague's is lost, rightly or not.

use althing_contracts::{name::MemberId, role::Role, state::State, testing::next_claim, transaction::Call};
use rand::{Rng, rngs::StdRng, seq::IteratorRandom as _};

/// A word for or against a key that colleagues say is lost; now and then a new one of those, or another key of one's own.
pub(super) fn change(random: &mut StdRng, state: &State, (member, role): (&MemberId, Role)) -> Option<Call> {
    let of_colleagues = state.recoveries().filter(|(holder, ..)| holder.org_str() == member.org_str());
    if let Some((holder, lost, recovery)) = of_colleagues.choose(random) {
        let is_party = *holder == *member || recovery.signatures.contains_key(member);
        if is_party && random.random_bool(0.04) {
            return Some(Call::StopRecovery { member: holder.clone(), role: lost });
        }
        if !is_party && recovery.agreed.is_none() && random.random_bool(0.4) {
            return Some(Call::SignRecovery { claim: next_claim(state, holder, lost)? });
        }
    }
    if random.random_bool(0.99) {
        return None;
    }
    let authors = state.members_with(Role::Author).filter(|id| id.org_str() == member.org_str());
    match authors.choose(random) {
        Some(holder) if random.random_bool(0.4) => {
            Some(Call::SignRecovery { claim: next_claim(state, holder, Role::Author)? })
        }
        _ => Some(Call::ReplaceKey { claim: next_claim(state, member, role)? }),
    }
}
