//! Owns the user of a node: submits a proposal to its own node and takes it back, again and again, and submits the same
//! bytes until it is told that they are final. It remembers across the lives of its node.

use std::{cell::RefCell, rc::Rc, time::Duration};

use althing_actors::ledger::{LedgerHandle, message::SubmitError};
use althing_contracts::{
    name::{MemberId, OrgId},
    quantity::{Sequence, TimeMs},
    role::Role,
    testing::{World, deploy, line},
    transaction::{Call, ProposalId, TransactionBody},
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use crate::{board::SharedBoard, world};

/// Longest pause between two proposals.
const PAUSE_MAX_MS: u64 = 1_200;
/// Pause before the same bytes are submitted again.
const AGAIN: Duration = Duration::from_millis(100);

/// A user.
#[derive(Debug)]
pub struct User {
    node: usize,
    member: MemberId,
    org: OrgId,
    sequence: Sequence,
    waiting: Option<Vec<u8>>,
    /// Its proposal, which it takes back next.
    open: Option<ProposalId>,
    random: StdRng,
}

impl User {
    /// The user at a node.
    #[must_use]
    pub fn new(node: usize, seed: u64) -> Self {
        let random = StdRng::seed_from_u64(seed ^ (0x05e5 + node as u64));
        let (member, org) = (world::user(node), world::org_of(node));
        Self { node, member, org, sequence: Sequence::ZERO, waiting: None, open: None, random }
    }

    /// What waits to be final, or something new.
    fn next(&mut self, world: &World) -> Vec<u8> {
        if let Some(waiting) = &self.waiting {
            return waiting.clone();
        }
        self.sequence = self.sequence.next();
        let call = match self.open.take() {
            Some(proposal) => Call::Cancel { proposal, reason: line("changed my mind") },
            None => self.propose(world),
        };
        let body = TransactionBody {
            sender: self.member.clone(),
            role: Role::Author,
            sequence: self.sequence,
            not_after: TimeMs::MAX,
            call,
        };
        let bytes = world.sign_as(body).encode();
        self.waiting = Some(bytes.clone());
        bytes
    }

    fn propose(&mut self, world: &World) -> Call {
        let (north, south) = (format!("{}-north", self.org), format!("{}-south", self.org));
        let document = deploy(&format!("v{}", self.sequence), &[&[north.as_str()], &[south.as_str()]]);
        let plan = world.state.plan(&document).expect("the document is sound");
        self.open = Some(ProposalId::derive(world.network(), &self.member, self.sequence, plan.document));
        Call::Submit { document, plan_hash: plan.hash() }
    }
}

/// Submits until the node is gone.
pub async fn submit(user: Rc<RefCell<User>>, world: Rc<World>, ledger: LedgerHandle, board: SharedBoard) {
    let node = user.borrow().node;
    loop {
        let bytes = user.borrow_mut().next(&world);
        let pause = match ledger.submit(bytes).await {
            Ok(done) => {
                board.borrow_mut().acknowledge(node, done.id, done.height);
                None
            }
            Err(SubmitError::Rejected(reject)) => {
                board.borrow_mut().refuse(&format!("{reject:?}"));
                None
            }
            Err(_) => Some(AGAIN),
        };
        let pause = pause.unwrap_or_else(|| {
            let mut user = user.borrow_mut();
            user.waiting = None;
            Duration::from_millis(user.random.random_range(0..PAUSE_MAX_MS))
        });
        tokio::time::sleep(pause).await;
    }
}
