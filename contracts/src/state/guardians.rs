//! Owns the powers of guardians: to declare and sign emergencies, and to veto. They end with a term, and with an emergency that
//! the members did not ratify.
//!
//! Co-signatures are a duty and not one of these powers: if they ended too, what gives them back could not be decided any more.

use crate::{
    act::Act,
    constitution::Constitution,
    document::ProposalDocument,
    emergency::{EmergencyId, EmergencyStage, Mandate},
    event::Event,
    expiry::Expiring,
    genesis::Genesis,
    name::MemberId,
    reject::Reject,
    role::Role,
    state::{LeafKey, Registry},
    transaction::ProposalId,
};

/// The terms of the guardians of a genesis.
pub(super) fn first_terms(genesis: &Genesis) -> std::collections::BTreeMap<MemberId, Mandate> {
    let until = genesis.time.after(genesis.constitution.emergency.term);
    let guardians = genesis.members.iter().filter(|(_, record)| record.keys.contains_key(&Role::Guardian));
    guardians.map(|(id, _)| (id.clone(), Mandate { until, suspended_by: None })).collect()
}

impl Registry {
    /// Refuses a guardian whose powers have ended or are suspended; one without any mandate has none.
    pub(crate) fn check_power(&self, guardian: &MemberId) -> Result<(), Reject> {
        let held = self.members.get(guardian);
        if !held.is_some_and(|held| held.keys.contains_key(&Role::Guardian)) {
            return Err(Reject::NotInRole { member: guardian.clone(), role: Role::Guardian });
        }
        let mandate = self.mandates.get(guardian).filter(|mandate| mandate.until > self.time);
        match mandate {
            None => Err(Reject::TermOver { member: guardian.clone() }),
            Some(Mandate { suspended_by: Some(by), .. }) => {
                Err(Reject::PowerSuspended { member: guardian.clone(), by: *by })
            }
            Some(_) => Ok(()),
        }
    }

    /// Whether a document decides about the powers of guardians and about nothing else.
    pub(crate) fn is_about_guardians(&self, document: &ProposalDocument) -> bool {
        let is_about = |act: &Act| match act {
            Act::Ratify { .. } | Act::Reinstate { .. } => true,
            Act::Amend { constitution } => {
                let rules = &*self.constitution;
                let kept = Constitution {
                    version: rules.version,
                    vetoes_per_guardian: rules.vetoes_per_guardian,
                    emergency: rules.emergency,
                    ..(**constitution).clone()
                };
                kept == *rules
            }
            _ => false,
        };
        !document.acts.is_empty() && document.acts.iter().all(is_about)
    }

    /// Whether a document takes a guardian's own role or membership away.
    pub(crate) fn removes(document: &ProposalDocument, guardian: &MemberId) -> bool {
        document.acts.iter().any(|act| match act {
            Act::RemoveMember { member } => member == guardian,
            Act::SetMember { member, record } => {
                member == guardian && !record.keys.contains_key(&Role::Guardian)
            }
            Act::RemoveOrganisation { organisation } => organisation.as_str() == guardian.org_str(),
            _ => false,
        })
    }

    /// A member who becomes a guardian for the first time has the powers of one for a term; who was one before has what is left.
    pub(crate) fn begin_first_term(&mut self, member: &MemberId) {
        let guards = self.members.get(member).is_some_and(|held| held.keys.contains_key(&Role::Guardian));
        if guards && !self.mandates.contains_key(member) {
            let until = self.time.after(self.constitution.emergency.term);
            self.mandates.insert(member.clone(), Mandate { until, suspended_by: None });
            self.touched.insert(LeafKey::Mandates);
            self.warn_of(Expiring::Term { guardian: member.clone() }, until);
        }
    }

    /// Gives a guardian the powers of one for a term from this block on.
    pub(crate) fn reinstate(&mut self, guardian: &MemberId, proposal: ProposalId, events: &mut Vec<Event>) {
        let until = self.time.after(self.constitution.emergency.term);
        self.mandates.insert(guardian.clone(), Mandate { until, suspended_by: None });
        self.touched.insert(LeafKey::Mandates);
        self.warn_of(Expiring::Term { guardian: guardian.clone() }, until);
        events.push(Event::Reinstated { proposal, guardian: guardian.clone(), until });
    }

    /// The members stand by an emergency: its measures go on to their expiry.
    pub(crate) fn ratify(&mut self, emergency: EmergencyId, proposal: ProposalId, events: &mut Vec<Event>) {
        self.change_emergency(emergency, |held| held.stage = EmergencyStage::Ratified);
        events.push(Event::EmergencyRatified { emergency, proposal });
    }

    /// Takes their powers from those who signed an emergency that was not ratified.
    pub(crate) fn suspend<'a>(&mut self, signers: impl Iterator<Item = &'a MemberId>, by: EmergencyId) {
        for signer in signers {
            if let Some(mandate) = self.mandates.get_mut(signer) {
                mandate.suspended_by = Some(by);
            }
        }
        self.touched.insert(LeafKey::Mandates);
    }
}
