//! G9: a signed object works once: sequences rise by one, and no transaction is in a block twice.

use std::collections::{BTreeMap, BTreeSet};

use crate::invariant::{Broken, View, ensure};

pub(super) fn check(view: &View<'_>) -> Result<(), Broken> {
    let mut ids = BTreeSet::new();
    let mut expected = BTreeMap::new();
    for transaction in view.transactions {
        let body = transaction.body();
        ensure(ids.insert(transaction.id()), || format!("transaction {} counts twice", transaction.id()))?;
        let (sender, role) = (&body.sender, body.role);
        let next = expected.entry((sender, role)).or_insert_with(|| view.before.next_sequence(sender, role));
        ensure(body.sequence == *next, || format!("{sender} used sequence {} for {next}", body.sequence))?;
        ensure(body.not_after >= view.header.time, || format!("{} came too late", transaction.id()))?;
        *next = next.next();
    }
    expected.into_iter().try_for_each(|((sender, role), next)| {
        let found = view.after.next_sequence(sender, role);
        ensure(found == next, || format!("{sender} may use sequence {found} again"))
    })
}
