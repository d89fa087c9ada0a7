//! Owns health probes over HTTP: requests to each instance of a target and the verdict by the proposal's own check.
//!
//! A request that is not answered in time failed, and no data is not healthy. Nothing is retried: the check says
//! how many samples may fail.

use std::time::Duration;

use althing_contracts::{document::HealthCheck, name::Line, quantity::DurationMs, transaction::HealthReport};
use async_trait::async_trait;
use futures::{StreamExt, stream};
use reqwest::{Client, redirect::Policy};
use tokio::time::Instant;

use crate::port::Prober;

/// Requests in flight at once: enough to finish a check soon, few enough not to be the load that it measures.
pub const IN_FLIGHT_MAX: usize = 8;
/// Longest wait for one answer, whatever the check's latency is.
pub const ANSWER_WITHIN_MAX: Duration = Duration::from_secs(10);
/// Shortest wait for one answer, so that a strict latency is measured and not cut.
const ANSWER_WITHIN_MIN: Duration = Duration::from_secs(1);

/// Probes targets over HTTP.
#[derive(Debug)]
pub struct HttpProber {
    client: Client,
}

struct Sample {
    latency: Duration,
    failure: Option<String>,
}

impl HttpProber {
    /// A prober that measures the instance itself: no redirects, no proxy, and a connection of its own for each
    /// request, because one kept from before belongs to the instance that was replaced.
    ///
    /// # Errors
    /// The HTTP client cannot be set up.
    pub fn new() -> Result<Self, reqwest::Error> {
        let client =
            Client::builder().no_proxy().redirect(Policy::none()).pool_max_idle_per_host(0).build()?;
        Ok(Self { client })
    }

    async fn sample(&self, url: String, answer_within: Duration) -> Sample {
        let begun = Instant::now();
        let answer = self.client.get(url).timeout(answer_within).send().await;
        let failure = match answer {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("status {}", answer.status().as_u16())),
            Err(error) if error.is_timeout() => {
                Some(format!("no answer within {} ms", answer_within.as_millis()))
            }
            Err(error) if error.is_connect() => Some("no connection".to_owned()),
            Err(_) => Some("no valid answer".to_owned()),
        };
        Sample { latency: begun.elapsed(), failure }
    }
}

#[async_trait]
impl Prober for HttpProber {
    /// Sends the check's samples to each endpoint and judges the answers. Ends within a third of the check's window.
    async fn probe(&self, endpoints: &[Line], check: &HealthCheck) -> HealthReport {
        let wanted = endpoints.len().saturating_mul(usize::from(check.samples));
        let answer_within = Duration::from_millis(check.latency_p95_ms.get()).saturating_mul(4);
        let answer_within = answer_within.clamp(ANSWER_WITHIN_MIN, ANSWER_WITHIN_MAX);
        let end = Instant::now() + Duration::from_millis(check.within_ms.get() / 3);
        let urls: Vec<String> = endpoints.iter().map(|endpoint| url(endpoint, check)).collect();
        let requests: Vec<String> = (0..check.samples).flat_map(|_| urls.clone()).collect();
        let samples: Vec<Sample> = stream::iter(requests)
            .map(|url| self.sample(url, answer_within))
            .buffer_unordered(IN_FLIGHT_MAX)
            .take_until(tokio::time::sleep_until(end))
            .collect()
            .await;
        judge(check, wanted, &samples)
    }
}

fn url(endpoint: &Line, check: &HealthCheck) -> String {
    format!("{}{}", endpoint.as_str().trim_end_matches('/'), check.path)
}

/// Requests that were never sent because the time was over count as failed.
fn judge(check: &HealthCheck, wanted: usize, samples: &[Sample]) -> HealthReport {
    let mut latencies: Vec<Duration> =
        samples.iter().filter(|sample| sample.failure.is_none()).map(|sample| sample.latency).collect();
    latencies.sort_unstable();
    let succeeded = latencies.len();
    let latency_p95 = percentile_95(&latencies);
    let latency_p95_ms = DurationMs::new(u64::try_from(latency_p95.as_millis()).unwrap_or(u64::MAX));
    let enough = wanted > 0 && succeeded > 0 && check.success.is_reached_by(succeeded as u64, wanted as u64);
    let reason = if wanted == 0 {
        "the target serves nothing that can be probed".to_owned()
    } else if !enough {
        let first = samples.iter().find_map(|sample| sample.failure.as_deref());
        let first = first.unwrap_or("the time for the probe was over");
        format!(
            "{succeeded} of {wanted} requests succeeded, {} are needed; first failure: {first}",
            check.success
        )
    } else if latency_p95_ms > check.latency_p95_ms {
        format!("95 % answered within {latency_p95_ms} ms, {} ms are allowed", check.latency_p95_ms)
    } else {
        String::new()
    };
    HealthReport {
        healthy: reason.is_empty(),
        samples: u32::try_from(wanted).unwrap_or(u32::MAX),
        succeeded: u32::try_from(succeeded).unwrap_or(u32::MAX),
        latency_p95_ms,
        reason: Line::new(&reason).expect("the texts are short and have no control characters"),
    }
}

/// The 95th percentile by nearest rank; zero of nothing.
fn percentile_95(sorted: &[Duration]) -> Duration {
    let rank = (sorted.len() * 95).div_ceil(100);
    rank.checked_sub(1).and_then(|index| sorted.get(index)).copied().unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod tests;
