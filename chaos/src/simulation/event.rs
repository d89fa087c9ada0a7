//! Owns the event queue: what happens next, by virtual time and, at one instant, in the order of scheduling.

use std::collections::BTreeMap;

use althing_actors::ledger::state::LedgerInput;
use bytes::Bytes;

/// Index of a node in the mesh.
pub(super) type NodeIndex = usize;

/// Something that happens.
#[derive(Debug, Clone)]
pub(super) enum Event {
    /// An input reaches a node, unless the node has been restarted since.
    Input { to: NodeIndex, life: u64, input: LedgerInput },
    /// Bytes reach a node, whichever life it is in.
    Deliver { to: NodeIndex, from: NodeIndex, message: Bytes },
    /// Gossip reaches a node.
    Gossip { to: NodeIndex, from: NodeIndex, message: Bytes },
    /// A request for blocks reaches a node.
    Request { to: NodeIndex, from: NodeIndex, life: u64, id: u64, request: Bytes },
    /// A user of the node submits the next transaction, or the last one again.
    Submit { at: NodeIndex },
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
