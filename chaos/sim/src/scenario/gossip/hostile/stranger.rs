//! Owns what strangers do: they take connections and handshakes, for more they are not let in.

use std::time::Duration;

use futures::StreamExt as _;
use libp2p::{
    Multiaddr, SwarmBuilder, Transport as _,
    core::upgrade::Version,
    noise,
    swarm::{DialError, SwarmEvent, dial_opts::DialOpts, dummy},
    yamux,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    time::sleep,
};
use turmoil::net::{TcpListener, TcpStream};

use crate::{
    scenario::gossip::cast::{self, HONEST, Hostile},
    transport::{self, PORT, SimTcp},
};

/// Connections that one idler holds at each node: six of them take more than the handshakes that a node has under way.
const HELD: usize = 16;
/// Pause between two handshakes of a knocker with one node.
const KNOCK: Duration = Duration::from_secs(2);
/// Pause before the same again.
const AGAIN: Duration = Duration::from_secs(1);

/// Shakes hands with everyone, is refused, and does it again.
pub(super) async fn knock(peer: &Hostile) {
    let keypair = cast::keypair(&peer.host);
    let streams = SimTcp::default();
    let secured = streams.upgrade(Version::V1Lazy).authenticate(noise::Config::new(&keypair).expect("a key"));
    let transport = secured.multiplex(yamux::Config::default());
    let built = SwarmBuilder::with_existing_identity(keypair)
        .with_tokio()
        .with_other_transport(|_| transport)
        .expect("a transport")
        .with_behaviour(|_| dummy::Behaviour)
        .expect("a behaviour");
    let mut swarm = built.build();
    let addresses: Vec<Multiaddr> =
        (0..HONEST).map(|node| transport::address_of(&cast::host(node))).collect();
    loop {
        for address in &addresses {
            let dial = DialOpts::unknown_peer_id().address(address.clone()).allocate_new_port().build();
            let _limit: Result<(), DialError> = swarm.dial(dial);
        }
        let again = sleep(KNOCK);
        tokio::pin!(again);
        loop {
            tokio::select! {
                event = swarm.select_next_some() => {
                    // A node that did not refuse at once is left, to be knocked at again.
                    if let SwarmEvent::ConnectionEstablished { connection_id, .. } = event {
                        swarm.close_connection(connection_id);
                    }
                }
                () = &mut again => break,
            }
        }
    }
}

/// Opens connections to everyone and says nothing on them.
pub(super) async fn idle() {
    for node in 0..HONEST {
        for _ in 0..HELD {
            tokio::task::spawn_local(async move {
                loop {
                    if let Ok(mut stream) = TcpStream::connect((cast::host(node), PORT)).await {
                        // Until the node has had enough.
                        let _closed = stream.read(&mut [0; 64]).await;
                        while matches!(stream.read(&mut [0; 64]).await, Ok(read) if read > 0) {}
                    }
                    sleep(AGAIN).await;
                }
            });
        }
    }
    std::future::pending().await
}

/// Accepts whoever dials, and says nothing.
pub(super) async fn let_wait() {
    let Ok(listener) = TcpListener::bind(("0.0.0.0", PORT)).await else { return };
    let mut held = Vec::new();
    while let Ok((stream, _)) = listener.accept().await {
        held.push(stream);
    }
}

/// Says garbage to everyone.
pub(super) async fn babble() {
    for node in 0..HONEST {
        tokio::task::spawn_local(async move {
            loop {
                if let Ok(mut stream) = TcpStream::connect((cast::host(node), PORT)).await {
                    let _closed = stream.write_all(&[0xff; 4_096]).await;
                    while matches!(stream.read(&mut [0; 64]).await, Ok(read) if read > 0) {}
                }
                sleep(AGAIN).await;
            }
        });
    }
    std::future::pending().await
}
