//! Owns what may wait in a node's pool: only what may still come true. Whoever asked for anything else is to be told at once,
//! and holds up everything that it signs after it.

use std::collections::BTreeMap;

use althing_actors::{disk::sim::SimDisk, ledger::state::LedgerState};
use althing_contracts::{
    quantity::Height,
    stage::Stage,
    state::State,
    transaction::{Call, TransactionId, VerifiedTransaction},
};

use super::{checker::Violation, event::NodeIndex};

/// Blocks for which something hopeless may wait: a node judges its pool after each.
const HEIGHTS_MAX: u64 = 2;

/// What waits in each node's pool and cannot come true any more, with the height at which that was seen first.
#[derive(Debug, Default)]
pub(super) struct Pools(BTreeMap<NodeIndex, BTreeMap<TransactionId, Height>>);

impl Pools {
    /// A node starts with an empty pool.
    pub(super) fn forget(&mut self, node: NodeIndex) {
        self.0.remove(&node);
    }

    /// A node has another block.
    pub(super) fn look(&mut self, node: NodeIndex, ledger: &LedgerState<SimDisk>) -> Result<(), Violation> {
        let height = ledger.height();
        let before = self.0.remove(&node).unwrap_or_default();
        let hopeless = ledger.waiting().filter(|it| is_hopeless(ledger.state(), it));
        let seen: BTreeMap<_, _> =
            hopeless.map(|it| (it.id(), before.get(&it.id()).copied().unwrap_or(height))).collect();
        let old = seen.iter().find(|(_, since)| height.get() > since.get() + HEIGHTS_MAX);
        if let Some((id, since)) = old {
            return Err(Violation::Hopeless { node, id: *id, since: *since });
        }
        self.0.insert(node, seen);
        Ok(())
    }
}

/// Whether no block can ever take a transaction: its sequence is used, or its step belongs to a stage that is over.
fn is_hopeless(state: &State, transaction: &VerifiedTransaction) -> bool {
    let body = transaction.body();
    let expected = state.next_sequence(&body.sender, body.role);
    if body.sequence != expected {
        // What comes after another transaction of its sender is judged after that one.
        return body.sequence < expected;
    }
    let (Call::Claim { proposal, step } | Call::Receipt { proposal, step, .. }) = &body.call else {
        return false;
    };
    state.proposal(*proposal).is_some_and(|it| {
        let goes_on = matches!(it.stage, Stage::Canary | Stage::Rollout(_) | Stage::Verifying);
        let planned = it.plan.steps.get(usize::from(*step));
        goes_on && planned.is_some_and(|step| step.stage < it.execution.stage)
    })
}
