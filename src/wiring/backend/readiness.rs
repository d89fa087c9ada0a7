//! Owns what makes a node ready as far as others are concerned: enough validators in reach to decide, and not far
//! behind them. Refuses to judge how the node got there.

use std::collections::BTreeSet;

use althing_actors::port::NodeId;
use althing_contracts::{
    certificate::{Roster, is_quorum},
    quantity::{Height, Weight},
};

/// Blocks that a node may be behind its peers and still be ready: as many as fit into a moment of load.
const BEHIND_MAX: u64 = 8;

/// Why the validators in reach decide nothing; `local` counts as connected when it is one of them.
pub(super) fn validators(roster: &Roster, local: NodeId, connected: &BTreeSet<NodeId>) -> Option<String> {
    let validators = roster.validators();
    let (here, away): (Vec<_>, Vec<_>) = validators
        .iter()
        .partition(|validator| validator.node == local || connected.contains(&validator.node));
    let weights = here.iter().map(|validator| validator.weight);
    let part = weights.fold(Weight::new(0), Weight::saturating_add);
    let total = roster.total_weight();
    if is_quorum(part, total) {
        return None;
    }
    let included =
        if here.iter().any(|validator| validator.node == local) { ", this one included" } else { "" };
    let away: Vec<&str> = away.iter().map(|validator| validator.org.as_str()).collect();
    Some(format!(
        "{} of {} validators are connected{included}: weight {part} of {total}, more than two thirds decide; away: {}",
        here.len(),
        validators.len(),
        away.join(", ")
    ))
}

/// Why the node is too far behind what its peers have shown.
pub(super) fn head(height: Height, highest_seen: Height) -> Option<String> {
    let behind = highest_seen.get().saturating_sub(height.get());
    (behind > BEHIND_MAX).then(|| format!("{behind} blocks behind; catching up"))
}

#[cfg(test)]
mod tests {
    use althing_contracts::testing::{World, node_key};

    use super::*;

    const NAMES: [&str; 4] = ["acme", "birch", "cedar", "delta"];

    fn nodes(names: &[&str]) -> BTreeSet<NodeId> {
        names.iter().map(|name| node_key(name).public()).collect()
    }

    fn judged(local: &str, connected: &[&str]) -> Option<String> {
        let world = World::new(4);
        validators(world.state.roster(), node_key(local).public(), &nodes(connected))
    }

    #[test]
    fn three_of_four_validators_decide_and_two_do_not() {
        assert_eq!(judged("acme", &NAMES[1..]), None);
        assert_eq!(judged("acme", &["birch", "cedar"]), None);
        let why = judged("acme", &["birch"]).unwrap();
        assert!(why.starts_with("2 of 4 validators are connected, this one included: weight "), "{why}");
        assert!(why.contains(", more than two thirds decide; away: "), "{why}");
        assert!(why.contains("cedar") && why.contains("delta") && !why.contains("birch"), "{why}");
    }

    #[test]
    fn a_node_that_decides_nothing_itself_needs_a_quorum_of_others() {
        assert_eq!(judged("auditor-1", &NAMES[..3]), None);
        let why = judged("auditor-1", &["acme", "birch", "auditor-2"]).unwrap();
        assert!(why.starts_with("2 of 4 validators are connected: weight "), "{why}");
    }

    #[test]
    fn a_few_blocks_behind_are_a_moment_of_load() {
        assert_eq!(head(Height::new(10), Height::new(10 + BEHIND_MAX)), None);
        let why = head(Height::new(10), Height::new(11 + BEHIND_MAX));
        assert_eq!(why.as_deref(), Some("9 blocks behind; catching up"));
        assert_eq!(head(Height::new(10), Height::new(3)), None);
    }
}
