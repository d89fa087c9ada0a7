//! Owns the ports: what the actors need from the outside, as traits. `src/wiring.rs` binds them to libp2p, files
//! and HTTP; the simulator binds them to a virtual world. Refuses to know any of either.

use std::{collections::BTreeMap, time::Duration};

use althing_contracts::{
    document::{Action, HealthCheck},
    genesis::TargetRecord,
    name::{Line, Name, TargetId},
    quantity::{Fence, TimeMs},
    signature::PublicKey,
    transaction::HealthReport,
};
use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::oneshot;

use crate::ledger::message::{Final, LedgerFeed, SubmitError};

/// A node, by the public key of its libp2p identity.
pub type NodeId = PublicKey;

/// Gossip topics; what they carry is a hint, never the record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Topic {
    /// Transactions on their way to a proposer.
    Transactions,
    /// Heads: height, block digest and certificate of the sender's last block.
    Heads,
}

/// What a receiver found out about a gossiped message; decides the sender's score and whether it is passed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Pass it on.
    Accept,
    /// Neither pass it on nor blame the sender.
    Ignore,
    /// Blame the sender.
    Reject,
}

/// The network of the mesh. Every call returns at once; loss is possible and must be survived.
#[async_trait]
pub trait Mesh: Send + Sync + 'static {
    /// Queues bytes on the ordered direct stream to one node. `false` when the node is not connected or its
    /// queue is full; the caller counts it and sends again by its own timers.
    fn send(&self, to: NodeId, message: Bytes) -> bool;

    /// Queues bytes for a gossip topic. `true` means queued, not delivered.
    fn publish(&self, topic: Topic, message: Bytes) -> bool;

    /// Asks one node and waits for its answer, at most the mesh's request time-out.
    ///
    /// # Errors
    /// The node is not connected, did not answer in time, or the answer was oversized.
    async fn request(&self, to: NodeId, request: Bytes) -> Result<Bytes, RequestError>;

    /// The nodes connected and admitted.
    fn peers(&self) -> Vec<NodeId>;

    /// Reports a node that sent what no honest node sends; the mesh decides when to close it.
    fn report(&self, node: NodeId);
}

/// Why a request has no answer. A time-out means unknown, never failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// Not connected.
    #[error("the peer is not connected")]
    NotConnected,
    /// No answer in time.
    #[error("the peer did not answer in time")]
    Timeout,
    /// The peer refused or broke the protocol.
    #[error("the peer refused: {0}")]
    Refused(String),
}

/// What the mesh tells its node.
#[derive(Debug)]
pub enum MeshEvent {
    /// Bytes from the direct stream of an admitted node.
    Direct {
        /// Who sent them; proven by the transport.
        from: NodeId,
        /// Bounded by the mesh's frame limit.
        message: Bytes,
    },
    /// A gossiped message. `verdict` must be answered within 3 s; dropping it counts as [`Verdict::Ignore`].
    Gossip {
        /// The neighbour it came from, not necessarily its author.
        from: NodeId,
        /// Where it was published.
        topic: Topic,
        /// Bounded by the gossip limit.
        message: Bytes,
        /// Where the verdict goes.
        verdict: oneshot::Sender<Verdict>,
    },
    /// A request of an admitted node. Dropping `reply` refuses it.
    Request {
        /// Who asks.
        from: NodeId,
        /// Bounded by the request limit.
        request: Bytes,
        /// Where the answer goes.
        reply: oneshot::Sender<Bytes>,
    },
    /// A node was connected and admitted.
    Connected(NodeId),
    /// The last connection to a node is gone.
    Disconnected(NodeId),
}

/// The wall clock of the node, used for proposing block times and judging others' within a bound.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since the Unix epoch.
    fn now(&self) -> TimeMs;
}

/// The ledger as those who act on it reach it.
#[async_trait]
pub trait LedgerPort: Send + Sync + 'static {
    /// Takes a signed transaction and answers when it is final, refused or given up.
    ///
    /// # Errors
    /// See [`SubmitError`]; after `Unknown`, asking again with the same bytes is safe.
    async fn submit(&self, transaction: Vec<u8>) -> Result<Final, SubmitError>;

    /// Where the ledger is followed.
    fn feed(&self) -> LedgerFeed;
}

