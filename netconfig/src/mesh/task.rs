//! Owns the swarm: one task that turns libp2p's events into the node's and the handle's commands into calls.
//!
//! It never waits for the node: what the node has no room for is refused and counted.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use libp2p::{
    PeerId, Swarm,
    gossipsub::{MessageId, PublishError},
    request_response::{OutboundRequestId, ResponseChannel},
    swarm::{ConnectionId, ListenError, SwarmEvent, dial_opts::DialOpts, dial_opts::PeerCondition},
};
use metrics::{counter, gauge};
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    time,
};
use tracing::{debug, info, warn};

mod exchange;
mod peers;

use super::{
    admission::Refused,
    behaviour::{Behaviour, BehaviourEvent, Protocols},
    direct::{Direct, Outboxes},
    event::{Lanes, MeshEvent, RequestError, Topic, Verdict},
    gossip::{MISBEHAVIOUR_PENALTY, Topics, UNREAD_BYTES_MAX},
    metrics as names,
    redial::Redial,
    request::{REQUESTS_PENDING_MAX, Response},
};
use crate::{
    failpoint,
    identity::{self, NodeId},
};

/// Connection notices kept for a node that does not read its events.
const NOTICES_MAX: usize = 1_024;
/// How long a shutdown waits until peers have been told.
const GOODBYE_MAX: Duration = Duration::from_millis(500);

/// What the handle asks of the task.
#[derive(Debug)]
pub(super) enum Command {
    Publish(Topic, Bytes),
    Request(NodeId, Bytes, oneshot::Sender<Result<Bytes, RequestError>>),
    Allow(HashSet<PeerId>, oneshot::Sender<()>),
    Cordon(NodeId, oneshot::Sender<()>),
    Uncordon(NodeId, oneshot::Sender<()>),
    Misbehaviour(NodeId),
    Score(NodeId, oneshot::Sender<Option<f64>>),
    Shutdown(oneshot::Sender<()>),
}

/// A gossiped message, the neighbour that it came from, its length, and what the node said of it.
type Judged = (MessageId, PeerId, usize, Option<Verdict>);
/// The way back to a peer that asked, the peer, and the answer.
type Answered = (ResponseChannel<Response>, PeerId, Option<Bytes>);

/// Everything that the task owns.
pub(super) struct Task {
    pub(super) swarm: Swarm<Behaviour>,
    /// What the swarm said while its addresses were bound.
    pub(super) early: Vec<SwarmEvent<BehaviourEvent>>,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) events: Lanes,
    pub(super) protocols: Protocols,
    pub(super) topics: Topics,
    pub(super) redial: Redial,
    pub(super) direct: Direct,
    pub(super) outboxes: Arc<Outboxes>,
    pub(super) links: HashMap<PeerId, Link>,
    pub(super) pending: Pending,
}

/// The connections to one peer, and the run of its node that they belong to, once it has said so.
#[derive(Debug, Default)]
pub(super) struct Link {
    connections: Vec<Connection>,
    run: Option<String>,
}

/// A connection, and when its last ping was answered.
#[derive(Debug)]
struct Connection {
    id: ConnectionId,
    answered: Instant,
}

/// What the task waits for.
pub(super) struct Pending {
    verdicts: FuturesUnordered<BoxFuture<'static, Judged>>,
    answers: FuturesUnordered<BoxFuture<'static, Answered>>,
    requests: HashMap<OutboundRequestId, oneshot::Sender<Result<Bytes, RequestError>>>,
    notices: VecDeque<MeshEvent>,
    gossip_room: Arc<Semaphore>,
    shares: HashMap<PeerId, Share>,
}

/// What of one peer waits for the node.
#[derive(Debug, Default, PartialEq, Eq)]
struct Share {
    verdicts: usize,
    gossip_bytes: usize,
    answers: usize,
}

impl Default for Pending {
    fn default() -> Self {
        Self {
            verdicts: FuturesUnordered::new(),
            answers: FuturesUnordered::new(),
            requests: HashMap::new(),
            notices: VecDeque::new(),
            gossip_room: Arc::new(Semaphore::new(UNREAD_BYTES_MAX)),
            shares: HashMap::new(),
        }
    }
}

