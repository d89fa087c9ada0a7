//! Owns the metrics of supervision.

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

/// Restarts of an actor after a panic, by actor.
pub const RESTARTS: &str = "althing_actor_restarts_total";
/// 1 when an actor failed too often and the node refuses to write.
pub const READ_ONLY: &str = "althing_node_read_only";

pub(super) fn describe() {
    describe_counter!(RESTARTS, Unit::Count, "restarts of an actor after a panic");
    describe_gauge!(READ_ONLY, Unit::Count, "1 when an actor failed too often and the node refuses to write");
    gauge!(READ_ONLY).set(0.0);
}

pub(super) fn register(actor: &'static str) {
    counter!(RESTARTS, "actor" => actor).absolute(0);
}

pub(super) fn restarted(actor: &'static str) {
    counter!(RESTARTS, "actor" => actor).increment(1);
}

pub(super) fn read_only() {
    gauge!(READ_ONLY).set(1.0);
}