/// A provider: hands on real things. Every call is idempotent under its key and refuses an old fence.
#[async_trait]
pub trait Provider: Send + Sync + 'static {
    /// The provider's name in a target's record.
    fn name(&self) -> &'static str;

    /// What `action` would change, without changing it; checks artefacts and the allow list.
    ///
    /// # Errors
    /// The action can never work here, or the target cannot be read.
    async fn plan(&self, target: &TargetContext, action: &Action) -> Result<ProviderPlan, ProviderError>;

    /// What is applied to a resource, read from the target itself. No order with a lower fence takes effect after the
    /// answer: what was read is what stays, even if an earlier order is still on its way. With fence 0, nobody's claim, it
    /// keeps nobody out.
    ///
    /// # Errors
    /// The target cannot be read, or a newer fence was seen.
    async fn read(
        &self,
        target: &TargetContext,
        resource: &Name,
        fence: Fence,
    ) -> Result<Option<Action>, ProviderError>;

    /// Carries an action out.
    ///
    /// # Errors
    /// See [`ProviderError`]; `Unknown` must be resolved by [`Self::read`] before anything else.
    async fn apply(&self, order: &ProviderOrder) -> Result<Effect, ProviderError>;

    /// Carries the inverse of an action out; the same rules as [`Self::apply`].
    ///
    /// # Errors
    /// As [`Self::apply`].
    async fn undo(&self, order: &ProviderOrder) -> Result<Effect, ProviderError>;

    /// Probes what the target serves.
    ///
    /// # Errors
    /// The probe could not be made at all; an unhealthy answer is a report, not an error.
    async fn health(
        &self,
        target: &TargetContext,
        check: &HealthCheck,
    ) -> Result<HealthReport, ProviderError>;
}

/// Asks what targets serve, those of other organisations too.
#[async_trait]
pub trait Prober: Send + Sync + 'static {
    /// Sends the check's samples to each endpoint and judges the answers by the check. What does not answer is a report, not
    /// an error.
    async fn probe(&self, endpoints: &[Line], check: &HealthCheck) -> HealthReport;
}

/// A target as a provider sees it.
#[derive(Debug, Clone)]
pub struct TargetContext {
    /// Its name.
    pub id: TargetId,
    /// As registered on the ledger.
    pub record: TargetRecord,
}

/// One order to a provider.
#[derive(Debug, Clone)]
pub struct ProviderOrder {
    /// Where.
    pub target: TargetContext,
    /// What.
    pub action: Action,
    /// What the plan expects to find; anything else is drift.
    pub expect: Option<Action>,
    /// The fencing token; an order below the highest seen for the target is refused.
    pub fence: Fence,
    /// Equal for every try of the same step of the same proposal; the effect happens at most once under it.
    pub idempotency_key: String,
    /// Longest time for the whole order.
    pub deadline: Duration,
}

/// What a provider would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderPlan {
    /// What is applied before.
    pub before: Option<Action>,
    /// One line for each change, for people.
    pub changes: Vec<String>,
}

/// What a provider did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// The order took effect in this call.
    New(Evidence),
    /// It had taken effect before.
    Same(Evidence),
}

/// What shows an effect; its digest goes on the ledger, the text stays with the executor.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Evidence {
    /// Named facts, such as process ids and digests.
    pub facts: BTreeMap<String, String>,
}

/// Why an order did not take effect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProviderError {
    /// Nothing was changed; trying again may help.
    #[error("{0}")]
    Retry(String),
    /// Nothing was changed; trying again will not help.
    #[error("{0}")]
    Refused(String),
    /// The target is not as the plan expects.
    #[error("the target has moved: expected {expected}, found {found}")]
    Drift {
        /// As planned.
        expected: String,
        /// As read.
        found: String,
    },
    /// A newer order was seen.
    #[error("fence {found} is below {seen}, which was seen")]
    Fenced {
        /// Of the order.
        found: Fence,
        /// Highest seen.
        seen: Fence,
    },
    /// It may or may not have taken effect: read the target.
    #[error("the outcome is unknown: {0}")]
    Unknown(String),
}
