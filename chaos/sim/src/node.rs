//! Owns one simulated node: what it keeps across its lives, and the software of a life: the real mesh, ledger, the
//! actors around it and their supervision over simulated streams, disks, clock and targets.

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};

use althing_actors::{
    auditor::{
        self,
        actor::{AuditorActor, AuditorOptions},
        message::{ObserveHead, ReadAlarms, ReadStatus},
        port::Attester,
        state::AuditorConfig,
    },
    home::Home,
    journal::{Journal, JournalError, Place, Shelf},
    ledger::{
        LedgerHandle, LedgerOptions,
        message::{READ_BLOCKS_MAX, ShownHead},
    },
    port::MeshEvent,
    signer::journal::{self, KeyUseRecord},
    watcher::{RestartLimits, Watched, Watcher},
};
use althing_contracts::{genesis::Genesis, quantity::Height, testing::World};
use althing_netconfig::mesh::{Mesh, MeshEvents};
use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use rand9::{SeedableRng as _, rngs::StdRng};
use tokio::sync::broadcast;

use crate::{
    binding::{BoundMesh, inward},
    board::SharedBoard,
    clock::SimClock,
    home::SimHome,
    ports::{BoundAttester, BoundLedger},
    provider::SimTargets,
    site::{Parts, Site},
    storage::Disks,
    transport::SimTcp,
    user::{self, User},
    world::{self, AUDITOR},
};

/// How often a node looks whether its chain is asked for.
const INQUEST_LOOK: Duration = Duration::from_millis(100);

/// What a node is made of, and keeps.
pub struct Node {
    index: usize,
    genesis: Rc<Genesis>,
    world: Rc<World>,
    clock: SimClock,
    /// What survives, as far as it was synced.
    pub disks: RefCell<Disks>,
    user: Rc<RefCell<User>>,
    targets: SimTargets,
    /// What its members do.
    random: Rc<RefCell<StdRng>>,
    board: SharedBoard,
}

impl Node {
    /// A node that has not started.
    #[must_use]
    pub fn new(
        index: usize,
        seed: u64,
        world: &Rc<World>,
        offset_ms: i64,
        targets: &SimTargets,
        board: &SharedBoard,
    ) -> Rc<Self> {
        Rc::new(Self {
            index,
            genesis: Rc::new(world.genesis.clone()),
            world: Rc::clone(world),
            clock: SimClock { offset_ms },
            disks: RefCell::default(),
            user: Rc::new(RefCell::new(User::new(index, seed))),
            targets: targets.clone(),
            random: Rc::new(RefCell::new(StdRng::seed_from_u64(seed ^ (0x9e0_91e + index as u64)))),
            board: Rc::clone(board),
        })
    }

    /// A life of the node.
    ///
    /// # Errors
    /// Never: what ends a process is told to the board, which has the machine restart it.
    pub async fn live(self: Rc<Self>) -> turmoil::Result {
        if let Err(error) = self.run().await {
            let mut board = self.board.borrow_mut();
            let disks = self.disks.borrow();
            if disks.has_lied() && !disks.is_broken() {
                board.give_up(self.index, &error.to_string());
            } else {
                if !disks.is_broken() {
                    board.violate(format!("node {} does not start: {error}", self.index));
                }
                board.fail(self.index, &error.to_string());
            }
        }
        std::future::pending().await
    }

    async fn run(&self) -> turmoil::Result {
        let home = SimHome::here();
        let config = world::mesh(&self.genesis, self.index);
        let (mesh, events) = Mesh::start_over(config, SimTcp::default()).await?;
        let options = LedgerOptions {
            settings: world::settings(&self.genesis, self.index),
            storage: Arc::new(self.disks.borrow().ledger()),
            mesh: Arc::new(BoundMesh(mesh)),
            events: inbound(events),
            clock: Arc::new(self.clock),
            home: Arc::new(home) as Arc<dyn Home>,
        };
        let watcher = Watcher::new(RestartLimits::default());
        let ledger = match LedgerHandle::start(&watcher, options) {
            Ok(ledger) => ledger,
            Err(error) => return Err(causes(&*error).into()),
        };
        let site = self.open_site(&watcher, &ledger)?;
        site.populate(&self.random, &self.board);
        if self.index == AUDITOR {
            self.audit(&watcher, &ledger, &site)?;
        }
        tokio::task::spawn_local(watch(self.index, ledger.clone(), Rc::clone(&self.board)));
        tokio::task::spawn_local(hand_out(self.index, ledger.clone(), Rc::clone(&self.board)));
        let (user, world) = (Rc::clone(&self.user), Rc::clone(&self.world));
        tokio::task::spawn_local(user::submit(user, world, ledger.clone(), Rc::clone(&self.board)));
        let mut failure = ledger.failure();
        let failed = failure.wait_for(Option::is_some).await.map(|reason| reason.clone());
        if let Ok(Some(reason)) = failed {
            self.board.borrow_mut().fail(self.index, &reason);
        }
        Ok(())
    }
}

