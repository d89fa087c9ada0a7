//! Owns requests: one stream each, opaque bytes with a length, an answer or a plain "declined".
//!
//! Frame of a request: `length u32 BE ‖ bytes`. Frame of a response: `tag u8 (0 answer, 1 declined) ‖ length
//! u32 BE ‖ bytes`. A longer length than the limit is refused before anything is allocated.

use std::{io, time::Duration};

use bytes::Bytes;
use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::{
    StreamProtocol,
    request_response::{self, ProtocolSupport},
};

/// Largest request, in bytes.
pub const REQUEST_LEN_MAX: usize = 256 * 1024;
/// Largest answer, in bytes: a run of blocks with their certificates.
pub const RESPONSE_LEN_MAX: usize = 4 * 1024 * 1024;
/// How long a request waits for its answer.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);
/// Requests in flight on one connection, in each direction; bounds the memory that one peer can claim.
pub(super) const STREAMS_PER_CONNECTION_MAX: usize = 16;
/// Own requests waiting for an answer, over all peers.
pub(super) const REQUESTS_PENDING_MAX: usize = 256;
/// Requests of others that wait for the node, over all peers.
pub(super) const ANSWERS_PENDING_MAX: usize = 64;
/// Of which one peer may have so many, so that one that asks without a pause leaves the others their places.
pub(super) const ANSWERS_OF_PEER_MAX: usize = ANSWERS_PENDING_MAX / 8;

const ANSWER: u8 = 0;
const DECLINED: u8 = 1;

/// The behaviour with this module's codec.
pub(super) type Behaviour = request_response::Behaviour<Codec>;

/// What travels back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Response {
    /// The node's answer.
    Answer(Bytes),
    /// The node gave none.
    Declined,
}

/// The frames above.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Codec;

pub(super) fn behaviour(protocol: StreamProtocol) -> Behaviour {
    let config = request_response::Config::default()
        .with_request_timeout(REQUEST_TIMEOUT)
        .with_max_concurrent_streams(STREAMS_PER_CONNECTION_MAX);
    Behaviour::new([(protocol, ProtocolSupport::Full)], config)
}

impl request_response::Codec for Codec {
    type Protocol = StreamProtocol;
    type Request = Bytes;
    type Response = Response;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Bytes>
    where
        T: AsyncRead + Unpin + Send,
    {
        read_bytes(io, REQUEST_LEN_MAX).await
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Response>
    where
        T: AsyncRead + Unpin + Send,
    {
        let mut tag = [0; 1];
        io.read_exact(&mut tag).await?;
        match tag[0] {
            ANSWER => Ok(Response::Answer(read_bytes(io, RESPONSE_LEN_MAX).await?)),
            DECLINED => Ok(Response::Declined),
            other => Err(invalid(format!("response tag {other} is not known"))),
        }
    }

    async fn write_request<T>(&mut self, _: &StreamProtocol, io: &mut T, request: Bytes) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write_bytes(io, &request).await
    }

    async fn write_response<T>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        response: Response,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        match response {
            Response::Answer(bytes) => {
                io.write_all(&[ANSWER]).await?;
                write_bytes(io, &bytes).await
            }
            Response::Declined => io.write_all(&[DECLINED]).await,
        }
    }
}

/// Reads `length ‖ bytes`; memory grows with what arrives, not with what is claimed.
async fn read_bytes<T: AsyncRead + Unpin + Send>(io: &mut T, len_max: usize) -> io::Result<Bytes> {
    let mut length = [0; 4];
    io.read_exact(&mut length).await?;
    let claimed = u32::from_be_bytes(length);
    let len = usize::try_from(claimed).unwrap_or(usize::MAX);
    if len > len_max {
        return Err(invalid(format!("{len} bytes are announced, at most {len_max} are allowed")));
    }
    let mut bytes = Vec::new();
    io.take(claimed.into()).read_to_end(&mut bytes).await?;
    if bytes.len() < len {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes.into())
}

async fn write_bytes<T: AsyncWrite + Unpin + Send>(io: &mut T, bytes: &[u8]) -> io::Result<()> {
    let len = u32::try_from(bytes.len()).map_err(|_| invalid("the message is too long".into()))?;
    io.write_all(&len.to_be_bytes()).await?;
    io.write_all(bytes).await
}

fn invalid(text: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use futures::{executor::block_on, io::Cursor};
    use libp2p::request_response::Codec as _;

    use super::*;

    const PROTOCOL: StreamProtocol = StreamProtocol::new("/test");

    fn response_of(bytes: &[u8]) -> io::Result<Response> {
        block_on(Codec.read_response(&PROTOCOL, &mut Cursor::new(bytes)))
    }

    #[test]
    fn the_frames_are_pinned() {
        let mut written = Vec::new();
        let mut out = Cursor::new(&mut written);
        block_on(Codec.write_request(&PROTOCOL, &mut out, Bytes::from_static(b"ab"))).unwrap();
        assert_eq!(written, [0, 0, 0, 2, b'a', b'b']);
        for (response, bytes) in [
            (Response::Answer(Bytes::from_static(b"ab")), vec![0, 0, 0, 0, 2, b'a', b'b']),
            (Response::Declined, vec![1]),
        ] {
            let mut written = Vec::new();
            let mut out = Cursor::new(&mut written);
            block_on(Codec.write_response(&PROTOCOL, &mut out, response.clone())).unwrap();
            assert_eq!(written, bytes);
            assert_eq!(response_of(&bytes).unwrap(), response);
        }
    }

    #[test]
    fn an_oversized_truncated_or_unknown_response_is_refused() {
        assert_eq!(response_of(&[0, 0xff, 0, 0, 0]).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(response_of(&[0, 0, 0, 0, 2, 1]).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(response_of(&[7]).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }
}
