//! Owns direct messages: one ordered stream for each peer and direction, kept open as long as the connection.
//!
//! The opener waits for the receiver's greeting (one byte, the version) and then writes frames: `length u32 BE ‖
//! bytes`, 1 to [`FRAME_LEN_MAX`]. Anything else closes the stream and is counted. A queue holds what waits for
//! a peer, bounded in messages and in bytes; what is in it when the connection ends is lost.

use std::{
    collections::HashMap,
    io,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::{PeerId, Stream, StreamProtocol};
use libp2p_stream::{Control, IncomingStreams};
use metrics::{Counter, counter};
use tokio::{
    sync::{Semaphore, mpsc},
    time,
};
use tokio_util::{
    codec::{FramedRead, LengthDelimitedCodec, LengthDelimitedCodecError},
    compat::FuturesAsyncReadCompatExt,
    task::AbortOnDropHandle,
};
use tracing::debug;

use super::{
    event::{Delivery, MeshEvent},
    metrics as names,
};
use crate::{
    failpoint,
    identity::{self, NodeId},
};

/// Largest direct message, in bytes: the largest block and 64 KiB for what is around it.
pub const FRAME_LEN_MAX: usize = althing_contracts::block::BLOCK_LEN_MAX + 64 * 1024;
/// Messages that wait for one peer: a few rounds of consensus of the largest mesh.
pub const QUEUE_LEN_MAX: usize = 4_096;
/// Bytes that wait for one peer: a few of the largest blocks.
pub const QUEUE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of one peer's frames that wait for the node; then the stream is held back. At least one frame.
const UNREAD_BYTES_MAX: usize = 2 * FRAME_LEN_MAX;
/// Version of the frames, which the receiver sends as its greeting.
const GREETING: u8 = 1;
/// How long an opener waits for stream and greeting.
const OPEN_WAIT_MAX: Duration = Duration::from_secs(5);
/// Shortest and longest wait before a stream is opened again.
const REOPEN_WAIT_MIN: Duration = Duration::from_millis(20);
const REOPEN_WAIT_MAX: Duration = Duration::from_secs(1);
/// Frames up to this length are gathered into one write.
const GATHER_LEN_MAX: usize = 16 * 1024;
/// Bytes gathered before they are written.
const BATCH_LEN_MAX: usize = 64 * 1024;

/// Why a message was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotQueued {
    NotConnected,
    Full,
    Oversized,
}

impl NotQueued {
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::NotConnected => "not_connected",
            Self::Full => "queue_full",
            Self::Oversized => "oversized",
        }
    }
}

/// The queues to all admitted peers; shared by the handle, which fills them, and the task, which owns them.
#[derive(Debug, Default)]
pub(super) struct Outboxes {
    by_node: RwLock<HashMap<NodeId, Outbox>>,
}

/// The queue to one peer.
#[derive(Debug, Clone)]
struct Outbox {
    queue: mpsc::Sender<Bytes>,
    queued_bytes: Arc<AtomicUsize>,
}

impl Outboxes {
    /// Queues a message without waiting.
    pub(super) fn offer(&self, to: &NodeId, message: Bytes) -> Result<(), NotQueued> {
        if message.is_empty() || message.len() > FRAME_LEN_MAX {
            return Err(NotQueued::Oversized);
        }
        let by_node = self.by_node.read().unwrap_or_else(PoisonError::into_inner);
        by_node.get(to).ok_or(NotQueued::NotConnected)?.offer(message)
    }

    pub(super) fn nodes(&self) -> Vec<NodeId> {
        self.by_node.read().unwrap_or_else(PoisonError::into_inner).keys().copied().collect()
    }

    pub(super) fn contains(&self, node: &NodeId) -> bool {
        self.by_node.read().unwrap_or_else(PoisonError::into_inner).contains_key(node)
    }

    fn insert(&self, node: NodeId, outbox: Outbox) {
        self.by_node.write().unwrap_or_else(PoisonError::into_inner).insert(node, outbox);
    }

    fn remove(&self, node: &NodeId) {
        self.by_node.write().unwrap_or_else(PoisonError::into_inner).remove(node);
    }
}

impl Outbox {
    fn new() -> (Self, mpsc::Receiver<Bytes>) {
        let (queue, messages) = mpsc::channel(QUEUE_LEN_MAX);
        (Self { queue, queued_bytes: Arc::default() }, messages)
    }

    fn offer(&self, message: Bytes) -> Result<(), NotQueued> {
        let len = message.len();
        let grown = |queued: usize| queued.checked_add(len).filter(|sum| *sum <= QUEUE_BYTES_MAX);
        self.queued_bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, grown)
            .map_err(|_| NotQueued::Full)?;
        self.queue.try_send(message).map_err(|_| {
            self.queued_bytes.fetch_sub(len, Ordering::Relaxed);
            NotQueued::Full
        })
    }
}

