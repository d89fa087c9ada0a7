//! Owns how emergencies are asked for and shown.

use althing_actors::ledger::message::Final;
use althing_contracts::{
    constitution::Threshold,
    emergency::{Emergency, Measure},
    event::Event,
    name::{Line, MemberId},
    quantity::{DurationMs, TimeMs},
    state::State,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::proposal::AttestationView;

/// One measure.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
#[schema(as = Measure)]
pub enum MeasureSchema {
    /// Nothing is submitted to a track, and nothing begins on it.
    HaltTrack {
        /// `routine`, `standard` or `high`.
        track: String,
    },
    /// No step begins on a target; what is being carried out there is rolled back.
    PauseTarget {
        /// Which.
        target: String,
    },
    /// No step begins on a target, and nothing there is undone.
    IsolateTarget {
        /// Which.
        target: String,
    },
    /// An executor's key does nothing.
    SuspendExecutor {
        /// Whose.
        #[schema(example = "acme/eve")]
        member: String,
    },
}

/// Declares an emergency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeclareRequest {
    /// The guardian, whose key the node holds.
    #[serde(rename = "as")]
    #[schema(value_type = String, example = "acme/gert")]
    pub member: MemberId,
    /// What is ordered, 1 to 8 measures.
    #[schema(value_type = Vec<MeasureSchema>, min_items = 1, max_items = 8)]
    pub measures: Vec<Measure>,
    /// Why.
    #[schema(value_type = String, max_length = 200)]
    pub reason: Line,
    /// How long from the ledger's time until the measures end by themselves.
    #[schema(value_type = u64)]
    pub for_ms: DurationMs,
}

/// Signs an emergency, or ends one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EmergencyRequest {
    /// Who acts.
    #[serde(rename = "as")]
    #[schema(value_type = String, example = "birch/gert")]
    pub member: MemberId,
}

/// An emergency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EmergencyView {
    /// Its name: the digest of its content.
    pub id: String,
    /// `declared`, `lapsed`, `active`, `ratified` or `reverted`.
    pub stage: String,
    /// Whether its measures hold.
    pub in_force: bool,
    /// What is ordered.
    #[schema(value_type = Vec<MeasureSchema>)]
    pub measures: Vec<Measure>,
    /// Why.
    pub reason: String,
    /// Who declared it.
    pub declared_by: String,
    /// When.
    pub declared_at_ms: u64,
    /// Last instant for signatures.
    pub sign_by_ms: u64,
    /// When the measures end by themselves.
    pub expires_ms: u64,
    /// When they did end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifted_ms: Option<u64>,
    /// Guardians who signed.
    pub signers: Vec<String>,
    /// What it needs, in words.
    pub needs: String,
    /// The proposal by which the members judge it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposal: Option<String>,
    /// When that vote ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub judged_by_ms: Option<u64>,
    /// Whether its use still waits for auditors.
    pub awaits_audit: bool,
    /// What auditors found.
    pub attestations: Vec<AttestationView>,
}

/// What was asked about an emergency is final.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct EmergencyAcceptedView {
    /// The transaction's id.
    pub transaction: String,
    /// The block that holds it.
    pub height: u64,
    /// That block's time.
    pub time_ms: u64,
    /// Whether it had taken effect before.
    pub repeated: bool,
    /// What it caused.
    #[schema(value_type = Vec<Object>)]
    pub events: Vec<Event>,
    /// Where the emergency stands after it.
    pub emergency: EmergencyView,
}

impl EmergencyView {
    /// Shows an emergency of `state`.
    pub fn new(state: &State, emergency: &Emergency) -> Self {
        let judgement = emergency.activation.and_then(|activation| state.proposal(activation.proposal));
        Self {
            id: emergency.id.to_string(),
            stage: emergency.stage.to_string(),
            in_force: emergency.is_in_force(),
            measures: emergency.declaration.measures.clone(),
            reason: emergency.declaration.reason.to_string(),
            declared_by: emergency.declared_by.to_string(),
            declared_at_ms: emergency.declared_at.get(),
            sign_by_ms: emergency.signed_by().get(),
            expires_ms: emergency.declaration.expires.get(),
            lifted_ms: emergency.lifted.map(TimeMs::get),
            signers: emergency.signers.iter().map(ToString::to_string).collect(),
            needs: needs(emergency),
            proposal: judgement.map(|proposal| proposal.id.to_string()),
            judged_by_ms: judgement.and_then(|proposal| proposal.deadline).map(TimeMs::get),
            awaits_audit: emergency.awaits_audit(),
            attestations: emergency.attestations.iter().map(AttestationView::from).collect(),
        }
    }
}

impl EmergencyAcceptedView {
    /// Shows a final transaction about an emergency.
    pub fn new(accepted: &Final, emergency: EmergencyView) -> Self {
        Self {
            transaction: accepted.id.to_string(),
            height: accepted.height.get(),
            time_ms: accepted.time.get(),
            repeated: accepted.events.is_empty(),
            events: accepted.events.clone(),
            emergency,
        }
    }
}

fn needs(emergency: &Emergency) -> String {
    let share = match emergency.rules.guardians {
        Threshold::AtLeast(ratio) => format!("at least {ratio}"),
        Threshold::MoreThan(ratio) => format!("more than {ratio}"),
    };
    format!(
        "{share} of {} guardians, of {} organisations",
        emergency.guardians, emergency.rules.organisations
    )
}

#[cfg(test)]
mod tests {
    use althing_contracts::{
        constitution::Track,
        testing::{member, target},
    };

    use super::*;

    #[test]
    fn the_mirror_of_measures_is_equal_to_the_ledgers() {
        for real in [
            Measure::HaltTrack { track: Track::High },
            Measure::PauseTarget { target: target("acme-north") },
            Measure::IsolateTarget { target: target("acme-north") },
            Measure::SuspendExecutor { member: member("acme/eve") },
        ] {
            let json = serde_json::to_value(&real).unwrap();
            let mirror: MeasureSchema = serde_json::from_value(json.clone()).unwrap();
            assert_eq!(serde_json::to_value(&mirror).unwrap(), json);
        }
    }
}
