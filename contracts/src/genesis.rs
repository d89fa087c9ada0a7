//! Owns the genesis document: who takes part in a mesh at height 0, with which keys, targets and rules.
//!
//! Its digest is the network's identity and is bound into every signature.

use std::collections::{BTreeMap, BTreeSet};

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

use crate::{
    constitution::Constitution,
    digest::{Digest, Purpose},
    name::{Line, MemberId, Name, OrgId, TargetId},
    parties::{Parties, PartiesError},
    quantity::{TimeMs, Weight},
    role::Role,
    signature::PublicKey,
};

/// Version of the genesis form.
pub const GENESIS_SCHEMA: u16 = 3;
/// Most organisations.
pub const ORGANISATIONS_MAX: usize = 100;
/// Most members, those who left among them.
pub const MEMBERS_MAX: usize = 10_000;
/// Most targets.
pub const TARGETS_MAX: usize = 10_000;

/// The beginning of a mesh.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// Version of this form, 3.
    pub schema: u16,
    /// The mesh's name, for people.
    pub name: Name,
    /// Time of height 0.
    pub time: TimeMs,
    /// The rules in force at height 0.
    pub constitution: Constitution,
    /// Organisations with their validators, in any order.
    pub organisations: BTreeMap<OrgId, OrganisationRecord>,
    /// Members with a key for each role.
    pub members: BTreeMap<MemberId, MemberRecord>,
    /// Nodes that may read the ledger without validating.
    pub observers: BTreeMap<Name, ObserverRecord>,
    /// What is governed.
    pub targets: BTreeMap<TargetId, TargetRecord>,
}

/// An organisation.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OrganisationRecord {
    /// Consensus weight of the whole organisation.
    pub weight: Weight,
    /// Its validator.
    pub validator: ValidatorRecord,
}

/// A validator's keys.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidatorRecord {
    /// The libp2p key of its node.
    pub node: PublicKey,
    /// The key that signs consensus messages.
    pub consensus: PublicKey,
}

/// A node that reads.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObserverRecord {
    /// Whose it is.
    pub org: OrgId,
    /// The libp2p key of the node.
    pub node: PublicKey,
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberRecord {
    /// Voting weight; counts only with a voter key.
    pub weight: Weight,
    /// One key for each role held.
    pub keys: BTreeMap<Role, PublicKey>,
}

/// A governed thing.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetRecord {
    /// Whose it is.
    pub owner: OrgId,
    /// The provider that acts on it.
    pub provider: Name,
    /// Where it is, for the residency rule.
    pub jurisdiction: Name,
    /// How much depends on it.
    pub tier: Tier,
    /// Base URLs of its service instances, in order, for health probes; empty when it serves nothing.
    pub endpoints: Vec<Line>,
    /// Members that may act on it.
    pub executors: BTreeSet<MemberId>,
}

/// How much depends on a target.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Tier {
    /// Tests and trials.
    Low,
    /// Ordinary production.
    Medium,
    /// Others depend on it.
    High,
}

/// Why a genesis document cannot start a mesh.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GenesisError {
    /// Another version of the form.
    #[error("genesis schema {found} is not known, this build reads {GENESIS_SCHEMA}")]
    Schema {
        /// As given.
        found: u16,
    },
    /// Those who take part do not form a mesh.
    #[error(transparent)]
    Parties(#[from] PartiesError),
    /// The rules cannot be in force.
    #[error("the constitution cannot be in force")]
    Constitution(#[from] crate::constitution::ConstitutionError),
}

impl Genesis {
    /// The network's identity: the digest of the canonical encoding.
    #[must_use]
    pub fn network(&self) -> Digest {
        Digest::of_object(Purpose::Genesis, self)
    }

    /// Checks everything that the rules later rely on.
    ///
    /// # Errors
    /// Names the first thing that does not hold.
    pub fn check(&self) -> Result<(), GenesisError> {
        if self.schema != GENESIS_SCHEMA {
            return Err(GenesisError::Schema { found: self.schema });
        }
        self.constitution.check()?;
        let parties = Parties::of_genesis(self);
        parties.check()?;
        Ok(self.constitution.check_reach(&parties.holders())?)
    }
}
