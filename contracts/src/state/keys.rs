//! Owns the keys of members: their replacement by who holds them, and their recovery by colleagues.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    event::Event,
    genesis::MemberRecord,
    name::MemberId,
    recovery::{Agreement, KeyClaim, KeyRefusal, Recovery, RecoverySignature},
    reject::Reject,
    role::Role,
    signature::PublicKey,
    state::{LeafKey, Member, Registry, State, timer::Timer},
};

/// One key of one member.
pub(crate) type KeyPlace = (MemberId, Role);

impl State {
    /// What colleagues have said about keys that are lost, by member and role.
    pub fn recoveries(&self) -> impl Iterator<Item = (&MemberId, Role, &Recovery)> {
        self.registry.recoveries.iter().map(|((member, role), recovery)| (member, *role, recovery))
    }

    /// What colleagues have said about one key.
    #[must_use]
    pub fn recovery(&self, member: &MemberId, role: Role) -> Option<&Recovery> {
        self.registry.recoveries.get(&(member.clone(), role))
    }

    /// How many colleagues have to sign a recovery of the member's keys; `None` where there are too few.
    #[must_use]
    pub fn colleagues_needed(&self, member: &MemberId) -> Option<usize> {
        self.registry.constitution.recovery.needed(self.registry.colleagues(member))
    }

    /// Whether a claim could be taken from the ones who may make it.
    ///
    /// # Errors
    /// Says why not.
    pub fn check_claim(&self, claim: &KeyClaim) -> Result<(), Reject> {
        Ok(self.registry.check_claim(claim)?)
    }

    /// Gives the sender another key in the place of the one with which it signs.
    pub(super) fn replace_key(
        &mut self,
        (sender, role): (&MemberId, Role),
        claim: &KeyClaim,
        events: &mut Vec<Event>,
    ) -> Result<(), Reject> {
        if claim.member != *sender || claim.role != role {
            return Err(KeyRefusal::NotTheHolder { member: sender.clone() }.into());
        }
        self.registry.check_claim(claim)?;
        self.put_key((sender.clone(), role), claim.key, Vec::new(), events);
        Ok(())
    }

    /// Takes a colleague's word that a key is lost, and which one is in its place.
    pub(super) fn sign_recovery(
        &mut self,
        sender: &MemberId,
        claim: &KeyClaim,
        events: &mut Vec<Event>,
    ) -> Result<(), Reject> {
        let org = claim.member.org();
        if !self.registry.is_colleague(sender, &claim.member) {
            return Err(KeyRefusal::NotAColleague { org }.into());
        }
        self.registry.check_claim(claim)?;
        let too_few = || KeyRefusal::TooFew { org, colleagues: self.registry.colleagues(&claim.member) };
        let needed = self.colleagues_needed(&claim.member).ok_or_else(too_few)?;
        let (place, key) = ((claim.member.clone(), claim.role), claim.key);
        let known = self.registry.recoveries.get(&place).cloned();
        let mut recovery = known.unwrap_or_else(|| Recovery::of(claim.replaces));
        if let Some(Agreement { due, .. }) = recovery.agreed {
            return Err(KeyRefusal::Agreed { due }.into());
        }
        let (time, rules) = (self.registry.time, self.registry.constitution.recovery);
        recovery.signatures.insert(sender.clone(), RecoverySignature { key, at: time });
        let (member, role) = place.clone();
        events.push(Event::RecoverySigned { member: member.clone(), role, key, signer: sender.clone() });
        let signers = recovery.signers(key, rules, time);
        if self.registry.colleagues_among(signers, &member) >= needed {
            let due = time.after(rules.delay);
            recovery.agreed = Some(Agreement { key, due });
            events.push(Event::RecoveryAgreed { member, role, key, due });
        }
        self.keep_recovery(place, Some(recovery));
        Ok(())
    }

