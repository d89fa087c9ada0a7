//! Owns the metrics of the store.

use metrics::{Counter, Histogram, Unit, counter, describe_counter, describe_histogram, histogram};

/// Times the log was made durable.
pub const SYNCS_TOTAL: &str = "althing_log_syncs_total";
/// How long making it durable took, write included.
pub const SYNC_SECONDS: &str = "althing_log_sync_seconds";
/// Bytes appended, headers included.
pub const BYTES_TOTAL: &str = "althing_log_bytes_total";
/// Torn tails that were cut at open: an unsynced write that a crash interrupted.
pub const TORN_TAILS_TOTAL: &str = "althing_log_torn_tails_total";
/// Times the index was set aside and rebuilt from the log.
pub const INDEX_REBUILDS_TOTAL: &str = "althing_log_index_rebuilds_total";
/// Snapshots that could not be used, so that an older one or the log was read.
pub const SNAPSHOTS_REFUSED_TOTAL: &str = "althing_log_snapshots_refused_total";

/// Describes every metric of the store and sets the counters to zero.
pub fn describe() {
    let counters = [
        (SYNCS_TOTAL, Unit::Count, "times the log was made durable"),
        (BYTES_TOTAL, Unit::Bytes, "bytes appended to the log, headers included"),
        (TORN_TAILS_TOTAL, Unit::Count, "torn tails cut at open"),
        (INDEX_REBUILDS_TOTAL, Unit::Count, "times the index was set aside and rebuilt from the log"),
        (SNAPSHOTS_REFUSED_TOTAL, Unit::Count, "snapshots that could not be used at open"),
    ];
    for (name, unit, description) in counters {
        describe_counter!(name, unit, description);
        counter!(name).increment(0);
    }
    describe_histogram!(SYNC_SECONDS, Unit::Seconds, "time to make the log durable, write included");
}

/// What changes with every sync, looked up once.
pub(super) struct Meters {
    syncs: Counter,
    bytes: Counter,
    sync_seconds: Histogram,
}

impl Meters {
    pub(super) fn new() -> Self {
        Self {
            syncs: counter!(SYNCS_TOTAL),
            bytes: counter!(BYTES_TOTAL),
            sync_seconds: histogram!(SYNC_SECONDS),
        }
    }

    pub(super) fn synced(&self, bytes: u64, took: std::time::Duration) {
        self.syncs.increment(1);
        self.bytes.increment(bytes);
        self.sync_seconds.record(took.as_secs_f64());
    }
}

impl std::fmt::Debug for Meters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meters").finish_non_exhaustive()
    }
}
