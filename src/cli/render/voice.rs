//! Owns how it is shown to people who speaks for whom.

use althing_contracts::quantity::TimeMs;

use super::{near, values};
use crate::{
    api::view::{
        delegation::{DelegatedView, DelegationView, DelegationsView},
        page::Page,
    },
    cli::output::{Render, fields, table},
};

impl Render for DelegatedView {
    fn table(&self, now: TimeMs) -> String {
        let repeated = if self.repeated { ", as it had been before" } else { "" };
        let rows = self.delegations.iter().map(|held| delegation(&self.member, held, now));
        fields([
            ("final at", Some(format!("height {}{repeated}", self.height))),
            ("transaction", Some(self.transaction.clone())),
        ]) + "\n"
            + &table(DELEGATION, rows)
    }

    fn names(&self) -> Vec<String> {
        vec![self.transaction.clone()]
    }
}

impl Render for Page<DelegationsView> {
    fn table(&self, now: TimeMs) -> String {
        let held = self.items.iter().flat_map(|of| of.delegations.iter().map(move |held| (&of.member, held)));
        table(DELEGATION, held.map(|(member, held)| delegation(member, held, now)))
    }

    fn names(&self) -> Vec<String> {
        self.items.iter().map(|of| of.member.clone()).collect()
    }

    fn entries(&self) -> Option<Vec<serde_json::Value>> {
        Some(values(&self.items))
    }
}

const DELEGATION: [&str; 6] = ["voter", "track", "delegate", "state", "from", "until"];

fn delegation(member: &str, held: &DelegationView, now: TimeMs) -> [String; 6] {
    let [from, until] = [held.from_ms, held.expires_ms].map(|time_ms| near(Some(time_ms), now));
    [member.to_owned(), held.track.clone(), held.to.clone(), held.state.clone(), from, until]
}
