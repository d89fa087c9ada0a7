//! Owns how emergencies are shown to people.

use althing_contracts::quantity::TimeMs;

use super::{at, near, short, values, yes_no};
use crate::{
    api::view::emergency::{EmergencyAcceptedView, EmergencyView},
    cli::output::{Render, fields, table},
};

impl Render for EmergencyView {
    fn table(&self, now: TimeMs) -> String {
        let mut text = fields([
            ("emergency", Some(self.id.clone())),
            ("stage", Some(self.stage.clone())),
            ("in force", Some(yes_no(self.in_force))),
            ("reason", Some(self.reason.clone())),
            ("declared", Some(format!("by {}, {}", self.declared_by, at(self.declared_at_ms, now)))),
            ("expires", Some(at(self.expires_ms, now))),
            ("ended", self.lifted_ms.map(|time_ms| at(time_ms, now))),
            ("needs", Some(self.needs.clone())),
            ("sign by", (self.stage == "declared").then(|| at(self.sign_by_ms, now))),
            ("judged by", self.proposal.clone()),
            ("vote ends", self.judged_by_ms.map(|time_ms| at(time_ms, now))),
            ("audit", self.proposal.as_ref().map(|_| audit_word(self.awaits_audit))),
        ]);
        text += &fields(self.measures.iter().map(|measure| ("measure", Some(measure.to_string()))));
        text + &fields(self.signers.iter().map(|signer| ("signed", Some(format!("by {signer}")))))
    }

    fn names(&self) -> Vec<String> {
        vec![self.id.clone()]
    }
}

fn audit_word(awaits: bool) -> String {
    if awaits { "not audited so far" } else { "found sound" }.to_owned()
}

impl Render for Vec<EmergencyView> {
    fn table(&self, now: TimeMs) -> String {
        let rows = self.iter().map(|emergency| {
            [
                short(&emergency.id),
                emergency.stage.clone(),
                yes_no(emergency.in_force),
                near(Some(emergency.expires_ms), now),
                emergency.declared_by.clone(),
                emergency.reason.clone(),
            ]
        });
        table(["id", "stage", "in force", "expires", "by", "reason"], rows)
    }

    fn names(&self) -> Vec<String> {
        self.iter().map(|emergency| emergency.id.clone()).collect()
    }

    fn entries(&self) -> Option<Vec<serde_json::Value>> {
        Some(values(self))
    }
}

impl Render for EmergencyAcceptedView {
    fn table(&self, now: TimeMs) -> String {
        let repeated = if self.repeated { ", as it had been before" } else { "" };
        self.emergency.table(now)
            + &fields([
                ("final at", Some(format!("height {}{repeated}", self.height))),
                ("transaction", Some(self.transaction.clone())),
            ])
    }

    fn names(&self) -> Vec<String> {
        self.emergency.names()
    }
}
