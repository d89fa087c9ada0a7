//! Owns when known addresses are dialled: at once at the start, then with growing, jittered waits until the
//! node is admitted. It reads no clock and opens no socket; the swarm's task asks it what is due.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use libp2p::{Multiaddr, PeerId};

/// First wait after a lost connection or a failed dial.
const WAIT_MIN: Duration = Duration::from_millis(100);
/// Longest wait: a healed partition is found within this time.
const WAIT_MAX: Duration = Duration::from_secs(5);
/// How much longer the node with the larger id waits for the first dial, so that two nodes which know each
/// other's address seldom dial at once and end with one connection, without one of them depending on it.
const YIELD: Duration = Duration::from_millis(250);

/// What to dial and when.
#[derive(Debug)]
pub(super) struct Redial {
    local: PeerId,
    targets: HashMap<PeerId, Target>,
}

#[derive(Debug)]
struct Target {
    addresses: Vec<Multiaddr>,
    failures: u32,
    due: Option<Instant>,
    paused: bool,
}

impl Redial {
    /// Everything in `bootstrap` but the node itself is due at once.
    pub(super) fn new(local: PeerId, bootstrap: Vec<(PeerId, Multiaddr)>, now: Instant) -> Self {
        let mut targets: HashMap<PeerId, Target> = HashMap::new();
        for (peer, address) in bootstrap.into_iter().filter(|(peer, _)| *peer != local) {
            let due = Some(now + yield_of(local, peer));
            let target = Target { addresses: Vec::new(), failures: 0, due, paused: false };
            targets.entry(peer).or_insert(target).addresses.push(address);
        }
        Self { local, targets }
    }

    /// The nodes to dial at `now`, with their addresses; each is asked for again only after it failed or was
    /// lost.
    pub(super) fn due(&mut self, now: Instant) -> Vec<(PeerId, Vec<Multiaddr>)> {
        let mut dials = Vec::new();
        for (peer, target) in &mut self.targets {
            if !target.paused && target.due.is_some_and(|due| due <= now) {
                target.due = None;
                dials.push((*peer, target.addresses.clone()));
            }
        }
        dials
    }

    /// When [`Self::due`] has something to say next.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.targets.values().filter(|target| !target.paused).filter_map(|target| target.due).min()
    }

    /// A connection is up: no dial is needed.
    pub(super) fn connected(&mut self, peer: &PeerId) {
        if let Some(target) = self.targets.get_mut(peer) {
            target.due = None;
        }
    }

    /// The node passed every check: the waits start from the shortest again.
    pub(super) fn admitted(&mut self, peer: &PeerId) {
        if let Some(target) = self.targets.get_mut(peer) {
            target.failures = 0;
        }
    }

    /// A dial failed or the last connection is gone: dial again after a wait.
    pub(super) fn lost(&mut self, peer: &PeerId, now: Instant) {
        let local = self.local;
        if let Some(target) = self.targets.get_mut(peer) {
            target.due = Some(now + wait(local, *peer, target.failures));
            target.failures = target.failures.saturating_add(1);
        }
    }

    /// Stops dialling a node.
    pub(super) fn pause(&mut self, peer: &PeerId) {
        if let Some(target) = self.targets.get_mut(peer) {
            target.paused = true;
        }
    }

    /// Dials a node again, at once.
    pub(super) fn resume(&mut self, peer: &PeerId, now: Instant) {
        if let Some(target) = self.targets.get_mut(peer) {
            target.paused = false;
            target.failures = 0;
            target.due = Some(now);
        }
    }
}

fn yield_of(local: PeerId, peer: PeerId) -> Duration {
    if local < peer { Duration::ZERO } else { YIELD }
}

/// Doubling from [`WAIT_MIN`] to [`WAIT_MAX`], of which 50 to 100 % by a hash of both names and the count: no
/// two pairs of nodes keep step after a common failure, and a run can be repeated.
fn wait(local: PeerId, peer: PeerId, failures: u32) -> Duration {
    let full = WAIT_MIN.saturating_mul(1_u32.checked_shl(failures.min(16)).unwrap_or(u32::MAX)).min(WAIT_MAX);
    let mut hasher = blake3::Hasher::new();
    hasher.update(&local.to_bytes()).update(&peer.to_bytes()).update(&failures.to_le_bytes());
    let share = u32::from(hasher.finalize().as_bytes()[0]);
    let jittered = full / 2 + full / 2 * share / u32::from(u8::MAX);
    if failures == 0 { jittered + yield_of(local, peer) } else { jittered }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address() -> Multiaddr {
        "/ip4/127.0.0.1/tcp/7000".parse().unwrap()
    }

    fn pair() -> (PeerId, PeerId) {
        let (one, two) = (PeerId::random(), PeerId::random());
        (one.min(two), one.max(two))
    }

    #[test]
    fn the_smaller_name_dials_at_once_and_the_larger_yields() {
        let (small, large) = pair();
        let now = Instant::now();
        let mut redial = Redial::new(small, vec![(large, address())], now);
        assert_eq!(redial.due(now), vec![(large, vec![address()])]);
        assert_eq!(redial.due(now), vec![], "a dial under way is not repeated");
        let mut redial = Redial::new(large, vec![(small, address())], now);
        assert_eq!(redial.due(now), vec![]);
        assert_eq!(redial.next_due(), Some(now + YIELD));
        redial.connected(&small);
        assert_eq!(redial.due(now + WAIT_MAX), vec![], "the other has dialled");
    }

    #[test]
    fn waits_grow_to_their_bound_and_start_again_after_admission() {
        let (small, large) = pair();
        let start = Instant::now();
        let mut redial = Redial::new(small, vec![(large, address())], start);
        redial.due(start);
        let mut waits = Vec::new();
        for _ in 0..12 {
            redial.lost(&large, start);
            waits.push(redial.next_due().unwrap() - start);
            assert!(waits.iter().all(|wait| *wait >= WAIT_MIN / 2 && *wait <= WAIT_MAX));
        }
        assert!(waits[11] >= WAIT_MAX / 2, "{waits:?}");
        redial.admitted(&large);
        redial.lost(&large, start);
        assert!(redial.next_due().unwrap() - start <= WAIT_MIN);
    }

    #[test]
    fn a_paused_node_is_dialled_only_after_it_is_resumed() {
        let (small, large) = pair();
        let now = Instant::now();
        let mut redial = Redial::new(small, vec![(large, address())], now);
        redial.pause(&large);
        assert_eq!((redial.due(now), redial.next_due()), (vec![], None));
        redial.lost(&large, now);
        assert_eq!(redial.due(now + WAIT_MAX), vec![]);
        redial.resume(&large, now);
        assert_eq!(redial.due(now).len(), 1);
    }

    #[test]
    fn the_node_itself_is_never_dialled() {
        let (small, _) = pair();
        let now = Instant::now();
        assert_eq!(Redial::new(small, vec![(small, address())], now).next_due(), None);
    }
}
