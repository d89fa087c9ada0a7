//! Owns the ledger's mailbox: feeds the state machine, carries out what it asks for, and tells those who wait.
//!
//! What binds this node is durable when the state machine hands it out, so it is sent at once, from the handler.

use std::{
    any::Any,
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use actix::{
    Actor, ActorContext, ActorFutureExt, Addr, AsyncContext, Context, Handler, Message, MessageResult,
    ResponseActFuture, ResponseFuture, SpawnHandle, WrapFuture,
};
use althing_contracts::{event::EventRecord, quantity::Height, transaction::TransactionId};
use bytes::Bytes;
use tokio::sync::{Mutex, oneshot};
use tracing::{debug, error, info, warn};

use super::{
    admission::Reply,
    handle::Surroundings,
    index::BlockPositions,
    mempool::PooledTransaction,
    message::{
        CertifiedBlock, Final, READ_BLOCKS_MAX, READ_EVENTS_MAX, ReadBlocks, ReadError, ReadEvents,
        SubmitError,
    },
    metrics::{self, Meters},
    snapshot::{Snapshot, SnapshotStore},
    state::{CommittedBlock, Fatal, Filed, LedgerInput, LedgerOutput, LedgerState, Now, TransactionOutcome},
    storage::Archive,
    store::{self, Store},
};
use crate::{
    causes::with_causes,
    disk::Disk,
    failpoint,
    port::{MeshEvent, Verdict},
    sync::{SYNC_BLOCKS_MAX, SyncRequest, SyncResponse},
    watcher::{Lifeline, StartError},
};

/// Messages that wait: batches of the mesh, submissions and reads.
const MAILBOX_LEN_MAX: usize = 4_096;
/// Gossiped messages whose verdict is open; the mesh gives up on a verdict after seconds.
const VERDICTS_MAX: usize = 1_024;
/// Blocks between two snapshots: replaying as many takes a few seconds.
const SNAPSHOT_INTERVAL: u64 = 1_000;
/// Bytes of one answer to [`ReadBlocks`], so that a reader of full blocks does not hold the ledger up.
const READ_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The ledger.
pub(super) struct LedgerActor {
    ledger: LedgerState<Box<dyn Disk>>,
    opened: Vec<LedgerOutput>,
    archive: Box<dyn Archive>,
    snapshots: Arc<Mutex<SnapshotStore<Box<dyn Disk>>>>,
    surroundings: Surroundings,
    waiting: BTreeMap<TransactionId, Vec<Reply>>,
    verdicts: BTreeMap<u64, oneshot::Sender<Verdict>>,
    next_token: u64,
    timer: Option<SpawnHandle>,
    meters: Meters,
    began: Instant,
    _hold: Box<dyn Any + Send>,
    // Last: whoever is told by them that this life ended finds the storage free.
    lifeline: Lifeline,
    ends: Vec<oneshot::Sender<()>>,
}

/// Transactions whose signatures were checked; each is answered when it is final.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Admit(pub(super) Vec<(PooledTransaction, Reply)>);

/// What the mesh told, in order.
#[derive(Message)]
#[rtype(result = "()")]
pub(super) struct Inbound(pub(super) Vec<MeshEvent>);

/// Ends the ledger in order; the answer closes when its files are.
#[derive(Message)]
#[rtype(result = "oneshot::Receiver<()>")]
pub(super) struct Stop;

impl LedgerActor {
    /// Opens the store and starts at home.
    pub(super) fn start_at_home(
        surroundings: Surroundings,
        lifeline: Lifeline,
    ) -> Result<Addr<Self>, StartError> {
        let began = Instant::now();
        let now = Now { wall: surroundings.clock.now(), monotonic_us: 0 };
        let opened = store::open(&*surroundings.storage, surroundings.settings.clone(), now)?;
        let Store { ledger, outputs, archive, snapshots, hold } = opened;
        let home = Arc::clone(&surroundings.home);
        info!(height = %ledger.height(), "ledger opened");
        let actor = Self {
            ledger,
            opened: outputs,
            archive,
            snapshots: Arc::new(Mutex::new(snapshots)),
            surroundings,
            waiting: BTreeMap::new(),
            verdicts: BTreeMap::new(),
            next_token: 0,
            timer: None,
            meters: Meters::new(),
            began,
            _hold: hold,
            lifeline,
            ends: Vec::new(),
        };
        actor.publish_view();
        Ok(home.start(move || actor))
    }

    fn now(&self) -> Now {
        let monotonic_us = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        Now { wall: self.surroundings.clock.now(), monotonic_us }
    }

    fn feed(&mut self, inputs: impl IntoIterator<Item = LedgerInput>, ctx: &mut Context<Self>) {
        let outputs = self.ledger.step_all(self.now(), inputs);
        if let Err(fatal) = outputs.and_then(|outputs| self.carry_out(outputs, ctx)) {
            self.fail(&fatal, ctx);
        }
        self.meters.observe(&self.ledger);
        let view = self.surroundings.outlets.view.borrow();
        let clock_offset_ms = self.ledger.clock_offset_ms();
        let clock_turned = view.clock_offset_ms.is_some() != clock_offset_ms.is_some();
        let moved = (view.highest_seen, view.round) != (self.ledger.highest_seen(), self.ledger.round());
        drop(view);
        if clock_turned {
            tell_clock(clock_offset_ms);
        }
        if moved || clock_turned {
            self.publish_view();
        }
    }

    /// Tells everyone first, then makes durable, then stores: nobody waits for a decision's own sync.
    fn carry_out(&mut self, outputs: Vec<LedgerOutput>, ctx: &mut Context<Self>) -> Result<(), Fatal> {
        let mut committed = Vec::new();
        for output in outputs {
            if let LedgerOutput::Committed(block) = &output {
                committed.push(Arc::clone(block));
            }
            self.perform(output, ctx);
        }
        if !committed.is_empty() {
            failpoint::reach("ledger.decision.told");
            self.ledger.make_durable()?;
            failpoint::reach("ledger.decision.durable");
        }
        for block in committed {
            self.store(block);
        }
        Ok(())
    }

    fn perform(&mut self, output: LedgerOutput, ctx: &mut Context<Self>) {
        let mesh = &self.surroundings.mesh;
        match output {
            LedgerOutput::Send { to, message } => {
                failpoint::reach("ledger.send");
                self.meters.sent(mesh.send(to, message));
            }
            LedgerOutput::Publish { topic, message } => {
                failpoint::reach("ledger.publish");
                self.meters.sent(mesh.publish(topic, message));
            }
            LedgerOutput::Judged { token, verdict } => {
                // The mesh may have given up on the verdict.
                let _late = self.verdicts.remove(&token).map(|judge| judge.send(verdict));
            }
            LedgerOutput::RequestBlocks { id, to, request } => {
                failpoint::reach("ledger.blocks.request");
                let mesh = Arc::clone(mesh);
                let asked = async move { mesh.request(to, request).await };
                let answered = asked.into_actor(self).map(move |response, this: &mut Self, ctx| {
                    failpoint::reach("ledger.blocks.received");
                    let response = response.inspect_err(|error| debug!(%error, "blocks not received")).ok();
                    this.feed([LedgerInput::Blocks { id, from: to, response }], ctx);
                });
                ctx.spawn(answered);
            }
            LedgerOutput::Wake { at_us } => self.wake_at(at_us, ctx),
            LedgerOutput::Committed(block) => self.committed(&block),
            LedgerOutput::Outcome { id, outcome } => self.settle(id, outcome),
            LedgerOutput::Evidence(evidence) => {
                error!(validator = %evidence.validator, height = %evidence.height, "a validator signed twice");
                metrics::equivocation();
                // Nobody may be listening; the evidence is in the log.
                let _unheard = self.surroundings.outlets.evidence.send(*evidence);
            }
            LedgerOutput::Head(head) => {
                // Only an auditor listens.
                let _unheard = self.surroundings.outlets.heads.send(*head);
            }
            LedgerOutput::Misbehaved { peer, how } => {
                warn!(%peer, ?how, "a peer broke the protocol");
                metrics::misbehaved(how);
                mesh.report(peer);
            }
        }
    }

    /// Tells everyone who follows or waits.
    fn committed(&mut self, block: &Arc<CommittedBlock>) {
        self.publish_view();
        // Nobody may be following.
        let _unheard = self.surroundings.outlets.events.send(Arc::clone(&block.events));
        for (id, events) in &block.outcomes {
            if self.waiting.contains_key(id) {
                let (height, time) = (block.header.height, block.header.time);
                let done = Final { id: *id, height, time, events: events.clone() };
                self.settle(*id, TransactionOutcome::Final(done));
            }
        }
        metrics::committed(block);
        for record in block.events.iter() {
            if let Some(proposal_id) = record.event.proposal() {
                debug!(%proposal_id, height = %record.height, event = %record.sequence, "final");
            }
        }
    }

    /// Puts a block whose decision is durable into the index, and now and then its state into a snapshot.
    fn store(&self, block: Arc<CommittedBlock>) {
        if block.header.height.get().is_multiple_of(SNAPSHOT_INTERVAL) {
            self.snapshot(&block);
        }
        self.archive.put(block);
    }

    fn settle(&mut self, id: TransactionId, outcome: TransactionOutcome) {
        let outcome = match outcome {
            TransactionOutcome::Final(done) => Ok(done),
            TransactionOutcome::Rejected(reject) => Err(SubmitError::Rejected(reject)),
            TransactionOutcome::Busy { len } => Err(SubmitError::Busy { len }),
        };
        for waiter in self.waiting.remove(&id).unwrap_or_default() {
            let outcome = match &outcome {
                Ok(done) => Ok(done.clone()),
                Err(SubmitError::Rejected(reject)) => Err(SubmitError::Rejected(reject.clone())),
                Err(SubmitError::Busy { len }) => Err(SubmitError::Busy { len: *len }),
                Err(_) => Err(SubmitError::Unknown),
            };
            let _gone = waiter.send(outcome);
        }
    }

    fn wake_at(&mut self, at_us: u64, ctx: &mut Context<Self>) {
        if let Some(timer) = self.timer.take() {
            ctx.cancel_future(timer);
        }
        let pause = Duration::from_micros(at_us.saturating_sub(self.now().monotonic_us));
        self.timer = Some(ctx.run_later(pause, |this, ctx| {
            this.timer = None;
            this.feed([LedgerInput::Timer], ctx);
        }));
    }

    fn publish_view(&self) {
        self.surroundings.outlets.view.send_replace(Arc::new(self.ledger.view()));
    }

    /// Writes a snapshot on another thread, one at a time; a failure costs only time at the next start.
    fn snapshot(&self, block: &Arc<CommittedBlock>) {
        let Ok(mut snapshots) = Arc::clone(&self.snapshots).try_lock_owned() else { return };
        let block = Arc::clone(block);
        self.surroundings.home.work(Box::new(move || {
            let snapshot = Snapshot {
                height: block.header.height,
                state_root: block.header.state_root,
                block: block.digest,
                payload: block.state.encode_snapshot(),
            };
            if let Err(error) = snapshots.write(&snapshot) {
                warn!(%error, "snapshot not written");
            }
        }));
    }

    /// Stops for good: after a failed write nothing may be signed any more.
    fn fail(&mut self, fatal: &Fatal, ctx: &mut Context<Self>) {
        let text = with_causes(fatal);
        error!(error = %text, "the ledger cannot go on, the process has to stop");
        self.surroundings.outlets.failure.send_replace(Some(text.into()));
        self.lifeline.stop();
        ctx.stop();
    }

    fn on_mesh(&mut self, event: MeshEvent, ctx: &mut Context<Self>) -> Option<LedgerInput> {
        match event {
            MeshEvent::Direct { from, message } => Some(LedgerInput::Direct { from, message }),
            MeshEvent::Gossip { from, message, verdict, .. } => {
                if self.verdicts.len() >= VERDICTS_MAX {
                    self.verdicts.clear();
                }
                let token = self.next_token;
                self.next_token = token.wrapping_add(1);
                self.verdicts.insert(token, verdict);
                Some(LedgerInput::Gossip { from, token, message })
            }
            MeshEvent::Request { request, reply, .. } => {
                self.serve(&request, reply, ctx);
                None
            }
            MeshEvent::Connected(node) => Some(LedgerInput::Connected(node)),
            MeshEvent::Disconnected(node) => Some(LedgerInput::Disconnected(node)),
        }
    }

    /// Answers a node that asks for blocks; those that are too old for the memory are found through the index.
    fn serve(&self, request: &Bytes, reply: oneshot::Sender<Bytes>, ctx: &mut Context<Self>) {
        let Ok(from) = SyncRequest::decode(request).map(|request| request.from()) else { return };
        if from == Height::ZERO || from > self.ledger.height() || self.ledger.remembers(from) {
            failpoint::reach("ledger.blocks.serve");
            // The asker may have gone.
            let _gone = self.ledger.serve(request).map(|response| reply.send(response));
            return;
        }
        let positions = self.archive.positions(from, SYNC_BLOCKS_MAX).into_actor(self);
        ctx.spawn(positions.map(|positions, this: &mut Self, _| {
            let positions = positions.inspect_err(|error| warn!(%error, "old blocks cannot be served"));
            let blocks = this.filed_blocks(positions.unwrap_or_default()).map_while(Result::ok);
            // The asker may have gone.
            let _gone = reply.send(SyncResponse::fill(blocks).encode());
        }));
    }

    /// Reads blocks whose places the index knows.
    fn filed_blocks(
        &self,
        positions: Vec<BlockPositions>,
    ) -> impl Iterator<Item = Result<CertifiedBlock, Fatal>> + '_ {
        let filed = |BlockPositions { block, decision, .. }| Filed { block, decision };
        positions.into_iter().map(filed).map(|filed| {
            let read = self.ledger.read_filed(filed);
            read.inspect_err(|error| error!(%error, "a final block cannot be read"))
        })
    }
}

