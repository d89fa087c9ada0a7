//! Owns the users of a run: each author submits one proposal after the other to the own node, and submits the same
//! bytes again until they are final.

use std::collections::BTreeMap;

use althing_actors::ledger::mempool::PooledTransaction;
use althing_contracts::{
    name::{MemberId, OrgId},
    quantity::{Sequence, TimeMs},
    role::Role,
    testing::{self, World, deploy, member},
    transaction::{Call, TransactionBody, TransactionId, UnverifiedTransaction},
};
use bytes::Bytes;

use super::event::NodeIndex;

/// The users of a mesh, by their nodes.
pub(super) struct Workload {
    world: World,
    users: BTreeMap<NodeIndex, User>,
}

struct User {
    member: MemberId,
    org: OrgId,
    sequence: Sequence,
    waiting: Option<PooledTransaction>,
}

impl Workload {
    /// An author at the node of each organisation, and with two observers one at the second.
    pub(super) fn new(world: World, orgs: &[OrgId], observers: usize) -> Self {
        let user = |org: &OrgId, member: MemberId| User {
            member,
            org: org.clone(),
            sequence: Sequence::ZERO,
            waiting: None,
        };
        let authors = orgs.iter().map(|org| user(org, member(&format!("{org}/author"))));
        let mut users: BTreeMap<_, _> = authors.enumerate().collect();
        if observers == 2 {
            users.insert(orgs.len() + 1, user(&orgs[0], follower()));
        }
        Self { world, users }
    }

    /// The nodes that have users.
    pub(super) fn nodes(&self) -> Vec<NodeIndex> {
        self.users.keys().copied().collect()
    }

    /// What the user submits: what is not final yet, or something new.
    pub(super) fn next(&mut self, at: NodeIndex) -> Option<PooledTransaction> {
        if let Some(waiting) = &self.users.get(&at)?.waiting {
            return Some(waiting.clone());
        }
        let transaction = self.make(at)?;
        self.users.get_mut(&at)?.waiting = Some(transaction.clone());
        Some(transaction)
    }

    /// The user is told of a final transaction; whether it is the one that the user waits for.
    pub(super) fn is_final(&mut self, at: NodeIndex, id: TransactionId) -> bool {
        let Some(User { waiting, .. }) = self.users.get_mut(&at) else { return false };
        let is_own = waiting.as_ref().is_some_and(|waiting| waiting.verified.id() == id);
        if is_own {
            *waiting = None;
        }
        is_own
    }

    /// Whether the user waits.
    pub(super) fn is_waiting(&self, at: NodeIndex) -> bool {
        self.users.get(&at).is_some_and(|user| user.waiting.is_some())
    }

    fn make(&mut self, at: NodeIndex) -> Option<PooledTransaction> {
        let User { member, org, sequence, .. } = self.users.get_mut(&at)?;
        *sequence = sequence.next();
        let (north, south) = (format!("{org}-north"), format!("{org}-south"));
        let document = deploy(&format!("v{sequence}"), &[&[north.as_str()], &[south.as_str()]]);
        let plan_hash = self.world.state.plan(&document).expect("the document is sound").hash();
        let body = TransactionBody {
            sender: member.clone(),
            role: Role::Author,
            sequence: *sequence,
            not_after: TimeMs::MAX,
            call: Call::Submit { document, plan_hash },
        };
        let bytes = self.world.sign_as(body).encode();
        let unverified = UnverifiedTransaction::decode(&bytes, self.world.network()).expect("just encoded");
        let verified = unverified.verify().expect("just signed");
        Some(PooledTransaction { bytes: Bytes::from(bytes), verified })
    }
}

/// The author at the second observer.
pub(super) fn follower() -> MemberId {
    member(&format!("{}/follower", testing::org(0)))
}