impl Node {
    /// Every use of a key that the node's journal and its user have.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub fn key_uses(&self) -> Result<Vec<KeyUseRecord>, JournalError> {
        let mut uses = self.user.borrow().uses.clone();
        let place = (self.disks.borrow().journals.clone(), journal::FILE);
        Journal::read(place, journal::KEY_USE_JOURNAL, |record| uses.push(record))?;
        Ok(uses)
    }

    fn shelf(&self) -> Shelf {
        let journals = self.disks.borrow().journals.clone();
        Shelf::new(move |name| Ok(Place::from((journals.clone(), name))))
    }

    /// What people use, and what acts by the ledger's orders.
    fn open_site(&self, watcher: &Watcher, ledger: &LedgerHandle) -> turmoil::Result<Site> {
        let parts = Parts {
            node: self.index,
            watcher,
            ledger,
            home: Arc::new(SimHome::here()),
            clock: self.clock,
            shelf: self.shelf(),
            targets: &self.targets,
        };
        Site::start(&parts).map_err(|error| causes(&*error).into())
    }

    /// Re-applies every block beside the ledger, and attests what it finds.
    fn audit(&self, watcher: &Watcher, ledger: &LedgerHandle, site: &Site) -> turmoil::Result {
        let attester = BoundAttester { member: world::auditor(), submitter: site.submitter.clone() };
        let options = AuditorOptions {
            config: AuditorConfig { member: Some(world::auditor()), shelf: self.shelf() },
            genesis: Arc::new((*self.genesis).clone()),
            feed: ledger.feed(),
            history: Arc::new(BoundLedger(ledger.clone())),
            attester: Some(Arc::new(attester) as Arc<dyn Attester>),
            home: Arc::new(SimHome::here()),
        };
        let auditor = auditor::actor::start(watcher, options).map_err(|error| causes(&*error))?;
        tokio::task::spawn_local(show_heads(ledger.heads(), auditor.clone()));
        tokio::task::spawn_local(hear_out(auditor, Rc::clone(&self.board)));
        Ok(())
    }
}

/// Shows the auditor every head that other nodes show.
async fn show_heads(mut heads: broadcast::Receiver<ShownHead>, auditor: Watched<AuditorActor>) {
    loop {
        match heads.recv().await {
            Ok(ShownHead { from, certificate }) => {
                // An auditor that is being restarted is shown the next head.
                let _gone = auditor.send(ObserveHead { from, certificate }).await;
            }
            Err(broadcast::error::RecvError::Lagged(_)) => {}
            Err(broadcast::error::RecvError::Closed) => return,
        }
    }
}

/// Tells the board how far the auditor is, and every alarm as a violation.
async fn hear_out(auditor: Watched<AuditorActor>, board: SharedBoard) {
    loop {
        tokio::time::sleep(INQUEST_LOOK).await;
        let (Ok(status), Ok(alarms)) = (auditor.send(ReadStatus).await, auditor.send(ReadAlarms).await)
        else {
            continue;
        };
        let mut board = board.borrow_mut();
        board.audited(status.height);
        for alarm in alarms.iter() {
            board.violate(format!("the auditor raised an alarm: {alarm:?}"));
        }
    }
}

fn inbound(events: MeshEvents) -> BoxStream<'static, MeshEvent> {
    let inbound = stream::unfold(events, |mut events| async {
        let event = events.recv().await?;
        Some((inward(event), events))
    });
    inbound.boxed()
}

/// Shows the board every block that the node shows.
async fn watch(node: usize, ledger: LedgerHandle, board: SharedBoard) {
    let mut view = ledger.feed().view;
    while view.changed().await.is_ok() {
        let shown = view.borrow_and_update().clone();
        let mut board = board.borrow_mut();
        if let Some(header) = &shown.header {
            board.shown(node, header.height, header.digest());
        }
        for proposal in shown.state.proposals() {
            board.stands(proposal);
        }
    }
}

/// Hands the node's whole chain out when the board asks for it.
async fn hand_out(node: usize, ledger: LedgerHandle, board: SharedBoard) {
    // What a target did before the inquest was claimed in a block that someone had by then.
    while !board.borrow().is_asked_at(ledger.feed().view.borrow().state.height()) {
        tokio::time::sleep(INQUEST_LOOK).await;
    }
    let mut chain = Vec::new();
    loop {
        let from = Height::new(chain.len() as u64 + 1);
        match ledger.read_blocks(from, READ_BLOCKS_MAX).await {
            Ok(blocks) if blocks.is_empty() => break,
            Ok(blocks) => chain.extend(blocks),
            Err(error) => {
                let error = causes(&error);
                return board
                    .borrow_mut()
                    .violate(format!("node {node} cannot read from {from} on: {error}"));
            }
        }
    }
    board.borrow_mut().hand_out(node, chain);
}

fn causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
