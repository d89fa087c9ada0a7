//! Owns what the auditor has seen: one entry for each height, kept where no ledger can reach it.
//!
//! A ledger that later shows another block at a witnessed height was rewritten, whatever its certificates say.

use std::{collections::BTreeMap, path::Path};

use althing_contracts::{canonical, digest::Digest, quantity::Height};
use borsh::{BorshDeserialize, BorshSerialize};

use super::chain_file::{ChainFile, ChainFileError, RECORD_LEN_MAX};

/// The first eight bytes of a witness file.
const MAGIC: [u8; 8] = *b"ALTHWITN";

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

/// Why a witness file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// The file is not usable.
    #[error(transparent)]
    File(#[from] ChainFileError),
    /// A record is no witness, or not the next one.
    #[error(
        "record {record} of the witness file is not the witness of the next height; keep the file as evidence and begin a new one"
    )]
    Record {
        /// Which record, from 1.
        record: u64,
    },
    /// The disk failed while appending.
    #[error("the witness file cannot be written")]
    Write(#[source] std::io::Error),
}

/// The persistent list.
#[derive(Debug)]
pub struct WitnessList {
    file: ChainFile,
    entries: BTreeMap<Height, Witness>,
}

impl WitnessList {
    /// Opens or creates the list of one network.
    ///
    /// # Errors
    /// The file cannot be used; see [`WitnessError`].
    pub fn open(path: &Path, network: Digest) -> Result<Self, WitnessError> {
        let opened = ChainFile::open(path, MAGIC, network)?;
        if opened.torn_len > 0 {
            tracing::warn!(torn_len = opened.torn_len, "witness file had a torn tail");
        }
        let mut entries = BTreeMap::new();
        for (record, bytes) in (1..).zip(&opened.records) {
            let witness: Witness =
                canonical::decode(bytes, RECORD_LEN_MAX).map_err(|_| WitnessError::Record { record })?;
            if witness.height.get() != record {
                return Err(WitnessError::Record { record });
            }
            entries.insert(witness.height, witness);
        }
        Ok(Self { file: opened.file, entries })
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
    pub fn check(&self, shown: Witness) -> Result<(), HistoryRewritten> {
        match self.entries.get(&shown.height) {
            Some(seen) if *seen != shown => Err(HistoryRewritten { seen: *seen, shown }),
            _ => Ok(()),
        }
    }

    /// Adds blocks that were checked; those already on the list are passed over. Returns when they are on the disk.
    ///
    /// # Errors
    /// The disk fails, or a height would be left out.
    pub fn append(&mut self, seen: &[Witness]) -> Result<(), WitnessError> {
        let first_new = self.height().next();
        let new: Vec<Witness> = seen.iter().copied().filter(|witness| witness.height >= first_new).collect();
        for (height, witness) in (first_new.get()..).zip(&new) {
            if witness.height.get() != height {
                return Err(WitnessError::Record { record: height });
            }
        }
        let records: Vec<Vec<u8>> = new.iter().map(canonical::encode).collect();
        self.file.append(&records).map_err(WitnessError::Write)?;
        self.entries.extend(new.into_iter().map(|witness| (witness.height, witness)));
        Ok(())
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
}
