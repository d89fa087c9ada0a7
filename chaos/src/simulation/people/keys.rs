//! Owns what people do about keys: they replace their own, and say that a colleague's is lost, rightly or not.

use althing_contracts::{name::MemberId, role::Role, state::State, testing::next_claim, transaction::Call};
use rand::{Rng, rngs::StdRng, seq::IteratorRandom as _};

/// A key of one's own, a word for one of a colleague's, or against one.
pub(super) fn change(random: &mut StdRng, state: &State, (member, role): (&MemberId, Role)) -> Option<Call> {
    let of_colleagues = state.recoveries().filter(|(holder, ..)| holder.org_str() == member.org_str());
    let open = of_colleagues.choose(random).map(|(holder, lost, _)| (holder.clone(), lost));
    match (open, random.random_range(0..100)) {
        (Some((holder, lost)), 0..20) => Some(Call::StopRecovery { member: holder, role: lost }),
        (Some((holder, lost)), 20..70) if holder != *member => {
            Some(Call::SignRecovery { claim: next_claim(state, &holder, lost)? })
        }
        (_, 70..85) => {
            let others = state.members_with(Role::Author).filter(|id| id.org_str() == member.org_str());
            let holder = others.choose(random)?.clone();
            Some(Call::SignRecovery { claim: next_claim(state, &holder, Role::Author)? })
        }
        _ => Some(Call::ReplaceKey { claim: next_claim(state, member, role)? }),
    }
}