/// Says that the clock has begun or ceased to differ from the others'.
fn tell_clock(offset_ms: Option<i64>) {
    if let Some(offset_ms) = offset_ms {
        warn!(offset_ms, "this machine's clock differs from most validators'; check its time service");
    } else {
        info!("this machine's clock agrees with most validators'");
    }
}

impl Actor for LedgerActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_LEN_MAX);
        let opened = std::mem::take(&mut self.opened);
        if let Err(fatal) = self.carry_out(opened, ctx) {
            self.fail(&fatal, ctx);
        }
        // A life that follows a panic has missed who is connected.
        let peers: Vec<_> = self.surroundings.mesh.peers();
        self.feed(peers.into_iter().map(LedgerInput::Connected).chain([LedgerInput::Timer]), ctx);
    }
}

impl Handler<Inbound> for LedgerActor {
    type Result = ();

    fn handle(&mut self, Inbound(events): Inbound, ctx: &mut Self::Context) {
        let inputs: Vec<_> = events.into_iter().filter_map(|event| self.on_mesh(event, ctx)).collect();
        self.feed(inputs, ctx);
    }
}

impl Handler<Admit> for LedgerActor {
    type Result = ();

    fn handle(&mut self, Admit(submitted): Admit, ctx: &mut Self::Context) {
        let mut transactions = Vec::with_capacity(submitted.len());
        for (transaction, reply) in submitted {
            self.waiting.entry(transaction.verified.id()).or_default().push(reply);
            transactions.push(transaction);
        }
        self.feed([LedgerInput::SubmitAll(transactions)], ctx);
    }
}

