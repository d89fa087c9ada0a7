//! Owns the schema of proposal documents in `OpenAPI`: mirrors of the ledger's types, which do not know it.
//!
//! The ledger's own types read and write the JSON; a test keeps the mirrors equal to them.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A change as its author describes it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ProposalDocument {
    /// Version of this form, 1.
    #[schema(minimum = 1, maximum = 1)]
    schema: u16,
    /// One line that names the change.
    #[schema(max_length = 200)]
    title: String,
    /// Why, in prose.
    #[schema(max_length = 8192)]
    reason: String,
    /// Estimated cost of the change.
    cost: Cost,
    /// The service level that the change must keep.
    slo: Option<ServiceLevel>,
    /// Classes of data that the changed services hold; empty when none.
    #[serde(default)]
    data_classes: BTreeSet<String>,
    /// The probe that decides after each stage whether to go on or roll back.
    health: Option<HealthCheck>,
    /// What is done when a stage fails.
    rollback: Option<RollbackPlan>,
    /// The stages in order; the first is the canary. Empty exactly when there are acts.
    #[serde(default)]
    #[schema(max_items = 8)]
    stages: Vec<StageDocument>,
    /// Changes of the rules themselves, which the ledger carries out; all of them or none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(max_items = 8)]
    acts: Vec<Act>,
    /// Ids of the proposals that are carried out before this one begins.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schema(max_items = 8)]
    after: BTreeSet<String>,
}

/// One change of the rules.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case", rename_all_fields = "snake_case", deny_unknown_fields)]
pub enum Act {
    /// Puts another constitution in force.
    Amend {
        /// The whole of it, in the form that `GET /v1/constitution` shows.
        #[schema(value_type = Object)]
        constitution: serde_json::Value,
    },
    /// Stands by an emergency; opened by the ledger alone.
    Ratify {
        /// The emergency.
        emergency: String,
    },
    /// Gives a guardian the powers of one for another term.
    Reinstate {
        /// The guardian.
        #[schema(example = "acme/gert")]
        guardian: String,
    },
    /// Ends the dormancy of governance.
    Awaken {
        /// When it fell dormant, as `GET /v1/node` shows it.
        since: u64,
    },
}

/// Estimated cost.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Cost {
    /// Cost a month in thousandths of the mesh's unit of account.
    monthly_milli: u64,
}

/// A service level objective.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ServiceLevel {
    /// Share of requests that must succeed, as `a/b`.
    #[schema(pattern = "^[0-9]+/[0-9]+$", example = "99/100")]
    success: String,
    /// Latency that 95 % of requests must keep.
    latency_p95_ms: u64,
}

/// An HTTP probe of each instance of a changed service.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HealthCheck {
    /// Path of the probe, starting with `/`.
    path: String,
    /// Requests to each instance, 1 to 1,000.
    samples: u16,
    /// Share of the samples that must answer 2xx, as `a/b`.
    #[schema(pattern = "^[0-9]+/[0-9]+$", example = "99/100")]
    success: String,
    /// Latency that 95 % of the samples must keep.
    latency_p95_ms: u64,
    /// Longest time from the end of a stage's steps to its last attestation.
    within_ms: u64,
}

/// How a failed rollout is undone.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case", tag = "to", deny_unknown_fields)]
pub enum RollbackPlan {
    /// Every touched resource goes back to what the plan recorded before the change, last step first.
    Previous,
}

/// One stage: its steps run, then its health is judged.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StageDocument {
    /// The stage's name, for people.
    name: String,
    /// Steps of this stage.
    #[schema(max_items = 32)]
    steps: Vec<StepDocument>,
}

/// One action on one target.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StepDocument {
    /// Where.
    target: String,
    /// What.
    action: Action,
}

/// What a step does.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case", rename_all_fields = "snake_case", tag = "kind", deny_unknown_fields)]
pub enum Action {
    /// Runs a release of a service.
    Deploy {
        /// The service on the target.
        service: String,
        /// Version for people.
        version: String,
        /// BLAKE3 digest of the release artefact.
        artefact: String,
        /// Instances to run, 1 to 16.
        #[schema(minimum = 1, maximum = 16)]
        instances: u8,
    },
    /// Puts a configuration file in place.
    Configure {
        /// The file's name on the target's allow list.
        file: String,
        /// Version for people.
        version: String,
        /// BLAKE3 digest of the content.
        artefact: String,
    },
    /// Takes a service or configuration file away.
    Remove {
        /// The service or file.
        resource: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERYTHING: &str = include_str!("../../../examples/roll-greeter-2.toml");

    #[test]
    fn the_mirrors_are_equal_to_the_ledgers_types() {
        let mut real: althing_contracts::document::ProposalDocument = toml::from_str(EVERYTHING).unwrap();
        let name = |text| althing_contracts::name::Name::new(text).unwrap();
        let action = &mut real.stages[1].steps;
        action[0].action = althing_contracts::document::Action::Remove { resource: name("greeter") };
        action[1].action = althing_contracts::document::Action::Configure {
            file: name("motd"),
            version: name("1"),
            artefact: althing_contracts::digest::Digest::ZERO,
        };
        let constitution = Box::new(althing_contracts::constitution::Constitution::default_genesis());
        real.acts = vec![
            althing_contracts::act::Act::Amend { constitution },
            althing_contracts::act::Act::Ratify {
                emergency: althing_contracts::emergency::EmergencyId::from_digest(
                    althing_contracts::digest::Digest::ZERO,
                ),
            },
            althing_contracts::act::Act::Reinstate {
                guardian: althing_contracts::name::MemberId::new("acme/gert").unwrap(),
            },
            althing_contracts::act::Act::Awaken { since: althing_contracts::quantity::TimeMs::new(1) },
        ];
        let json = serde_json::to_value(&real).unwrap();
        let mirror: ProposalDocument = serde_json::from_value(json.clone()).unwrap();
        assert_eq!(serde_json::to_value(&mirror).unwrap(), json);
    }
}
