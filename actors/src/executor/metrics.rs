//! Owns the metrics of the executor.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

/// Steps reported, by kind and outcome.
pub const STEPS: &str = "althing_executor_steps_total";
/// Health attestations, by verdict.
pub const ATTESTATIONS: &str = "althing_executor_attestations_total";
/// Calls of providers whose outcome was unknown.
pub const UNKNOWN: &str = "althing_executor_unknown_outcomes_total";
/// Steps under way.
pub const RUNNING: &str = "althing_executor_steps_running";
/// Time from a step's order to the call of its provider.
pub const DUE_TO_PROVIDER: &str = "althing_executor_due_to_provider_seconds";

const KINDS: [&str; 2] = ["do", "undo"];
const OUTCOMES: [&str; 2] = ["done", "failed"];
const VERDICTS: [&str; 2] = ["healthy", "unhealthy"];

pub(super) fn describe() {
    describe_counter!(STEPS, Unit::Count, "steps reported to the ledger");
    describe_counter!(ATTESTATIONS, Unit::Count, "health attestations made");
    describe_counter!(UNKNOWN, Unit::Count, "calls of providers whose outcome was unknown");
    describe_gauge!(RUNNING, Unit::Count, "steps under way");
    describe_histogram!(
        DUE_TO_PROVIDER,
        Unit::Seconds,
        "time from a step's order to the call of its provider"
    );
    for kind in KINDS {
        for outcome in OUTCOMES {
            counter!(STEPS, "kind" => kind, "outcome" => outcome).absolute(0);
        }
    }
    for verdict in VERDICTS {
        counter!(ATTESTATIONS, "verdict" => verdict).absolute(0);
    }
    counter!(UNKNOWN).absolute(0);
    gauge!(RUNNING).set(0.0);
}

pub(super) fn reported(undo: bool, done: bool) {
    let (kind, outcome) = (KINDS[usize::from(undo)], OUTCOMES[usize::from(!done)]);
    counter!(STEPS, "kind" => kind, "outcome" => outcome).increment(1);
}

pub(super) fn attested(healthy: bool) {
    counter!(ATTESTATIONS, "verdict" => VERDICTS[usize::from(!healthy)]).increment(1);
}

pub(super) fn unknown() {
    counter!(UNKNOWN).increment(1);
}

pub(super) fn running(steps: usize) {
    gauge!(RUNNING).set(u32::try_from(steps).map_or(f64::INFINITY, f64::from));
}

pub(super) fn due_to_provider(took: Duration) {
    histogram!(DUE_TO_PROVIDER).record(took);
}
