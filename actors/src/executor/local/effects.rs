//! Owns the provider's own record of its effects on one target: what makes an order take effect at most once and
//! an old fence refused, whatever the executor remembers.

use std::collections::{BTreeMap, BTreeSet};

use althing_contracts::{
    document::Action,
    quantity::{Fence, TimeMs},
};
use borsh::{BorshDeserialize, BorshSerialize};

use crate::{
    journal::{Journal, JournalError, Kind, Place},
    port::{Evidence, ProviderError, ProviderOrder},
};

/// Kind of the file.
pub const EFFECT_LOG: Kind = *b"effects ";

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum EffectRecord {
    /// Version 1.
    V1 {
        /// By the node's clock.
        time: TimeMs,
        /// Of the order.
        idempotency_key: String,
        /// Of the order.
        fence: Fence,
        /// Of the order.
        action: Action,
        /// How far it is.
        progress: Progress,
    },
}

/// How far an order is.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Progress {
    /// The target is about to be changed.
    Begun,
    /// It took effect.
    Done {
        /// What shows it.
        facts: BTreeMap<String, String>,
    },
    /// It did not take effect; the target is as before.
    Reverted {
        /// Why.
        reason: String,
    },
}

/// The log with what follows from it.
#[derive(Debug)]
pub struct Effects {
    journal: Journal<EffectRecord>,
    memory: Memory,
}

#[derive(Debug, Default)]
struct Memory {
    fence: Fence,
    done: BTreeMap<String, Evidence>,
    begun: BTreeSet<String>,
    /// The last record, as long as it is a beginning: orders to one target are serial.
    unfinished: Option<Unfinished>,
}

/// An order that was begun and has no end in the log.
#[derive(Debug, Clone)]
struct Unfinished {
    idempotency_key: String,
    fence: Fence,
    action: Action,
}

impl Effects {
    /// Opens the log and verifies its whole chain.
    ///
    /// # Errors
    /// The disk fails or the chain is broken.
    pub fn open(place: impl Into<Place>) -> Result<Self, JournalError> {
        let mut memory = Memory::default();
        let (journal, _) = Journal::open(place, EFFECT_LOG, |record| memory.learn(record))?;
        Ok(Self { journal, memory })
    }

    /// Refuses an order below the highest fence seen.
    ///
    /// # Errors
    /// [`ProviderError::Fenced`].
    pub fn admit(&self, fence: Fence) -> Result<(), ProviderError> {
        let seen = self.memory.fence;
        if fence < seen { Err(ProviderError::Fenced { found: fence, seen }) } else { Ok(()) }
    }

    /// Refuses every order below a fence from here on, until the end of the process: no order outlives it. Fence 0 is
    /// nobody's claim and changes nothing.
    ///
    /// # Errors
    /// [`ProviderError::Fenced`].
    pub fn raise(&mut self, fence: Fence) -> Result<(), ProviderError> {
        if fence > Fence::ZERO {
            self.admit(fence)?;
            self.memory.fence = fence;
        }
        Ok(())
    }

    /// What an order did that took effect.
    pub fn done(&self, idempotency_key: &str) -> Option<&Evidence> {
        self.memory.done.get(idempotency_key)
    }

    /// Whether an order was begun and neither took effect nor was reverted.
    pub fn is_begun(&self, idempotency_key: &str) -> bool {
        self.memory.begun.contains(idempotency_key)
    }

    /// The change of the last order, if it was begun and has no end.
    pub fn unfinished(&self) -> Option<&Action> {
        self.memory.unfinished.as_ref().map(|order| &order.action)
    }

    /// Records that the last order took effect, if it has no end; durable when this returns.
    ///
    /// # Errors
    /// The record could not be written.
    pub fn finish(&mut self, facts: BTreeMap<String, String>, time: TimeMs) -> Result<(), JournalError> {
        let Some(Unfinished { idempotency_key, fence, action }) = self.memory.unfinished.clone() else {
            return Ok(());
        };
        self.append(EffectRecord::V1 {
            time,
            idempotency_key,
            fence,
            action,
            progress: Progress::Done { facts },
        })
    }

    /// Records progress of an order; durable when this returns.
    ///
    /// # Errors
    /// The record could not be written.
    pub fn record(
        &mut self,
        order: &ProviderOrder,
        progress: Progress,
        time: TimeMs,
    ) -> Result<(), JournalError> {
        self.append(EffectRecord::V1 {
            time,
            idempotency_key: order.idempotency_key.clone(),
            fence: order.fence,
            action: order.action.clone(),
            progress,
        })
    }

    fn append(&mut self, record: EffectRecord) -> Result<(), JournalError> {
        self.journal.append(&record)?;
        self.memory.learn(record);
        Ok(())
    }
}

impl Memory {
    fn learn(&mut self, record: EffectRecord) {
        let EffectRecord::V1 { idempotency_key: key, fence, action, progress, .. } = record;
        self.fence = self.fence.max(fence);
        self.unfinished = None;
        match progress {
            Progress::Begun => {
                self.unfinished = Some(Unfinished { idempotency_key: key.clone(), fence, action });
                self.begun.insert(key);
            }
            Progress::Done { facts } => {
                self.begun.remove(&key);
                self.done.insert(key, Evidence { facts });
            }
            Progress::Reverted { .. } => {
                self.begun.remove(&key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use althing_contracts::name::Name;

    use super::*;

    #[test]
    fn the_record_is_format_1() {
        let record = EffectRecord::V1 {
            time: TimeMs::new(1),
            idempotency_key: "k".to_owned(),
            fence: Fence::new(2),
            action: Action::Remove { resource: Name::new("web").unwrap() },
            progress: Progress::Done { facts: BTreeMap::from([("a".to_owned(), "b".to_owned())]) },
        };
        let expected = [
            "00",
            "0100000000000000",
            "010000006b",
            "0200000000000000",
            "0203000000776562",
            "01010000000100000061",
            "0100000062",
        ];
        assert_eq!(hex::encode(borsh::to_vec(&record).unwrap()), expected.concat());
    }
}