    /// The holder of the key refuses a recovery, or a colleague who signed it takes its word back: what was agreed on is void.
    pub(super) fn stop_recovery(
        &mut self,
        (sender, signs_as): (&MemberId, Role),
        place: KeyPlace,
        events: &mut Vec<Event>,
    ) -> Result<(), Reject> {
        let (member, role) = place.clone();
        let nothing = || KeyRefusal::Nothing { member: member.clone(), role };
        let mut recovery = self.registry.recoveries.get(&place).cloned().ok_or_else(nothing)?;
        let is_holder = *sender == member && signs_as == role;
        if !is_holder && recovery.signatures.remove(sender).is_none() {
            return Err(nothing().into());
        }
        recovery.agreed = None;
        let is_left = !is_holder && !recovery.signatures.is_empty();
        self.keep_recovery(place, is_left.then_some(recovery));
        events.push(Event::RecoveryStopped { member, role, by: Some(sender.clone()) });
        Ok(())
    }

    /// The delay of a recovery is over: the key is another, unless somebody has come to have it since, or too few of those who
    /// signed are still there.
    pub(super) fn recover(&mut self, place: KeyPlace, events: &mut Vec<Event>) {
        let Some(recovery) = self.registry.recoveries.get(&place).cloned() else { return };
        let Some(Agreement { key, .. }) = recovery.agreed else { return };
        let (member, role) = place.clone();
        let signers = recovery.signatures.iter().filter(|(_, signature)| signature.key == key);
        let signers = signers.map(|(signer, _)| signer);
        // Whoever has left since is heard no more.
        let still = self.registry.colleagues_among(signers.clone(), &member);
        let is_enough = self.colleagues_needed(&member).is_some_and(|needed| still >= needed);
        if !is_enough || self.registry.has_key(key) {
            self.keep_recovery(place, None);
            events.push(Event::RecoveryStopped { member, role, by: None });
            return;
        }
        let signers = signers.cloned().collect();
        self.put_key(place, key, signers, events);
    }

    /// Drops what colleagues have said about keys that are not their members' any more.
    pub(super) fn drop_void_recoveries(&mut self) {
        let is_void = |((member, role), recovery): &(&KeyPlace, &Recovery)| {
            self.registry.key_of(member, *role) != Some(recovery.replaces)
        };
        let void = self.registry.recoveries.iter().filter(is_void);
        let void: Vec<KeyPlace> = void.map(|(place, _)| place.clone()).collect();
        for place in void {
            self.keep_recovery(place, None);
        }
    }

    /// Whether a colleague has said just this and is still heard.
    pub(crate) fn has_signed_recovery(&self, sender: &MemberId, claim: &KeyClaim) -> bool {
        let recovery = self.recovery(&claim.member, claim.role);
        let (rules, time) = (self.registry.constitution.recovery, self.registry.time);
        recovery.is_some_and(|recovery| {
            recovery.replaces == claim.replaces
                && recovery.signers(claim.key, rules, time).any(|signer| signer == sender)
        })
    }

    fn put_key(
        &mut self,
        place: KeyPlace,
        key: PublicKey,
        recovered_by: Vec<MemberId>,
        events: &mut Vec<Event>,
    ) {
        let (member, role) = place.clone();
        self.keep_recovery(place, None);
        let replaced = self.registry.replace_key((&member, role), key);
        events.extend(replaced.map(|replaces| Event::KeyReplaced {
            member,
            role,
            replaces,
            key,
            recovered_by,
        }));
    }

    /// Keeps what is said about a key from here on, and its timer in step with it.
    fn keep_recovery(&mut self, place: KeyPlace, after: Option<Recovery>) {
        let due = |recovery: &Recovery| Some((recovery.agreed?.due, Timer::Recovery(place.clone())));
        if let Some(timer) = self.registry.recoveries.get(&place).and_then(due) {
            self.deadlines.remove(&timer);
        }
        if let Some(timer) = after.as_ref().and_then(due) {
            self.deadlines.insert(timer, ());
        }
        match after {
            Some(recovery) => drop(self.registry.recoveries.insert(place, recovery)),
            None => drop(self.registry.recoveries.remove(&place)),
        }
        self.registry.touched.insert(LeafKey::Recoveries);
    }
}

