//! Owns the peer: three etcd members on loopback, and a sequential writer that is as fast as etcd allows.
//! etcd offers gRPC and a JSON gateway: both are tried against every member, and the fastest pair is what counts.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use althing_chaos::{
    http::{Connection, Endpoint},
    process::Process,
};
use bytes::{BufMut, Bytes, BytesMut};

use super::{Failure, statistics::Latencies};

const MEMBERS: usize = 3;
const START_TIMEOUT: Duration = Duration::from_secs(30);
/// Puts by which a member and a protocol are chosen.
const TRIAL_PUTS: usize = 100;
/// What is put: eight bytes, the smallest useful value.
const VALUE: [u8; 8] = *b"althing!";
/// Header of a gRPC message: not compressed, and a big-endian length.
const GRPC_HEADER_LEN: usize = 5;

/// The running members. Dropping it ends them.
pub(crate) struct Etcd {
    members: Vec<Process>,
    writer: Writer,
    /// Which protocol and member were fastest, for the report.
    pub(crate) chosen: String,
    /// The trials, for the report.
    pub(crate) trials: Vec<String>,
    next_key: u64,
}

enum Writer {
    Json(JsonWriter),
    Grpc(Box<GrpcWriter>),
}

impl Etcd {
    /// Starts the members below `folder`, waits until each serves, and chooses the fastest way to write.
    pub(crate) fn start(folder: &Path) -> Result<Self, Failure> {
        let ports = free_ports(MEMBERS * 2)?;
        let (clients, peers) = ports.split_at(MEMBERS);
        let cluster: Vec<_> =
            peers.iter().enumerate().map(|(i, port)| format!("m{i}={}", url(*port))).collect();
        let cluster = cluster.join(",");
        let start = |i: usize| start_member(folder, i, clients[i], peers[i], &cluster);
        let members = (0..MEMBERS).map(start).collect::<Result<Vec<_>, _>>()?;
        for member in &members {
            member.wait_for_line("ready to serve client requests", START_TIMEOUT)?;
        }
        choose(members, clients)
    }

    /// Puts one after another.
    pub(crate) fn put(&mut self, puts: usize) -> Result<Latencies, Failure> {
        self.writer.put(&mut self.next_key, puts)
    }

    /// Processor time of all members so far.
    pub(crate) fn cpu(&self) -> Result<Duration, Failure> {
        let mut total = Duration::ZERO;
        for member in &self.members {
            total += member.usage()?.cpu;
        }
        Ok(total)
    }
}

fn start_member(folder: &Path, i: usize, client: u16, peer: u16, cluster: &str) -> Result<Process, Failure> {
    let name = format!("m{i}");
    let mut command = Command::new("etcd");
    command.args(["--name", &name, "--initial-cluster", cluster, "--initial-cluster-state", "new"]);
    command.args(["--listen-client-urls", &url(client), "--advertise-client-urls", &url(client)]);
    command.args(["--listen-peer-urls", &url(peer), "--initial-advertise-peer-urls", &url(peer)]);
    command.arg("--data-dir").arg(folder.join(&name));
    Ok(Process::spawn(format!("etcd {name}"), &mut command)?)
}

fn choose(members: Vec<Process>, ports: &[u16]) -> Result<Etcd, Failure> {
    let mut next_key = 0;
    let mut trials = Vec::new();
    let mut best: Option<(f64, String, Writer)> = None;
    for (i, port) in ports.iter().enumerate() {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, *port));
        let json = Writer::Json(JsonWriter { connection: Endpoint::Tcp(address).connect(START_TIMEOUT)? });
        let grpc = Writer::Grpc(Box::new(GrpcWriter::connect(address)?));
        for (protocol, mut writer) in [("JSON", json), ("gRPC", grpc)] {
            let latencies = writer.put(&mut next_key, TRIAL_PUTS)?;
            let p50 = latencies.percentile_ms(50).unwrap_or(f64::INFINITY);
            trials.push(format!("{protocol} to member {i}: {}", latencies.summary()));
            if best.as_ref().is_none_or(|(least, ..)| p50 < *least) {
                best = Some((p50, format!("{protocol} to member {i}"), writer));
            }
        }
    }
    let (_, chosen, writer) = best.ok_or("no etcd member was tried")?;
    Ok(Etcd { members, writer, chosen, trials, next_key })
}