impl Task {
    /// Runs until the shutdown command or until every handle is gone.
    pub(super) async fn run(mut self) {
        let events = self.events.exchange.clone();
        for event in std::mem::take(&mut self.early) {
            self.on_swarm_event(event);
        }
        let done = loop {
            self.dial_due();
            self.close_silent(Instant::now());
            let due = [self.redial.next_due(), self.next_silent()].into_iter().flatten().min();
            tokio::select! {
                event = self.swarm.select_next_some() => self.on_swarm_event(event),
                command = self.commands.recv() => match command {
                    Some(Command::Shutdown(done)) => break Some(done),
                    Some(command) => self.on_command(command),
                    None => break None,
                },
                Some(judged) = self.pending.verdicts.next() => self.on_verdict(judged),
                Some(answered) = self.pending.answers.next() => self.on_answer(answered),
                permit = events.reserve(), if !self.pending.notices.is_empty() => {
                    let Ok(permit) = permit else { break None };
                    if let Some(notice) = self.pending.notices.pop_front() {
                        permit.send(notice.into());
                    }
                }
                () = sleep_until(due) => {}
            }
        };
        self.say_goodbye().await;
        if let Some(done) = done {
            // Whoever asked may have stopped waiting.
            let _gone = done.send(());
        }
    }

    fn dial_due(&mut self) {
        for (peer, addresses) in self.redial.due(Instant::now()) {
            // A new port for each dial: two nodes that dial each other from their listening ports at the same
            // moment would meet in one TCP connection with two initiators.
            let options = DialOpts::peer_id(peer)
                .condition(PeerCondition::DisconnectedAndNotDialing)
                .addresses(addresses)
                .allocate_new_port()
                .build();
            counter!(names::DIALS_TOTAL).increment(1);
            failpoint::reach("mesh.dial");
            if let Err(error) = self.swarm.dial(options) {
                debug!(%peer, %error, "not dialled");
                if !self.swarm.is_connected(&peer) {
                    self.redial.lost(&peer, Instant::now());
                }
            }
        }
    }

    fn on_command(&mut self, command: Command) {
        match command {
            Command::Publish(topic, message) => self.publish(topic, message),
            Command::Request(to, request, reply) => self.request(to, request, reply),
            Command::Allow(peers, done) => {
                self.swarm.behaviour_mut().admission.allow(peers, self.links.keys());
                let _gone = done.send(());
            }
            Command::Cordon(node, done) => self.cordon(node, done),
            Command::Uncordon(node, done) => self.uncordon(node, done),
            Command::Misbehaviour(node) => self.on_misbehaviour(node),
            Command::Score(node, reply) => {
                let score = identity::peer_id(node)
                    .ok()
                    .and_then(|peer| self.swarm.behaviour().gossip.peer_score(&peer));
                let _gone = reply.send(score);
            }
            Command::Shutdown(_) => {}
        }
    }

    fn publish(&mut self, topic: Topic, message: Bytes) {
        failpoint::reach("mesh.gossip.publish");
        let hash = self.topics.hash(topic);
        match self.swarm.behaviour_mut().gossip.publish(hash, message) {
            Ok(_) | Err(PublishError::Duplicate) => {}
            Err(PublishError::NoPeersSubscribedToTopic) => {
                names::count(names::GOSSIP_DROPPED_TOTAL, "no_peers");
            }
            Err(PublishError::AllQueuesFull(_)) => names::count(names::GOSSIP_DROPPED_TOTAL, "queue_full"),
            Err(error) => {
                names::count(names::GOSSIP_DROPPED_TOTAL, "refused");
                warn!(topic = topic.name(), %error, "gossip not published");
            }
        }
    }

    fn request(&mut self, to: NodeId, request: Bytes, reply: oneshot::Sender<Result<Bytes, RequestError>>) {
        let peer = identity::peer_id(to).ok().filter(|_| self.outboxes.contains(&to));
        let refused = match peer {
            None => RequestError::NotConnected,
            Some(_) if self.pending.requests.len() >= REQUESTS_PENDING_MAX => {
                names::count(names::REQUESTS_FAILED_TOTAL, "limit");
                RequestError::Refused(format!(
                    "{REQUESTS_PENDING_MAX} requests already wait; ask again later"
                ))
            }
            Some(peer) => {
                failpoint::reach("mesh.request");
                let id = self.swarm.behaviour_mut().request.send_request(&peer, request);
                self.pending.requests.insert(id, reply);
                return;
            }
        };
        if refused == RequestError::NotConnected {
            names::count(names::REQUESTS_FAILED_TOTAL, "not_connected");
        }
        let _gone = reply.send(Err(refused));
    }

