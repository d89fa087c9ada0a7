//! Owns the proposal document: what an author writes, and all that a plan is made from.
//!
//! Its text form is TOML with these field names; its binding form is the canonical encoding. Refuses unknown
//! fields, and everything that its bounds exclude, before any rule looks at it.

use std::collections::BTreeSet;

mod check;

pub use check::{AFTER_MAX, DATA_CLASSES_MAX, INSTANCES_MAX, SAMPLES_MAX};

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::{
    act::Act,
    digest::{Digest, Purpose},
    name::{Line, Name, Prose, TargetId},
    quantity::{AmountMilli, DurationMs, Ratio},
    transaction::ProposalId,
};

/// Version of the document's text form.
pub const DOCUMENT_SCHEMA: u16 = 1;
/// Most stages of a rollout, the canary included: each costs a health gate, and more than this is a new proposal.
pub const STAGES_MAX: usize = 8;
/// Most steps of a proposal over all stages.
pub const STEPS_MAX: usize = 32;
/// Largest canonical document in bytes; the text form may be up to four times as long.
pub const DOCUMENT_LEN_MAX: usize = 64 * 1024;

/// A change as its author describes it.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProposalDocument {
    /// Version of this form, 1.
    pub schema: u16,
    /// One line that names the change.
    pub title: Line,
    /// Why, in prose.
    pub reason: Prose,
    /// Estimated cost of the change.
    pub cost: Cost,
    /// The service level that the change must keep.
    pub slo: Option<ServiceLevel>,
    /// Classes of data that the changed services hold, for the residency rule; empty when none.
    #[serde(default)]
    pub data_classes: BTreeSet<Name>,
    /// The probe that decides after each stage whether to go on or roll back.
    pub health: Option<HealthCheck>,
    /// What is done when a stage fails.
    pub rollback: Option<RollbackPlan>,
    /// The stages in order; the first is the canary. Empty exactly when there are acts.
    #[serde(default)]
    pub stages: Vec<StageDocument>,
    /// Changes of the rules themselves, which the ledger carries out; all of them or none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acts: Vec<Act>,
    /// Proposals that are carried out before this one begins; when one of them is not, this one is superseded.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub after: BTreeSet<ProposalId>,
}

impl ProposalDocument {
    /// A document of nothing but acts: they cost nothing, run nowhere, and have nothing to roll back.
    #[must_use]
    pub fn of_acts(title: Line, reason: Prose, acts: Vec<Act>) -> Self {
        Self {
            schema: DOCUMENT_SCHEMA,
            title,
            reason,
            cost: Cost { monthly_milli: AmountMilli::ZERO },
            slo: None,
            data_classes: BTreeSet::new(),
            health: None,
            rollback: None,
            stages: Vec::new(),
            acts,
            after: BTreeSet::new(),
        }
    }
}

/// Estimated cost.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// Cost a month in thousandths of the mesh's unit of account.
    pub monthly_milli: AmountMilli,
}

/// A service level objective.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceLevel {
    /// Share of requests that must succeed.
    pub success: Ratio,
    /// Latency that 95 % of requests must keep.
    pub latency_p95_ms: DurationMs,
}

/// An HTTP probe of each instance of a changed service.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HealthCheck {
    /// Path of the probe, starting with `/`.
    pub path: Line,
    /// Requests to each instance, 1 to 1,000; fewer answers than this are not healthy.
    pub samples: u16,
    /// Share of the samples that must answer 2xx.
    pub success: Ratio,
    /// Latency that 95 % of the samples must keep.
    pub latency_p95_ms: DurationMs,
    /// Longest time from the end of a stage's steps to its last attestation.
    pub within_ms: DurationMs,
}

/// How a failed rollout is undone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "to", deny_unknown_fields)]
pub enum RollbackPlan {
    /// Every touched resource goes back to what the plan recorded before the change, last step first.
    Previous,
}

/// One stage: its steps run, then its health is judged.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageDocument {
    /// The stage's name, for people.
    pub name: Name,
    /// Steps of this stage; they may run side by side on different targets.
    pub steps: Vec<StepDocument>,
}

/// One action on one target.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepDocument {
    /// Where.
    pub target: TargetId,
    /// What.
    pub action: Action,
}

/// What a step does. Every payload is named by digest, never by a reference that can move.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case", rename_all_fields = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Action {
    /// Runs a release of a service.
    Deploy {
        /// The service on the target.
        service: Name,
        /// Version for people.
        version: Name,
        /// BLAKE3 digest of the release artefact.
        artefact: Digest,
        /// Instances to run, 1 to 16.
        instances: u8,
    },
    /// Puts a configuration file in place, switched atomically.
    Configure {
        /// The file's name on the target's allow list.
        file: Name,
        /// Version for people.
        version: Name,
        /// BLAKE3 digest of the content.
        artefact: Digest,
    },
    /// Takes a service or configuration file away; the rollback of a first deployment.
    Remove {
        /// The service or file.
        resource: Name,
    },
}

/// Kind of an action, for rules that speak of all actions of a kind.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum ActionKind {
    /// [`Action::Deploy`].
    Deploy,
    /// [`Action::Configure`].
    Configure,
    /// [`Action::Remove`].
    Remove,
}

impl Action {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> ActionKind {
        match self {
            Self::Deploy { .. } => ActionKind::Deploy,
            Self::Configure { .. } => ActionKind::Configure,
            Self::Remove { .. } => ActionKind::Remove,
        }
    }

    /// The resource on the target that the action changes.
    #[must_use]
    pub const fn resource(&self) -> &Name {
        match self {
            Self::Deploy { service, .. } => service,
            Self::Configure { file, .. } => file,
            Self::Remove { resource } => resource,
        }
    }

    /// The action as what it leaves behind on its resource: a removal leaves nothing.
    #[must_use]
    pub const fn leaves(&self) -> Option<&Self> {
        match self {
            Self::Deploy { .. } | Self::Configure { .. } => Some(self),
            Self::Remove { .. } => None,
        }
    }
}

impl ProposalDocument {
    /// The digest that names this exact content.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of_object(Purpose::Document, self)
    }

    /// All steps in order with the index of their stage.
    pub fn steps(&self) -> impl Iterator<Item = (usize, &StepDocument)> {
        self.stages
            .iter()
            .enumerate()
            .flat_map(|(stage, document)| document.steps.iter().map(move |step| (stage, step)))
    }
}
