//! Measurements, run by name.

use std::time::Instant;

use althing_netconfig::mesh::{MeshEvent, RESPONSE_LEN_MAX};
use bytes::Bytes;

use crate::node::{QUIC, TCP, id, pair};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: run it by name with --run-ignored and --nocapture"]
async fn measure_direct_round_trips() {
    for transport in [TCP, QUIC] {
        let (mut one, mut two) = pair(transport).await;
        let echo = tokio::spawn(async move {
            while let Some(event) = two.events.recv().await {
                if let MeshEvent::Direct { from, message } = event {
                    assert!(two.mesh.send(from, message));
                }
            }
        });
        let mut times = Vec::new();
        for _ in 0..3_000 {
            let begin = Instant::now();
            assert!(one.mesh.send(id(2), Bytes::from_static(&[7; 200])));
            one.wait_direct().await;
            times.push(begin.elapsed());
        }
        times.drain(..500);
        times.sort_unstable();
        println!("{transport}: p50 {:?} p99 {:?}", times[times.len() / 2], times[times.len() * 99 / 100]);
        echo.abort();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: run it by name with --run-ignored and --nocapture"]
async fn measure_large_answers() {
    const ROUNDS: u32 = 40;
    for transport in [TCP, QUIC] {
        let (one, mut two) = pair(transport).await;
        let answer = Bytes::from(vec![7; RESPONSE_LEN_MAX]);
        let node = tokio::spawn(async move {
            while let Some(event) = two.events.recv().await {
                if let MeshEvent::Request { reply, .. } = event {
                    reply.send(answer.clone()).unwrap();
                }
            }
        });
        let begin = Instant::now();
        for _ in 0..ROUNDS {
            one.mesh.request(id(2), Bytes::from_static(b"blocks")).await.unwrap();
        }
        println!("{transport}: {:?} for an answer of 4 MiB", begin.elapsed() / ROUNDS);
        node.abort();
    }
}
