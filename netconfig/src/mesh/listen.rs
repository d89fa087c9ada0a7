//! Owns addresses: binds the node's own with clear errors and checks those that it is told to dial.

use std::{
    io,
    net::{IpAddr, SocketAddr, TcpListener, UdpSocket},
    os::fd::OwnedFd,
    time::Duration,
};

use futures::StreamExt;
use libp2p::{Multiaddr, Swarm, multiaddr::Protocol, swarm::SwarmEvent};
use tokio::time;

use super::{
    MeshError,
    behaviour::{Behaviour, BehaviourEvent},
};

/// How long the system may take to report a bound address.
const BIND_WAIT_MAX: Duration = Duration::from_secs(5);

/// Why an address cannot be dialled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DialAddressError {
    /// Not of a form that the mesh speaks.
    #[error(
        "{address} is not of the form `/ip4/ADDRESS/tcp/PORT` or `/ip4/ADDRESS/udp/PORT/quic-v1` (or `/ip6/…`)"
    )]
    Form {
        /// As given.
        address: Multiaddr,
    },
    /// Port 0 or an unspecified address.
    #[error("{address} names no single place; an address to dial needs a port and an address of a machine")]
    Unspecified {
        /// As given.
        address: Multiaddr,
    },
}

/// A transport with its socket address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Tcp(SocketAddr),
    Quic(SocketAddr),
}

/// Checks that an address can be dialled.
///
/// # Errors
/// It is of another form, or its port or address is unspecified.
pub fn check_dial_address(address: &Multiaddr) -> Result<(), DialAddressError> {
    let place = place(address).ok_or_else(|| DialAddressError::Form { address: address.clone() })?;
    let (Place::Tcp(socket) | Place::Quic(socket)) = place;
    if socket.port() == 0 || socket.ip().is_unspecified() {
        return Err(DialAddressError::Unspecified { address: address.clone() });
    }
    Ok(())
}

/// What came of binding.
#[derive(Debug, Default)]
pub(super) struct Bound {
    /// The addresses, with the ports that the system chose.
    pub(super) addresses: Vec<Multiaddr>,
    /// What else the swarm said meanwhile: the first peers may already be there.
    pub(super) early: Vec<SwarmEvent<BehaviourEvent>>,
}

/// Binds `addresses`.
pub(super) async fn listen(
    swarm: &mut Swarm<Behaviour>,
    addresses: &[Multiaddr],
) -> Result<Bound, MeshError> {
    let mut bound = Bound::default();
    for address in addresses {
        let failed = |reason: String| MeshError::Listen { address: address.clone(), reason };
        let listener = swarm.listen_on(address.clone()).map_err(|error| failed(error.to_string()))?;
        let reported = async {
            loop {
                match swarm.select_next_some().await {
                    SwarmEvent::NewListenAddr { listener_id, address } if listener_id == listener => {
                        return Ok(address);
                    }
                    SwarmEvent::ListenerClosed { listener_id, reason, .. } if listener_id == listener => {
                        return Err(reason.err().map_or("it was closed".to_owned(), |e| e.to_string()));
                    }
                    other => bound.early.push(other),
                }
            }
        };
        let reported = time::timeout(BIND_WAIT_MAX, reported).await;
        let reported = reported.map_err(|_| failed("no address was reported in time".into()))?;
        bound.addresses.push(reported.map_err(failed)?);
    }
    Ok(bound)
}

/// Binds and releases addresses by plain means: libp2p shares ports between processes of one user, so that
/// two nodes on one port would each get half of the connections.
pub(super) fn probe(addresses: &[Multiaddr]) -> Result<(), MeshError> {
    addresses.iter().map(bind).collect::<Result<Vec<_>, _>>().map(drop)
}

fn bind(address: &Multiaddr) -> Result<OwnedFd, MeshError> {
    let failed = |reason: String| MeshError::Listen { address: address.clone(), reason };
    let tried = match place(address) {
        None => return Err(failed("it is neither `…/tcp/PORT` nor `…/udp/PORT/quic-v1`".into())),
        Some(Place::Tcp(socket)) => TcpListener::bind(socket).map(OwnedFd::from),
        Some(Place::Quic(socket)) => UdpSocket::bind(socket).map(OwnedFd::from),
    };
    tried.map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => MeshError::AddressInUse { address: address.clone() },
        _ => failed(error.to_string()),
    })
}

fn place(address: &Multiaddr) -> Option<Place> {
    let mut parts = address.iter();
    let ip: IpAddr = match parts.next()? {
        Protocol::Ip4(ip) => ip.into(),
        Protocol::Ip6(ip) => ip.into(),
        _ => return None,
    };
    let place = match (parts.next()?, parts.next()) {
        (Protocol::Tcp(port), None) => Place::Tcp(SocketAddr::new(ip, port)),
        (Protocol::Udp(port), Some(Protocol::QuicV1)) => Place::Quic(SocketAddr::new(ip, port)),
        _ => return None,
    };
    parts.next().is_none().then_some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_to_dial_need_a_form_a_host_and_a_port() {
        for good in ["/ip4/10.0.0.1/tcp/1", "/ip6/::1/udp/1/quic-v1"] {
            assert_eq!(check_dial_address(&good.parse().unwrap()), Ok(()), "{good}");
        }
        for bad in ["/dns4/example.org/tcp/1", "/ip4/10.0.0.1/udp/1", "/ip4/10.0.0.1/tcp/1/ws"] {
            let address: Multiaddr = bad.parse().unwrap();
            assert_eq!(check_dial_address(&address), Err(DialAddressError::Form { address }));
        }
        for bad in ["/ip4/0.0.0.0/tcp/1", "/ip4/10.0.0.1/tcp/0"] {
            let address: Multiaddr = bad.parse().unwrap();
            assert_eq!(check_dial_address(&address), Err(DialAddressError::Unspecified { address }));
        }
    }
}