impl Registry {
    /// People of the member's organisation beside itself.
    fn colleagues(&self, member: &MemberId) -> usize {
        self.colleagues_among(self.members.keys(), member)
    }

    fn colleagues_among<'a>(&self, ids: impl Iterator<Item = &'a MemberId>, member: &MemberId) -> usize {
        ids.filter(|id| self.is_colleague(id, member)).count()
    }

    /// Whether somebody is another person of the member's organisation.
    fn is_colleague(&self, id: &MemberId, member: &MemberId) -> bool {
        let is_person = |held: &Arc<Member>| held.keys.keys().any(|role| role.is_personal());
        id != member && id.org_str() == member.org_str() && self.members.get(id).is_some_and(is_person)
    }

    /// Refuses a claim of a key that is not to be had so, by its cheapest test first.
    fn check_claim(&self, claim: &KeyClaim) -> Result<(), KeyRefusal> {
        if !claim.role.is_personal() {
            return Err(KeyRefusal::ByProposal { role: claim.role });
        }
        if self.key_of(&claim.member, claim.role) != Some(claim.replaces) {
            return Err(KeyRefusal::Stale { member: claim.member.clone(), role: claim.role });
        }
        if self.has_key(claim.key) {
            return Err(KeyRefusal::Taken);
        }
        claim.verify(self.network).map_err(|_| KeyRefusal::Proof)
    }

    fn key_of(&self, member: &MemberId, role: Role) -> Option<PublicKey> {
        self.members.get(member).and_then(|held| held.keys.get(&role)).copied()
    }

    /// Whether anybody has a key, for whatever it may be, or was given it by the mesh and has replaced it.
    fn has_key(&self, key: PublicKey) -> bool {
        let mut validators = self.organisations.values().map(|held| &held.validator);
        let mut observers = self.observers.values();
        let mut members = self.members.values();
        validators.any(|held| held.node == key || held.consensus == key)
            || observers.any(|held| held.node == key)
            || members.any(|held| held.keys.values().chain(held.given.values()).any(|known| *known == key))
    }

    /// Puts another key in the place of a member's, and yields that one.
    fn replace_key(&mut self, (member, role): (&MemberId, Role), key: PublicKey) -> Option<PublicKey> {
        let held = Arc::make_mut(self.members.get_mut(member)?);
        let replaces = held.keys.insert(role, key)?;
        held.given.entry(role).or_insert(replaces);
        self.touched.insert(LeafKey::Members);
        Some(replaces)
    }
}

impl Member {
    /// The keys as the mesh has decided on them: what a member replaced by itself is another decision of nobody.
    #[must_use]
    pub fn decided_keys(&self) -> BTreeMap<Role, PublicKey> {
        let mut keys = self.keys.clone();
        keys.extend(&self.given);
        keys
    }

    /// Takes over what the mesh decides about the member. A key that it gave before and that the member has replaced since
    /// stays replaced: whoever wrote the record may not have known, and that key may be in other hands.
    pub(crate) fn take_record(&mut self, record: &MemberRecord) {
        let given = std::mem::take(&mut self.given);
        let replaced: BTreeMap<_, _> =
            given.into_iter().filter(|(role, key)| record.keys.get(role) == Some(key)).collect();
        let kept =
            replaced.keys().filter_map(|role| Some((*role, *self.keys.get(role)?))).collect::<Vec<_>>();
        self.weight = record.weight;
        self.keys = record.keys.clone();
        self.keys.extend(kept);
        self.given = replaced;
    }
}

#[cfg(test)]
mod tests;
