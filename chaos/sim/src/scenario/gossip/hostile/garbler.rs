//! Owns a peer that is admitted and writes frames of gossip by hand: subscriptions to topics that nobody has, messages on
//! them, announcements of messages that do not exist, wishes for others, and garbage.
//!
//! A frame is `length varint ‖ RPC`, the RPC as in libp2p's `rpc.proto`; fields are written by number.

use std::time::Duration;

use futures::{AsyncReadExt as _, AsyncWriteExt as _, StreamExt as _};
use libp2p::{
    PeerId, Stream, StreamProtocol, SwarmBuilder, Transport as _,
    core::upgrade::Version,
    identify, noise, ping,
    swarm::{NetworkBehaviour, dial_opts::DialOpts},
    yamux,
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::time::sleep;

use crate::{
    scenario::gossip::cast::{self, HONEST, Hostile},
    transport::{self, SimTcp},
};

/// Pause between two frames to one node.
const EVERY: Duration = Duration::from_millis(100);
/// Topics in one frame of subscriptions: libp2p ignores frames with more than a hundred.
const TOPICS: usize = 90;
/// Ids in one announcement or wish.
const IDS: usize = 500;
/// Bytes of a message on a topic that nobody has.
const FOREIGN_LEN: usize = 32 * 1024;

#[derive(NetworkBehaviour)]
struct Bare {
    stream: libp2p_stream::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
}

/// Connects to everyone and writes what no honest node writes.
pub(super) async fn garble(peer: &Hostile) {
    let keypair = cast::keypair(&peer.host);
    let network = hex::encode(&cast::network().as_bytes()[..8]);
    let name = format!("/althing/{network}/1");
    let secured =
        SimTcp::default().upgrade(Version::V1Lazy).authenticate(noise::Config::new(&keypair).expect("a key"));
    let transport = secured.multiplex(yamux::Config::default());
    let built = SwarmBuilder::with_existing_identity(keypair)
        .with_tokio()
        .with_other_transport(|_| transport)
        .expect("a transport")
        .with_behaviour(|key| Bare {
            stream: libp2p_stream::Behaviour::new(),
            identify: identify::Behaviour::new(identify::Config::new(name, key.public())),
            ping: ping::Behaviour::default(),
        })
        .expect("a behaviour");
    let mut swarm = built.with_swarm_config(|config| config.with_idle_connection_timeout(FOREVER)).build();
    let protocol =
        StreamProtocol::try_from_owned(format!("/althing/{network}/gossip/1.1.0")).expect("a name");
    let mut control = swarm.behaviour().stream.new_control();
    let mut incoming = control.accept(protocol.clone()).expect("it is registered once");
    tokio::task::spawn_local(async move {
        while let Some((_, stream)) = incoming.next().await {
            tokio::task::spawn_local(drain(stream));
        }
    });
    let topic = format!("/althing/{network}/transactions/1");
    for node in 0..HONEST {
        let of = cast::keypair(&cast::host(node)).public().to_peer_id();
        let author = Author { random: StdRng::seed_from_u64(node as u64), topic: topic.clone() };
        tokio::task::spawn_local(write(control.clone(), of, protocol.clone(), author));
    }
    let mut again = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            _ = swarm.select_next_some() => {}
            _ = again.tick() => {
                for node in 0..HONEST {
                    let of = cast::keypair(&cast::host(node)).public().to_peer_id();
                    let address = transport::address_of(&cast::host(node));
                    let dial = DialOpts::peer_id(of).addresses(vec![address]).allocate_new_port().build();
                    // It may be connected, or refuse.
                    let _refused = swarm.dial(dial);
                }
            }
        }
    }
}

/// Connections of this peer are closed by others.
const FOREVER: Duration = Duration::from_hours(24);

async fn drain(mut stream: Stream) {
    let mut buffer = [0; 4_096];
    while matches!(stream.read(&mut buffer).await, Ok(read) if read > 0) {}
}

/// Writes frame after frame to one node, on a new stream when the last is gone.
async fn write(
    mut control: libp2p_stream::Control,
    of: PeerId,
    protocol: StreamProtocol,
    mut author: Author,
) {
    loop {
        if let Ok(mut stream) = control.open_stream(of, protocol.clone()).await {
            while stream.write_all(&author.next()).await.is_ok() && stream.flush().await.is_ok() {
                sleep(EVERY).await;
            }
        }
        sleep(EVERY).await;
    }
}

/// Makes frames.
struct Author {
    random: StdRng,
    topic: String,
}

impl Author {
    fn next(&mut self) -> Vec<u8> {
        let rpc = match self.random.random_range(0..6) {
            0 => self.subscriptions(),
            1 => self.foreign(),
            // Control, IHAVE: the topic and ids.
            2 => field(3, &field(1, &[field(1, self.topic.as_bytes()), self.ids(2)].concat())),
            // Control, IWANT.
            3 => field(3, &field(2, &self.ids(1))),
            // Control, GRAFT and PRUNE of a topic that nobody has.
            4 => field(3, &[field(3, &field(1, b"foreign")), field(4, &field(1, b"foreign"))].concat()),
            _ => self.bytes(64),
        };
        [varint(rpc.len()), rpc].concat()
    }

    fn subscriptions(&mut self) -> Vec<u8> {
        let one = |topic: Vec<u8>| field(1, &[vec![0x08, 1], field(2, &topic)].concat());
        (0..TOPICS).flat_map(|_| one(hex::encode(self.bytes(16)).into_bytes())).collect()
    }

    fn foreign(&mut self) -> Vec<u8> {
        let data = self.bytes(FOREIGN_LEN);
        field(2, &[field(2, &data), field(4, b"foreign")].concat())
    }

    fn ids(&mut self, number: u8) -> Vec<u8> {
        (0..IDS).flat_map(|_| field(number, &self.bytes(32))).collect()
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        self.random.fill(&mut bytes[..]);
        bytes
    }
}

/// A field of bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [vec![number << 3 | 2], varint(bytes.len()), bytes.to_vec()].concat()
}

fn varint(mut value: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = u8::try_from(value & 0x7f).expect("seven bits");
        value >>= 7;
        if value == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}