/// The streams of all peers.
pub(super) struct Direct {
    control: Control,
    protocol: StreamProtocol,
    outboxes: Arc<Outboxes>,
    writers: HashMap<NodeId, AbortOnDropHandle<()>>,
    _accepting: AbortOnDropHandle<()>,
}

impl Direct {
    /// Starts to accept streams; frames go to `events`, and a node that does not read them holds its peers back.
    pub(super) fn start(
        mut control: Control,
        protocol: StreamProtocol,
        outboxes: Arc<Outboxes>,
        events: mpsc::Sender<Delivery>,
    ) -> Self {
        let incoming = control.accept(protocol.clone()).expect("the protocol is registered once");
        let accepting = AbortOnDropHandle::new(tokio::spawn(accept(incoming, events)));
        Self { control, protocol, outboxes, writers: HashMap::new(), _accepting: accepting }
    }

    /// Opens the stream to an admitted peer.
    pub(super) fn open(&mut self, node: NodeId, peer: PeerId) {
        let (outbox, messages) = Outbox::new();
        let writer = Writer {
            control: self.control.clone(),
            protocol: self.protocol.clone(),
            peer,
            messages,
            queued_bytes: Arc::clone(&outbox.queued_bytes),
            sent_bytes: counter!(names::DIRECT_SENT_BYTES),
        };
        self.outboxes.insert(node, outbox);
        self.writers.insert(node, AbortOnDropHandle::new(tokio::spawn(writer.run())));
    }

    /// Drops the stream and what waits for it.
    pub(super) fn close(&mut self, node: &NodeId) {
        self.outboxes.remove(node);
        self.writers.remove(node);
    }
}

/// The task that writes one peer's stream.
struct Writer {
    control: Control,
    protocol: StreamProtocol,
    peer: PeerId,
    messages: mpsc::Receiver<Bytes>,
    queued_bytes: Arc<AtomicUsize>,
    sent_bytes: Counter,
}

impl Writer {
    async fn run(mut self) {
        let mut wait = REOPEN_WAIT_MIN;
        loop {
            match time::timeout(OPEN_WAIT_MAX, self.open()).await {
                Ok(Ok(stream)) => {
                    wait = REOPEN_WAIT_MIN;
                    match self.pump(stream).await {
                        Ok(()) => return,
                        Err(error) => debug!(peer = %self.peer, %error, "direct stream lost"),
                    }
                }
                Ok(Err(error)) => debug!(peer = %self.peer, %error, "direct stream not opened"),
                Err(_) => debug!(peer = %self.peer, "direct stream not opened in time"),
            }
            time::sleep(wait).await;
            wait = (wait * 2).min(REOPEN_WAIT_MAX);
        }
    }

    /// Opens a stream and waits until the receiver reads it: a stream that it drops takes no message along.
    async fn open(&mut self) -> io::Result<Stream> {
        let opened = self.control.open_stream(self.peer, self.protocol.clone()).await;
        let mut stream = opened.map_err(io::Error::other)?;
        let mut greeting = [0; 1];
        stream.read_exact(&mut greeting).await?;
        if greeting[0] != GREETING {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "another version of direct frames"));
        }
        Ok(stream)
    }

    /// Writes queued messages as they come, one flush for each batch. Returns when the queue is closed.
    async fn pump(&mut self, mut stream: Stream) -> io::Result<()> {
        let mut batch = Vec::with_capacity(BATCH_LEN_MAX);
        let mut unexpected = [0; 1];
        loop {
            let first = tokio::select! {
                biased;
                message = self.messages.recv() => message,
                read = stream.read(&mut unexpected) => {
                    read?;
                    return Err(io::ErrorKind::ConnectionReset.into());
                }
            };
            let Some(first) = first else { return stream.close().await };
            let written = self.write_batch(&mut stream, first, &mut batch).await;
            batch.clear();
            if let Err(error) = written {
                names::count(names::DIRECT_DROPPED_TOTAL, "stream_lost");
                return Err(error);
            }
        }
    }

    async fn write_batch(
        &mut self,
        stream: &mut Stream,
        first: Bytes,
        batch: &mut Vec<u8>,
    ) -> io::Result<()> {
        let mut next = Some(first);
        while let Some(message) = next {
            self.queued_bytes.fetch_sub(message.len(), Ordering::Relaxed);
            let len = u32::try_from(message.len()).expect("messages are bounded when they are queued");
            batch.extend_from_slice(&len.to_be_bytes());
            if message.len() <= GATHER_LEN_MAX {
                batch.extend_from_slice(&message);
            } else {
                stream.write_all(batch).await?;
                batch.clear();
                stream.write_all(&message).await?;
            }
            self.sent_bytes.increment(u64::from(len));
            next = if batch.len() < BATCH_LEN_MAX { self.messages.try_recv().ok() } else { None };
        }
        failpoint::reach("mesh.direct.write");
        stream.write_all(batch).await?;
        stream.flush().await?;
        failpoint::reach("mesh.direct.written");
        Ok(())
    }
}

