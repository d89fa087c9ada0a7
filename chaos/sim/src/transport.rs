//! Owns libp2p's way through the simulated network: TCP streams of turmoil as a transport. Every byte written is part
//! of the trace.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use futures::{
    FutureExt as _, StreamExt as _,
    future::{self, BoxFuture, Ready},
    stream::{self, BoxStream},
};
use libp2p::{
    Multiaddr,
    core::transport::{DialOpts, ListenerId, Transport, TransportError, TransportEvent},
    multiaddr::Protocol,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt as _};
use turmoil::net::{TcpListener, TcpStream};

use crate::trace;

/// The port on which every node listens.
pub const PORT: u16 = 7_000;

type Event = TransportEvent<Ready<io::Result<Compat<Wire>>>, io::Error>;

/// The transport of one node.
#[derive(Default)]
pub struct SimTcp {
    listeners: Vec<(ListenerId, BoxStream<'static, Event>)>,
    open: Open,
}

/// Streams of a node that are open, and the most that ever were.
#[derive(Debug, Clone, Default)]
pub struct Open(Arc<(AtomicUsize, AtomicUsize)>);

impl Open {
    /// The most that were open at once.
    #[must_use]
    pub fn most(&self) -> usize {
        self.0.1.load(Ordering::Relaxed)
    }

    fn enter(&self) -> Self {
        let open = self.0.0.fetch_add(1, Ordering::Relaxed) + 1;
        self.0.1.fetch_max(open, Ordering::Relaxed);
        self.clone()
    }

    fn leave(&self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl SimTcp {
    /// A transport whose open streams are counted.
    #[must_use]
    pub fn counted(open: &Open) -> Self {
        Self { open: open.clone(), ..Self::default() }
    }
}

/// The address that a node listens on.
#[must_use]
pub fn listen_address() -> Multiaddr {
    Multiaddr::from(IpAddr::from([0, 0, 0, 0])).with(Protocol::Tcp(PORT))
}

/// The address of a node, by the name of its host.
#[must_use]
pub fn address_of(host: &str) -> Multiaddr {
    Multiaddr::from(turmoil::lookup(host)).with(Protocol::Tcp(PORT))
}

impl Transport for SimTcp {
    type Output = Compat<Wire>;
    type Error = io::Error;
    type ListenerUpgrade = Ready<io::Result<Compat<Wire>>>;
    type Dial = BoxFuture<'static, io::Result<Compat<Wire>>>;

    fn listen_on(&mut self, id: ListenerId, address: Multiaddr) -> Result<(), TransportError<io::Error>> {
        let Some(socket) = socket(&address) else {
            return Err(TransportError::MultiaddrNotSupported(address));
        };
        self.listeners.push((id, listen(id, address, socket, self.open.clone()).flatten_stream().boxed()));
        Ok(())
    }

    fn remove_listener(&mut self, id: ListenerId) -> bool {
        let before = self.listeners.len();
        self.listeners.retain(|(known, _)| *known != id);
        self.listeners.len() < before
    }

    fn dial(&mut self, address: Multiaddr, _: DialOpts) -> Result<Self::Dial, TransportError<io::Error>> {
        let socket = socket(&address).ok_or(TransportError::MultiaddrNotSupported(address))?;
        let open = self.open.clone();
        Ok(async move { TcpStream::connect(socket).await.map(|stream| Wire::over(stream, &open)) }.boxed())
    }

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Event> {
        let ready = self.listeners.iter_mut().find_map(|(_, events)| match events.poll_next_unpin(context) {
            Poll::Ready(Some(event)) => Some(event),
            Poll::Ready(None) | Poll::Pending => None,
        });
        ready.map_or(Poll::Pending, Poll::Ready)
    }
}

/// Binds, then yields every connection that comes in.
async fn listen(
    listener_id: ListenerId,
    listen_addr: Multiaddr,
    socket: SocketAddr,
    open: Open,
) -> BoxStream<'static, Event> {
    let listener = match TcpListener::bind(socket).await {
        Ok(listener) => listener,
        Err(error) => {
            let closed = TransportEvent::ListenerClosed { listener_id, reason: Err(error) };
            return stream::iter([closed]).boxed();
        }
    };
    let bound = TransportEvent::NewAddress { listener_id, listen_addr: listen_addr.clone() };
    let incoming = stream::unfold(listener, move |listener| {
        let (local_addr, open) = (listen_addr.clone(), open.clone());
        async move {
            let event = match listener.accept().await {
                Ok((stream, from)) => TransportEvent::Incoming {
                    listener_id,
                    upgrade: future::ready(Ok(Wire::over(stream, &open))),
                    local_addr,
                    send_back_addr: Multiaddr::from(from.ip()).with(Protocol::Tcp(from.port())),
                },
                Err(error) => TransportEvent::ListenerError { listener_id, error },
            };
            Some((event, listener))
        }
    });
    stream::iter([bound]).chain(incoming).boxed()
}

fn socket(address: &Multiaddr) -> Option<SocketAddr> {
    let mut parts = address.iter();
    let ip: IpAddr = match parts.next()? {
        Protocol::Ip4(ip) => ip.into(),
        _ => return None,
    };
    let Some(Protocol::Tcp(port)) = parts.next() else { return None };
    Some(SocketAddr::new(ip, port))
}

/// A stream whose written bytes are part of the trace.
#[derive(Debug)]
pub struct Wire {
    stream: TcpStream,
    open: Open,
}

impl Wire {
    fn over(stream: TcpStream, open: &Open) -> Compat<Self> {
        Self { stream, open: open.enter() }.compat()
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.open.leave();
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        if let Poll::Ready(Ok(len)) = &written {
            trace::bytes("wire", &bytes[..*len]);
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
