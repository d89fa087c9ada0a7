//! Owns who took part, as far as questions are asked of it: the genesis, with what was carried out since.

use std::collections::BTreeMap;

use althing_contracts::{
    act::Act,
    constitution::Track,
    genesis::{Genesis, MemberRecord, Tier},
    name::{MemberId, OrgId, TargetId},
    role::Role,
    signature::PublicKey,
};

/// Members, validators and targets.
#[derive(Debug, Clone)]
pub(super) struct Parties {
    members: BTreeMap<MemberId, MemberRecord>,
    validators: BTreeMap<OrgId, (PublicKey, u64)>,
    tiers: BTreeMap<TargetId, Tier>,
}

impl Parties {
    pub(super) fn founding(genesis: &Genesis) -> Self {
        let validators = genesis.organisations.iter();
        Self {
            members: genesis.members.clone(),
            validators: validators
                .map(|(org, record)| (org.clone(), (record.validator.consensus, record.weight.get())))
                .collect(),
            tiers: genesis.targets.iter().map(|(id, record)| (id.clone(), record.tier)).collect(),
        }
    }

    pub(super) fn carry_out(&mut self, act: &Act) {
        match act {
            Act::SetOrganisation { organisation, record } => {
                let seat = (record.validator.consensus, record.weight.get());
                self.validators.insert(organisation.clone(), seat);
            }
            Act::RemoveOrganisation { organisation } => {
                self.validators.remove(organisation);
                self.members.retain(|member, _| member.org() != *organisation);
            }
            Act::SetMember { member, record } => drop(self.members.insert(member.clone(), record.clone())),
            Act::RemoveMember { member } => drop(self.members.remove(member)),
            Act::SetTarget { target, record } => drop(self.tiers.insert(target.clone(), record.tier)),
            Act::RemoveTarget { target } => drop(self.tiers.remove(target)),
            Act::Amend { .. }
            | Act::SetObserver { .. }
            | Act::RemoveObserver { .. }
            | Act::Ratify { .. }
            | Act::Reinstate { .. }
            | Act::Awaken { .. } => {}
        }
    }

    /// The voters with their weights.
    pub(super) fn voters(&self) -> BTreeMap<&MemberId, u128> {
        let voters = self.members.iter().filter(|(_, record)| record.keys.contains_key(&Role::Voter));
        voters.map(|(id, record)| (id, u128::from(record.weight.get()))).collect()
    }

    /// How many guardians there are.
    pub(super) fn guardians(&self) -> usize {
        self.members.values().filter(|record| record.keys.contains_key(&Role::Guardian)).count()
    }

    pub(super) fn tier(&self, target: &TargetId) -> Option<Tier> {
        self.tiers.get(target).copied()
    }

    /// The weight of these validators and of all; `None` when one is a stranger.
    pub(super) fn weigh<'a>(&self, keys: impl Iterator<Item = &'a PublicKey>) -> Option<(u128, u128)> {
        let weights: BTreeMap<_, u128> =
            self.validators.values().map(|(key, weight)| (key, u128::from(*weight))).collect();
        let signed = keys.map(|key| weights.get(key).copied()).sum::<Option<u128>>()?;
        Some((signed, weights.values().sum()))
    }

    /// Standard when it only awakens governance; constitutional when it is about the rules, an organisation, or who has a
    /// say; high otherwise.
    pub(super) fn track_of(&self, acts: &[Act]) -> Track {
        let decides = |record: &MemberRecord| {
            record.keys.keys().any(|role| !matches!(role, Role::Author | Role::Executor))
        };
        let did_before = |member: &MemberId| self.members.get(member).is_some_and(decides);
        let is_constitutional = |act: &Act| match act {
            Act::Amend { .. }
            | Act::SetOrganisation { .. }
            | Act::RemoveOrganisation { .. }
            | Act::Reinstate { .. } => true,
            Act::SetMember { member, record } => decides(record) || did_before(member),
            Act::RemoveMember { member } => did_before(member),
            _ => false,
        };
        match acts {
            [Act::Awaken { .. }] => Track::Standard,
            _ if acts.iter().any(is_constitutional) => Track::Constitutional,
            _ => Track::High,
        }
    }
}
