//! Owns the users of a run: each author submits one proposal after the other to the own node, and submits the same
//! bytes again until they are final.

use althing_actors::ledger::mempool::PooledTransaction;
use althing_contracts::{
    name::{MemberId, OrgId},
    quantity::{Sequence, TimeMs},
    role::Role,
    testing::{World, deploy, member},
    transaction::{Call, TransactionBody, TransactionId, UnverifiedTransaction},
};
use bytes::Bytes;

/// The users of a mesh, one for each node.
pub(super) struct Workload {
    world: World,
    users: Vec<User>,
}

struct User {
    member: MemberId,
    org: OrgId,
    sequence: Sequence,
    waiting: Option<PooledTransaction>,
}

impl Workload {
    pub(super) fn new(world: World, orgs: &[OrgId]) -> Self {
        let users = orgs.iter().map(|org| User {
            member: member(&format!("{org}/author")),
            org: org.clone(),
            sequence: Sequence::ZERO,
            waiting: None,
        });
        Self { world, users: users.collect() }
    }

    /// What the user submits: what is not final yet, or something new.
    pub(super) fn next(&mut self, user: usize) -> PooledTransaction {
        if let Some(waiting) = &self.users[user].waiting {
            return waiting.clone();
        }
        let transaction = self.make(user);
        self.users[user].waiting = Some(transaction.clone());
        transaction
    }

    /// The user is told of a final transaction; whether it is the one that the user waits for.
    pub(super) fn is_final(&mut self, user: usize, id: TransactionId) -> bool {
        let waiting = &mut self.users[user].waiting;
        let is_own = waiting.as_ref().is_some_and(|waiting| waiting.verified.id() == id);
        if is_own {
            *waiting = None;
        }
        is_own
    }

    /// Whether the user waits.
    pub(super) fn is_waiting(&self, user: usize) -> bool {
        self.users[user].waiting.is_some()
    }

    fn make(&mut self, user: usize) -> PooledTransaction {
        let User { member, org, sequence, .. } = &mut self.users[user];
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
        PooledTransaction { bytes: Bytes::from(bytes), verified }
    }
}
