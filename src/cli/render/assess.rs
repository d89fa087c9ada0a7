//! Owns how an assessment is shown to people.

use althing_contracts::quantity::{DurationMs, TimeMs};

use crate::{
    api::view::time::length,
    cli::{
        assess::{Assessment, Decision},
        output::{Render, fields, lines, table},
    },
};

impl Render for Assessment {
    fn table(&self, _: TimeMs) -> String {
        let tiers: Vec<String> = self.targets.iter().map(|(tier, count)| format!("{count} {tier}")).collect();
        let head = fields([
            ("assessed by", Some(self.rules.clone())),
            ("mesh", Some(format!("{} organisations", self.organisations))),
            ("targets", Some(tiers.join(", "))),
        ]);
        let rows = self.decisions.iter().map(|it| {
            let begins = it.begins_after_ms.map_or_else(|| "-".to_owned(), |ms| length(DurationMs::new(ms)));
            [it.what.clone(), it.of.clone(), it.track.clone(), needs(it), begins]
        });
        let mut parts = vec![head, table(["decision", "of", "track", "needs", "begins after"], rows)];
        let refused: Vec<String> = self.decisions.iter().flat_map(refusals).collect();
        if !refused.is_empty() {
            parts.push(format!("refused by the hard rules:\n{}", lines(&refused)));
        }
        if !self.remarks.is_empty() {
            let rows = self.remarks.iter().map(|it| [it.about.clone(), it.remark.clone()]);
            parts.push(table(["about", "look at"], rows));
        }
        if !self.files.is_empty() {
            parts.push(lines(&self.files.iter().map(|file| format!("wrote {file}")).collect::<Vec<_>>()));
        }
        parts.join("\n")
    }

    fn names(&self) -> Vec<String> {
        self.files.clone()
    }
}

fn needs(Decision { scheme, sign_offs, cosigners, refused, .. }: &Decision) -> String {
    if !refused.is_empty() {
        return "another form".to_owned();
    }
    let signed = |count: u8, what: &str| {
        (count > 0).then(|| if count == 1 { format!("a {what}") } else { format!("{count} {what}s") })
    };
    let vote = if scheme == "optimistic" { "no objection" } else { "a majority" };
    let needs = [signed(*sign_offs, "sign-off"), Some(vote.to_owned()), signed(*cosigners, "co-signature")];
    needs.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn refusals(decision: &Decision) -> Vec<String> {
    let Decision { what, of, refused, .. } = decision;
    refused.iter().map(|rule| format!("  {what} {of}: {rule}")).collect()
}
