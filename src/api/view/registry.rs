//! Owns how organisations, members and targets are shown.

use std::collections::BTreeMap;

use althing_contracts::{
    bond::BondAccount,
    document::Action,
    genesis::OrganisationRecord,
    name::{MemberId, OrgId, TargetId},
    role::Role,
    state::{Member, State, Target},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MemberView {
    /// Written `organisation/name`.
    pub id: String,
    /// Whose.
    pub org: String,
    /// Voting weight.
    pub weight: u64,
    /// Roles held.
    pub roles: Vec<String>,
    /// The public key of each role.
    pub keys: BTreeMap<String, String>,
    /// Vetoes used.
    pub vetoes: u16,
    /// An author's account of points; absent for who is no author.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points: Option<PointsView>,
}

/// The points of an author.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PointsView {
    /// All of them.
    pub account: u32,
    /// What no bond takes: as much can be asked for at once.
    pub free: u32,
    /// The bonds of its open proposals.
    pub held: u32,
    /// Bonds that were lost, until they come back.
    pub lost: u32,
}

/// An organisation with its nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OrganisationView {
    /// Its name.
    pub id: String,
    /// Consensus weight of its validator.
    pub weight: u64,
    /// Public key of its validator's node.
    pub node: String,
    /// Public key of its validator.
    pub consensus: String,
    /// Its nodes that read the ledger, by name, each with its public key.
    pub observers: BTreeMap<String, String>,
}

/// A governed target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TargetView {
    /// Its name.
    pub id: String,
    /// Whose it is.
    pub owner: String,
    /// The provider that acts on it.
    pub provider: String,
    /// Where it is, for the residency rule.
    pub jurisdiction: String,
    /// How much depends on it: `low`, `medium` or `high`.
    pub tier: String,
    /// Base URLs of its service instances.
    pub endpoints: Vec<String>,
    /// Members that may act on it.
    pub executors: Vec<String>,
    /// What is applied to each resource.
    #[schema(value_type = BTreeMap<String, super::document::Action>)]
    pub applied: BTreeMap<String, Action>,
    /// The proposal that acts on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub busy: Option<String>,
}

impl MemberView {
    /// Shows a member of `state`.
    pub fn new(state: &State, id: &MemberId, member: &Member) -> Self {
        Self {
            id: id.to_string(),
            org: id.org_str().to_owned(),
            weight: member.weight.get(),
            roles: member.keys.keys().map(ToString::to_string).collect(),
            keys: member.keys.iter().map(|(role, key)| (role.to_string(), key.to_string())).collect(),
            vetoes: member.vetoes,
            points: member
                .keys
                .contains_key(&Role::Author)
                .then(|| PointsView::new(state, id, &member.bonds)),
        }
    }
}

impl PointsView {
    fn new(state: &State, author: &MemberId, account: &BondAccount) -> Self {
        Self {
            account: state.constitution().bonds.account.get(),
            free: state.free_points(author).get(),
            held: account.held().get(),
            lost: account.lost(state.time()).get(),
        }
    }
}

impl OrganisationView {
    /// Shows an organisation of `state`.
    pub fn new(state: &State, id: &OrgId, record: &OrganisationRecord) -> Self {
        let observers = state.observers().filter(|(_, observer)| observer.org == *id);
        Self {
            id: id.to_string(),
            weight: record.weight.get(),
            node: record.validator.node.to_string(),
            consensus: record.validator.consensus.to_string(),
            observers: observers
                .map(|(name, observer)| (name.to_string(), observer.node.to_string()))
                .collect(),
        }
    }
}

impl TargetView {
    /// Shows a target.
    pub fn new(id: &TargetId, target: &Target) -> Self {
        let record = &target.record;
        let applied = target.applied.iter().map(|(resource, action)| (resource.to_string(), action.clone()));
        Self {
            id: id.to_string(),
            owner: record.owner.to_string(),
            provider: record.provider.to_string(),
            jurisdiction: record.jurisdiction.to_string(),
            tier: super::kebab(&record.tier),
            endpoints: record.endpoints.iter().map(ToString::to_string).collect(),
            executors: record.executors.iter().map(ToString::to_string).collect(),
            applied: applied.collect(),
            busy: target.busy.map(|id| id.to_string()),
        }
    }
}
