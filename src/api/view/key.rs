//! Owns how it is asked and shown which keys members are about to have.

use althing_actors::ledger::message::Final;
use althing_contracts::{
    event::Event,
    name::MemberId,
    recovery::{KeyClaim, Recovery},
    role::Role,
    signature::{PublicKey, Signature},
    state::State,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How the claim of a new key looks, which that key has signed.
#[derive(ToSchema)]
#[schema(as = KeyClaim)]
pub struct Claim {
    /// Whose key.
    #[schema(value_type = String, example = "birch/vera")]
    pub member: MemberId,
    /// For which role.
    #[schema(value_type = String, example = "voter")]
    pub role: Role,
    /// The key in whose place it comes.
    #[schema(value_type = String)]
    pub replaces: PublicKey,
    /// The new key.
    #[schema(value_type = String)]
    pub key: PublicKey,
    /// Signature of the new key over all of it.
    #[schema(value_type = String)]
    pub proof: Signature,
}

/// Replaces a member's key; the key that it replaces signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplaceKeyRequest {
    /// The new key's claim.
    #[schema(value_type = Claim)]
    pub claim: KeyClaim,
}

/// Says that a colleague's key is lost, and which one comes in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RecoverKeyRequest {
    /// The colleague who says so.
    #[serde(rename = "as")]
    #[schema(value_type = String, example = "birch/walt")]
    pub signer: MemberId,
    /// The new key's claim.
    #[schema(value_type = Claim)]
    pub claim: KeyClaim,
}

/// Refuses a recovery of one's own key, or takes back what one has said about a colleague's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StopRecoveryRequest {
    /// Who stops it.
    #[serde(rename = "as")]
    #[schema(value_type = String, example = "birch/vera")]
    pub by: MemberId,
    /// Whose key.
    #[schema(value_type = String, example = "birch/vera")]
    pub member: MemberId,
    /// For which role.
    #[schema(value_type = String, example = "voter")]
    pub role: Role,
}

/// What colleagues have said about a key that is lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RecoveryView {
    /// Whose.
    pub member: String,
    /// For which role.
    pub role: String,
    /// The key that is said to be lost.
    pub replaces: String,
    /// Who has signed which key in its place.
    pub signatures: Vec<RecoverySignatureView>,
    /// How many have to sign the same key; absent where the organisation has too few others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needed: Option<usize>,
    /// The key on which enough agree.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agreed: Option<String>,
    /// When that one is the member's, unless somebody stops it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_ms: Option<u64>,
}

/// One colleague's word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RecoverySignatureView {
    /// Whose word.
    pub signer: String,
    /// The new key.
    pub key: String,
    /// Until when it is heard.
    pub until_ms: u64,
}

/// What was said about a key is final.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct KeyAcceptedView {
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
    /// Whose key.
    pub member: String,
    /// For which role.
    pub role: String,
    /// The member's key for it after that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// What colleagues have said about it, if anything is left of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovery: Option<RecoveryView>,
}

impl RecoveryView {
    /// Shows a recovery of `state`.
    pub fn new(state: &State, (member, role): (&MemberId, Role), recovery: &Recovery) -> Self {
        let signing = state.constitution().recovery.signing;
        let signatures = recovery.signatures.iter().map(|(signer, signature)| RecoverySignatureView {
            signer: signer.to_string(),
            key: signature.key.to_string(),
            until_ms: signature.at.after(signing).get(),
        });
        Self {
            member: member.to_string(),
            role: role.to_string(),
            replaces: recovery.replaces.to_string(),
            signatures: signatures.collect(),
            needed: state.colleagues_needed(member),
            agreed: recovery.agreed.map(|agreed| agreed.key.to_string()),
            due_ms: recovery.agreed.map(|agreed| agreed.due.get()),
        }
    }
}

impl KeyAcceptedView {
    /// Shows a final transaction about a key.
    pub fn new(accepted: &Final, state: &State, (member, role): (&MemberId, Role)) -> Self {
        let key = state.member(member).and_then(|held| held.keys.get(&role));
        let recovery = state.recovery(member, role);
        Self {
            transaction: accepted.id.to_string(),
            height: accepted.height.get(),
            time_ms: accepted.time.get(),
            repeated: accepted.events.is_empty(),
            events: accepted.events.clone(),
            member: member.to_string(),
            role: role.to_string(),
            key: key.map(ToString::to_string),
            recovery: recovery.map(|it| RecoveryView::new(state, (member, role), it)),
        }
    }
}
