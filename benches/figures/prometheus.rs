//! Owns reading a node's own metrics, to tell where the time of a ballot goes and how late a step is.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// Observations of one histogram, over all its labels.
#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    /// Upper bounds with the observations up to each, in order; the last bound is infinite.
    cumulative: Vec<(f64, f64)>,
}

impl Histogram {
    /// Reads the histogram of this name; `None` when nothing was observed.
    pub(crate) fn read(text: &str, name: &str) -> Option<Self> {
        let prefix = format!("{name}_bucket{{");
        let mut cumulative: Vec<(f64, f64)> = Vec::new();
        for line in text.lines().filter(|line| line.starts_with(&prefix)) {
            let (series, count) = line.rsplit_once(' ')?;
            let bound = series.split("le=\"").nth(1)?.split('"').next()?.parse().ok()?;
            let count: f64 = count.parse().ok()?;
            match cumulative.iter_mut().find(|(known, _)| f64::total_cmp(known, &bound).is_eq()) {
                Some((_, sum)) => *sum += count,
                None => cumulative.push((bound, count)),
            }
        }
        cumulative.sort_by(|a, b| a.0.total_cmp(&b.0));
        Some(Self { cumulative }).filter(|histogram| histogram.count() > 0.0)
    }

    /// Observations.
    pub(crate) fn count(&self) -> f64 {
        self.cumulative.last().map_or(0.0, |(_, count)| *count)
    }

    /// The bounds between which a quantile lies and, by the rule of Prometheus' `histogram_quantile`, where: linear
    /// between the bounds, and the lower bound in the last bucket.
    pub(crate) fn quantile(&self, quantile: f64) -> (f64, f64, f64) {
        let rank = quantile * self.count();
        let (mut lower, mut before) = (0.0, 0.0);
        for (upper, count) in &self.cumulative {
            if *count >= rank {
                let share = (rank - before) / (count - before);
                let value = if upper.is_finite() { lower + (upper - lower) * share } else { lower };
                return (lower, *upper, value);
            }
            (lower, before) = (*upper, *count);
        }
        (lower, f64::INFINITY, lower)
    }
}

/// Sums and counts of every timed thing between two readings, for each of `operations`: `NAME_ms`, the mean of one, and
/// `NAME_per_ballot`, how often it happened.
pub(crate) fn timings_per_ballot(before: &str, after: &str, operations: usize) -> Map<String, Value> {
    let (before, after) = (timings(before), timings(after));
    let mut parts = Map::new();
    for (name, (sum, count)) in after {
        let (sum_before, count_before) = before.get(&name).copied().unwrap_or_default();
        let (sum, count) = (sum - sum_before, count - count_before);
        if count > 0.0 {
            parts.insert(format!("{name}_mean_ms"), json!(sum / count * 1e3));
            parts.insert(format!("{name}_per_ballot"), json!(count / count_of(operations)));
        }
    }
    parts
}

/// Sum and count of each metric that is named in seconds, over all its labels; histograms and summaries alike.
fn timings(text: &str) -> BTreeMap<String, (f64, f64)> {
    let mut timings: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let Some((series, value)) = line.rsplit_once(' ') else { continue };
        let (name, value) = (series.split('{').next().unwrap_or(series), value.parse::<f64>().unwrap_or(0.0));
        if let Some(name) = name.strip_suffix("_seconds_sum") {
            timings.entry(short(name)).or_default().0 += value;
        } else if let Some(name) = name.strip_suffix("_seconds_count") {
            timings.entry(short(name)).or_default().1 += value;
        }
    }
    timings
}

fn short(name: &str) -> String {
    name.trim_start_matches("althing_").to_owned()
}

fn count_of(operations: usize) -> f64 {
    f64::from(u32::try_from(operations).unwrap_or(u32::MAX))
}
