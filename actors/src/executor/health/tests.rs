use althing_contracts::quantity::Ratio;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;

fn check(samples: u16, success: (u32, u32), latency_ms: u64) -> HealthCheck {
    HealthCheck {
        path: Line::new("/health").unwrap(),
        samples,
        success: Ratio::new(success.0, success.1).unwrap(),
        latency_p95_ms: DurationMs::new(latency_ms),
        within_ms: DurationMs::new(30_000),
    }
}

/// Serves `statuses` in turn, one connection each; an empty status never answers.
pub(crate) async fn server(statuses: &'static [&'static str]) -> Line {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Line::new(&format!("http://{}/", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move {
        let mut held = Vec::new();
        for status in statuses.iter().cycle() {
            let (mut stream, _) = listener.accept().await.unwrap();
            if status.is_empty() {
                held.push(stream);
                continue;
            }
            let mut request = [0; 1024];
            let Ok(read @ 1..) = stream.read(&mut request).await else { continue };
            assert!(request[..read].starts_with(b"GET /health HTTP/1.1\r\n"));
            let answer = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            // A prober that was killed does not read its answer.
            let _gone = stream.write_all(answer.as_bytes()).await;
        }
    });
    endpoint
}

#[tokio::test]
async fn a_target_that_answers_is_healthy() {
    let endpoints = [server(&["200 OK"]).await, server(&["204 No Content"]).await];
    let report = HttpProber::new().unwrap().probe(&endpoints, &check(10, (1, 1), 5_000)).await;
    assert!(report.healthy, "{report:?}");
    assert_eq!((report.samples, report.succeeded, report.reason.as_str()), (20, 20, ""));
}

#[tokio::test]
async fn one_failure_more_than_allowed_is_unhealthy() {
    let endpoint = [server(&["200 OK", "200 OK", "200 OK", "500 Internal Server Error"]).await];
    let prober = HttpProber::new().unwrap();
    assert!(prober.probe(&endpoint, &check(8, (6, 8), 5_000)).await.healthy);
    let report = prober.probe(&endpoint, &check(8, (7, 8), 5_000)).await;
    assert!(!report.healthy);
    assert_eq!(
        report.reason.as_str(),
        "6 of 8 requests succeeded, 7/8 are needed; first failure: status 500"
    );
}

#[tokio::test]
async fn silence_counts_as_failure() {
    let endpoint = [server(&[""]).await];
    let report = HttpProber::new().unwrap().probe(&endpoint, &check(2, (1, 2), 1)).await;
    assert!(!report.healthy);
    assert_eq!(
        report.reason.as_str(),
        "0 of 2 requests succeeded, 1/2 are needed; first failure: no answer within 1000 ms"
    );
}

#[tokio::test]
async fn nothing_to_probe_is_not_healthy() {
    let report = HttpProber::new().unwrap().probe(&[], &check(1, (1, 1), 1)).await;
    assert!(!report.healthy);
    assert_eq!(report.reason.as_str(), "the target serves nothing that can be probed");
    let gone = [Line::new("http://127.0.0.1:1").unwrap()];
    assert!(!HttpProber::new().unwrap().probe(&gone, &check(1, (0, 1), 1)).await.healthy);
}

#[test]
fn latency_is_judged_at_the_95th_percentile() {
    let answered = |ms| Sample { latency: Duration::from_millis(ms), failure: None };
    let mut samples: Vec<Sample> = (0..19).map(|_| answered(10)).collect();
    samples.push(answered(900));
    assert!(judge(&check(20, (1, 1), 10), 20, &samples).healthy);
    samples[0] = answered(900);
    let report = judge(&check(20, (1, 1), 10), 20, &samples);
    assert_eq!(report.reason.as_str(), "95 % answered within 900 ms, 10 ms are allowed");
}