/// What is kept for a peer that opened a stream; the room stays when it opens another.
struct Reading {
    room: Arc<Semaphore>,
    /// Held so that the task ends with the entry.
    reader: Option<AbortOnDropHandle<()>>,
}

/// Takes incoming streams; a newer one of a peer replaces the older, so that frames keep their order.
async fn accept(mut incoming: IncomingStreams, events: mpsc::Sender<Delivery>) {
    let mut readings: HashMap<PeerId, Reading> = HashMap::new();
    while let Some((peer, stream)) = incoming.next().await {
        let Some(from) = identity::node_id(&peer) else { continue };
        let new = || Reading { room: Arc::new(Semaphore::new(UNREAD_BYTES_MAX)), reader: None };
        let reading = readings.entry(peer).or_insert_with(new);
        let reader = Reader {
            from,
            events: events.clone(),
            room: Arc::clone(&reading.room),
            received_bytes: counter!(names::DIRECT_RECEIVED_BYTES),
        };
        reading.reader = Some(AbortOnDropHandle::new(tokio::spawn(reader.run(stream))));
    }
}

/// The task that reads one peer's stream.
struct Reader {
    from: NodeId,
    events: mpsc::Sender<Delivery>,
    room: Arc<Semaphore>,
    received_bytes: Counter,
}

impl Reader {
    /// Greets and reads frames until the stream ends or breaks the rules.
    async fn run(self, mut stream: Stream) {
        if stream.write_all(&[GREETING]).await.is_err() || stream.flush().await.is_err() {
            return;
        }
        let codec = LengthDelimitedCodec::builder().max_frame_length(FRAME_LEN_MAX).new_codec();
        let mut frames = FramedRead::new(stream.compat(), codec);
        while let Some(frame) = frames.next().await {
            let reason = match frame {
                Ok(frame) if frame.is_empty() => "empty",
                Ok(frame) => {
                    if self.deliver(frame.freeze()).await.is_none() {
                        return;
                    }
                    continue;
                }
                Err(error) if is_oversized(&error) => "oversized",
                Err(_) => "truncated",
            };
            names::count(names::DIRECT_BROKEN_TOTAL, reason);
            debug!(from = %self.from, reason, "direct stream closed");
            return;
        }
    }

    /// Hands a frame to the node when there is room for it; `None` when the node is gone.
    async fn deliver(&self, message: Bytes) -> Option<()> {
        let len = u32::try_from(message.len()).expect("frames are bounded");
        self.received_bytes.increment(u64::from(len));
        let room = Arc::clone(&self.room).acquire_many_owned(len).await.ok()?;
        failpoint::reach("mesh.direct.received");
        let event = MeshEvent::Direct { from: self.from, message };
        self.events.send(Delivery::with_room(event, room)).await.ok()
    }
}

fn is_oversized(error: &io::Error) -> bool {
    error.get_ref().and_then(|source| source.downcast_ref::<LengthDelimitedCodecError>()).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node() -> NodeId {
        NodeId::Ed25519([1; 32])
    }

    fn one_peer() -> (Outboxes, mpsc::Receiver<Bytes>) {
        let outboxes = Outboxes::default();
        let (outbox, messages) = Outbox::new();
        outboxes.insert(node(), outbox);
        (outboxes, messages)
    }

    #[test]
    fn a_queue_refuses_messages_above_its_count() {
        let (outboxes, _messages) = one_peer();
        for _ in 0..QUEUE_LEN_MAX {
            assert_eq!(outboxes.offer(&node(), Bytes::from_static(b"x")), Ok(()));
        }
        assert_eq!(outboxes.offer(&node(), Bytes::from_static(b"x")), Err(NotQueued::Full));
    }

    #[test]
    fn a_queue_refuses_messages_above_its_bytes_and_keeps_count_of_refused_ones() {
        let (outboxes, _messages) = one_peer();
        let megabyte = Bytes::from(vec![0; 1024 * 1024]);
        for _ in 0..QUEUE_BYTES_MAX / megabyte.len() {
            assert_eq!(outboxes.offer(&node(), megabyte.clone()), Ok(()));
        }
        for _ in 0..3 {
            assert_eq!(outboxes.offer(&node(), Bytes::from_static(b"x")), Err(NotQueued::Full));
        }
    }

    #[test]
    fn empty_and_oversized_messages_and_unknown_peers_are_refused() {
        let (outboxes, _messages) = one_peer();
        assert_eq!(outboxes.offer(&node(), Bytes::new()), Err(NotQueued::Oversized));
        let oversized = Bytes::from(vec![0; FRAME_LEN_MAX + 1]);
        assert_eq!(outboxes.offer(&node(), oversized), Err(NotQueued::Oversized));
        let stranger = NodeId::Ed25519([2; 32]);
        assert_eq!(outboxes.offer(&stranger, Bytes::from_static(b"x")), Err(NotQueued::NotConnected));
    }
}
