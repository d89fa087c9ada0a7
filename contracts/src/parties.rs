//! Owns who takes part in a mesh and what is governed, as one whole that has to hold together: the same for a genesis, and for
//! what acts would leave behind.

use std::{borrow::Cow, collections::BTreeMap};

mod check;

pub use check::{ENDPOINTS_MAX, OBSERVERS_MAX, PartiesError, WEIGHT_MAX};

use crate::{
    act::Act,
    certificate::Roster,
    constitution::Holders,
    genesis::{Genesis, MemberRecord, ObserverRecord, OrganisationRecord, TargetRecord},
    name::{MemberId, Name, OrgId, TargetId},
    quantity::Weight,
    role::Role,
    signature::PublicKey,
    state::{Member, Registry},
};

/// Everyone and everything, by name.
#[derive(Debug, Clone)]
pub(crate) struct Parties<'a> {
    organisations: BTreeMap<&'a str, (&'a OrgId, &'a OrganisationRecord)>,
    observers: BTreeMap<&'a Name, &'a ObserverRecord>,
    members: BTreeMap<&'a MemberId, Held<'a>>,
    /// Members that left, whose names stay taken.
    past_members: usize,
    targets: BTreeMap<&'a TargetId, &'a TargetRecord>,
}

/// What a member has.
#[derive(Debug, Clone)]
struct Held<'a> {
    weight: Weight,
    keys: Cow<'a, BTreeMap<Role, PublicKey>>,
    /// Keys that the mesh gave and that were replaced since; nobody else may have them.
    given: Cow<'a, BTreeMap<Role, PublicKey>>,
}

impl<'a> Held<'a> {
    fn of_record(record: &'a MemberRecord) -> Self {
        Self { weight: record.weight, keys: Cow::Borrowed(&record.keys), given: Cow::default() }
    }

    fn of_member(member: &'a Member) -> Self {
        let (keys, given) = (Cow::Borrowed(&member.keys), Cow::Borrowed(&member.given));
        Self { weight: member.weight, keys, given }
    }

    /// The same after the mesh has decided on its record.
    fn after(self, record: &MemberRecord) -> Self {
        let (weight, keys, given) = (self.weight, self.keys.into_owned(), self.given.into_owned());
        let mut member = Member { weight, keys, given, ..Member::default() };
        member.take_record(record);
        let (keys, given) = (Cow::Owned(member.keys), Cow::Owned(member.given));
        Self { weight: member.weight, keys, given }
    }
}

impl<'a> Parties<'a> {
    pub(crate) fn of_genesis(genesis: &'a Genesis) -> Self {
        let members = genesis.members.iter();
        Self {
            organisations: by_name(&genesis.organisations),
            observers: genesis.observers.iter().collect(),
            members: members.map(|(id, record)| (id, Held::of_record(record))).collect(),
            past_members: 0,
            targets: genesis.targets.iter().collect(),
        }
    }

    pub(crate) fn of_registry(registry: &'a Registry) -> Self {
        let members = registry.members.iter().filter(|(_, member)| !member.has_left());
        let members: BTreeMap<_, _> = members.map(|(id, member)| (id, Held::of_member(member))).collect();
        Self {
            organisations: by_name(&registry.organisations),
            observers: registry.observers.iter().collect(),
            past_members: registry.members.len().saturating_sub(members.len()),
            members,
            targets: registry.targets.iter().map(|(id, target)| (id, &target.record)).collect(),
        }
    }

    /// The same after these acts. An organisation takes its members and observers along when it leaves.
    pub(crate) fn after(mut self, acts: &'a [Act]) -> Self {
        for act in acts {
            self.take(act);
        }
        self
    }

    fn take(&mut self, act: &'a Act) {
        match act {
            Act::Amend { .. } | Act::Ratify { .. } | Act::Reinstate { .. } | Act::Awaken { .. } => {}
            Act::SetOrganisation { organisation, record } => {
                self.organisations.insert(organisation.as_str(), (organisation, record));
            }
            Act::RemoveOrganisation { organisation } => {
                self.organisations.remove(organisation.as_str());
                self.observers.retain(|_, observer| observer.org != *organisation);
                let before = self.members.len();
                self.members.retain(|member, _| member.org_str() != organisation.as_str());
                self.past_members =
                    self.past_members.saturating_add(before.saturating_sub(self.members.len()));
            }
            Act::SetMember { member, record } => {
                let after = match self.members.remove(member) {
                    Some(held) => held.after(record),
                    None => Held::of_record(record),
                };
                self.members.insert(member, after);
            }
            Act::RemoveMember { member } => {
                let left = self.members.remove(member).is_some();
                self.past_members = self.past_members.saturating_add(left.into());
            }
            Act::SetObserver { observer, record } => drop(self.observers.insert(observer, record)),
            Act::RemoveObserver { observer } => drop(self.observers.remove(observer)),
            Act::SetTarget { target, record } => drop(self.targets.insert(target, record)),
            Act::RemoveTarget { target } => drop(self.targets.remove(target)),
        }
    }

    /// Who holds which role.
    pub(crate) fn holders(&self) -> Holders<'_> {
        Holders::new(self.members.iter().map(|(id, held)| (*id, &*held.keys, held.weight)))
    }

    /// The validators.
    pub(crate) fn roster(&self) -> Roster {
        Roster::of(self.organisations.values().copied())
    }
}

fn by_name(
    organisations: &BTreeMap<OrgId, OrganisationRecord>,
) -> BTreeMap<&str, (&OrgId, &OrganisationRecord)> {
    organisations.iter().map(|(org, record)| (org.as_str(), (org, record))).collect()
}
