//! A recorder that tests read counters from.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

#[derive(Debug, Default, Clone)]
pub(crate) struct Counters {
    values: Arc<Mutex<HashMap<String, Arc<AtomicU64>>>>,
}

impl Counters {
    /// The recorder of this process; call it before the first mesh starts.
    pub(crate) fn install() -> &'static Self {
        static COUNTERS: OnceLock<Counters> = OnceLock::new();
        COUNTERS.get_or_init(|| {
            let counters = Self::default();
            metrics::set_global_recorder(counters.clone()).unwrap();
            counters
        })
    }

    /// The value of a counter with one label; panics if it was never registered.
    pub(crate) fn get(&self, name: &str, label: &str) -> u64 {
        let values = self.values.lock().unwrap();
        let value = values.get(&format!("{name}:{label}"));
        value.unwrap_or_else(|| panic!("{name} with {label} is not registered")).load(Ordering::SeqCst)
    }

    fn value(&self, key: &Key) -> Arc<AtomicU64> {
        let label = key.labels().next().map_or("", |label| label.value());
        let mut values = self.values.lock().unwrap();
        Arc::clone(values.entry(format!("{}:{label}", key.name())).or_default())
    }
}

impl Recorder for Counters {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.value(key))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}
