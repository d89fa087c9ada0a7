//! Owns what the auditor has seen: one entry for each height, kept where no ledger can reach it.
//!
//! A ledger that later shows another block at a witnessed height was rewritten, whatever its certificates say.

use std::collections::BTreeMap;

use althing_contracts::{digest::Digest, quantity::Height};
use borsh::{BorshDeserialize, BorshSerialize};

use crate::journal::{Journal, JournalError, Kind, Place};

/// Kind of the file.
pub const WITNESS_JOURNAL: Kind = *b"witness ";
/// Most heights in one record, so that it stays far below the longest.
pub const WITNESSES_PER_RECORD_MAX: usize = 256;

/// A block as the auditor saw and re-applied it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, serde::Serialize)]
pub struct Witness {
    /// Where.
    pub height: Height,
    /// The block's digest.
    pub digest: Digest,
    /// The state root after it, by the auditor's own application.
    pub state_root: Digest,
}

/// The ledger shows another block than the one witnessed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "history_rewritten: this auditor saw block {} with state root {} at height {}, the ledger shows block {} with state root {}",
    seen.digest, seen.state_root, seen.height, shown.digest, shown.state_root
)]
pub struct HistoryRewritten {
    /// What the auditor saw.
    pub seen: Witness,
    /// What is shown.
    pub shown: Witness,
}

/// Why a witness list cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// The file cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The list belongs to another ledger.
    #[error(
        "the witness list is of network {found}, this node's is {expected}; each network needs its own directory"
    )]
    Network {
        /// Of the list.
        found: Digest,
        /// Of this node.
        expected: Digest,
    },
    /// A height was left out.
    #[error("height {found} cannot be witnessed after {last}; every height is")]
    Gap {
        /// The highest height on the list.
        last: Height,
        /// The one that was to follow.
        found: Height,
    },
}

/// Heights that were witnessed together. The variant is the version of the disk format.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
enum WitnessRecord {
    /// Version 1.
    V1 {
        /// Whose ledger it is.
        network: Digest,
        /// In ascending order without gaps.
        witnesses: Vec<Witness>,
    },
}

/// The persistent list of one network.
#[derive(Debug)]
pub struct WitnessList {
    journal: Journal<WitnessRecord>,
    network: Digest,
    entries: BTreeMap<Height, Witness>,
}

impl WitnessList {
    /// Opens or creates the list of one network.
    ///
    /// # Errors
    /// The file cannot be used; see [`WitnessError`].
    pub fn open(place: impl Into<Place>, network: Digest) -> Result<Self, WitnessError> {
        let mut records = Vec::new();
        let (journal, _recovery) = Journal::open(place, WITNESS_JOURNAL, |record| records.push(record))?;
        let mut list = Self { journal, network, entries: BTreeMap::new() };
        for WitnessRecord::V1 { network: found, witnesses } in records {
            if found != network {
                return Err(WitnessError::Network { found, expected: network });
            }
            list.check_order(&witnesses)?;
            list.remember(witnesses);
        }
        Ok(list)
    }

    /// The highest height witnessed; 0 when none is.
    #[must_use]
    pub fn height(&self) -> Height {
        self.entries.last_key_value().map_or(Height::ZERO, |(height, _)| *height)
    }

    /// What was seen at a height.
    #[must_use]
    pub fn get(&self, height: Height) -> Option<&Witness> {
        self.entries.get(&height)
    }

    /// Compares a block with what was seen at its height, if anything was.
    ///
    /// # Errors
    /// Another block or state root was seen there.
    pub fn check(&self, shown: Witness) -> Result<(), Box<HistoryRewritten>> {
        match self.entries.get(&shown.height) {
            Some(seen) if *seen != shown => Err(Box::new(HistoryRewritten { seen: *seen, shown })),
            _ => Ok(()),
        }
    }

