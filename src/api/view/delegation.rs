//! Owns how it is asked and shown who speaks for whom.

use althing_actors::ledger::message::Final;
use althing_contracts::{
    constitution::Track,
    delegation::Delegation,
    event::Event,
    name::MemberId,
    quantity::DurationMs,
    role::Role,
    state::{Member, State},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Lets another voter speak for a voter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DelegateRequest {
    /// The voter who lends its voice.
    #[serde(rename = "as")]
    #[schema(value_type = String, example = "birch/vera")]
    pub member: MemberId,
    /// Who speaks for it.
    #[schema(value_type = String, example = "acme/alice")]
    pub to: MemberId,
    /// On which track; on every one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "standard")]
    pub track: Option<Track>,
    /// For how long, from the ledger's time on.
    #[schema(value_type = u64)]
    pub for_ms: DurationMs,
}

/// Lets a voter speak for itself again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RevokeRequest {
    /// The voter.
    #[serde(rename = "as")]
    #[schema(value_type = String, example = "birch/vera")]
    pub member: MemberId,
    /// On which track; on every one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "standard")]
    pub track: Option<Track>,
}

/// Who speaks for a voter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DelegationsView {
    /// The voter.
    pub member: String,
    /// On each track on which it has let another speak.
    pub delegations: Vec<DelegationView>,
}

/// Who speaks for a voter on one track.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DelegationView {
    /// On which track.
    pub track: String,
    /// Who speaks.
    pub to: String,
    /// In votes on what is submitted from here on.
    pub from_ms: u64,
    /// Until here.
    pub expires_ms: u64,
    /// `waiting` for its time, `active`, `over`, or `idle`: in force, but without a voter who could speak.
    pub state: String,
}

/// What was said about a delegation is final.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DelegatedView {
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
    /// The voter.
    pub member: String,
    /// Who speaks for it after it, on each track.
    pub delegations: Vec<DelegationView>,
}

impl DelegationView {
    /// Everyone who speaks for a member.
    pub fn all(state: &State, id: &MemberId, member: &Member) -> Vec<Self> {
        let held = member.delegations.iter();
        held.map(|(track, held)| Self {
            track: track.to_string(),
            to: held.to.to_string(),
            from_ms: held.from.get(),
            expires_ms: held.expires.get(),
            state: standing(state, id, held).to_owned(),
        })
        .collect()
    }
}

fn standing(state: &State, id: &MemberId, held: &Delegation) -> &'static str {
    let votes = |id| state.member(id).is_some_and(|member| member.keys.contains_key(&Role::Voter));
    let is_idle = state.constitution().delegation.cap.is_zero() || !votes(id) || !votes(&held.to);
    match state.time() {
        time if held.is_over(time) => "over",
        _ if is_idle => "idle",
        time if held.is_active(time) => "active",
        _ => "waiting",
    }
}

impl DelegatedView {
    /// Shows a final transaction about a voter's delegations.
    pub fn new(accepted: &Final, state: &State, id: &MemberId) -> Self {
        Self {
            transaction: accepted.id.to_string(),
            height: accepted.height.get(),
            time_ms: accepted.time.get(),
            repeated: accepted.events.is_empty(),
            events: accepted.events.clone(),
            member: id.to_string(),
            delegations: state.member(id).map(|it| DelegationView::all(state, id, it)).unwrap_or_default(),
        }
    }
}
