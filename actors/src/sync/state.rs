//! Owns whom to ask for blocks: what each peer says it has, the one request under way, and who failed.

use std::collections::BTreeMap;

use althing_contracts::quantity::Height;

use crate::port::NodeId;

/// How long a request may take before another peer is asked.
pub const REQUEST_TIMEOUT_US: u64 = 4_000_000;
/// How long a single missing block may still arrive by consensus before it is asked for.
const GRACE_US: u64 = 150_000;
/// How long a peer that failed is not asked.
const PENALTY_US: u64 = 2_000_000;

/// A request to make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// Names the request in its answer.
    pub id: u64,
    /// Whom to ask.
    pub peer: NodeId,
    /// The first height.
    pub from: Height,
}

/// What is known of the peers' ledgers.
#[derive(Debug, Default)]
pub struct SyncState {
    peers: BTreeMap<NodeId, PeerLedger>,
    under_way: Option<UnderWay>,
    next_id: u64,
    behind_since_us: Option<u64>,
}

#[derive(Debug, Clone, Copy, Default)]
struct PeerLedger {
    height: Height,
    not_before_us: u64,
    asked: u64,
}

#[derive(Debug, Clone, Copy)]
struct UnderWay {
    id: u64,
    peer: NodeId,
    due_us: u64,
}

impl SyncState {
    /// A peer is there; it says nothing of its ledger yet.
    pub fn connect(&mut self, peer: NodeId) {
        self.peers.entry(peer).or_default();
    }

    /// A peer is gone.
    pub fn disconnect(&mut self, peer: &NodeId) {
        self.peers.remove(peer);
        if self.under_way.is_some_and(|request| request.peer == *peer) {
            self.under_way = None;
        }
    }

    /// The connected peers.
    pub fn peers(&self) -> impl Iterator<Item = &NodeId> {
        self.peers.keys()
    }

    /// A peer showed that it has a height. A claim costs it a request that it has to answer.
    pub fn claim(&mut self, peer: NodeId, height: Height) {
        if let Some(known) = self.peers.get_mut(&peer) {
            known.height = known.height.max(height);
        }
    }

    /// The highest height that any peer showed.
    #[must_use]
    pub fn highest_seen(&self) -> Height {
        self.peers.values().map(|peer| peer.height).max().unwrap_or_default()
    }

    /// The request to make now, if this node is behind and none is under way.
    pub fn poll(&mut self, now_us: u64, head: Height) -> Option<Wanted> {
        self.expire(now_us);
        let highest = self.highest_seen();
        if highest <= head {
            self.behind_since_us = None;
            return None;
        }
        let since_us = *self.behind_since_us.get_or_insert(now_us);
        let is_near = highest == head.next();
        if self.under_way.is_some() || (is_near && now_us < since_us.saturating_add(GRACE_US)) {
            return None;
        }
        let able = |peer: &&mut PeerLedger| peer.height > head && peer.not_before_us <= now_us;
        let (peer, known) =
            self.peers.iter_mut().filter(|(_, known)| able(known)).min_by_key(|(_, known)| known.asked)?;
        self.next_id = self.next_id.saturating_add(1);
        known.asked = self.next_id;
        let wanted = Wanted { id: self.next_id, peer: *peer, from: head.next() };
        let due_us = now_us.saturating_add(REQUEST_TIMEOUT_US);
        self.under_way = Some(UnderWay { id: wanted.id, peer: wanted.peer, due_us });
        Some(wanted)
    }

    /// When [`Self::poll`] has something to do again.
    #[must_use]
    pub fn next_due_us(&self, head: Height) -> Option<u64> {
        if let Some(request) = self.under_way {
            return Some(request.due_us);
        }
        let since_us = self.behind_since_us?;
        let able = self.peers.values().filter(|peer| peer.height > head);
        let free_us = able.map(|peer| peer.not_before_us).min()?;
        Some(free_us.max(since_us.saturating_add(GRACE_US)))
    }

    /// An answer came in; `false` when it is not the one under way.
    pub fn answered(&mut self, id: u64) -> bool {
        let is_current = self.under_way.is_some_and(|request| request.id == id);
        if is_current {
            self.under_way = None;
        }
        is_current
    }

    /// A peer's answer was useless: what it claims is forgotten and it is not asked for a while.
    pub fn failed(&mut self, peer: &NodeId, now_us: u64) {
        if let Some(known) = self.peers.get_mut(peer) {
            known.height = Height::ZERO;
            known.not_before_us = now_us.saturating_add(PENALTY_US);
        }
    }

    /// This node moved on; the grace for the next block starts anew.
    pub fn advanced(&mut self) {
        self.behind_since_us = None;
    }

    fn expire(&mut self, now_us: u64) {
        if let Some(request) = self.under_way
            && request.due_us <= now_us
        {
            self.under_way = None;
            if let Some(known) = self.peers.get_mut(&request.peer) {
                known.not_before_us = now_us.saturating_add(PENALTY_US);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use althing_contracts::signature::PublicKey;

    use super::*;

    const ALICE: NodeId = PublicKey::Ed25519([1; 32]);
    const BOB: NodeId = PublicKey::Ed25519([2; 32]);

    fn behind(claims: &[(NodeId, u64)]) -> SyncState {
        let mut sync = SyncState::default();
        for (peer, height) in claims {
            sync.connect(*peer);
            sync.claim(*peer, Height::new(*height));
        }
        sync
    }

    #[test]
    fn one_request_is_under_way_and_the_next_goes_to_another_peer() {
        let mut sync = behind(&[(ALICE, 9), (BOB, 9)]);
        let first = sync.poll(0, Height::ZERO).unwrap();
        assert_eq!(first.from, Height::new(1));
        assert_eq!(sync.poll(0, Height::ZERO), None);
        assert!(sync.answered(first.id) && !sync.answered(first.id));
        let second = sync.poll(0, Height::new(4)).unwrap();
        assert_ne!(first.peer, second.peer);
        assert_eq!(second.from, Height::new(5));
    }

    #[test]
    fn a_single_missing_block_gets_its_grace() {
        let mut sync = behind(&[(ALICE, 1)]);
        assert_eq!(sync.poll(10, Height::ZERO), None);
        assert_eq!(sync.next_due_us(Height::ZERO), Some(10 + GRACE_US));
        assert!(sync.poll(10 + GRACE_US, Height::ZERO).is_some());
    }

    #[test]
    fn a_peer_that_does_not_answer_is_left_for_another() {
        let mut sync = behind(&[(ALICE, 9)]);
        let first = sync.poll(0, Height::ZERO).unwrap();
        sync.connect(BOB);
        sync.claim(BOB, Height::new(9));
        let second = sync.poll(REQUEST_TIMEOUT_US, Height::ZERO).unwrap();
        assert_eq!((first.peer, second.peer), (ALICE, BOB));
    }

    #[test]
    fn a_false_claim_is_forgotten_and_a_stranger_claims_nothing() {
        let mut sync = behind(&[(ALICE, 900)]);
        sync.failed(&ALICE, 0);
        assert_eq!(sync.poll(0, Height::ZERO), None);
        sync.claim(BOB, Height::new(9));
        assert_eq!(sync.highest_seen(), Height::ZERO);
    }
}
