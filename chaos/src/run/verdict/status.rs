//! Owns the verdict on what clients were told of proposals, against what the ledger tells at the end. Nobody knows when
//! each block was decided, so an answer may show any of them; what it may not show is less than its circle has seen.

use std::collections::BTreeMap;

use althing_contracts::{
    quantity::{Height, Revision},
    stage::Stage,
    transaction::ProposalId,
};
use serde_json::Value;

use super::{Verdict, verdict};
use crate::{
    checker::status::{Change, History},
    run::{evidence::Story, load::reads::ReadCounts},
};

/// Says in a history what the ledger held at each height, by its events; `top` is the last one.
pub fn chronicle(history: &mut History, stories: &BTreeMap<String, Story>, top: u64) {
    let mut blocks: BTreeMap<Height, Vec<(ProposalId, Change)>> = BTreeMap::new();
    for event in stories.values().flat_map(|story| &story.events) {
        if let Some((height, proposal, change)) = change_of(event) {
            blocks.entry(height).or_default().push((proposal, change));
        }
    }
    for (height, changes) in blocks {
        history.held(height, changes, []);
    }
    history.reached_before(Height::new(top));
}

fn change_of(event: &Value) -> Option<(Height, ProposalId, Change)> {
    let data = &event["data"];
    let read = |field: &str| data[field].clone();
    let change = match event["type"].as_str()? {
        "io.althing.submitted" => Change::Edition(serde_json::from_value::<Revision>(read("revision")).ok()?),
        "io.althing.stage-changed" => Change::Stage(serde_json::from_value::<Stage>(read("to")).ok()?),
        _ => return None,
    };
    let proposal = serde_json::from_value(read("proposal")).ok()?;
    Some((Height::new(data["height"].as_u64()?), proposal, change))
}

/// Judges every answer.
pub(super) fn told(history: &History, reads: ReadCounts, is_whole: bool) -> Verdict {
    let mut against = history.judge();
    if reads.answered == 0 && is_whole {
        against.push("no read was answered at all".to_owned());
    }
    let seen = format!(
        "{} of {} reads answered, each as the ledger held it at a height that was not below what its client knew",
        reads.answered, reads.asked
    );
    verdict("status", "reads of clients that share heights are linearizable", seen, &against)
}
