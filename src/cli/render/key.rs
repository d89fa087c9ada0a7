//! Owns how it is shown to people which keys members are about to have.

use althing_contracts::quantity::TimeMs;

use super::{near, short, values};
use crate::{
    api::view::{
        key::{KeyAcceptedView, RecoveryView},
        page::Page,
    },
    cli::output::{Render, fields, table},
};

impl Render for KeyAcceptedView {
    fn table(&self, now: TimeMs) -> String {
        let repeated = if self.repeated { ", as it had been before" } else { "" };
        let text = fields([
            ("final at", Some(format!("height {}{repeated}", self.height))),
            ("transaction", Some(self.transaction.clone())),
            ("member", Some(self.member.clone())),
            ("role", Some(self.role.clone())),
            ("key", self.key.clone()),
        ]);
        match &self.recovery {
            None => text,
            Some(recovery) => format!("{text}\n{}", table(RECOVERY, [row(recovery, now)])),
        }
    }

    fn names(&self) -> Vec<String> {
        vec![self.transaction.clone()]
    }
}

impl Render for Page<RecoveryView> {
    fn table(&self, now: TimeMs) -> String {
        table(RECOVERY, self.items.iter().map(|recovery| row(recovery, now)))
    }

    fn names(&self) -> Vec<String> {
        self.items.iter().map(|recovery| recovery.member.clone()).collect()
    }

    fn entries(&self) -> Option<Vec<serde_json::Value>> {
        Some(values(&self.items))
    }
}

const RECOVERY: [&str; 5] = ["member", "role", "signed by", "needed", "takes effect"];

fn row(recovery: &RecoveryView, now: TimeMs) -> [String; 5] {
    let signers = recovery.signatures.iter().map(|it| format!("{} for {}", it.signer, short(&it.key)));
    [
        recovery.member.clone(),
        recovery.role.clone(),
        signers.collect::<Vec<_>>().join(", "),
        recovery.needed.map_or_else(|| "-".to_owned(), |needed| needed.to_string()),
        near(recovery.due_ms, now),
    ]
}
