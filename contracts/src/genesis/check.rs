//! Owns what a genesis document must satisfy before it can start a mesh.

use std::collections::BTreeMap;

use crate::{
    constitution::Holders,
    genesis::{
        GENESIS_SCHEMA, Genesis, GenesisError, MEMBERS_MAX, MemberRecord, ORGANISATIONS_MAX, TARGETS_MAX,
        TargetRecord,
    },
    name::{MemberId, TargetId},
    quantity::Weight,
    role::Role,
    signature::PublicKey,
};

/// Largest weight of one party: the sum over every party stays far inside the range of a count.
pub const WEIGHT_MAX: Weight = Weight::new(1_000_000_000);
/// Most observers at genesis.
pub const OBSERVERS_MAX: usize = 1_000;
/// Most service instances of one target.
pub const ENDPOINTS_MAX: usize = 16;

impl Genesis {
    /// Checks everything that the rules later rely on.
    ///
    /// # Errors
    /// Names the first thing that does not hold.
    pub fn check(&self) -> Result<(), GenesisError> {
        if self.schema != GENESIS_SCHEMA {
            return Err(GenesisError::Schema { found: self.schema });
        }
        self.constitution.check()?;
        self.check_counts()?;
        self.check_organisations()?;
        for (member, record) in &self.members {
            self.check_member(member, record)?;
        }
        for (target, record) in &self.targets {
            self.check_target(target, record)?;
        }
        self.check_keys()?;
        Ok(self.constitution.check_reach(&self.holders())?)
    }

    fn check_counts(&self) -> Result<(), GenesisError> {
        count("organisations", self.organisations.len(), 1, ORGANISATIONS_MAX)?;
        count("members", self.members.len(), 1, MEMBERS_MAX)?;
        count("observers", self.observers.len(), 0, OBSERVERS_MAX)?;
        count("targets", self.targets.len(), 0, TARGETS_MAX)
    }

    fn check_organisations(&self) -> Result<(), GenesisError> {
        for (org, record) in &self.organisations {
            weight(&format!("organisation {org}"), record.weight, 1)?;
        }
        for (name, observer) in &self.observers {
            if !self.organisations.contains_key(&observer.org) {
                return Err(missing(&format!("observer {name}"), observer.org.as_str()));
            }
        }
        Ok(())
    }

    fn check_member(&self, member: &MemberId, record: &MemberRecord) -> Result<(), GenesisError> {
        if !self.organisations.contains_key(member.org_str()) {
            return Err(missing(&format!("member {member}"), member.org_str()));
        }
        let least = u64::from(record.keys.contains_key(&Role::Voter));
        weight(&format!("member {member}"), record.weight, least)?;
        let conflict = |first, second| {
            let both = record.keys.contains_key(&first) && record.keys.contains_key(&second);
            if both {
                Err(GenesisError::RoleConflict { member: member.clone(), first, second })
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

    fn check_target(&self, target: &TargetId, record: &TargetRecord) -> Result<(), GenesisError> {
        let whose = format!("target {target}");
        if !self.organisations.contains_key(&record.owner) {
            return Err(missing(&whose, record.owner.as_str()));
        }
        count("endpoints of a target", record.endpoints.len(), 0, ENDPOINTS_MAX)?;
        count("executors of a target", record.executors.len(), 1, MEMBERS_MAX)?;
        for executor in &record.executors {
            let holds = |member: &MemberRecord| member.keys.contains_key(&Role::Executor);
            if executor.org_str() != record.owner.as_str() || !self.members.get(executor).is_some_and(holds) {
                return Err(missing(&whose, &format!("executor {executor} of {}", record.owner)));
            }
        }
        Ok(())
    }

    fn check_keys(&self) -> Result<(), GenesisError> {
        let mut seen: BTreeMap<PublicKey, String> = BTreeMap::new();
        let mut claim = |key: PublicKey, whose: String| match seen.insert(key, whose.clone()) {
            Some(first) => Err(GenesisError::SharedKey { first, second: whose }),
            None => Ok(()),
        };
        for (org, record) in &self.organisations {
            claim(record.validator.node, format!("node of {org}"))?;
            claim(record.validator.consensus, format!("validator of {org}"))?;
        }
        for (name, observer) in &self.observers {
            claim(observer.node, format!("observer {name}"))?;
        }
        for (member, record) in &self.members {
            for (role, key) in &record.keys {
                claim(*key, format!("{role} {member}"))?;
            }
        }
        Ok(())
    }

    fn holders(&self) -> Holders<'_> {
        Holders::new(self.members.iter().map(|(id, record)| (id, &record.keys, record.weight)))
    }
}

fn count(what: &'static str, found: usize, min: usize, max: usize) -> Result<(), GenesisError> {
    if (min..=max).contains(&found) { Ok(()) } else { Err(GenesisError::Count { what, found, min, max }) }
}

fn weight(whose: &str, found: Weight, min: u64) -> Result<(), GenesisError> {
    if found.get() >= min && found <= WEIGHT_MAX {
        return Ok(());
    }
    Err(GenesisError::Weight { whose: whose.to_owned(), found, max: WEIGHT_MAX })
}

fn missing(whose: &str, missing: &str) -> GenesisError {
    GenesisError::Missing { whose: whose.to_owned(), missing: missing.to_owned() }
}
