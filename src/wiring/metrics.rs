//! Owns the process's metrics recorder: one for all nodes of a process, read by their admin listeners.

use std::sync::OnceLock;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing::warn;

/// Buckets of durations, from a log sync to a slow rollout, in seconds; with the bounds that figures are judged by.
const SECONDS_BUCKETS: [f64; 16] = [
    0.000_1, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0, 300.0,
    3_600.0,
];
/// Buckets of counts, such as the transactions of a block.
const COUNT_BUCKETS: [f64; 8] = [1.0, 4.0, 16.0, 64.0, 256.0, 1_024.0, 4_096.0, 16_384.0];

static RECORDER: OnceLock<Option<PrometheusHandle>> = OnceLock::new();

/// Installs the recorder; must come before the first actor, so that every series exists at zero from the start.
pub fn install() {
    RECORDER.get_or_init(|| {
        let builder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS_BUCKETS)
            .and_then(|builder| {
                builder.set_buckets_for_metric(Matcher::Suffix("_transactions".to_owned()), &COUNT_BUCKETS)
            });
        let installed = builder.and_then(PrometheusBuilder::install_recorder);
        installed.inspect_err(|error| warn!(%error, "metrics are not recorded")).ok()
    });
}

/// All metrics in Prometheus' text format.
pub(super) fn render() -> String {
    let recorder = RECORDER.get().and_then(Option::as_ref);
    recorder
        .map(|recorder| {
            recorder.run_upkeep();
            recorder.render()
        })
        .unwrap_or_default()
}
