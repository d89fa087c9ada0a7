//! Owns the figures of gossip under attack: the worst of every run, because the goal holds for each of them.

use serde_json::{Value, json};

use super::{Ran, commit, failed};

/// The scenario's name.
pub(super) const NAME: &str = "gossip";

/// One report over all runs.
pub(super) fn report(done: &[Ran], kept: usize, wall_s: f64) -> Value {
    let twice = done.iter().filter(|ran| ran.job.is_twice).count();
    let repeats = done.iter().filter(|ran| ran.job.is_twice && ran.repeats).count();
    let first = done.first().map(|ran| &ran.outcome);
    let cast = |who: &str| first.map_or(Value::Null, |outcome| outcome[who].clone());
    json!({
        "commit": commit(),
        "runs": done.len(),
        "kept_seeds": kept,
        "failed": failed(done),
        "ran_twice": twice,
        "repeated_themselves": repeats,
        "honest": cast("honest"),
        "victims": cast("victims"),
        "hostile": cast("hostile"),
        "messages": sum(done, "/delivery/expected"),
        "delivered_ppm_least": least(done, "/delivery/share_ppm"),
        "p50_ms_most": most(done, "/delivery/p50_ms"),
        "p99_ms_most": most(done, "/delivery/p99_ms"),
        "victims_delivered_ppm_least": least(done, "/delivery_to_victims/share_ppm"),
        "victims_p99_ms_most": most(done, "/delivery_to_victims/p99_ms"),
        "victims_joined_ms_most": most(done, "/victims_joined_ms"),
        "answered_ppm_least": least(done, "/answered_ppm"),
        "connections_most": most(done, "/connections_most"),
        "invalid_most": most(done, "/invalid_most"),
        "simulated_s": sum(done, "/simulated_ms") / 1_000,
        "wall_s": wall_s,
        "peak_memory_kib": done.iter().map(|ran| ran.peak_kib).max(),
    })
}

fn values<'a>(done: &'a [Ran], pointer: &'a str) -> impl Iterator<Item = u64> + 'a {
    done.iter().filter_map(move |ran| ran.outcome.pointer(pointer)?.as_u64())
}

fn sum(done: &[Ran], pointer: &str) -> u64 {
    values(done, pointer).sum()
}

/// `null` when a run has no such value: what never came is not the least of anything.
fn least(done: &[Ran], pointer: &str) -> Option<u64> {
    values(done, pointer).min().filter(|_| values(done, pointer).count() == done.len())
}

/// As [`least`].
fn most(done: &[Ran], pointer: &str) -> Option<u64> {
    values(done, pointer).max().filter(|_| values(done, pointer).count() == done.len())
}
