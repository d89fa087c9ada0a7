//! What is sent arrives: in order, answered, judged; what does not fit is refused.

use std::time::Duration;

use althing_netconfig::mesh::{
    FRAME_LEN_MAX, GOSSIP_MESSAGE_LEN_MAX, MeshEvent, REQUEST_LEN_MAX, RESPONSE_LEN_MAX, RequestError, Topic,
    Verdict,
};
use bytes::Bytes;
use tokio::time::timeout;

use crate::node::{QUIC, TCP, config, id, pair, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn direct_messages_arrive_in_order_over_tcp_and_quic() {
    for transport in [TCP, QUIC] {
        let (one, mut two) = pair(transport).await;
        let sizes = [1, 200, 20_000, 300_000];
        for number in 0..400_u32 {
            let mut message = number.to_be_bytes().to_vec();
            message.resize(4 + sizes[number as usize % sizes.len()] / 4, 7);
            assert!(one.mesh.send(id(2), message.into()));
        }
        for expected in 0..400_u32 {
            let (from, message) = two.wait_direct().await;
            assert_eq!(from, id(1));
            assert_eq!(message[..4], expected.to_be_bytes());
            assert_eq!(message.len(), 4 + sizes[expected as usize % sizes.len()] / 4);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_answered_or_declined() {
    let (one, mut two) = pair(TCP).await;
    let node = tokio::spawn(async move {
        for answer in [Some(Bytes::from(vec![9; 3_000_000])), None] {
            let (from, request, reply) = two
                .wait(|event| match event {
                    MeshEvent::Request { from, request, reply } => Some((from, request, reply)),
                    _ => None,
                })
                .await;
            assert_eq!((from, &request[..]), (id(1), &b"blocks 1..9"[..]));
            match answer {
                Some(answer) => reply.send(answer).unwrap(),
                None => drop(reply),
            }
        }
        two
    });
    let ask = || one.mesh.request(id(2), Bytes::from_static(b"blocks 1..9"));
    assert_eq!(ask().await.unwrap(), vec![9; 3_000_000]);
    let declined = RequestError::Refused("it has no answer to this request".into());
    assert_eq!(ask().await, Err(declined));
    assert_eq!(one.mesh.request(id(3), Bytes::new()).await, Err(RequestError::NotConnected));
    node.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gossip_reaches_a_node_two_hops_away_only_after_a_verdict() {
    let mut one = start(config(1, TCP, &[], &[1, 2])).await;
    let mut two = start(config(2, TCP, &[(1, one.address())], &[1, 2, 3])).await;
    let mut three = start(config(3, TCP, &[(2, two.address())], &[2, 3])).await;
    one.wait_connected(id(2)).await;
    two.wait_connected(id(3)).await;
    three.wait_connected(id(2)).await;
    let relay = tokio::spawn(async move {
        while let Some(event) = two.events.recv().await {
            if let MeshEvent::Gossip { message, verdict, .. } = event {
                let judged = if message.starts_with(b"good") { Verdict::Accept } else { Verdict::Reject };
                let _gone = verdict.send(judged);
            }
        }
    });
    let mut number = 0;
    let heard = loop {
        number += 1;
        assert!(one.mesh.publish(Topic::Heads, format!("bad {number}").into()));
        assert!(one.mesh.publish(Topic::Transactions, format!("good {number}").into()));
        if let Ok(Some(MeshEvent::Gossip { from, topic, message, .. })) =
            timeout(Duration::from_millis(200), three.events.recv()).await
        {
            break (from, topic, message);
        }
        assert!(number < 100, "nothing arrived");
    };
    assert_eq!((heard.0, heard.1), (id(2), Topic::Transactions));
    assert!(heard.2.starts_with(b"good"), "{:?}", heard.2);
    relay.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_frame_arrives_and_a_larger_one_is_not_queued() {
    let (one, mut two) = pair(QUIC).await;
    let largest = Bytes::from(vec![3; FRAME_LEN_MAX]);
    assert!(one.mesh.send(id(2), largest.clone()));
    assert_eq!(two.wait_direct().await, (id(1), largest));
    assert!(!one.mesh.send(id(2), vec![3; FRAME_LEN_MAX + 1].into()));
    assert!(!one.mesh.send(id(2), Bytes::new()));
    assert!(!one.mesh.send(id(9), Bytes::from_static(b"x")), "an unconnected node takes nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_largest_gossip_message_arrives_and_a_larger_one_is_not_queued() {
    let (one, mut two) = pair(TCP).await;
    assert!(!one.mesh.publish(Topic::Heads, vec![0; GOSSIP_MESSAGE_LEN_MAX + 1].into()));
    for number in 0_u8..100 {
        let mut message = vec![5; GOSSIP_MESSAGE_LEN_MAX];
        message[0] = number;
        assert!(one.mesh.publish(Topic::Heads, message.into()));
        if let Ok(Some(MeshEvent::Gossip { message, .. })) =
            timeout(Duration::from_millis(200), two.events.recv()).await
        {
            assert_eq!(message.len(), GOSSIP_MESSAGE_LEN_MAX);
            return;
        }
    }
    panic!("the largest message never arrived");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn oversized_requests_and_answers_are_refused() {
    let (one, mut two) = pair(TCP).await;
    let refused = one.mesh.request(id(2), vec![0; REQUEST_LEN_MAX + 1].into()).await;
    assert_eq!(refused, Err(RequestError::Refused("the request has 262145 bytes of 262144".into())));
    let node = tokio::spawn(async move {
        let reply = two
            .wait(|event| match event {
                MeshEvent::Request { reply, .. } => Some(reply),
                _ => None,
            })
            .await;
        reply.send(vec![0; RESPONSE_LEN_MAX + 1].into()).unwrap();
        two
    });
    let refused = one.mesh.request(id(2), Bytes::from_static(b"all")).await;
    assert_eq!(refused, Err(RequestError::Refused("it has no answer to this request".into())));
    node.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queue_that_nobody_reads_fills_up_and_empties_in_order() {
    let (one, mut two) = pair(TCP).await;
    let mut sent = 0_u32;
    loop {
        let mut message = sent.to_be_bytes().to_vec();
        message.resize(256 * 1024, 0);
        if !one.mesh.send(id(2), message.into()) {
            break;
        }
        sent += 1;
        assert!(sent < 4_000, "a gigabyte was taken without a reader");
    }
    for expected in 0..sent {
        let (_, message) = two.wait_direct().await;
        assert_eq!(message[..4], expected.to_be_bytes());
    }
    assert!(one.mesh.send(id(2), Bytes::from_static(b"room again")));
}
