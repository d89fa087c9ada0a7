//! Owns the metrics of the proposal desk.

use althing_contracts::{quantity::DurationMs, stage::Stage};
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

/// Requests, by kind.
pub const REQUESTS: &str = "althing_proposal_requests_total";
/// Waits under way.
pub const WAITING: &str = "althing_proposal_waits_running";

/// Time that proposals stay in a stage, by stage and by the ledger's time.
pub const STAGE_SECONDS: &str = "althing_proposal_stage_seconds";

/// What was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Request {
    Plan,
    Submit,
    Revise,
    Review,
    Vote,
    Cancel,
    Wait,
}

impl Request {
    const ALL: [Self; 7] =
        [Self::Plan, Self::Submit, Self::Revise, Self::Review, Self::Vote, Self::Cancel, Self::Wait];

    const fn name(self) -> &'static str {
        match self {
            Self::Plan => "plan",
            Self::Submit => "submit",
            Self::Revise => "revise",
            Self::Review => "review",
            Self::Vote => "vote",
            Self::Cancel => "cancel",
            Self::Wait => "wait",
        }
    }
}

/// Counts a wait from its begin to its end, however it ends.
pub(super) struct WaitGuard;

pub(super) fn describe() {
    describe_counter!(REQUESTS, Unit::Count, "requests about proposals");
    describe_gauge!(WAITING, Unit::Count, "waits for a stage under way");
    for request in Request::ALL {
        counter!(REQUESTS, "kind" => request.name()).absolute(0);
    }
    gauge!(WAITING).set(0.0);
}

pub(super) fn asked(request: Request) {
    counter!(REQUESTS, "kind" => request.name()).increment(1);
}

impl WaitGuard {
    pub(super) fn new() -> Self {
        gauge!(WAITING).increment(1.0);
        Self
    }
}

impl Drop for WaitGuard {
    fn drop(&mut self) {
        gauge!(WAITING).decrement(1.0);
    }
}

pub(super) fn describe_stages() {
    describe_histogram!(STAGE_SECONDS, Unit::Seconds, "time that proposals stay in a stage");
}

pub(super) fn left_stage(stage: Stage, after: DurationMs) {
    let after = std::time::Duration::from_millis(after.get());
    histogram!(STAGE_SECONDS, "stage" => stage.name()).record(after.as_secs_f64());
}
