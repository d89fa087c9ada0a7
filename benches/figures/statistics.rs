//! Owns what is said of a series of times.

use std::time::{Duration, Instant};

/// Times of operations that were done one after another.
#[derive(Debug, Clone, Default)]
pub(crate) struct Latencies(Vec<Duration>);

impl Latencies {
    pub(crate) fn push(&mut self, latency: Duration) {
        self.0.push(latency);
    }

    pub(crate) fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The mean in milliseconds; `None` of an empty series.
    pub(crate) fn mean_ms(&self) -> Option<f64> {
        let count = u32::try_from(self.len()).ok().filter(|count| *count > 0)?;
        let total: Duration = self.0.iter().sum();
        Some(total.as_secs_f64() * 1e3 / f64::from(count))
    }

    /// The nearest-rank percentile in milliseconds; `None` of an empty series.
    pub(crate) fn percentile_ms(&self, percent: usize) -> Option<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).map(|latency| latency.as_secs_f64() * 1e3)
    }

    /// `p50 1.23 ms, p95 2.34 ms, n 500`, for people.
    pub(crate) fn summary(&self) -> String {
        let part = |percent| self.percentile_ms(percent).unwrap_or(f64::NAN);
        format!("p50 {:.2} ms, p95 {:.2} ms, n {}", part(50), part(95), self.len())
    }
}

/// Times one operation.
pub(crate) fn timed<T>(operation: impl FnOnce() -> T) -> (T, Duration) {
    let begun = Instant::now();
    let value = operation();
    (value, begun.elapsed())
}
