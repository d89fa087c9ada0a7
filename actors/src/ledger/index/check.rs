//! Owns the check of a whole index at open: every value is read, every entry counted.

use althing_contracts::{event::EventRecord, quantity::Height};
use borsh::BorshDeserialize;

use super::{APPLIED_KEY, AppliedBlock, BlockPositions, Doubt, Trees, value};

/// Reads everything; the applied block if all is as it was stored.
pub(super) fn check(trees: &Trees, log_records: u64) -> Result<AppliedBlock, Doubt> {
    let applied: AppliedBlock = value::get(&trees.meta, "meta", APPLIED_KEY)?.unwrap_or_default();
    if applied.records > log_records {
        return Err(Doubt::BeyondLog { needed: applied.records, found: log_records });
    }
    count::<BlockPositions>(&trees.blocks, "blocks", applied.blocks)?;
    count::<Height>(&trees.transactions, "transactions", applied.transactions)?;
    count::<EventRecord>(&trees.events, "events", applied.events)?;
    Ok(applied)
}

fn count<T: BorshDeserialize>(tree: &sled::Tree, name: &'static str, expected: u64) -> Result<(), Doubt> {
    let mut found = 0;
    for entry in tree {
        let (key, bytes) = entry?;
        value::open::<T>(name, &key, &bytes)?;
        found += 1;
    }
    if found == expected { Ok(()) } else { Err(Doubt::Count { tree: name, found, expected }) }
}
