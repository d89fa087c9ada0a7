//! Owns how an event of the ledger is shown: a `CloudEvents` 1.0 object in JSON.

use althing_contracts::{digest::Digest, event::EventRecord};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::time::rfc3339;

/// Prefix of every event's type, a reverse domain name as `CloudEvents` asks for.
pub const TYPE_PREFIX: &str = "io.althing.";
/// The names of all events, as they follow [`TYPE_PREFIX`] and are filtered by.
pub const TYPES: [&str; 40] = [
    "submitted",
    "stage-changed",
    "rules-broken",
    "reviewed",
    "voted",
    "voting-extended",
    "tallied",
    "promoted",
    "cosigned",
    "enacted",
    "amended",
    "timelock-elapsed",
    "step-claimed",
    "step-reported",
    "health-attested",
    "resumed",
    "attested",
    "warned",
    "equivocated",
    "emergency-declared",
    "emergency-signed",
    "emergency-lapsed",
    "emergency-activated",
    "emergency-lifted",
    "emergency-ratified",
    "emergency-reverted",
    "emergency-attested",
    "reinstated",
    "delegated",
    "revoked",
    "key-replaced",
    "recovery-signed",
    "recovery-agreed",
    "recovery-stopped",
    "cooldown-began",
    "bond-held",
    "bond-settled",
    "dormant",
    "awake",
    "expiry-near",
];

/// An event (`CloudEvents` 1.0, JSON event format).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct CloudEvent {
    /// `1.0`.
    pub specversion: String,
    /// The event's number on the ledger.
    pub id: String,
    /// `/althing/` with the network's identity; with `id` unique in the world.
    pub source: String,
    /// `io.althing.` with what happened.
    #[serde(rename = "type")]
    pub kind: String,
    /// The emergency, or else the proposal, that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The time of the block that caused it, RFC 3339 in UTC.
    pub time: String,
    /// `application/json`.
    pub datacontenttype: String,
    /// The event's own fields with `height` and `time_ms` of its block.
    #[schema(value_type = Object)]
    pub data: serde_json::Map<String, serde_json::Value>,
}

impl CloudEvent {
    /// Shows a record of `network`.
    ///
    /// # Panics
    /// Never: every event is an object tagged by its type.
    pub fn new(network: Digest, record: &EventRecord) -> Self {
        let mut data = match serde_json::to_value(&record.event) {
            Ok(serde_json::Value::Object(data)) => data,
            other => unreachable!("an event is an internally tagged object, not {other:?}"),
        };
        let name = take_text(&mut data, "type").expect("an event is tagged by its type");
        let subject = data.get("emergency").or_else(|| data.get("proposal"));
        let subject = subject.and_then(|id| id.as_str()).map(str::to_owned);
        data.insert("height".to_owned(), record.height.get().into());
        data.insert("time_ms".to_owned(), record.time.get().into());
        Self {
            specversion: "1.0".to_owned(),
            id: record.sequence.to_string(),
            source: format!("/althing/{network}"),
            kind: format!("{TYPE_PREFIX}{name}"),
            subject,
            time: rfc3339(record.time),
            datacontenttype: "application/json".to_owned(),
            data,
        }
    }

    /// What happened, without the prefix.
    pub fn name(&self) -> &str {
        self.kind.strip_prefix(TYPE_PREFIX).unwrap_or(&self.kind)
    }
}

fn take_text(data: &mut serde_json::Map<String, serde_json::Value>, key: &str) -> Option<String> {
    match data.remove(key)? {
        serde_json::Value::String(text) => Some(text),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use althing_contracts::{
        event::Event,
        name::Line,
        quantity::{EventSequence, Height, TimeMs},
        stage::Stage,
        transaction::ProposalId,
    };

    use super::*;

    #[test]
    fn an_event_is_a_cloud_event() {
        let event = Event::StageChanged {
            proposal: ProposalId::from_digest(Digest::ZERO),
            from: Stage::Canary,
            to: Stage::Rollout(1),
            cause: Line::new("the canary is healthy").unwrap(),
        };
        let record = EventRecord {
            sequence: EventSequence::new(7),
            height: Height::new(3),
            time: TimeMs::new(1_000),
            event,
        };
        let shown = serde_json::to_value(CloudEvent::new(Digest::ZERO, &record)).unwrap();
        let zeros = "0".repeat(64);
        let expected = serde_json::json!({
            "specversion": "1.0", "id": "7", "source": format!("/althing/{zeros}"),
            "type": "io.althing.stage-changed", "subject": zeros, "time": "1970-01-01T00:00:01.000Z",
            "datacontenttype": "application/json",
            "data": {
                "proposal": zeros, "from": {"name": "canary"}, "to": {"name": "rollout", "index": 1},
                "cause": "the canary is healthy", "height": 3, "time_ms": 1000,
            },
        });
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_warning_names_what_expires_and_is_about_its_proposal() {
        let expiring =
            althing_contracts::expiry::Expiring::Review { proposal: ProposalId::from_digest(Digest::ZERO) };
        let event = Event::ExpiryNear { expiring, at: TimeMs::new(9) };
        let told = serde_json::to_value(&event).unwrap();
        assert_eq!(serde_json::from_value::<Event>(told).unwrap(), event);
        let (sequence, height, time) = (EventSequence::new(7), Height::new(3), TimeMs::new(5));
        let shown = CloudEvent::new(Digest::ZERO, &EventRecord { sequence, height, time, event });
        let zeros = "0".repeat(64);
        assert_eq!((shown.name(), shown.subject.as_ref()), ("expiry-near", Some(&zeros)));
        let expected = serde_json::json!(
            {"expires": "review", "proposal": zeros, "at": 9, "height": 3, "time_ms": 5}
        );
        assert_eq!(serde_json::Value::Object(shown.data), expected);
    }
}
