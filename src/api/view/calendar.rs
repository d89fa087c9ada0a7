//! Owns how what falls due is shown.

use althing_contracts::{
    act,
    calendar::{Due, Subject},
    state::State,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// An instant at which the ledger acts by itself, or by which somebody has to act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DueView {
    /// Names the entry; it stays when the time moves.
    pub uid: String,
    /// When, by the ledger's clock.
    pub at_ms: u64,
    /// What happens: `review-ends`, `voting-ends`, `confirmation-ends`, `timelock-ends`, `enactment-tried`, `begin-by`,
    /// `stage-ends`, `rollback-ends`, `resume-by`, `audit-due`, `signing-ends`, `measures-end`, `term-ends`,
    /// `delegation-begins`, `delegation-ends` or `key-recovered`.
    pub occasion: String,
    /// To what: `proposal`, `emergency`, `guardian`, `voice` or `key`.
    pub subject: String,
    /// The id of the proposal or the emergency, or the name of the member.
    pub id: String,
    /// What it is about, in one line.
    pub title: String,
    /// The role that has to act before then; absent where the clock alone decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub awaits: Option<String>,
}

impl DueView {
    /// Shows an entry of the calendar of `state`.
    pub fn new(state: &State, due: &Due) -> Self {
        let mut part = String::new();
        let (subject, id, title) = match &due.subject {
            Subject::Proposal(id) => {
                let title = state.proposal(*id).map(|proposal| proposal.document.title.to_string());
                ("proposal", id.to_string(), title.unwrap_or_default())
            }
            Subject::Emergency(id) => {
                let reason = state.emergency(*id).map(|emergency| emergency.declaration.reason.to_string());
                ("emergency", id.to_string(), reason.unwrap_or_default())
            }
            Subject::Guardian(member) => {
                ("guardian", member.to_string(), act::Subject::Mandate(member.clone()).to_string())
            }
            Subject::Key { holder, role } => {
                part = format!("-{role}");
                ("key", holder.to_string(), format!("{holder} gets another key as {role}"))
            }
            Subject::Voice { from, track, to } => {
                let track = super::kebab(track);
                part = format!("-{track}");
                ("voice", from.to_string(), format!("{from} is heard through {to} on the {track} track"))
            }
        };
        let occasion = due.occasion.name().to_owned();
        Self {
            uid: format!("{occasion}-{id}{part}@{}", state.network()),
            at_ms: due.at.get(),
            occasion,
            subject: subject.to_owned(),
            id,
            title,
            awaits: due.occasion.awaits().map(|role| role.name().to_owned()),
        }
    }
}
