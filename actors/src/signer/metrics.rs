//! Owns the metrics of the signer and the submitter.

use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_histogram, histogram};

use super::journal::KeyUse;

/// Signatures made, by purpose.
pub const SIGNATURES: &str = "althing_signer_signatures_total";
/// Requests refused, by purpose.
pub const REFUSALS: &str = "althing_signer_refusals_total";
/// Time from a call to its final answer, by purpose.
pub const FINALITY: &str = "althing_submitter_finality_seconds";
/// Submissions sent again because their outcome was unknown.
pub const RESUBMISSIONS: &str = "althing_submitter_resubmissions_total";

pub(super) fn describe() {
    describe_counter!(SIGNATURES, Unit::Count, "signatures made with members' keys");
    describe_counter!(REFUSALS, Unit::Count, "requests that the signer refused");
    describe_histogram!(FINALITY, Unit::Seconds, "time from a call to its final answer");
    describe_counter!(RESUBMISSIONS, Unit::Count, "submissions sent again because their outcome was unknown");
    for purpose in KeyUse::ALL {
        counter!(SIGNATURES, "purpose" => purpose.name()).absolute(0);
        counter!(REFUSALS, "purpose" => purpose.name()).absolute(0);
    }
    counter!(RESUBMISSIONS).absolute(0);
}

pub(super) fn signed(purpose: KeyUse) {
    counter!(SIGNATURES, "purpose" => purpose.name()).increment(1);
}

pub(super) fn refused(purpose: KeyUse) {
    counter!(REFUSALS, "purpose" => purpose.name()).increment(1);
}

pub(super) fn finality(purpose: KeyUse, took: Duration) {
    histogram!(FINALITY, "purpose" => purpose.name()).record(took);
}

pub(super) fn resubmitted() {
    counter!(RESUBMISSIONS).increment(1);
}