impl Writer {
    fn put(&mut self, next_key: &mut u64, puts: usize) -> Result<Latencies, Failure> {
        let mut latencies = Latencies::default();
        for _ in 0..puts {
            let key = next_key.to_be_bytes();
            *next_key += 1;
            let begun = Instant::now();
            match self {
                Self::Json(writer) => writer.put(&key)?,
                Self::Grpc(writer) => writer.put(&key)?,
            }
            latencies.push(begun.elapsed());
        }
        Ok(latencies)
    }
}

/// The JSON gateway, on one kept connection.
struct JsonWriter {
    connection: Connection,
}

impl JsonWriter {
    fn put(&mut self, key: &[u8]) -> Result<(), Failure> {
        let body = format!(r#"{{"key":"{}","value":"{}"}}"#, base64(key), base64(&VALUE));
        let answer = self.connection.request("POST", "/v3/kv/put", &[], body.as_bytes())?;
        if answer.status == 200 { Ok(()) } else { Err(format!("etcd answered {}", answer.text()).into()) }
    }
}

/// gRPC on one kept HTTP/2 connection: frames by `h2`, messages by hand.
struct GrpcWriter {
    runtime: tokio::runtime::Runtime,
    sender: h2::client::SendRequest<Bytes>,
    uri: http::Uri,
}

impl GrpcWriter {
    fn connect(address: SocketAddr) -> Result<Self, Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let sender = runtime.block_on(async {
            let stream = tokio::net::TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            let (sender, connection) = h2::client::handshake(stream).await?;
            tokio::spawn(connection);
            Ok::<_, Failure>(sender)
        })?;
        Ok(Self { runtime, sender, uri: format!("http://{address}/etcdserverpb.KV/Put").parse()? })
    }

    fn put(&mut self, key: &[u8]) -> Result<(), Failure> {
        let request = http::Request::post(self.uri.clone());
        let request = request.header("content-type", "application/grpc").header("te", "trailers").body(())?;
        let message = grpc_put(key);
        self.runtime.block_on(async {
            let mut sender = self.sender.clone().ready().await?;
            let (response, mut stream) = sender.send_request(request, false)?;
            stream.send_data(message, true)?;
            let mut body = response.await?.into_body();
            while let Some(chunk) = body.data().await {
                body.flow_control().release_capacity(chunk?.len())?;
            }
            let trailers = body.trailers().await?;
            let status = trailers.as_ref().and_then(|trailers| trailers.get("grpc-status"));
            if status.is_some_and(|status| status == "0") {
                Ok(())
            } else {
                Err(format!("{trailers:?}").into())
            }
        })
    }
}

/// `etcdserverpb.PutRequest { bytes key = 1; bytes value = 2; }` in its gRPC envelope.
fn grpc_put(key: &[u8]) -> Bytes {
    let mut message = BytesMut::new();
    for (tag, field) in [(0x0a, key), (0x12, &VALUE[..])] {
        message.put_u8(tag);
        message.put_u8(u8::try_from(field.len()).expect("keys and values are 8 bytes"));
        message.put_slice(field);
    }
    let mut framed = BytesMut::with_capacity(GRPC_HEADER_LEN + message.len());
    framed.put_u8(0);
    framed.put_u32(u32::try_from(message.len()).expect("two fields of 8 bytes"));
    framed.put(message);
    framed.freeze()
}

fn url(port: u16) -> String {
    format!("http://{}:{port}", Ipv4Addr::LOCALHOST)
}

/// Ports that were free a moment ago; all are held until all are known, so that none comes twice.
fn free_ports(count: usize) -> io::Result<Vec<u16>> {
    let bind = |_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let listeners = (0..count).map(bind).collect::<io::Result<Vec<_>>>()?;
    listeners.iter().map(|listener| Ok(listener.local_addr()?.port())).collect()
}

/// Base64 with padding (RFC 4648), which the JSON gateway wants for bytes.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |chunk: &[u8]| {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        let symbol = |at: usize| match at {
            at if at > chunk.len() => '=',
            at => char::from(ALPHABET[usize::try_from(bits >> (18 - 6 * at) & 63).expect("six bits")]),
        };
        [symbol(0), symbol(1), symbol(2), symbol(3)]
    };
    bytes.chunks(3).flat_map(group).collect()
}
