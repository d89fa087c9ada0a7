//! Owns the check of a whole index at open: every value is read, every entry counted.

use super::{
    APPLIED_KEY, AppliedBlock, BlockPositions, Trees, doubt::Doubt, events, transactions::Recent, value,
};

/// Reads everything; the applied block and the recent transactions if all is as it was stored.
pub(super) fn check(trees: &Trees, log_records: u64) -> Result<(AppliedBlock, Recent), Doubt> {
    let applied: AppliedBlock = value::get(&trees.meta, "meta", APPLIED_KEY)?.unwrap_or_default();
    if applied.records > log_records {
        return Err(Doubt::BeyondLog { needed: applied.records, found: log_records });
    }
    compare("blocks", count_blocks(&trees.blocks)?, applied.blocks)?;
    let (recent, transactions) = Recent::load(&trees.transactions)?;
    compare("transactions", transactions, applied.transactions)?;
    compare("events", events::count(&trees.events)?, applied.events)?;
    Ok((applied, recent))
}

fn count_blocks(tree: &sled::Tree) -> Result<u64, Doubt> {
    let mut found = 0;
    for entry in tree {
        let (key, bytes) = entry?;
        value::open::<BlockPositions>("blocks", &key, &bytes)?;
        found += 1;
    }
    Ok(found)
}

fn compare(tree: &'static str, found: u64, expected: u64) -> Result<(), Doubt> {
    if found == expected { Ok(()) } else { Err(Doubt::Count { tree, found, expected }) }
}
