//! Owns the time limits of consensus steps: a base, an increment for each round, and a cap.

use malachite_types::{Timeout, TimeoutKind};
use serde::{Deserialize, Serialize};

/// Time limits of consensus. The defaults suit a mesh whose round trips are well under 100 ms and heal a split in
/// about a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConsensusTimeouts {
    /// Wait for a proposal before voting nil, in round 0.
    pub propose_ms: u64,
    /// Wait for the rest of the prevotes once more than two thirds disagree, in round 0.
    pub prevote_ms: u64,
    /// Wait for the rest of the precommits once more than two thirds disagree, in round 0.
    pub precommit_ms: u64,
    /// Added to each of the three for every further round. Small, because a height that faults held up for long goes
    /// on in a high round: a validator that is locked alone then waits up to a whole turn of proposers for its own.
    pub round_delta_ms: u64,
    /// Interval at which a validator that waits repeats its votes.
    pub rebroadcast_ms: u64,
    /// No limit grows above this.
    pub max_ms: u64,
}

impl Default for ConsensusTimeouts {
    fn default() -> Self {
        Self {
            propose_ms: 600,
            prevote_ms: 300,
            precommit_ms: 300,
            round_delta_ms: 50,
            rebroadcast_ms: 500,
            max_ms: 4_000,
        }
    }
}

impl ConsensusTimeouts {
    /// How long `timeout` runs, in microseconds.
    pub(super) fn duration_us(&self, timeout: Timeout) -> u64 {
        let round = u64::from(timeout.round.as_u32().unwrap_or(0));
        let growth_ms = self.round_delta_ms.saturating_mul(round);
        let limit_ms = match timeout.kind {
            TimeoutKind::Propose => self.propose_ms.saturating_add(growth_ms),
            TimeoutKind::Prevote => self.prevote_ms.saturating_add(growth_ms),
            TimeoutKind::Precommit => self.precommit_ms.saturating_add(growth_ms),
            TimeoutKind::Rebroadcast | TimeoutKind::FinalizeHeight(_) => self.rebroadcast_ms,
        };
        limit_ms.clamp(1, self.max_ms.max(1)).saturating_mul(1_000)
    }
}

#[cfg(test)]
mod tests {
    use malachite_types::Round;

    use super::*;

    #[test]
    fn limits_grow_with_the_round_up_to_the_cap_and_the_rebroadcast_interval_does_not() {
        let timeouts = ConsensusTimeouts::default();
        let at = |timeout| timeouts.duration_us(timeout) / 1_000;
        assert_eq!(at(Timeout::propose(Round::new(0))), 600);
        assert_eq!(at(Timeout::propose(Round::new(2))), 700);
        assert_eq!(at(Timeout::precommit(Round::new(u32::MAX))), 4_000);
        assert_eq!(at(Timeout::rebroadcast(Round::new(50))), 500);
    }
}