impl Handler<ReadEvents> for LedgerActor {
    type Result = ResponseFuture<Result<Vec<EventRecord>, ReadError>>;

    fn handle(&mut self, ReadEvents { after, limit }: ReadEvents, _: &mut Self::Context) -> Self::Result {
        Box::pin(self.archive.events(after, limit.min(READ_EVENTS_MAX)))
    }
}

impl Handler<ReadBlocks> for LedgerActor {
    type Result = ResponseActFuture<Self, Result<Vec<CertifiedBlock>, ReadError>>;

    fn handle(&mut self, ReadBlocks { from, limit }: ReadBlocks, _: &mut Self::Context) -> Self::Result {
        let from = from.max(Height::new(1));
        let limit = limit.min(READ_BLOCKS_MAX);
        let blocks = bounded(self.ledger.certified_blocks(from).take(limit));
        if !blocks.is_empty() || from > self.ledger.height() {
            return Box::pin(std::future::ready(Ok(blocks)).into_actor(self));
        }
        let positions = self.archive.positions(from, limit);
        Box::pin(positions.into_actor(self).map(move |positions, this: &mut Self, _| {
            let mut blocks = this.filed_blocks(positions?);
            let Some(first) = blocks.next() else { return Err(ReadError::Pruned { first: from.next() }) };
            let first = first.map_err(|error| ReadError::Store(std::io::Error::other(error)))?;
            Ok(bounded(std::iter::once(first).chain(blocks.map_while(Result::ok))))
        }))
    }
}

/// The first blocks that fit into an answer, at least one.
fn bounded(blocks: impl Iterator<Item = CertifiedBlock>) -> Vec<CertifiedBlock> {
    let mut bytes = 0_usize;
    let mut taken = Vec::new();
    for block in blocks {
        bytes = bytes.saturating_add(block.block.len());
        taken.push(block);
        if bytes >= READ_BYTES_MAX {
            break;
        }
    }
    taken
}

impl Handler<Stop> for LedgerActor {
    type Result = MessageResult<Stop>;

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) -> Self::Result {
        let (end, ended) = oneshot::channel();
        self.ends.push(end);
        self.lifeline.stop();
        ctx.stop();
        MessageResult(ended)
    }
}

#[cfg(test)]
mod tests;
