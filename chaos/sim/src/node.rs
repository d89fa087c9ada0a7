//! Owns one simulated node: what it keeps across its lives, and the software of a life: the real mesh, ledger and
//! their supervision over simulated streams, disks and clock.

use std::{cell::RefCell, rc::Rc, sync::Arc, time::Duration};

use althing_actors::{
    auditor::{
        self,
        actor::{AuditorActor, AuditorOptions},
        message::{ObserveHead, ReadAlarms, ReadStatus},
        port::History,
        state::AuditorConfig,
    },
    home::Home,
    journal::{Place, Shelf},
    ledger::{
        LedgerHandle, LedgerOptions,
        message::{CertifiedBlock, READ_BLOCKS_MAX, ReadError, ShownHead},
    },
    port::MeshEvent,
    watcher::{RestartLimits, Watched, Watcher},
};
use althing_contracts::{genesis::Genesis, quantity::Height, testing::World};
use althing_netconfig::mesh::{Mesh, MeshEvents};
use async_trait::async_trait;
use futures::{
    StreamExt as _,
    stream::{self, BoxStream},
};
use tokio::sync::broadcast;

use crate::{
    binding::{BoundMesh, inward},
    board::SharedBoard,
    clock::SimClock,
    home::SimHome,
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
    board: SharedBoard,
}

impl Node {
    /// A node that has not started.
    #[must_use]
    pub fn new(index: usize, seed: u64, world: &Rc<World>, offset_ms: i64, board: &SharedBoard) -> Rc<Self> {
        Rc::new(Self {
            index,
            genesis: Rc::new(world.genesis.clone()),
            world: Rc::clone(world),
            clock: SimClock { offset_ms },
            disks: RefCell::default(),
            user: Rc::new(RefCell::new(User::new(index, seed))),
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
        if self.index == AUDITOR {
            self.audit(&watcher, &ledger)?;
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
    /// Re-applies every block beside the ledger, as a witness that only looks.
    fn audit(&self, watcher: &Watcher, ledger: &LedgerHandle) -> turmoil::Result {
        let journals = self.disks.borrow().journals.clone();
        let shelf = Shelf::new(move |name| Ok(Place::from((journals.clone(), name))));
        let options = AuditorOptions {
            config: AuditorConfig { member: None, shelf },
            genesis: Arc::new((*self.genesis).clone()),
            feed: ledger.feed(),
            history: Arc::new(FinalBlocks(ledger.clone())),
            attester: None,
            home: Arc::new(SimHome::here()),
        };
        let auditor = auditor::actor::start(watcher, options).map_err(|error| causes(&*error))?;
        tokio::task::spawn_local(show_heads(ledger.heads(), auditor.clone()));
        tokio::task::spawn_local(hear_out(auditor, Rc::clone(&self.board)));
        Ok(())
    }
}

/// The final blocks of the node, as its auditor reads them.
struct FinalBlocks(LedgerHandle);

#[async_trait]
impl History for FinalBlocks {
    async fn read_blocks(&self, from: Height, limit: usize) -> Result<Vec<CertifiedBlock>, ReadError> {
        self.0.read_blocks(from, limit).await
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
        let header = view.borrow_and_update().header.clone();
        if let Some(header) = header {
            board.borrow_mut().shown(node, header.height, header.digest());
        }
    }
}

/// Hands the node's whole chain out when the board asks for it.
async fn hand_out(node: usize, ledger: LedgerHandle, board: SharedBoard) {
    while !board.borrow().is_inquest() {
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
