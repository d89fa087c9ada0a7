//! Owns the measure of how long proposals stay in their stages, by the ledger's own time.

use std::{collections::BTreeMap, sync::Arc};

use althing_contracts::{event::Event, quantity::TimeMs, transaction::ProposalId};
use tokio::sync::broadcast::{self, error::RecvError};

use super::metrics;
use crate::ledger::message::EventBatch;

/// Proposals that are followed at once; far above the open proposals that the constitution allows.
const FOLLOWED_MAX: usize = 100_000;

/// Follows the ledger's events until the ledger ends.
pub fn follow(events: broadcast::Receiver<EventBatch>) {
    metrics::describe_stages();
    tokio::spawn(run(events));
}

async fn run(mut events: broadcast::Receiver<EventBatch>) {
    let mut stages = Stages::default();
    loop {
        let batch: Arc<_> = match events.recv().await {
            Ok(batch) => batch,
            // What was missed would be measured wrongly: begin anew.
            Err(RecvError::Lagged(_)) => {
                stages = Stages::default();
                continue;
            }
            Err(RecvError::Closed) => return,
        };
        for record in batch.iter() {
            stages.observe(&record.event, record.time);
        }
    }
}

/// Since when each open proposal is in its stage.
#[derive(Debug, Default)]
struct Stages(BTreeMap<ProposalId, TimeMs>);

impl Stages {
    fn observe(&mut self, event: &Event, time: TimeMs) {
        let Event::StageChanged { proposal, from, to, .. } = event else { return };
        if let Some(since) = self.0.remove(proposal) {
            metrics::left_stage(*from, time.since(since));
        }
        if !to.is_terminal() && self.0.len() < FOLLOWED_MAX {
            self.0.insert(*proposal, time);
        }
    }
}

#[cfg(test)]
mod tests {
    use althing_contracts::{digest::Digest, name::Line, stage::Stage};

    use super::*;

    fn change(from: Stage, to: Stage) -> Event {
        let (proposal, cause) = (ProposalId::from_digest(Digest::ZERO), Line::new("x").unwrap());
        Event::StageChanged { proposal, from, to, cause }
    }

    #[test]
    fn a_proposal_is_followed_until_it_ends() {
        let mut stages = Stages::default();
        stages.observe(&change(Stage::Submitted, Stage::Review), TimeMs::new(1));
        assert_eq!(stages.0.values().collect::<Vec<_>>(), [&TimeMs::new(1)]);
        stages.observe(&change(Stage::Review, Stage::Voting), TimeMs::new(5));
        assert_eq!(stages.0.values().collect::<Vec<_>>(), [&TimeMs::new(5)]);
        stages.observe(&change(Stage::Voting, Stage::Defeated), TimeMs::new(9));
        assert!(stages.0.is_empty());
    }
}
