//! Owns how members and targets are shown.

use std::collections::BTreeMap;

use althing_contracts::{
    document::Action,
    name::{MemberId, TargetId},
    state::{Member, Target},
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
    /// Vetoes used.
    pub vetoes: u16,
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
    /// Shows a member.
    pub fn new(id: &MemberId, member: &Member) -> Self {
        Self {
            id: id.to_string(),
            org: id.org_str().to_owned(),
            weight: member.weight.get(),
            roles: member.keys.keys().map(ToString::to_string).collect(),
            vetoes: member.vetoes,
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