    fn cordon(&mut self, node: NodeId, done: oneshot::Sender<()>) {
        if let Ok(peer) = identity::peer_id(node) {
            self.redial.pause(&peer);
            self.swarm.behaviour_mut().admission.cordon(peer);
            info!(%node, "node cordoned");
        }
        let _gone = done.send(());
    }

    fn uncordon(&mut self, node: NodeId, done: oneshot::Sender<()>) {
        if let Ok(peer) = identity::peer_id(node) {
            self.swarm.behaviour_mut().admission.uncordon(peer);
            self.redial.resume(&peer, Instant::now());
            info!(%node, "node uncordoned");
        }
        let _gone = done.send(());
    }

    fn on_misbehaviour(&mut self, node: NodeId) {
        let Ok(peer) = identity::peer_id(node) else { return };
        counter!(names::MISBEHAVIOUR_TOTAL).increment(1);
        let reports = self.swarm.behaviour_mut().admission.report(peer, Instant::now());
        let score = -MISBEHAVIOUR_PENALTY * f64::from(reports);
        self.swarm.behaviour_mut().gossip.set_application_score(&peer, score);
        warn!(%node, reports, "node misbehaved");
    }

    fn on_swarm_event(&mut self, event: SwarmEvent<BehaviourEvent>) {
        match event {
            SwarmEvent::Behaviour(BehaviourEvent::Identify(event)) => self.on_identify(event),
            SwarmEvent::Behaviour(BehaviourEvent::Ping(event)) => self.on_ping(&event),
            SwarmEvent::Behaviour(BehaviourEvent::Gossip(event)) => self.on_gossip(event),
            SwarmEvent::Behaviour(BehaviourEvent::Request(event)) => self.on_request_event(event),
            SwarmEvent::ConnectionEstablished { peer_id, connection_id, .. } => {
                self.on_connected(peer_id, connection_id);
            }
            SwarmEvent::ConnectionClosed { peer_id, connection_id, cause, .. } => {
                self.on_closed(&peer_id, connection_id, cause.as_ref());
            }
            SwarmEvent::OutgoingConnectionError { peer_id: Some(peer), error, .. } => {
                self.on_dial_failed(&peer, &error);
            }
            SwarmEvent::IncomingConnectionError { error: ListenError::Denied { cause }, peer_id, .. } => {
                let reason = cause.downcast::<Refused>().map_or("limit", Refused::reason);
                names::count(names::REFUSED_TOTAL, reason);
                debug!(peer = ?peer_id, reason, "connection refused");
            }
            SwarmEvent::ListenerError { error, .. } => warn!(%error, "listener failed"),
            _ => {}
        }
    }

    /// Tells the node of a connection, at once if it has room, else as soon as it has.
    fn notify(&mut self, notice: MeshEvent) {
        if self.pending.notices.len() >= NOTICES_MAX {
            counter!(names::NOTICES_DROPPED_TOTAL).increment(1);
            self.pending.notices.pop_front();
        }
        self.pending.notices.push_back(notice);
        while let Ok(permit) = self.events.exchange.try_reserve() {
            let Some(notice) = self.pending.notices.pop_front() else { break };
            permit.send(notice.into());
        }
    }

    /// Closes every connection and lets the transports say so.
    async fn say_goodbye(&mut self) {
        failpoint::reach("mesh.goodbye");
        for node in self.outboxes.nodes() {
            self.direct.close(&node);
            gauge!(names::PEERS).decrement(1.0);
        }
        let connected: Vec<PeerId> = self.swarm.connected_peers().copied().collect();
        for peer in connected {
            let _gone = self.swarm.disconnect_peer_id(peer);
        }
        let swarm = &mut self.swarm;
        let all_closed = async move {
            while swarm.connected_peers().next().is_some() {
                swarm.select_next_some().await;
            }
        };
        if time::timeout(GOODBYE_MAX, all_closed).await.is_err() {
            debug!("some connections were dropped without a goodbye");
        }
        info!("mesh stopped");
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
