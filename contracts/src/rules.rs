//! Owns the hard rules: a table of pure functions over a document and the state; any finding refuses it.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::{document::ProposalDocument, name::Line, state::Registry};

mod blast_radius;
mod constitution;
mod cost;
mod guardian;
mod health;
mod parties;
mod predecessors;
mod residency;
mod rollback;
mod slo;

/// Which hard rule. The names are stable and appear in `docs/constitution.md`.
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
pub enum RuleId {
    /// Data may only be held where its class allows.
    DataResidency,
    /// The cost is under the ceiling.
    CostCeiling,
    /// A service level objective is given.
    SloPresent,
    /// A health check is given and means something.
    HealthCheckPresent,
    /// A rollback is given.
    RollbackPresent,
    /// The canary and the stages are small enough.
    BlastRadius,
    /// A new constitution may be in force.
    ConstitutionSound,
    /// Members, organisations, nodes and targets hold together.
    PartiesSound,
    /// Enough validators stay.
    RosterOverlap,
    /// Powers of a guardian are given to somebody who holds the role.
    GuardianKnown,
    /// What it waits for is or will be carried out.
    PredecessorsStand,
}

impl RuleId {
    /// Every rule, in the order of its tag.
    pub const ALL: [Self; 11] = [
        Self::DataResidency,
        Self::CostCeiling,
        Self::SloPresent,
        Self::HealthCheckPresent,
        Self::RollbackPresent,
        Self::BlastRadius,
        Self::ConstitutionSound,
        Self::PartiesSound,
        Self::RosterOverlap,
        Self::GuardianKnown,
        Self::PredecessorsStand,
    ];
}

/// One broken rule.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Finding {
    /// Which rule.
    pub rule: RuleId,
    /// What broke it and what would keep it.
    pub message: Line,
}

/// A rule: says everything that breaks it.
type Rule = fn(&ProposalDocument, &Registry, &mut Vec<String>);

/// The hard rules for a change of targets, in the order in which they are reported.
const OF_STEPS: &[(RuleId, Rule)] = &[
    (RuleId::DataResidency, residency::check),
    (RuleId::CostCeiling, cost::check),
    (RuleId::SloPresent, slo::check),
    (RuleId::HealthCheckPresent, health::check),
    (RuleId::RollbackPresent, rollback::check),
    (RuleId::BlastRadius, blast_radius::check),
    (RuleId::PredecessorsStand, predecessors::check),
];
/// Those for a change of the rules themselves.
const OF_ACTS: &[(RuleId, Rule)] = &[
    (RuleId::CostCeiling, cost::check),
    (RuleId::PartiesSound, parties::check),
    (RuleId::RosterOverlap, parties::check_roster),
    (RuleId::ConstitutionSound, constitution::check),
    (RuleId::GuardianKnown, guardian::check),
    (RuleId::PredecessorsStand, predecessors::check),
];
/// Those of them that ask about nothing but the document.
const STANDING: &[(RuleId, Rule)] = &[(RuleId::CostCeiling, cost::check)];

/// Everything in a document that breaks a hard rule.
#[must_use]
pub fn findings(document: &ProposalDocument, registry: &Registry) -> Vec<Finding> {
    findings_of(if document.acts.is_empty() { OF_STEPS } else { OF_ACTS }, document, registry)
}

/// The same without what asks about acts whether they can still be carried out: of a document that had its time.
pub(crate) fn standing_findings(document: &ProposalDocument, registry: &Registry) -> Vec<Finding> {
    findings_of(if document.acts.is_empty() { OF_STEPS } else { STANDING }, document, registry)
}

fn findings_of(rules: &[(RuleId, Rule)], document: &ProposalDocument, registry: &Registry) -> Vec<Finding> {
    let broken = rules.iter().flat_map(|(rule, check)| {
        let mut found = Vec::new();
        check(document, registry, &mut found);
        found.into_iter().map(|message| Finding { rule: *rule, message: Line::shortened(&message) })
    });
    broken.collect()
}
