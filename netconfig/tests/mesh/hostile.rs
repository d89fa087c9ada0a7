//! A member that breaks the protocol: its stream is closed, it is counted, the node goes on.

use althing_netconfig::mesh::{FRAME_LEN_MAX, Multiaddr, metrics};
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::{
    Stream, StreamProtocol, Swarm, SwarmBuilder, identify, identity::Keypair, noise, ping,
    swarm::NetworkBehaviour, tcp, yamux,
};
use tokio::time::timeout;

use crate::{
    counters::Counters,
    node::{DEADLINE, Node, TCP, config, id, identity, network, start},
};

#[derive(NetworkBehaviour)]
struct Hostile {
    stream: libp2p_stream::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
}

/// A bare swarm with the key of member 2, connected to `to`; it speaks only what a test makes it say.
fn hostile_peer(to: &Multiaddr) -> libp2p_stream::Control {
    let keypair = Keypair::ed25519_from_bytes([2; 32]).unwrap();
    let name = format!("/althing/{}/1", hex::encode(&network().as_bytes()[..8]));
    let mut swarm: Swarm<Hostile> = SwarmBuilder::with_existing_identity(keypair)
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .unwrap()
        .with_behaviour(|key| Hostile {
            stream: libp2p_stream::Behaviour::new(),
            identify: identify::Behaviour::new(identify::Config::new(name, key.public())),
            ping: ping::Behaviour::default(),
        })
        .unwrap()
        .build();
    swarm.dial(to.clone()).unwrap();
    let control = swarm.behaviour().stream.new_control();
    tokio::spawn(async move { while swarm.next().await.is_some() {} });
    control
}

/// A direct stream that the node has greeted.
async fn open(control: &mut libp2p_stream::Control, node: &Node) -> Stream {
    let name = format!("/althing/{}/direct/1", hex::encode(&network().as_bytes()[..8]));
    let protocol = StreamProtocol::try_from_owned(name).unwrap();
    let peer = althing_netconfig::identity::peer_id(node.mesh.local()).unwrap();
    let mut stream = control.open_stream(peer, protocol).await.unwrap();
    let mut greeting = [0; 1];
    stream.read_exact(&mut greeting).await.unwrap();
    assert_eq!(greeting, [1]);
    stream
}

/// Sends bytes and waits until the node closes the stream.
async fn send_until_closed(mut stream: Stream, bytes: &[u8], close: bool) {
    stream.write_all(bytes).await.unwrap();
    stream.flush().await.unwrap();
    if close {
        stream.close().await.unwrap();
    }
    let mut rest = Vec::new();
    let ended = timeout(DEADLINE, stream.read_to_end(&mut rest)).await.expect("the node closes the stream");
    assert!(ended.is_err() || rest.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn frames_that_break_the_rules_close_the_stream_and_are_counted() {
    let counters = Counters::install();
    let mut node = start(config(1, TCP, &[], &[1, 2])).await;
    assert_eq!(id(2), identity(2).node_id());
    let mut control = hostile_peer(node.address());
    node.wait_connected(id(2)).await;
    let oversized = u32::try_from(FRAME_LEN_MAX + 1).unwrap().to_be_bytes();
    let garbage = *b"GET / HTTP/1.1\r\n\r\n";
    let truncated = [0, 0, 0, 9, b'x'];
    for (bytes, close, reason) in [
        (&oversized[..], false, "oversized"),
        (&garbage[..], false, "oversized"),
        (&[0; 4][..], false, "empty"),
        (&truncated[..], true, "truncated"),
    ] {
        let before = counters.get(metrics::DIRECT_BROKEN_TOTAL, reason);
        send_until_closed(open(&mut control, &node).await, bytes, close).await;
        assert_eq!(counters.get(metrics::DIRECT_BROKEN_TOTAL, reason), before + 1, "{reason}");
    }
    let mut stream = open(&mut control, &node).await;
    stream.write_all(&[0, 0, 0, 2, b'o', b'k']).await.unwrap();
    stream.flush().await.unwrap();
    assert_eq!(&node.wait_direct().await.1[..], b"ok", "the node still reads what is well formed");
}
