//! Owns the one trait through which the API sees its node. Refuses to know actors, stores or networks.

use std::{fs::File, sync::Arc};

use althing_actors::{
    ledger::message::{Final, LedgerFeed, LedgerView, ReadError, SubmitError},
    port::NodeId,
};
use althing_contracts::{
    event::EventRecord,
    name::{Line, MemberId, Name, OrgId},
    quantity::{EventSequence, TimeMs},
    role::Role,
    transaction::Call,
};
use async_trait::async_trait;

/// A node as its API sees it.
#[async_trait]
pub trait Backend: Send + Sync + 'static {
    /// Where the ledger is followed: the view after each block, and each block's events as they become final.
    fn feed(&self) -> LedgerFeed;

    /// The ledger after its last final block.
    fn view(&self) -> Arc<LedgerView> {
        self.feed().view.borrow().clone()
    }

    /// Final events after a number, in order, at most `limit`.
    ///
    /// # Errors
    /// The range was pruned, or the store failed.
    async fn events_after(&self, after: EventSequence, limit: usize) -> Result<Vec<EventRecord>, ReadError>;

    /// Signs a call with the sender's key for `role` and answers when it is final. Asking again with an equal
    /// call while the outcome of the first is unknown must send the first one's bytes again.
    ///
    /// # Errors
    /// This node holds no such key, or the ledger gave no final answer.
    async fn submit(&self, sender: MemberId, role: Role, call: Call) -> Result<Final, ActError>;

    /// Whether the write routes are mounted; an auditor's node has none.
    fn takes_writes(&self) -> bool;

    /// Who this node is and whose keys it holds.
    fn facts(&self) -> NodeFacts;

    /// The nodes of the mesh other than this one, with what is known of their connection.
    fn peers(&self) -> Vec<Peer>;

    /// Writes the auditor's bundle of the whole ledger into a file that is open for reading from its start.
    ///
    /// # Errors
    /// History is missing on this node, or the file could not be written.
    async fn export_bundle(&self) -> Result<File, ExportError>;

    /// All metrics in Prometheus' text format.
    fn metrics_text(&self) -> String;

    /// What has to hold for the node to be ready to serve.
    fn checks(&self) -> Vec<Check>;
}

/// Why an act of a member has no final answer.
#[derive(Debug, thiserror::Error)]
pub enum ActError {
    /// The key is elsewhere.
    #[error("this node holds no {role} key of {member}; use a node of {}", member.org())]
    NoKey {
        /// Whose.
        member: MemberId,
        /// For what.
        role: Role,
    },
    /// The node has other keys of the member than the one that is needed.
    #[error("{0}")]
    OtherKey(String),
    /// The signer refused or failed.
    #[error("the signer of this node did not sign: {0}")]
    Signer(String),
    /// The ledger's answer.
    #[error(transparent)]
    Submit(#[from] SubmitError),
}

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The ledger's history could not be read.
    #[error("the ledger's history cannot be read")]
    Read(#[from] ReadError),
    /// The file could not be written.
    #[error("the bundle cannot be written")]
    Write(#[from] std::io::Error),
}

/// What a node does in its mesh.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeRole {
    /// Decides blocks.
    Validator,
    /// Reads, re-applies and attests.
    Auditor,
}

/// Who a node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFacts {
    /// Its name.
    pub name: Name,
    /// Whose it is.
    pub org: OrgId,
    /// What it does.
    pub role: NodeRole,
    /// Its libp2p identity.
    pub node: NodeId,
    /// When it started, by its own clock.
    pub started: TimeMs,
    /// The keys that it signs with.
    pub keys: Vec<(MemberId, Role)>,
}

/// Another node of the mesh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its libp2p identity.
    pub node: NodeId,
    /// Its name or its organisation's.
    pub name: Name,
    /// Whose it is.
    pub org: OrgId,
    /// What it does.
    pub role: NodeRole,
    /// Whether there is an admitted connection.
    pub connected: bool,
}

/// One condition of readiness.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// The condition's name.
    pub name: &'static str,
    /// Why it does not hold; `None` when it does.
    pub failure: Option<Line>,
}
