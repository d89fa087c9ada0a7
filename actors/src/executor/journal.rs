//! Owns the intent journal: what the executor is about to do is durable before it is done, and what came of it
//! before it is reported. After a crash an intent without an outcome is resolved by reading the target.

use std::collections::BTreeMap;

use althing_contracts::{
    document::Action,
    name::TargetId,
    quantity::{Fence, TimeMs},
    transaction::{ProposalId, StepOutcome},
};
use borsh::{BorshDeserialize, BorshSerialize};

use crate::{
    journal::{Journal, JournalError, Kind, Place},
    port::Evidence,
};

/// Name of the file.
pub const FILE: &str = "executor.journal";
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

/// What the journal knows of the last try of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LastTry {
    /// The provider may have been called under the fence; nobody knows what came of it.
    Called {
        /// The fence of the claim.
        fence: Fence,
    },
    /// An outcome was about to be reported under the fence: no other may be.
    Reported {
        /// The fence of the claim.
        fence: Fence,
        /// As reported.
        outcome: StepOutcome,
        /// What shows it.
        evidence: Evidence,
    },
}

/// The last try of each step.
pub type LastTries = BTreeMap<StepKey, LastTry>;

impl LastTry {
    /// Whether the provider may have carried the step out.
    pub const fn may_have_effect(&self) -> bool {
        matches!(self, Self::Called { .. } | Self::Reported { outcome: StepOutcome::Done, .. })
    }
}

impl From<IntentRecord> for (StepKey, LastTry) {
    fn from(record: IntentRecord) -> Self {
        let IntentRecord::V1 { key, fence, entry, .. } = record;
        let last = match entry {
            Entry::Intent { .. } => LastTry::Called { fence },
            Entry::Outcome { outcome, facts } => {
                LastTry::Reported { fence, outcome, evidence: Evidence { facts } }
            }
        };
        (key, last)
    }
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

/// Opens the journal, verifies its whole chain and yields the last try of each step.
///
/// # Errors
/// The disk fails or the chain is broken.
pub fn open(place: impl Into<Place>) -> Result<(Journal<IntentRecord>, LastTries), JournalError> {
    let mut tries = LastTries::new();
    let (journal, _) =
        Journal::open(place, INTENT_JOURNAL, |record: IntentRecord| tries.extend([record.into()]))?;
    Ok((journal, tries))
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
    fn the_last_try_of_a_step_is_what_was_recorded_last() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("intents");
        let key =
            StepKey { proposal: ProposalId::from_digest(Digest::from_bytes([7; 32])), step: 2, undo: true };
        let no = || StepOutcome::Failed {
            reason: althing_contracts::name::Line::new("no").unwrap(),
            retryable: true,
        };
        let fence = Fence::new(3);
        let reported = |outcome| {
            let evidence = Evidence { facts: BTreeMap::new() };
            LastTry::Reported { fence, outcome, evidence }
        };
        assert!(open(&path).unwrap().1.is_empty());
        for (record, last, may_have_effect) in [
            (intent(), LastTry::Called { fence }, true),
            (outcome(StepOutcome::Done), reported(StepOutcome::Done), true),
            (outcome(no()), reported(no()), false),
        ] {
            open(&path).unwrap().0.append(&record).unwrap();
            let (_, tries) = open(&path).unwrap();
            assert_eq!(tries[&key].may_have_effect(), may_have_effect);
            assert_eq!(tries, LastTries::from([(key, last)]));
        }
    }
}
