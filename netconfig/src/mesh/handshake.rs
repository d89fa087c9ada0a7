//! Owns how many handshakes that others began are under way: until one ends nobody knows who it is, so places are given
//! by address. Addresses of nodes that are to be dialled, or were admitted, have places of their own, so that strangers
//! who open connections and say nothing keep nobody out but other strangers.

use std::{
    collections::{HashMap, HashSet},
    convert::Infallible,
    fmt,
    net::IpAddr,
    task::{Context, Poll},
};

use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    multiaddr::Protocol,
    swarm::{
        ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent,
        THandlerOutEvent, ToSwarm, dummy,
    },
};

/// Handshakes under way with addresses that nobody admitted came from.
const STRANGERS_MAX: usize = 64;
/// Of which one address may have so many: a node that was restarted dials once, a few behind one address do, too.
const STRANGERS_PER_ADDRESS_MAX: usize = 8;
/// Handshakes under way with one known address: all nodes of a small mesh may share one.
const KNOWN_PER_ADDRESS_MAX: usize = 64;

/// No place is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct NoPlace;

impl fmt::Display for NoPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("too many handshakes are under way")
    }
}

impl std::error::Error for NoPlace {}

/// The places as a libp2p behaviour.
#[derive(Debug, Default)]
pub(super) struct Behaviour {
    /// Addresses that are dialled.
    dialled: HashSet<IpAddr>,
    /// The address from which each admitted node came last; as many as the allow-list has.
    admitted: HashMap<PeerId, IpAddr>,
    /// Where each came from, and whether that address was known.
    under_way: HashMap<ConnectionId, (IpAddr, bool)>,
}

impl Behaviour {
    pub(super) fn new<'a>(dialled: impl Iterator<Item = &'a Multiaddr>) -> Self {
        Self { dialled: dialled.filter_map(ip).collect(), ..Self::default() }
    }

    fn knows(&self, address: IpAddr) -> bool {
        self.dialled.contains(&address) || self.admitted.values().any(|known| *known == address)
    }

    /// Takes a place for a connection, if there is one.
    fn enter(&mut self, connection: ConnectionId, address: IpAddr) -> Result<(), NoPlace> {
        let of_address = self.under_way.values().filter(|(other, _)| *other == address).count();
        let is_known = self.knows(address);
        let has_place = if is_known {
            of_address < KNOWN_PER_ADDRESS_MAX
        } else {
            let strangers = self.under_way.values().filter(|(_, is_known)| !is_known).count();
            of_address < STRANGERS_PER_ADDRESS_MAX && strangers < STRANGERS_MAX
        };
        if !has_place {
            return Err(NoPlace);
        }
        self.under_way.insert(connection, (address, is_known));
        Ok(())
    }

    fn leave(&mut self, connection: ConnectionId) {
        self.under_way.remove(&connection);
    }
}

fn ip(address: &Multiaddr) -> Option<IpAddr> {
    address.iter().find_map(|part| match part {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(ip.into()),
        _ => None,
    })
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        let address = ip(remote).ok_or_else(|| ConnectionDenied::new(NoPlace))?;
        self.enter(connection, address).map_err(ConnectionDenied::new)
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.leave(connection);
        Ok(dummy::ConnectionHandler)
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm) {
        match event {
            // Whoever is not admitted is refused before this.
            FromSwarm::ConnectionEstablished(established) => {
                if let Some(address) = ip(established.endpoint.get_remote_address()) {
                    self.admitted.insert(established.peer_id, address);
                }
            }
            FromSwarm::ListenFailure(failure) => self.leave(failure.connection_id),
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: usize) -> IpAddr {
        IpAddr::from([10, 0, 0, u8::try_from(last).unwrap()])
    }

    /// Handshakes begun by `address`, `count` of them: how many got a place.
    fn begin(places: &mut Behaviour, address: IpAddr, first: usize, count: usize) -> usize {
        (first..first + count)
            .filter(|id| places.enter(ConnectionId::new_unchecked(*id), address).is_ok())
            .count()
    }

    #[test]
    fn one_stranger_gets_a_share_of_the_places() {
        let mut places = Behaviour::default();
        assert_eq!(begin(&mut places, address(1), 0, 100), STRANGERS_PER_ADDRESS_MAX);
        assert_eq!(begin(&mut places, address(2), 100, 1), 1);
    }

    #[test]
    fn strangers_keep_nobody_out_whose_address_is_known() {
        let dialled: Multiaddr = "/ip4/10.0.0.99/tcp/1".parse().unwrap();
        let mut places = Behaviour::new([&dialled].into_iter());
        places.admitted.insert(PeerId::random(), address(98));
        let taken: usize = (0..20).map(|last| begin(&mut places, address(last), last * 100, 100)).sum();
        assert_eq!(taken, STRANGERS_MAX);
        assert_eq!(begin(&mut places, address(97), 5_000, 1), 0);
        assert_eq!(begin(&mut places, address(99), 6_000, 100), KNOWN_PER_ADDRESS_MAX);
        assert_eq!(begin(&mut places, address(98), 7_000, 1), 1);
    }

    #[test]
    fn a_handshake_that_ends_gives_its_place_back() {
        let mut places = Behaviour::default();
        begin(&mut places, address(1), 0, 100);
        places.leave(ConnectionId::new_unchecked(0));
        assert_eq!(begin(&mut places, address(1), 100, 2), 1);
    }
}
