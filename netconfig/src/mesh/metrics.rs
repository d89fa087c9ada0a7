//! Owns the names, units and descriptions of the mesh's metrics, and registers every one at 0.

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

/// Nodes connected and admitted, summed over the meshes of this process.
pub const PEERS: &str = "althing_mesh_peers";
/// Connections refused, by [`REFUSED_REASONS`].
pub const REFUSED_TOTAL: &str = "althing_mesh_connections_refused_total";
/// Dials made.
pub const DIALS_TOTAL: &str = "althing_mesh_dials_total";
/// Connections closed because a ping had no answer in time.
pub const PING_FAILURES_TOTAL: &str = "althing_mesh_ping_failures_total";
/// Bytes handed to direct streams.
pub const DIRECT_SENT_BYTES: &str = "althing_mesh_direct_sent_bytes_total";
/// Bytes received on direct streams.
pub const DIRECT_RECEIVED_BYTES: &str = "althing_mesh_direct_received_bytes_total";
/// Direct messages not sent, by [`DIRECT_DROPPED_REASONS`].
pub const DIRECT_DROPPED_TOTAL: &str = "althing_mesh_direct_dropped_total";
/// Direct streams closed because of what the peer sent, by [`DIRECT_BROKEN_REASONS`].
pub const DIRECT_BROKEN_TOTAL: &str = "althing_mesh_direct_broken_total";
/// Gossip messages not published, by [`GOSSIP_DROPPED_REASONS`].
pub const GOSSIP_DROPPED_TOTAL: &str = "althing_mesh_gossip_dropped_total";
/// Verdicts on gossip received from others, by [`VERDICTS`].
pub const GOSSIP_VERDICTS_TOTAL: &str = "althing_mesh_gossip_verdicts_total";
/// Requests of others not answered, by [`REQUEST_REFUSED_REASONS`].
pub const REQUESTS_REFUSED_TOTAL: &str = "althing_mesh_requests_refused_total";
/// Own requests without an answer, by [`REQUEST_FAILED_REASONS`].
pub const REQUESTS_FAILED_TOTAL: &str = "althing_mesh_requests_failed_total";
/// Reports of misbehaviour by the node.
pub const MISBEHAVIOUR_TOTAL: &str = "althing_mesh_misbehaviour_total";
/// Connection notices dropped because the node does not read its events.
pub const NOTICES_DROPPED_TOTAL: &str = "althing_mesh_notices_dropped_total";

/// Why a connection was refused.
pub const REFUSED_REASONS: [&str; 5] = ["stranger", "cordoned", "banned", "limit", "other_network"];
/// Why a direct message was not sent.
pub const DIRECT_DROPPED_REASONS: [&str; 4] = ["not_connected", "queue_full", "oversized", "stream_lost"];
/// Why a direct stream was closed.
pub const DIRECT_BROKEN_REASONS: [&str; 3] = ["oversized", "empty", "truncated"];
/// Why a gossip message was not published.
pub const GOSSIP_DROPPED_REASONS: [&str; 4] = ["oversized", "queue_full", "no_peers", "refused"];
/// What became of a gossip message.
pub const VERDICTS: [&str; 5] = ["accept", "ignore", "reject", "late", "node_busy"];
/// Why a request was not answered.
pub const REQUEST_REFUSED_REASONS: [&str; 4] = ["node_busy", "declined", "late", "oversized"];
/// Why a request has no answer.
pub const REQUEST_FAILED_REASONS: [&str; 4] = ["not_connected", "timeout", "refused", "limit"];

/// The catalogue: name, unit, description, and the label with its values.
#[expect(clippy::type_complexity, reason = "a table reads better in one place than as a struct of one use")]
const COUNTERS: [(&str, Unit, &str, Option<(&str, &[&str])>); 13] = [
    (REFUSED_TOTAL, Unit::Count, "Connections refused", Some(("reason", &REFUSED_REASONS))),
    (DIALS_TOTAL, Unit::Count, "Dials made", None),
    (PING_FAILURES_TOTAL, Unit::Count, "Connections closed for a ping without answer", None),
    (DIRECT_SENT_BYTES, Unit::Bytes, "Bytes handed to direct streams", None),
    (DIRECT_RECEIVED_BYTES, Unit::Bytes, "Bytes received on direct streams", None),
    (
        DIRECT_DROPPED_TOTAL,
        Unit::Count,
        "Direct messages not sent",
        Some(("reason", &DIRECT_DROPPED_REASONS)),
    ),
    (
        DIRECT_BROKEN_TOTAL,
        Unit::Count,
        "Direct streams closed for what the peer sent",
        Some(("reason", &DIRECT_BROKEN_REASONS)),
    ),
    (
        GOSSIP_DROPPED_TOTAL,
        Unit::Count,
        "Gossip messages not published",
        Some(("reason", &GOSSIP_DROPPED_REASONS)),
    ),
    (GOSSIP_VERDICTS_TOTAL, Unit::Count, "Verdicts on received gossip", Some(("verdict", &VERDICTS))),
    (
        REQUESTS_REFUSED_TOTAL,
        Unit::Count,
        "Requests of others not answered",
        Some(("reason", &REQUEST_REFUSED_REASONS)),
    ),
    (
        REQUESTS_FAILED_TOTAL,
        Unit::Count,
        "Own requests without an answer",
        Some(("reason", &REQUEST_FAILED_REASONS)),
    ),
    (MISBEHAVIOUR_TOTAL, Unit::Count, "Reports of misbehaviour by the node", None),
    (NOTICES_DROPPED_TOTAL, Unit::Count, "Connection notices that the node did not read", None),
];

/// Describes every metric and registers each label combination at 0, so that `increase()` sees the first event.
pub fn register() {
    describe_gauge!(PEERS, Unit::Count, "Nodes connected and admitted");
    gauge!(PEERS).increment(0.0);
    for (name, unit, description, label) in COUNTERS {
        describe_counter!(name, unit, description);
        match label {
            None => counter!(name).increment(0),
            Some((key, values)) => {
                for value in values {
                    counter!(name, key => *value).increment(0);
                }
            }
        }
    }
}

/// Adds one to a counter that has a `reason`.
pub(super) fn count(name: &'static str, reason: &'static str) {
    counter!(name, "reason" => reason).increment(1);
}
