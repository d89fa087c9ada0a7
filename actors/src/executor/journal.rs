//! Owns the intent journal: what the executor is about to do is durable before it is done, and what came of it
//! before it is reported. After a crash an intent without an outcome is resolved by reading the target.

use std::collections::{BTreeMap, BTreeSet};

use althing_contracts::{
    document::Action,
    name::TargetId,
    quantity::{Fence, TimeMs},
    transaction::{ProposalId, StepOutcome},
};
use borsh::{BorshDeserialize, BorshSerialize};

use crate::journal::{Journal, JournalError, Kind, Place};

/// Kind of the file.
pub const INTENT_JOURNAL: Kind = *b"intents ";

/// Names a step or its undo for all tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize)]
pub struct StepKey {
    /// Which proposal.
    pub proposal: ProposalId,
    /// Index of the step.
    pub step: u16,
    /// Whether it is the step's undo.
    pub undo: bool,
}

/// One entry of the journal.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum IntentRecord {
    /// Version 1.
    V1 {
        /// By the node's clock.
        time: TimeMs,
        /// Which step.
        key: StepKey,
        /// The fence of the claim.
        fence: Fence,
        /// What is recorded.
        entry: Entry,
    },
}

/// What is recorded.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Entry {
    /// The provider is about to be called.
    Intent {
        /// Where.
        target: TargetId,
        /// Given to the provider with every try.
        idempotency_key: String,
        /// What.
        action: Action,
        /// What the plan expects to find.
        expect: Option<Action>,
    },
    /// What came of the step, before it is reported.
    Outcome {
        /// As it will be reported.
        outcome: StepOutcome,
        /// The evidence whose digest goes on the ledger.
        facts: BTreeMap<String, String>,
    },
}

impl StepKey {
    /// The provider's idempotency key.
    pub fn idempotency_key(&self) -> String {
        let kind = if self.undo { "undo" } else { "do" };
        format!("{}/{}/{kind}", self.proposal, self.step)
    }
}

impl std::fmt::Display for StepKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let undo = if self.undo { "undo of " } else { "" };
        write!(f, "{undo}step {} of {}", self.step, self.proposal.digest().short())
    }
}

/// Opens the journal, verifies its whole chain and yields the steps for which a provider may have been called.
///
/// # Errors
/// The disk fails or the chain is broken.
pub fn open(place: impl Into<Place>) -> Result<(Journal<IntentRecord>, BTreeSet<StepKey>), JournalError> {
    let mut intents = BTreeSet::new();
    let (journal, _) = Journal::open(place, INTENT_JOURNAL, |record| learn(&mut intents, record))?;
    Ok((journal, intents))
}

/// Keeps the steps for which a provider may have been called.
fn learn(intents: &mut BTreeSet<StepKey>, record: IntentRecord) {
    let IntentRecord::V1 { key, entry, .. } = record;
    match entry {
        Entry::Intent { .. } => drop(intents.insert(key)),
        Entry::Outcome { outcome: StepOutcome::Failed { .. }, .. } => drop(intents.remove(&key)),
        Entry::Outcome { outcome: StepOutcome::Done, .. } => {}
    }
}

#[cfg(test)]
mod tests {
    use althing_contracts::{digest::Digest, name::Name};

    use super::*;

    fn record(entry: Entry) -> IntentRecord {
        let proposal = ProposalId::from_digest(Digest::from_bytes([7; 32]));
        let key = StepKey { proposal, step: 2, undo: true };
        IntentRecord::V1 { time: TimeMs::new(1), key, fence: Fence::new(3), entry }
    }

    fn intent() -> IntentRecord {
        record(Entry::Intent {
            target: TargetId::new("a").unwrap(),
            idempotency_key: "k".to_owned(),
            action: Action::Remove { resource: Name::new("web").unwrap() },
            expect: None,
        })
    }

    fn outcome(outcome: StepOutcome) -> IntentRecord {
        record(Entry::Outcome { outcome, facts: BTreeMap::new() })
    }

    #[test]
    fn the_records_are_format_1() {
        let head = format!("000100000000000000{}0200010300000000000000", "07".repeat(32));
        let bytes = hex::encode(borsh::to_vec(&intent()).unwrap());
        assert_eq!(bytes, format!("{head}000100000061010000006b020300000077656200"));
        let bytes = hex::encode(borsh::to_vec(&outcome(StepOutcome::Done)).unwrap());
        assert_eq!(bytes, format!("{head}010000000000"));
    }

    #[test]
    fn an_intent_stays_open_until_a_failure_is_recorded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("intents");
        let key =
            StepKey { proposal: ProposalId::from_digest(Digest::from_bytes([7; 32])), step: 2, undo: true };
        let (mut journal, intents) = open(&path).unwrap();
        assert!(intents.is_empty());
        journal.append(&intent()).unwrap();
        journal.append(&outcome(StepOutcome::Done)).unwrap();
        drop(journal);
        let (mut journal, intents) = open(&path).unwrap();
        assert_eq!(intents, BTreeSet::from([key]));
        let failed = StepOutcome::Failed {
            reason: althing_contracts::name::Line::new("no").unwrap(),
            retryable: true,
        };
        journal.append(&outcome(failed)).unwrap();
        drop(journal);
        assert!(open(&path).unwrap().1.is_empty());
    }
}
