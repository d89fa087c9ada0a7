//! Owns who may connect: the allow-list of named nodes, nodes cordoned by the operator, nodes banned for a
//! while. Anyone else is refused as soon as the transport has proven who it is, before any protocol starts.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    convert::Infallible,
    fmt,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

use libp2p::{
    Multiaddr, PeerId,
    core::{Endpoint, transport::PortUse},
    swarm::{
        CloseConnection, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler,
        THandlerInEvent, THandlerOutEvent, ToSwarm, dummy,
    },
};

/// Reports of misbehaviour after which a node is banned.
pub(super) const MISBEHAVIOUR_MAX: u32 = 8;
/// How long a ban lasts: long enough to hurt a flood, short enough that an organisation that repaired its
/// node is back before anyone is called.
const BAN: Duration = Duration::from_mins(1);

/// Why a node was not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// Not on the allow-list.
    Stranger,
    /// By the operator.
    Cordoned,
    /// For misbehaviour, for a while.
    Banned,
}

impl Refused {
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::Stranger => "stranger",
            Self::Cordoned => "cordoned",
            Self::Banned => "banned",
        }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stranger => "the node is not on the allow-list of this mesh",
            Self::Cordoned => "the node is cordoned by the operator",
            Self::Banned => "the node is banned for misbehaviour",
        })
    }
}

impl std::error::Error for Refused {}

/// The allow-list as a libp2p behaviour; it must come first among the behaviours, so that no other sees a
/// connection that is refused.
#[derive(Debug)]
pub(super) struct Behaviour {
    allowed: HashSet<PeerId>,
    cordoned: HashSet<PeerId>,
    banned: HashMap<PeerId, Instant>,
    reports: HashMap<PeerId, u32>,
    closing: VecDeque<PeerId>,
    waker: Option<Waker>,
}

impl Behaviour {
    pub(super) fn new(allowed: HashSet<PeerId>) -> Self {
        Self {
            allowed,
            cordoned: HashSet::new(),
            banned: HashMap::new(),
            reports: HashMap::new(),
            closing: VecDeque::new(),
            waker: None,
        }
    }

    /// Puts another allow-list in force; whoever is connected and not on it is disconnected.
    pub(super) fn allow<'a>(
        &mut self,
        allowed: HashSet<PeerId>,
        connected: impl Iterator<Item = &'a PeerId>,
    ) {
        self.allowed = allowed;
        let strangers: Vec<PeerId> = connected.filter(|peer| !self.allowed.contains(peer)).copied().collect();
        for peer in strangers {
            self.close(peer);
        }
    }

    /// Closes the connections to a node and refuses new ones, in both directions.
    pub(super) fn cordon(&mut self, peer: PeerId) {
        self.cordoned.insert(peer);
        self.close(peer);
    }

    /// Takes a cordon or a ban back.
    pub(super) fn uncordon(&mut self, peer: PeerId) {
        self.cordoned.remove(&peer);
        self.banned.remove(&peer);
        self.reports.remove(&peer);
    }

    /// Notes one report of misbehaviour; bans the node at [`MISBEHAVIOUR_MAX`]. Returns the reports so far.
    pub(super) fn report(&mut self, peer: PeerId, now: Instant) -> u32 {
        if !self.allowed.contains(&peer) {
            return 0;
        }
        let reports = self.reports.entry(peer).or_insert(0);
        *reports = reports.saturating_add(1);
        let reports = *reports;
        if reports >= MISBEHAVIOUR_MAX {
            self.reports.remove(&peer);
            self.banned.insert(peer, now + BAN);
            self.close(peer);
        }
        reports
    }

    /// Whether a node may be connected.
    pub(super) fn admit(&mut self, peer: &PeerId, now: Instant) -> Result<(), Refused> {
        if !self.allowed.contains(peer) {
            return Err(Refused::Stranger);
        }
        if self.cordoned.contains(peer) {
            return Err(Refused::Cordoned);
        }
        match self.banned.get(peer) {
            Some(until) if now < *until => Err(Refused::Banned),
            Some(_) => {
                self.banned.remove(peer);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn close(&mut self, peer: PeerId) {
        self.closing.push_back(peer);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn check(&mut self, peer: &PeerId) -> Result<dummy::ConnectionHandler, ConnectionDenied> {
        self.admit(peer, Instant::now()).map_err(ConnectionDenied::new)?;
        Ok(dummy::ConnectionHandler)
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.check(&peer)
    }

    fn handle_pending_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: Option<PeerId>,
        _: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        if let Some(peer) = peer {
            self.check(&peer)?;
        }
        Ok(Vec::new())
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        self.check(&peer)
    }

    fn on_swarm_event(&mut self, _: FromSwarm) {}

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        if let Some(peer_id) = self.closing.pop_front() {
            return Poll::Ready(ToSwarm::CloseConnection { peer_id, connection: CloseConnection::All });
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one_allowed() -> (Behaviour, PeerId) {
        let peer = PeerId::random();
        (Behaviour::new(HashSet::from([peer])), peer)
    }

    #[test]
    fn another_allow_list_closes_the_door_to_who_is_not_on_it() {
        let (mut admission, peer) = one_allowed();
        let other = PeerId::random();
        admission.allow(HashSet::from([other]), [peer, other].iter());
        assert_eq!(admission.admit(&peer, Instant::now()), Err(Refused::Stranger));
        assert_eq!(admission.admit(&other, Instant::now()), Ok(()));
        assert_eq!(admission.closing, [peer]);
    }

    #[test]
    fn only_the_allow_list_is_admitted() {
        let (mut admission, peer) = one_allowed();
        let now = Instant::now();
        assert_eq!(admission.admit(&peer, now), Ok(()));
        assert_eq!(admission.admit(&PeerId::random(), now), Err(Refused::Stranger));
    }

    #[test]
    fn a_cordon_closes_and_refuses_until_it_is_taken_back() {
        let (mut admission, peer) = one_allowed();
        let now = Instant::now();
        admission.cordon(peer);
        assert_eq!(admission.closing.pop_front(), Some(peer));
        assert_eq!(admission.admit(&peer, now), Err(Refused::Cordoned));
        admission.uncordon(peer);
        assert_eq!(admission.admit(&peer, now), Ok(()));
    }

    #[test]
    fn repeated_misbehaviour_bans_for_a_while() {
        let (mut admission, peer) = one_allowed();
        let now = Instant::now();
        for expected in 1..MISBEHAVIOUR_MAX {
            assert_eq!(admission.report(peer, now), expected);
            assert_eq!(admission.admit(&peer, now), Ok(()));
        }
        admission.report(peer, now);
        assert_eq!(admission.admit(&peer, now), Err(Refused::Banned));
        assert_eq!(admission.admit(&peer, now + BAN), Ok(()));
        assert_eq!(admission.report(peer, now + BAN), 1, "a served ban starts the count again");
    }

    #[test]
    fn reports_about_strangers_take_no_memory() {
        let (mut admission, _) = one_allowed();
        assert_eq!(admission.report(PeerId::random(), Instant::now()), 0);
        assert!(admission.reports.is_empty());
    }
}
