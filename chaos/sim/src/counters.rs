//! Owns the counters that the product keeps, summed over all nodes of a run, so that a run can tell what was refused.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock, Mutex, PoisonError, atomic::AtomicU64, atomic::Ordering},
};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

static VALUES: LazyLock<Mutex<BTreeMap<String, Arc<AtomicU64>>>> = LazyLock::new(Mutex::default);

/// Keeps the counters of this process.
struct Counters;

/// Begins to count; before it nothing is.
pub fn begin() {
    // Whoever came first counts.
    let _counted = metrics::set_global_recorder(Counters);
}

/// The counters above zero whose names begin with `prefix`, as `NAME:LABEL`.
#[must_use]
pub fn above_zero(prefix: &str) -> BTreeMap<String, u64> {
    let values = VALUES.lock().unwrap_or_else(PoisonError::into_inner);
    let read = values.iter().filter(|(name, _)| name.starts_with(prefix));
    let read = read.map(|(name, value)| (name.clone(), value.load(Ordering::Relaxed)));
    read.filter(|(_, value)| *value > 0).collect()
}

impl Recorder for Counters {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let label = key.labels().next().map_or("", |label| label.value());
        let mut values = VALUES.lock().unwrap_or_else(PoisonError::into_inner);
        Counter::from_arc(Arc::clone(values.entry(format!("{}:{label}", key.name())).or_default()))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}
