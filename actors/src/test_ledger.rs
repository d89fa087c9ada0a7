//! A ledger in memory for the tests of this crate: the real rules, one block a transaction, no consensus.

use std::sync::{Arc, Mutex, MutexGuard};

use althing_contracts::{
    canonical,
    name::MemberId,
    proposal::Proposal,
    quantity::{DurationMs, Height, TimeMs},
    role::Role,
    stage::Stage,
    state::{Applied, Input},
    testing::{World, member_key},
    transaction::{
        Choice, ProposalId, ReviewVerdict, TRANSACTION_LEN_MAX, Transaction, UnverifiedTransaction,
    },
};
use async_trait::async_trait;
use ed25519_zebra::SigningKey;
use tokio::{
    sync::{broadcast, watch},
    time::Instant,
};

use crate::{
    ledger::message::{Final, LedgerFeed, LedgerView, SubmitError},
    port::{Clock, LedgerPort},
    signer::keys::SignerKeys,
};

/// The ledger; also a clock that goes on from the ledger's time.
pub(crate) struct TestLedger {
    begun: Mutex<(TimeMs, Instant)>,
    world: Mutex<World>,
    view: watch::Sender<Arc<LedgerView>>,
    events: broadcast::Sender<crate::ledger::message::EventBatch>,
}

impl TestLedger {
    pub(crate) fn new(world: World) -> Arc<Self> {
        let view = watch::Sender::new(view_of(&world));
        Arc::new(Self {
            begun: Mutex::new((world.state.time(), Instant::now())),
            world: Mutex::new(world),
            view,
            events: broadcast::Sender::new(16),
        })
    }

    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap()
    }

    /// Makes an empty block `later`.
    pub(crate) fn pass(&self, later: DurationMs) {
        self.change(|world| drop(world.block(later, &[])));
    }

    /// Changes the world and publishes it.
    pub(crate) fn change(&self, change: impl FnOnce(&mut World)) {
        let mut world = self.world();
        change(&mut world);
        self.publish(&world);
    }

    fn publish(&self, world: &World) {
        let now = self.now().max(world.state.time());
        *self.begun.lock().unwrap() = (now, Instant::now());
        self.view.send_replace(view_of(world));
    }

    pub(crate) fn proposal(&self, id: ProposalId) -> Proposal {
        self.world().state.proposal(id).unwrap().clone()
    }

    /// Follows the ledger until a proposal satisfies a condition.
    pub(crate) async fn wait(&self, id: ProposalId, until: impl Fn(&Proposal) -> bool) {
        let mut view = self.view.subscribe();
        let reached = view.wait_for(|view| view.state.proposal(id).is_some_and(&until));
        tokio::time::timeout(std::time::Duration::from_secs(30), reached).await.expect("in time").unwrap();
    }
}

#[async_trait]
impl LedgerPort for TestLedger {
    async fn submit(&self, bytes: Vec<u8>) -> Result<Final, SubmitError> {
        let mut world = self.world();
        let network = world.network();
        let unverified = UnverifiedTransaction::decode(&bytes, network).map_err(SubmitError::Malformed)?;
        let verified = unverified.verify().map_err(|_| SubmitError::Signature)?;
        let mut trial = world.state.clone();
        let (height, time) = (trial.height().next(), trial.time().after(DurationMs::new(1)));
        trial.apply(Input::Begin { height, time, parent: trial.network() }).unwrap();
        let id = verified.id();
        if trial.apply(Input::Transaction(&verified))? == Applied::Same {
            let (height, time) = (world.state.height(), world.state.time());
            return Ok(Final { id, height, time, events: Vec::new() });
        }
        let transaction: Transaction = canonical::decode(&bytes, TRANSACTION_LEN_MAX).unwrap();
        let (block, executed) = world.block(DurationMs::new(1), &[transaction]);
        let events = executed.outcomes.into_iter().flat_map(|(_, events)| events).collect();
        self.publish(&world);
        Ok(Final { id, height: block.header().height, time: block.header().time, events })
    }

    fn feed(&self) -> LedgerFeed {
        LedgerFeed { view: self.view.subscribe(), events: self.events.clone() }
    }
}

impl Clock for TestLedger {
    fn now(&self) -> TimeMs {
        let (time, since) = *self.begun.lock().unwrap();
        time.after(DurationMs::new(u64::try_from(since.elapsed().as_millis()).unwrap()))
    }
}

pub(crate) fn view_of(world: &World) -> Arc<LedgerView> {
    Arc::new(LedgerView {
        network: world.network(),
        state: world.state.clone(),
        header: world.last.clone(),
        certificate: None,
        highest_seen: Height::ZERO,
        round: 0,
        clock_offset_ms: None,
    })
}

/// The known keys of some members for a role each.
pub(crate) fn keys(holders: &[(&str, Role)]) -> SignerKeys {
    SignerKeys::new(holders.iter().map(|(member, role)| {
        let member = MemberId::new(member).unwrap();
        let key = SigningKey::from(member_key(&member, *role).secret());
        ((member, *role), key)
    }))
}

/// Brings a submitted proposal to the end of its timelock.
pub(crate) fn decide(world: &mut World, id: ProposalId) {
    world.review("birch/author", id, ReviewVerdict::Approve).unwrap();
    for voter in ["acme/author", "birch/author", "cedar/author"] {
        world.vote(voter, id, Choice::For).unwrap();
    }
    for _ in 0..3 {
        world.pass_to_deadline();
    }
    assert_eq!(world.state.proposal(id).unwrap().stage, Stage::Queued);
}
