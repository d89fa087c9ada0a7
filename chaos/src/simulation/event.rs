//! Owns the event queue: what happens next, by virtual time and, at one instant, in the order of scheduling.

use std::collections::BTreeMap;

use althing_actors::{
    executor::{
        self,
        journal::StepKey,
        state::{JudgeKey, Probe},
    },
    ledger::state::LedgerInput,
    port::ProviderOrder,
};
use althing_contracts::{
    name::{Name, TargetId},
    quantity::Fence,
};
use bytes::Bytes;

use super::clients::{Question, Reply};

/// Index of a node in the mesh.
pub(super) type NodeIndex = usize;

/// A call to a target.
#[derive(Debug)]
pub(super) enum Hand {
    /// Reads a resource.
    Read { key: StepKey, target: TargetId, resource: Name, fence: Fence },
    /// Carries an order out; the answer may be for nobody any more.
    CarryOut { key: StepKey, order: Box<ProviderOrder>, is_awaited: bool },
    /// Probes a target.
    Probe { key: JudgeKey, target: TargetId, probe: Box<Probe> },
}

/// Something that happens.
#[derive(Debug)]
pub(super) enum Event {
    /// An input reaches a node, unless the node has been restarted since.
    Input { to: NodeIndex, life: u64, input: LedgerInput },
    /// Bytes reach a node, whichever life it is in.
    Deliver { to: NodeIndex, from: NodeIndex, message: Bytes },
    /// Gossip reaches a node.
    Gossip { to: NodeIndex, from: NodeIndex, message: Bytes },
    /// A request for blocks reaches a node.
    Request { to: NodeIndex, from: NodeIndex, life: u64, id: u64, request: Bytes },
    /// The node's executor and auditor look at its ledger.
    Look { node: NodeIndex, life: u64 },
    /// The node's executor is woken.
    Wake { node: NodeIndex, life: u64 },
    /// A call of the node's executor reaches a target.
    Hand { node: NodeIndex, life: u64, hand: Hand },
    /// The answer reaches the executor.
    Answer { node: NodeIndex, life: u64, input: Box<executor::state::Input> },
    /// People at the node do something.
    People { node: NodeIndex },
    /// The node submits again what is not settled.
    Again { node: NodeIndex },
    /// A client asks for a proposal's status.
    Client { client: usize },
    /// The question reaches a node.
    Question { node: NodeIndex, question: Question },
    /// The node has waited long enough for the block that the question asks for.
    Patience { node: NodeIndex, life: u64, call: usize },
    /// The answer reaches the client.
    Reply { node: NodeIndex, reply: Reply },
    /// Somebody changes a target without a proposal.
    Meddle,
    /// The node's disk stops at one of its next operations, or the node at one of its next sends.
    Crash { node: NodeIndex },
    /// Every node stops at once.
    Blackout,
    /// The node starts again.
    Restart { node: NodeIndex },
    /// The mesh falls apart.
    Partition,
    /// The mesh is whole again.
    Heal,
    /// Faults end.
    Calm,
}

impl Event {
    /// What a person wants to read of it; nothing of what happens all the time.
    pub(super) fn told(&self) -> Option<String> {
        Some(match self {
            Self::Crash { node } => format!("node {node} is to stop at one of its next operations"),
            Self::Blackout => "every node stops".to_owned(),
            Self::Restart { node } => format!("node {node} starts"),
            Self::Partition => "the mesh falls apart".to_owned(),
            Self::Heal => "the mesh is whole".to_owned(),
            Self::Calm => "the faults end".to_owned(),
            Self::Meddle => "somebody changes a target".to_owned(),
            Self::Hand { node, hand: Hand::CarryOut { key, order, .. }, .. } => {
                format!("node {node} calls {} for the {key}, fence {}", order.target.id, order.fence)
            }
            _ => return None,
        })
    }
}

/// Events to come.
#[derive(Debug, Default)]
pub(super) struct EventQueue {
    events: BTreeMap<(u64, u64), Event>,
    scheduled: u64,
}

impl EventQueue {
    /// Schedules an event.
    pub(super) fn push(&mut self, at_us: u64, event: Event) {
        self.scheduled += 1;
        self.events.insert((at_us, self.scheduled), event);
    }

    /// Takes the next event with its time.
    pub(super) fn pop(&mut self) -> Option<(u64, Event)> {
        self.events.pop_first().map(|((at_us, _), event)| (at_us, event))
    }
}
