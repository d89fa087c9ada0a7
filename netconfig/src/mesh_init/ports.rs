//! Owns which loopback ports a new mesh gets: counted from a base, or whatever is free.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket},
};

/// How often a free port is asked for before giving up.
const TRIES_MAX: usize = 100;

/// A source of ports that are not given twice.
#[derive(Debug)]
pub(super) enum Ports {
    /// Counting up.
    From(u16),
    /// Free ones, held until every port is chosen, so that none comes twice.
    Free(Vec<(TcpListener, UdpSocket)>),
}

impl Ports {
    /// From `base`; 0 means free ports.
    pub(super) const fn new(base: u16) -> Self {
        if base == 0 { Self::Free(Vec::new()) } else { Self::From(base) }
    }

    /// The next port, usable over TCP and UDP.
    pub(super) fn next(&mut self) -> io::Result<u16> {
        match self {
            Self::From(next) => {
                let port = *next;
                *next =
                    port.checked_add(1).ok_or_else(|| io::Error::other("there is no port above 65535"))?;
                Ok(port)
            }
            Self::Free(held) => {
                let (tcp, udp) = free_pair()?;
                let port = tcp.local_addr()?.port();
                held.push((tcp, udp));
                Ok(port)
            }
        }
    }
}

fn free_pair() -> io::Result<(TcpListener, UdpSocket)> {
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    for _ in 0..TRIES_MAX {
        let tcp = TcpListener::bind(any)?;
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr()?) {
            return Ok((tcp, udp));
        }
    }
    Err(io::Error::new(io::ErrorKind::AddrNotAvailable, "no port is free for both TCP and UDP"))
}
