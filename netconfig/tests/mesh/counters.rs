//! A recorder whose counters tests read and wait for.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
};

use metrics::{Counter, CounterFn, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use tokio::{sync::Notify, time::timeout};

use crate::node::DEADLINE;

#[derive(Debug, Default, Clone)]
pub(crate) struct Counters {
    values: Arc<Mutex<HashMap<String, Arc<Value>>>>,
    changed: Arc<Notify>,
}

#[derive(Debug)]
struct Value {
    count: AtomicU64,
    changed: Arc<Notify>,
}

impl CounterFn for Value {
    fn increment(&self, by: u64) {
        self.count.fetch_add(by, Ordering::SeqCst);
        self.changed.notify_waiters();
    }

    fn absolute(&self, count: u64) {
        self.count.fetch_max(count, Ordering::SeqCst);
        self.changed.notify_waiters();
    }
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
        value.unwrap_or_else(|| panic!("{name} with {label} is not registered")).count.load(Ordering::SeqCst)
    }

    /// Waits until a counter is above `before`.
    pub(crate) async fn wait_above(&self, name: &str, label: &str, before: u64) {
        loop {
            let changed = self.changed.notified();
            if self.get(name, label) > before {
                return;
            }
            timeout(DEADLINE, changed)
                .await
                .unwrap_or_else(|_| panic!("{name} with {label} stays at {before}"));
        }
    }

    fn value(&self, key: &Key) -> Arc<Value> {
        let label = key.labels().next().map_or("", |label| label.value());
        let mut values = self.values.lock().unwrap();
        let new = || Arc::new(Value { count: AtomicU64::new(0), changed: Arc::clone(&self.changed) });
        Arc::clone(values.entry(format!("{}:{label}", key.name())).or_insert_with(new))
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
