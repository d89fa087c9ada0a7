//! Owns the judgement of invariants: those of each block against the state before it, and those of the whole history
//! against its trail. Reads what happened; decides nothing.

use althing_contracts::{
    invariant::{Invariant, View, Violation},
    quantity::Height,
    state::State,
    trail::Historian,
};

use super::replay::{Replay, Replayed};

/// Blocks between two judgements of what costs as much as the whole state: that a snapshot is the state.
const SNAPSHOT_EVERY: u64 = 256;

/// Judges a ledger from height 1 on, block by block.
#[derive(Debug, Clone, Default)]
pub struct Judge {
    historian: Historian,
}

impl Judge {
    /// Yields everything that a block breaks.
    pub fn judge(&mut self, before: &State, block: &Replayed, after: &State) -> Vec<Violation> {
        let view = block.view(before, after);
        let is_due = |invariant: &Invariant| *invariant != Invariant::Snapshot || is_due(block.header.height);
        let due = Invariant::ALL.into_iter().filter(is_due);
        let mut violations: Vec<Violation> =
            due.filter_map(|invariant| invariant.check(&view).err()).collect();
        violations.extend(self.historian.observe(&view));
        violations
    }

    /// Judges the last state once more by what [`Self::judge`] leaves out at most heights.
    ///
    /// # Errors
    /// The invariant does not hold.
    pub fn finish(last: &Replayed, replay: &Replay) -> Result<(), Violation> {
        let state = replay.state();
        let View { header, transactions, events, .. } = last.view(state, state);
        Invariant::Snapshot.check(&View { before: state, after: state, header, transactions, events })
    }

    /// The ids of the invariants judged.
    #[must_use]
    pub fn ids() -> Vec<&'static str> {
        Invariant::ALL.into_iter().map(Invariant::id).collect()
    }
}

const fn is_due(height: Height) -> bool {
    height.get().is_multiple_of(SNAPSHOT_EVERY)
}
