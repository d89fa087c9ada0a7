//! G2: every change of a stage is an event, every move is one the lifecycle knows, and what ended stays ended.

use std::collections::BTreeMap;

use crate::{
    event::Event,
    invariant::{Broken, View, ensure_of},
    stage::Stage,
    transaction::ProposalId,
};

pub(super) fn check(view: &View<'_>) -> Result<(), Broken> {
    let mut stages: BTreeMap<ProposalId, Stage> = BTreeMap::new();
    for event in view.events {
        match event {
            Event::Submitted { proposal, .. } => {
                stages.entry(*proposal).or_insert(Stage::Submitted);
            }
            Event::StageChanged { proposal, from, to, .. } => {
                let before = || view.before.proposal(*proposal).map(|before| before.stage);
                let stands = stages.insert(*proposal, *to).or_else(before);
                ensure_of(*proposal, stands == Some(*from), || {
                    format!("it left {from}, where it did not stand")
                })?;
                ensure_of(*proposal, from.may_become(*to), || format!("it went from {from} to {to}"))?;
            }
            _ => {}
        }
    }
    stages.into_iter().try_for_each(|(id, stage)| {
        let found = view.after.proposal(id).map(|proposal| proposal.stage);
        ensure_of(id, found == Some(stage), || format!("no event says how it left {stage}"))
    })
}
