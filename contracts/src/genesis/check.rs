//! Owns what a genesis document must satisfy before it can start a mesh.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    constitution::{ConstitutionError, Cosign, Scheme, Threshold, Track},
    genesis::{
        GENESIS_SCHEMA, Genesis, GenesisError, MEMBERS_MAX, MemberRecord, ORGANISATIONS_MAX, TARGETS_MAX,
        TargetRecord,
    },
    name::{MemberId, TargetId},
    proposal::Electorate,
    quantity::Weight,
    role::Role,
    signature::PublicKey,
    tally,
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
        self.check_reach()
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

    /// Every threshold must be reachable when everybody votes for, with the caps applied.
    fn check_reach(&self) -> Result<(), GenesisError> {
        let electorate = Electorate::of(self.voters(), self.constitution.member_cap);
        let best = tally::best_case(&electorate, self.constitution.organisation_cap);
        for (track, parameters) in &self.constitution.tracks {
            self.check_reviewers(*track, parameters.reviewers)?;
            self.check_auditors(*track, parameters.attestations)?;
            parameters.cosign.map_or(Ok(()), |cosign| self.check_cosigners(*track, cosign))?;
            let Scheme::Majority { turnout, .. } = &parameters.scheme else { continue };
            reach(&format!("tracks.{track}.scheme.turnout"), *turnout, best, electorate.total)?;
        }
        Ok(())
    }

    /// Every author needs enough other organisations that can sign a proposal off.
    fn check_reviewers(&self, track: Track, reviewers: u8) -> Result<(), GenesisError> {
        let with_reviewer = self.organisations_with(Role::Reviewer);
        for author in self.organisations_with(Role::Author) {
            let others = with_reviewer.iter().filter(|org| **org != author).count();
            if others < usize::from(reviewers) {
                let missing = format!("{reviewers} organisations with a reviewer besides {author}");
                return Err(GenesisError::Missing { whose: format!("tracks.{track}.reviewers"), missing });
            }
        }
        Ok(())
    }

    /// Every author needs enough guardians of other organisations.
    fn check_cosigners(&self, track: Track, cosign: Cosign) -> Result<(), GenesisError> {
        for author in self.organisations_with(Role::Author) {
            let others = self.members.iter().filter(|(member, record)| {
                record.keys.contains_key(&Role::Guardian) && member.org_str() != author
            });
            let (guardians, organisations): (Vec<_>, BTreeSet<_>) =
                others.map(|(member, _)| (member, member.org_str())).unzip();
            let Cosign { guardians: signers, organisations: breadth } = cosign;
            if guardians.len() < usize::from(signers) || organisations.len() < usize::from(breadth) {
                let missing = format!("{signers} guardians of {breadth} organisations besides {author}");
                return Err(GenesisError::Missing { whose: format!("tracks.{track}.cosign"), missing });
            }
        }
        Ok(())
    }

    /// An execution that nobody can attest would be audited for ever.
    fn check_auditors(&self, track: Track, attestations: u8) -> Result<(), GenesisError> {
        let auditors =
            self.members.values().filter(|record| record.keys.contains_key(&Role::Auditor)).count();
        if auditors < usize::from(attestations) {
            let missing = format!("{attestations} members with the role auditor");
            return Err(GenesisError::Missing { whose: format!("tracks.{track}.attestations"), missing });
        }
        Ok(())
    }

    fn organisations_with(&self, role: Role) -> BTreeSet<&str> {
        let holders = self.members.iter().filter(|(_, record)| record.keys.contains_key(&role));
        holders.map(|(member, _)| member.org_str()).collect()
    }

    fn voters(&self) -> impl Iterator<Item = (&MemberId, Weight)> {
        let voters = self.members.iter().filter(|(_, record)| record.keys.contains_key(&Role::Voter));
        voters.map(|(member, record)| (member, record.weight))
    }
}

fn reach(field: &str, threshold: Threshold, best: Weight, total: Weight) -> Result<(), GenesisError> {
    if threshold.is_passed_by(best.get(), total.get()) {
        return Ok(());
    }
    Err(ConstitutionError::Unreachable { field: field.to_owned() }.into())
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
