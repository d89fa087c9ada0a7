//! G1: the header commits to what executing the block yields, so that equal headers mean equal states.

use crate::{
    digest::{Digest, merkle_root},
    invariant::{Broken, View, ensure},
    ledger::events_root,
    transaction::VerifiedTransaction,
};

pub(super) fn check(view: &View<'_>) -> Result<(), Broken> {
    let header = view.header;
    ensure(header.height == view.after.height() && header.time == view.after.time(), || {
        format!("the state stands at height {} and not at its block", view.after.height())
    })?;
    ensure(view.before.height().next() == header.height, || {
        format!("the block follows height {}", view.before.height())
    })?;
    ensure(view.before.network() == header.network, || "the block belongs to another network".to_owned())?;
    let ids: Vec<Digest> = view.transactions.iter().map(VerifiedTransaction::id).collect();
    ensure(merkle_root(&ids) == header.transactions_root, || "the transactions are others".to_owned())?;
    ensure(events_root(view.events) == header.events_root, || "the events are others".to_owned())?;
    ensure(view.after.clone().root() == header.state_root, || "the state is another".to_owned())
}
