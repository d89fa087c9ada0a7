//! Owns the changes that one block makes to the index, written in one transaction.

use std::convert::Infallible;

use sled::{Transactional, transaction::TransactionError};

use super::{
    APPLIED_KEY, AppliedBlock, IndexedBlock, Trees,
    doubt::{Doubt, IndexError},
    events, value,
};

/// One block's changes but its transactions, encoded before the transaction so that running it twice is the same.
#[derive(Debug, Default)]
pub(super) struct Batches {
    meta: sled::Batch,
    blocks: sled::Batch,
    events: sled::Batch,
}

impl Batches {
    pub(super) fn of(block: &IndexedBlock<'_>, after: &AppliedBlock) -> Result<Self, IndexError> {
        let mut batches = Self::default();
        let height = block.height.get().to_be_bytes();
        batches.meta.insert(APPLIED_KEY, value::seal("meta", APPLIED_KEY, after));
        batches.blocks.insert(&height, value::seal("blocks", &height, &block.positions));
        for (key, sealed) in events::seal(block.events)? {
            batches.events.insert(&key, sealed);
        }
        Ok(batches)
    }

    pub(super) fn write(&self, trees: &Trees, transactions_batch: &sled::Batch) -> Result<(), Doubt> {
        let all = (&trees.meta, &trees.blocks, &trees.transactions, &trees.events);
        let written: Result<(), TransactionError<Infallible>> =
            all.transaction(|(meta, blocks, transactions, events)| {
                meta.apply_batch(&self.meta)?;
                blocks.apply_batch(&self.blocks)?;
                transactions.apply_batch(transactions_batch)?;
                events.apply_batch(&self.events)?;
                Ok(())
            });
        written.map_err(|error| match error {
            TransactionError::Abort(never) => match never {},
            TransactionError::Storage(error) => error.into(),
        })
    }
}