    /// Adds blocks that were checked; those already on the list are passed over. Returns when they are on the disk.
    ///
    /// # Errors
    /// The disk fails, or a height would be left out.
    pub fn append(&mut self, seen: &[Witness]) -> Result<(), WitnessError> {
        let last = self.height();
        let new: Vec<Witness> = seen.iter().copied().filter(|witness| witness.height > last).collect();
        self.check_order(&new)?;
        for part in new.chunks(WITNESSES_PER_RECORD_MAX) {
            self.journal.append(&WitnessRecord::V1 { network: self.network, witnesses: part.to_vec() })?;
            self.remember(part.iter().copied());
        }
        Ok(())
    }

    fn check_order(&self, witnesses: &[Witness]) -> Result<(), WitnessError> {
        let mut last = self.height();
        for witness in witnesses {
            if witness.height != last.next() {
                return Err(WitnessError::Gap { last, found: witness.height });
            }
            last = witness.height;
        }
        Ok(())
    }

    fn remember(&mut self, witnesses: impl IntoIterator<Item = Witness>) {
        self.entries.extend(witnesses.into_iter().map(|witness| (witness.height, witness)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn witness(height: u64, mark: u8) -> Witness {
        Witness {
            height: Height::new(height),
            digest: Digest::from_bytes([mark; 32]),
            state_root: Digest::from_bytes([mark ^ 0xff; 32]),
        }
    }

    #[test]
    fn a28_another_block_at_a_witnessed_height_is_rewritten_history_after_a_restart_too() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("witness");
        let mut list = WitnessList::open(&path, Digest::ZERO).unwrap();
        list.append(&[witness(1, 1), witness(2, 2)]).unwrap();
        drop(list);
        let list = WitnessList::open(&path, Digest::ZERO).unwrap();
        assert_eq!(list.height(), Height::new(2));
        assert_eq!(list.check(witness(2, 2)), Ok(()));
        assert_eq!(list.check(witness(3, 9)), Ok(()));
        let error = list.check(witness(2, 9)).unwrap_err();
        assert!(error.to_string().starts_with("history_rewritten: this auditor saw block 0202"), "{error}");
    }

    #[test]
    fn heights_are_witnessed_once_and_without_gaps() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("witness");
        let mut list = WitnessList::open(&path, Digest::ZERO).unwrap();
        list.append(&[witness(1, 1)]).unwrap();
        list.append(&[witness(1, 1), witness(2, 2)]).unwrap();
        assert!(list.append(&[witness(4, 4)]).is_err());
        let len = std::fs::metadata(&path).unwrap().len();
        list.append(&[witness(1, 1), witness(2, 2)]).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), len);
    }
    #[test]
    fn a_list_of_another_network_is_refused_by_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("witness");
        WitnessList::open(&path, Digest::ZERO).unwrap().append(&[witness(1, 1)]).unwrap();
        let error = WitnessList::open(&path, Digest::from_bytes([1; 32])).unwrap_err();
        assert!(error.to_string().starts_with("the witness list is of network 0000"), "{error}");
    }

    #[test]
    fn an_edited_list_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("witness");
        let mut list = WitnessList::open(&path, Digest::ZERO).unwrap();
        list.append(&[witness(1, 1)]).unwrap();
        list.append(&[witness(2, 2)]).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() / 3;
        bytes[middle] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let error = WitnessList::open(&path, Digest::ZERO).unwrap_err();
        assert!(matches!(error, WitnessError::Journal(JournalError::Broken { .. })), "{error}");
    }

    #[test]
    fn the_bytes_of_version_1_do_not_change() {
        let record = WitnessRecord::V1 { network: Digest::ZERO, witnesses: vec![witness(1, 2)] };
        let expected =
            "00".repeat(33) + "01000000" + "0100000000000000" + &"02".repeat(32) + &"fd".repeat(32);
        assert_eq!(hex::encode(althing_contracts::canonical::encode(&record)), expected);
    }
}
