//! Owns which track a change needs: by what it does, to what, and to how many targets; never by its author's wish.

use std::collections::BTreeMap;

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::{constitution::Track, document::ActionKind, genesis::Tier};

/// The table from which the track of a change follows: of all that it says about a change, the strictest holds.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Classification {
    /// Most targets of a routine change; one more makes it standard.
    pub routine_targets_max: u16,
    /// Most targets of a standard change; one more makes it high.
    pub standard_targets_max: u16,
    /// The track of each kind of action on a target of each tier; high where the table says nothing.
    pub actions: BTreeMap<ActionKind, BTreeMap<Tier, Track>>,
}

impl Classification {
    /// The track of a change of so many targets with these actions, each on a target of that tier.
    #[must_use]
    pub fn track_of(&self, targets: usize, actions: impl Iterator<Item = (ActionKind, Tier)>) -> Track {
        actions
            .map(|(kind, tier)| self.track_of_action(kind, tier))
            .fold(self.track_of_breadth(targets), Track::max)
    }

    fn track_of_action(&self, kind: ActionKind, tier: Tier) -> Track {
        let listed = self.actions.get(&kind).and_then(|tiers| tiers.get(&tier));
        listed.copied().unwrap_or(Track::High)
    }

    fn track_of_breadth(&self, targets: usize) -> Track {
        if targets > usize::from(self.standard_targets_max) {
            Track::High
        } else if targets > usize::from(self.routine_targets_max) {
            Track::Standard
        } else {
            Track::Routine
        }
    }
}
