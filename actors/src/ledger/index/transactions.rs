//! Owns which block holds a transaction: recent ones in memory and by block on disk, older ones in runs. A random key
//! for each transaction would cost as much as its signature check; a run writes 256 values for thousands of them.
//!
//! ```text
//! 0 | height | part            transactions of a block that are in no run yet
//! 1 | bucket | run | part      transactions of a run whose ids start with the byte `bucket`, sorted
//! ```
//! A lookup reads one bucket of each run: some 60 values in a history of a million transactions.

use std::collections::HashMap;

use althing_contracts::{quantity::Height, transaction::TransactionId};

use super::{
    doubt::Doubt,
    value::{self, VALUE_LEN_MAX},
};

/// Transactions that are gathered before a run is written: one value of a run holds about 64 of them.
const RECENT_LEN_MAX: usize = 16 * 1024;
/// Entries on disk that are gathered before a run is written: it removes them, which no block should wait for long.
const RECENT_KEYS_MAX: usize = 1_024;
/// Most transactions of a value: 40 bytes each, under [`VALUE_LEN_MAX`].
const PART_LEN_MAX: usize = 400;

const TREE: &str = "transactions";
const RECENT: u8 = 0;
const RUN: u8 = 1;

type Entry = (TransactionId, Height);

/// The transactions that are in no run yet.
#[derive(Debug, Default)]
pub(super) struct Recent {
    heights: HashMap<TransactionId, Height>,
    keys: Vec<Vec<u8>>,
}

/// What storing a block's transactions changes.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) batch: sled::Batch,
    added: Vec<Entry>,
    /// Keys of the entries on disk, unless all went into a run.
    keys: Option<Vec<Vec<u8>>>,
}

impl Recent {
    /// Reads everything; what is recent, and how many transactions there are.
    pub(super) fn load(tree: &sled::Tree) -> Result<(Self, u64), Doubt> {
        let (mut recent, mut count) = (Self::default(), 0);
        for entry in tree {
            let (key, bytes) = entry?;
            let entries: Vec<Entry> = value::open(TREE, &key, &bytes)?;
            count += entries.len() as u64;
            if key.first() == Some(&RECENT) {
                recent.heights.extend(entries);
                recent.keys.push(key.to_vec());
            }
        }
        Ok((recent, count))
    }

    /// The block that holds a transaction.
    pub(super) fn height_of(&self, tree: &sled::Tree, id: &TransactionId) -> Result<Option<Height>, Doubt> {
        if let Some(height) = self.heights.get(id) {
            return Ok(Some(*height));
        }
        for entry in tree.scan_prefix([RUN, bucket_of(id)]).rev() {
            let (key, bytes) = entry?;
            let entries: Vec<Entry> = value::open(TREE, &key, &bytes)?;
            if let Ok(index) = entries.binary_search_by_key(id, |(id, _)| *id) {
                return Ok(Some(entries[index].1));
            }
        }
        Ok(None)
    }

    /// Prepares a block's transactions; a run is named by the height of the block that completes it.
    pub(super) fn prepare(&self, height: Height, ids: &[TransactionId]) -> Change {
        let added: Vec<Entry> = ids.iter().map(|id| (*id, height)).collect();
        let mut batch = sled::Batch::default();
        let parts = added.len().div_ceil(PART_LEN_MAX);
        if self.heights.len() + added.len() <= RECENT_LEN_MAX && self.keys.len() + parts <= RECENT_KEYS_MAX {
            let mut prefix = vec![RECENT];
            prefix.extend(height.get().to_be_bytes());
            let keys = insert(&mut batch, &prefix, &added);
            return Change { batch, added, keys: Some(keys) };
        }
        for key in &self.keys {
            batch.remove(key.as_slice());
        }
        let mut entries: Vec<Entry> = self.heights.iter().map(|(id, height)| (*id, *height)).collect();
        entries.extend(&added);
        entries.sort_unstable();
        for bucket in entries.chunk_by(|one, other| bucket_of(&one.0) == bucket_of(&other.0)) {
            let mut prefix = vec![RUN, bucket_of(&bucket[0].0)];
            prefix.extend(height.get().to_be_bytes());
            insert(&mut batch, &prefix, bucket);
        }
        Change { batch, added, keys: None }
    }

    /// Takes over a change that was stored.
    pub(super) fn apply(&mut self, change: Change) {
        match change.keys {
            Some(keys) => {
                self.heights.extend(change.added);
                self.keys.extend(keys);
            }
            None => *self = Self::default(),
        }
    }
}

/// Inserts entries in as many parts as they need; their keys.
fn insert(batch: &mut sled::Batch, prefix: &[u8], entries: &[Entry]) -> Vec<Vec<u8>> {
    let mut keys = Vec::new();
    for (part, entries) in (0u16..).zip(entries.chunks(PART_LEN_MAX)) {
        let mut key = prefix.to_vec();
        key.extend(part.to_be_bytes());
        batch.insert(key.as_slice(), value::seal(TREE, &key, &entries));
        keys.push(key);
    }
    keys
}

fn bucket_of(id: &TransactionId) -> u8 {
    id.as_bytes()[0]
}

const _: () = assert!(PART_LEN_MAX * size_of::<Entry>() + 64 <= VALUE_LEN_MAX, "a full part is a value");
