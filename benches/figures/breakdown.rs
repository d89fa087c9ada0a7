//! Owns where the time of one ballot goes: what the node measured itself, what one signature costs on this machine, and
//! what is left, which nobody measures.

use serde_json::{Map, Value, json};

use super::verify::SignatureCost;

/// Signatures that the node where a ballot comes in makes: the ballot, a prevote, a precommit, and a proposal in one
/// height of four.
const SIGNED_PER_BALLOT: f64 = 3.25;
/// Signatures that it checks: the ballot, three prevotes, three precommits, and a proposal in three heights of four.
const VERIFIED_PER_BALLOT: f64 = 7.75;

/// The mean time of a ballot in parts that do not overlap. `mean_ms` is what the client measured; `timings` has the
/// node's own, of which the log's are per sync.
pub(crate) fn breakdown(
    mean_ms: f64,
    timings: &Map<String, Value>,
    cost: SignatureCost,
) -> Map<String, Value> {
    let timing = |name: &str| timings.get(name).and_then(Value::as_f64).unwrap_or(0.0);
    let api = mean_ms - timing("submitter_finality_mean_ms");
    let sync = timing("log_sync_mean_ms") * timing("log_sync_per_ballot");
    let sign = cost.sign_ms * SIGNED_PER_BALLOT;
    let verify = cost.verify_ms * VERIFIED_PER_BALLOT;
    let rest = mean_ms - api - sync - sign - verify;
    let parts = [
        ("mean_ms", mean_ms),
        ("mean_api_ms", api),
        ("mean_log_sync_ms", sync),
        ("mean_sign_ms_by_count", sign),
        ("mean_verify_ms_by_count", verify),
        ("mean_network_mailboxes_journal_and_others_syncs_ms", rest),
    ];
    parts.into_iter().map(|(name, value)| (name.to_owned(), json!(value))).collect()
}
