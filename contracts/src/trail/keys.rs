//! G8: a member's key is replaced by whoever holds it, or by so many colleagues as the rules ask for, after a delay in which
//! nobody stopped it. By the transactions and events alone.

use std::collections::BTreeMap;

use super::{Found, Trail, ensure_at};
use crate::{
    event::Event,
    invariant::{Invariant, View},
    name::MemberId,
    quantity::TimeMs,
    recovery::{Recovery, RecoverySignature},
    role::Role,
    signature::PublicKey,
    transaction::{Call, VerifiedTransaction},
};

const G8: Invariant = Invariant::Duties;

/// What colleagues have said about keys so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Words {
    said: BTreeMap<(MemberId, Role), BTreeMap<MemberId, RecoverySignature>>,
    /// What enough agreed on, and when it takes effect.
    agreed: BTreeMap<(MemberId, Role), (PublicKey, TimeMs)>,
}

impl Words {
    /// Judges one event.
    pub(super) fn check(&self, trail: &Trail, block: &View<'_>, event: &Event) -> Result<(), Found> {
        match event {
            Event::RecoverySigned { member, signer, .. } => {
                let apart = signer != member && signer.org_str() == member.org_str();
                ensure_at(apart, G8, || format!("{signer} speaks about a key of {member}"))
            }
            Event::RecoveryAgreed { member, role, key, due } => {
                self.check_agreement(trail, block, (member, *role), *key, *due)
            }
            Event::KeyReplaced { member, role, replaces, key, recovered_by } => {
                let place = (member.clone(), *role);
                let holds = if recovered_by.is_empty() {
                    block.transactions.iter().map(VerifiedTransaction::body).any(|body| {
                        let same = matches!(&body.call, Call::ReplaceKey { claim } if claim.key == *key);
                        same && body.sender == *member && body.role == *role
                    })
                } else {
                    let agreed = self.agreed.get(&place);
                    agreed.is_some_and(|(agreed, due)| agreed == key && *due <= block.header.time)
                };
                ensure_at(holds, G8, || {
                    format!("{member} has another key as {role} than {replaces}, by nobody's right")
                })
            }
            _ => Ok(()),
        }
    }

    fn check_agreement(
        &self,
        trail: &Trail,
        block: &View<'_>,
        (member, role): (&MemberId, Role),
        key: PublicKey,
        due: TimeMs,
    ) -> Result<(), Found> {
        let (time, rules) = (block.header.time, trail.constitution().map(|rules| rules.recovery));
        let said = self.said.get(&(member.clone(), role)).cloned().unwrap_or_default();
        let said = Recovery { signatures: said, ..Recovery::of(key) };
        let is_colleague = |id: &&MemberId| {
            let keys = block.after.member(id).into_iter().flat_map(|held| held.keys.keys());
            let is_person = |role: &Role| !matches!(role, Role::Executor | Role::Auditor);
            *id != member && id.org_str() == member.org_str() && keys.into_iter().any(is_person)
        };
        let figure = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let colleagues = figure(block.after.members().map(|(id, _)| id).filter(is_colleague).count());
        let holds = rules.is_some_and(|rules| {
            let signed = figure(said.signers(key, rules, time).filter(is_colleague).count());
            rules.colleagues.is_passed_by(signed, colleagues)
                && signed >= rules.at_least.into()
                && due == time.after(rules.delay)
        });
        ensure_at(holds, G8, || format!("a key of {member} is recovered by too few, or without its delay"))
    }

    /// Adds an event of a block.
    pub(super) fn push(&mut self, block: &View<'_>, event: &Event) {
        match event {
            Event::RecoverySigned { member, role, key, signer } => {
                let said = self.said.entry((member.clone(), *role)).or_default();
                said.insert(signer.clone(), RecoverySignature { key: *key, at: block.header.time });
            }
            Event::RecoveryAgreed { member, role, key, due } => {
                self.agreed.insert((member.clone(), *role), (*key, *due));
            }
            Event::RecoveryStopped { member, role, by: Some(by) } if by != member => {
                let place = (member.clone(), *role);
                self.agreed.remove(&place);
                self.said.entry(place).or_default().remove(by);
            }
            Event::RecoveryStopped { member, role, .. } | Event::KeyReplaced { member, role, .. } => {
                let place = (member.clone(), *role);
                self.agreed.remove(&place);
                self.said.remove(&place);
            }
            _ => {}
        }
    }
}
