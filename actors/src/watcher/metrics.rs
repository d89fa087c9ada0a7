//! Owns the metrics of supervision.

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

/// Restarts of an actor after a panic, by actor.
pub const RESTARTS: &str = "althing_actor_restarts_total";
/// Requests that wait in an actor's mailbox or are being handled, by actor.
pub const WAITING: &str = "althing_actor_requests_waiting";
/// 1 when an actor failed too often and the node refuses to write.
pub const READ_ONLY: &str = "althing_node_read_only";

pub(super) fn describe() {
    describe_counter!(RESTARTS, Unit::Count, "restarts of an actor after a panic");
    describe_gauge!(READ_ONLY, Unit::Count, "1 when an actor failed too often and the node refuses to write");
    describe_gauge!(WAITING, Unit::Count, "requests in an actor's mailbox or being handled");
    gauge!(READ_ONLY).set(0.0);
}

pub(super) fn register(actor: &'static str) {
    counter!(RESTARTS, "actor" => actor).absolute(0);
    gauge!(WAITING, "actor" => actor).increment(0.0);
}

/// Counts a request from its sending to its answer, however it ends.
pub(super) struct WaitingGuard(&'static str);

impl WaitingGuard {
    pub(super) fn new(actor: &'static str) -> Self {
        gauge!(WAITING, "actor" => actor).increment(1.0);
        Self(actor)
    }
}

impl Drop for WaitingGuard {
    fn drop(&mut self) {
        gauge!(WAITING, "actor" => self.0).decrement(1.0);
    }
}

pub(super) fn restarted(actor: &'static str) {
    counter!(RESTARTS, "actor" => actor).increment(1);
}

pub(super) fn read_only() {
    gauge!(READ_ONLY).set(1.0);
}
