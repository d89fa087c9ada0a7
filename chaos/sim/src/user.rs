//! Owns the user of a node: submits a proposal to its own node and takes it back, again and again, and submits the same
//! bytes until it is told that they are final. It remembers across the lives of its node.

use std::{cell::RefCell, rc::Rc, time::Duration};

use althing_actors::{
    ledger::{LedgerHandle, message::SubmitError},
    signer::journal::{KeyUse, KeyUseRecord},
};
use althing_contracts::{
    digest::{Digest, Purpose},
    name::{MemberId, OrgId},
    quantity::{Sequence, TimeMs},
    reject::Reject,
    role::Role,
    state::State,
    testing::{World, deploy, line},
    transaction::{Call, ProposalId, TransactionBody, UnverifiedTransaction},
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
    /// What it signed, as a signer's journal would have it.
    pub uses: Vec<KeyUseRecord>,
}

impl User {
    /// The user at a node.
    #[must_use]
    pub fn new(node: usize, seed: u64) -> Self {
        let random = StdRng::seed_from_u64(seed ^ (0x05e5 + node as u64));
        let (member, org) = (world::user(node), world::org_of(node));
        Self {
            node,
            member,
            org,
            sequence: Sequence::ZERO,
            waiting: None,
            open: None,
            random,
            uses: Vec::new(),
        }
    }

    /// What waits to be final, or something new.
    fn next(&mut self, world: &World, state: &State) -> Option<Vec<u8>> {
        if let Some(waiting) = &self.waiting {
            return Some(waiting.clone());
        }
        let call = match self.open.take() {
            Some(proposal) => Call::Cancel { proposal, reason: line("changed my mind") },
            None => self.propose(state)?,
        };
        let body = TransactionBody {
            sender: self.member.clone(),
            role: Role::Author,
            sequence: self.sequence.next(),
            not_after: TimeMs::MAX,
            call,
        };
        let purpose = KeyUse::of(&body.call);
        let bytes = world.sign_as(body).encode();
        let signed = UnverifiedTransaction::decode(&bytes, world.network()).expect("it was signed here");
        self.uses.push(KeyUseRecord::V1 {
            time: world.state.time(),
            purpose,
            member: self.member.clone(),
            role: Role::Author,
            sequence: self.sequence.next(),
            transaction: signed.id(),
            body: Digest::of(Purpose::Evidence, &bytes),
        });
        self.waiting = Some(bytes.clone());
        Some(bytes)
    }

    /// What it asked for is final.
    fn serve(&mut self) {
        self.waiting = None;
        self.sequence = self.sequence.next();
    }

    /// What it asked for is refused: its number is free, and a proposal that it was to open is not there. A repeat of a
    /// change that is open already uses no number up, so the ledger may expect another one.
    fn refuse(&mut self, reject: &Reject) {
        self.waiting = None;
        self.open = None;
        if let Reject::Sequence { expected, .. } = reject {
            self.sequence = Sequence::new(expected.get().saturating_sub(1));
        }
    }

    /// A change as its node's ledger plans it; nothing before the ledger can.
    fn propose(&mut self, state: &State) -> Option<Call> {
        let (north, south) = (format!("{}-north", self.org), format!("{}-south", self.org));
        let document = deploy(&format!("v{}", self.sequence.next()), &[&[north.as_str()], &[south.as_str()]]);
        let plan = state.plan(&document).ok()?;
        let id = ProposalId::derive(state.network(), &self.member, self.sequence.next(), plan.document);
        self.open = Some(id);
        Some(Call::Submit { document, plan_hash: plan.hash() })
    }
}

/// Submits until the node is gone.
pub async fn submit(user: Rc<RefCell<User>>, world: Rc<World>, ledger: LedgerHandle, board: SharedBoard) {
    let node = user.borrow().node;
    loop {
        let view = ledger.feed().view.borrow().clone();
        let Some(bytes) = user.borrow_mut().next(&world, &view.state) else {
            tokio::time::sleep(AGAIN).await;
            continue;
        };
        let is_settled = match ledger.submit(bytes).await {
            Ok(done) => {
                board.borrow_mut().acknowledge(node, &done);
                user.borrow_mut().serve();
                true
            }
            Err(SubmitError::Rejected(reject)) => {
                board.borrow_mut().refuse(reject.code());
                user.borrow_mut().refuse(&reject);
                true
            }
            Err(_) => false,
        };
        let mut pause = AGAIN;
        if is_settled {
            pause = Duration::from_millis(user.borrow_mut().random.random_range(0..PAUSE_MAX_MS));
        }
        tokio::time::sleep(pause).await;
    }
}
