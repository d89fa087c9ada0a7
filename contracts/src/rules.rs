//! Owns the hard rules: a table of pure functions over a document and the state; any finding refuses it.

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::name::Line;

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
}

/// One broken rule.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
pub struct Finding {
    /// Which rule.
    pub rule: RuleId,
    /// What broke it and what would keep it.
    pub message: Line,
}
