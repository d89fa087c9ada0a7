//! Owns what carries the mesh's connections: the system's TCP and QUIC, or any streams of bytes, each stream proven
//! and encrypted by noise and divided by yamux. Refuses to carry anything in the clear, and to wait for a peer that
//! does not take what a connection still has to say when it ends.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures::{AsyncRead, AsyncWrite};
use libp2p::{
    PeerId, Transport as _,
    core::{
        StreamMuxer,
        muxing::{StreamMuxerBox, StreamMuxerEvent, SubstreamBox},
        transport::Boxed,
        upgrade,
    },
    identity::Keypair,
    noise, quic, tcp, yamux,
};
use tokio::time::{Sleep, sleep};

/// How long the end of a connection may take. What it still has to say goes into the system's buffer; into a full one
/// of a link that is dark it would go after a quarter of an hour, and until then the peer counts as connected.
const CLOSE_WAIT_MAX: Duration = Duration::from_secs(1);

/// Connections of proven peers, ready for many streams each.
pub(super) type Transport = Boxed<(PeerId, StreamMuxerBox)>;

/// The transports of this machine.
pub(super) fn system(keypair: &Keypair) -> Result<Transport, noise::Error> {
    let tcp = secured(tcp::tokio::Transport::new(tcp::Config::default().nodelay(true)), keypair)?;
    let quic = quic::tokio::Transport::new(quic::Config::new(keypair))
        .map(|(peer, connection), _| (peer, StreamMuxerBox::new(connection)));
    Ok(tcp.or_transport(quic).map(|either, _| either.into_inner()).boxed())
}

/// Noise and yamux over streams of bytes.
pub(super) fn secured<T>(streams: T, keypair: &Keypair) -> Result<Transport, noise::Error>
where
    T: libp2p::Transport + Send + Unpin + 'static,
    T::Output: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T::Error: Send + Sync + 'static,
    T::Dial: Send + 'static,
    T::ListenerUpgrade: Send + 'static,
{
    let secured = streams.upgrade(upgrade::Version::V1Lazy).authenticate(noise::Config::new(keypair)?);
    Ok(secured.multiplex(yamux::Config::default()).boxed())
}

/// The same connections, each of which ends within [`CLOSE_WAIT_MAX`].
pub(super) fn ending(transport: Transport) -> Transport {
    let ending = |muxer| StreamMuxerBox::new(Ending { muxer, deadline: None });
    transport.map(move |(peer, muxer), _| (peer, ending(muxer))).boxed()
}

struct Ending {
    muxer: StreamMuxerBox,
    deadline: Option<Pin<Box<Sleep>>>,
}

impl StreamMuxer for Ending {
    type Substream = SubstreamBox;
    type Error = io::Error;

    fn poll_inbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<SubstreamBox>> {
        Pin::new(&mut self.muxer).poll_inbound(cx)
    }

    fn poll_outbound(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<SubstreamBox>> {
        Pin::new(&mut self.muxer).poll_outbound(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(closed) = Pin::new(&mut self.muxer).poll_close(cx) {
            return Poll::Ready(closed);
        }
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(sleep(CLOSE_WAIT_MAX)));
        deadline.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
        Pin::new(&mut self.muxer).poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection whose peer takes nothing any more.
    struct Stuck;

    impl StreamMuxer for Stuck {
        type Substream = SubstreamBox;
        type Error = io::Error;

        fn poll_inbound(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<SubstreamBox>> {
            Poll::Pending
        }

        fn poll_outbound(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<SubstreamBox>> {
            Poll::Pending
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }

        fn poll(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<StreamMuxerEvent>> {
            Poll::Pending
        }
    }

    #[tokio::test]
    async fn a_connection_ends_though_its_peer_takes_nothing() {
        let mut muxer = Ending { muxer: StreamMuxerBox::new(Stuck), deadline: None };
        let closed = futures::future::poll_fn(|cx| Pin::new(&mut muxer).poll_close(cx)).await;
        assert_eq!(closed.unwrap_err().kind(), io::ErrorKind::TimedOut);
    }
}
