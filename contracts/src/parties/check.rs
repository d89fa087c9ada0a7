//! Owns what the parties of a mesh must satisfy: everything that the rules later rely on.

use std::collections::BTreeMap;

use crate::{
    genesis::{MEMBERS_MAX, ORGANISATIONS_MAX, TARGETS_MAX, TargetRecord},
    name::{MemberId, TargetId},
    parties::{Held, Parties},
    quantity::Weight,
    role::Role,
    signature::PublicKey,
};

/// Largest weight of one party: the sum over every party stays far inside the range of a count.
pub const WEIGHT_MAX: Weight = Weight::new(1_000_000_000);
/// Most observers.
pub const OBSERVERS_MAX: usize = 1_000;
/// Most service instances of one target.
pub const ENDPOINTS_MAX: usize = 16;

/// Why parties cannot form a mesh.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PartiesError {
    /// A count outside its bounds.
    #[error("{found} {what} are given; from {min} to {max} are allowed")]
    Count {
        /// Of what.
        what: &'static str,
        /// As given.
        found: usize,
        /// Lower bound.
        min: usize,
        /// Upper bound.
        max: usize,
    },
    /// A reference to something that does not exist.
    #[error("{whose} names {missing}, which the mesh does not have")]
    Missing {
        /// Who refers.
        whose: String,
        /// To what.
        missing: String,
    },
    /// Two roles or parties share one key.
    #[error("{first} and {second} share one key; every role needs its own")]
    SharedKey {
        /// One of them.
        first: String,
        /// The other.
        second: String,
    },
    /// A member is both a voter and an executor, or an auditor with another role.
    #[error("{member} holds {first} and {second}, which must be separate people or machines")]
    RoleConflict {
        /// Who.
        member: MemberId,
        /// One role.
        first: Role,
        /// The other.
        second: Role,
    },
    /// A weight of zero, or a sum above the range.
    #[error("{whose} has weight {found}; it must be from 1 to {max}")]
    Weight {
        /// Whose.
        whose: String,
        /// As given.
        found: Weight,
        /// Upper bound.
        max: Weight,
    },
}

impl Parties<'_> {
    /// Names the first thing that does not hold.
    pub(crate) fn check(&self) -> Result<(), PartiesError> {
        self.check_counts()?;
        self.check_organisations()?;
        for (member, held) in &self.members {
            self.check_member(member, held)?;
        }
        for (target, record) in &self.targets {
            self.check_target(target, record)?;
        }
        self.check_keys()
    }

    fn check_counts(&self) -> Result<(), PartiesError> {
        count("organisations", self.organisations.len(), 1, ORGANISATIONS_MAX)?;
        let members = self.members.len().saturating_add(self.past_members);
        count("members, those who left among them,", members, 1, MEMBERS_MAX)?;
        count("observers", self.observers.len(), 0, OBSERVERS_MAX)?;
        count("targets", self.targets.len(), 0, TARGETS_MAX)
    }

    fn check_organisations(&self) -> Result<(), PartiesError> {
        for (org, record) in self.organisations.values() {
            weight(&format!("organisation {org}"), record.weight, 1)?;
        }
        for (name, observer) in &self.observers {
            if !self.organisations.contains_key(observer.org.as_str()) {
                return Err(missing(&format!("observer {name}"), observer.org.as_str()));
            }
        }
        Ok(())
    }

    fn check_member(&self, member: &MemberId, held: &Held<'_>) -> Result<(), PartiesError> {
        if !self.organisations.contains_key(member.org_str()) {
            return Err(missing(&format!("member {member}"), member.org_str()));
        }
        let least = u64::from(held.keys.contains_key(&Role::Voter));
        weight(&format!("member {member}"), held.weight, least)?;
        let conflict = |first, second| {
            let both = held.keys.contains_key(&first) && held.keys.contains_key(&second);
            if both {
                Err(PartiesError::RoleConflict { member: member.clone(), first, second })
            } else {
                Ok(())
            }
        };
        conflict(Role::Voter, Role::Executor)?;
        Role::ALL
            .into_iter()
            .filter(|role| *role != Role::Auditor)
            .try_for_each(|role| conflict(Role::Auditor, role))
    }

    fn check_target(&self, target: &TargetId, record: &TargetRecord) -> Result<(), PartiesError> {
        let whose = format!("target {target}");
        if !self.organisations.contains_key(record.owner.as_str()) {
            return Err(missing(&whose, record.owner.as_str()));
        }
        count("endpoints of a target", record.endpoints.len(), 0, ENDPOINTS_MAX)?;
        count("executors of a target", record.executors.len(), 1, MEMBERS_MAX)?;
        for executor in &record.executors {
            let holds = |held: &Held<'_>| held.keys.contains_key(&Role::Executor);
            if executor.org_str() != record.owner.as_str() || !self.members.get(executor).is_some_and(holds) {
                return Err(missing(&whose, &format!("executor {executor} of {}", record.owner)));
            }
        }
        Ok(())
    }

    fn check_keys(&self) -> Result<(), PartiesError> {
        let mut seen: BTreeMap<PublicKey, String> = BTreeMap::new();
        let mut claim = |key: PublicKey, whose: String| match seen.insert(key, whose.clone()) {
            Some(first) => Err(PartiesError::SharedKey { first, second: whose }),
            None => Ok(()),
        };
        for (org, record) in self.organisations.values() {
            claim(record.validator.node, format!("node of {org}"))?;
            claim(record.validator.consensus, format!("validator of {org}"))?;
        }
        for (name, observer) in &self.observers {
            claim(observer.node, format!("observer {name}"))?;
        }
        for (member, held) in &self.members {
            for (role, key) in held.keys.iter().chain(held.given.iter()) {
                claim(*key, format!("{role} {member}"))?;
            }
        }
        Ok(())
    }
}

fn count(what: &'static str, found: usize, min: usize, max: usize) -> Result<(), PartiesError> {
    if (min..=max).contains(&found) { Ok(()) } else { Err(PartiesError::Count { what, found, min, max }) }
}

fn weight(whose: &str, found: Weight, min: u64) -> Result<(), PartiesError> {
    if found.get() >= min && found <= WEIGHT_MAX {
        return Ok(());
    }
    Err(PartiesError::Weight { whose: whose.to_owned(), found, max: WEIGHT_MAX })
}

fn missing(whose: &str, missing: &str) -> PartiesError {
    PartiesError::Missing { whose: whose.to_owned(), missing: missing.to_owned() }
}
