//! Owns what members state in their calls: verdicts, choices, outcomes, measurements.

use borsh::{BorshDeserialize, BorshSerialize};

use crate::{
    digest::Digest,
    name::Line,
    quantity::{DurationMs, Revision},
    transaction::ProposalId,
};

/// One edition of a proposal, with the plan that is meant.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, serde::Serialize, serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Edition {
    /// Which proposal.
    pub proposal: ProposalId,
    /// Which revision.
    pub revision: Revision,
    /// Hash of its plan.
    pub plan_hash: Digest,
}

/// A reviewer's verdict.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum ReviewVerdict {
    /// The change may be voted on.
    Approve,
    /// The change must not be voted on as it is.
    Refuse,
}

/// A voter's choice.
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
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Choice {
    /// Do it. On the routine track: seen, no objection.
    For,
    /// Do not. On the routine track: an objection.
    Against,
    /// Counts for turnout only.
    Abstain,
}

/// An executor's statement about one step or its undo.
#[derive(
    Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum StepOutcome {
    /// The action took effect.
    Done,
    /// Nothing took effect; the target is as before.
    Failed {
        /// Why, for people.
        reason: Line,
        /// Whether trying again can help.
        retryable: bool,
    },
}

/// What a health probe measured.
#[derive(
    Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, serde::Serialize, serde::Deserialize,
)]
pub struct HealthReport {
    /// The probe's verdict by the proposal's own health check.
    pub healthy: bool,
    /// Requests sent.
    pub samples: u32,
    /// Requests answered 2xx.
    pub succeeded: u32,
    /// 95th percentile of the latency.
    pub latency_p95_ms: DurationMs,
    /// What was wrong, for people; empty when healthy.
    pub reason: Line,
}

/// An auditor's verdict.
#[derive(
    Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum AuditVerdict {
    /// Every invariant holds and every receipt is there.
    Sound,
    /// Something does not hold.
    Unsound {
        /// What, with the id of the invariant.
        finding: Line,
    },
}
