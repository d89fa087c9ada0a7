//! Owns what the journals of key uses say against the ledger: every transaction has its use, and each use one.

use std::collections::BTreeMap;

use althing_actors::signer::journal::KeyUseRecord;

use super::{Findings, Invariant, history::History};

pub(super) fn judge(uses: &[KeyUseRecord], history: &History, findings: &mut Findings) {
    let mut by_transaction = BTreeMap::new();
    for KeyUseRecord::V1 { transaction, member, role, body, .. } in uses {
        // A signer that stopped before it gave a signature out makes the same one again.
        let before = by_transaction.insert(*transaction, (member, *role, *body));
        if before.is_some_and(|before| before != (member, *role, *body)) {
            findings.add(Invariant::Keys, format!("{transaction} was signed twice by {member}"));
        }
    }
    for entry in &history.transactions {
        match by_transaction.get(&entry.id) {
            None => {
                let what =
                    format!("{} is final and no journal has the use of {}'s key", entry.id, entry.sender);
                findings.add(Invariant::Keys, what);
            }
            Some((member, role, _)) if **member != entry.sender || *role != entry.role => {
                findings.add(Invariant::Keys, format!("{} is {member}'s in the journal", entry.id));
            }
            Some(_) => {}
        }
    }
}
