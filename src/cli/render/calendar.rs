//! Owns how it is shown to people what falls due.

use althing_contracts::quantity::TimeMs;

use super::{at, short, values};
use crate::{
    api::view::{calendar::DueView, page::Page},
    cli::output::{Render, table},
};

impl Render for Page<DueView> {
    fn table(&self, now: TimeMs) -> String {
        let rows = self.items.iter().map(|due| {
            let id = if due.id.contains('/') { due.id.clone() } else { short(&due.id) };
            let awaits = due.awaits.clone().unwrap_or_else(|| "-".to_owned());
            [at(due.at_ms, now), due.occasion.clone(), awaits, due.subject.clone(), id, due.title.clone()]
        });
        table(["when", "what", "falls to", "of", "id", "title"], rows)
    }

    fn names(&self) -> Vec<String> {
        self.items.iter().map(|due| due.uid.clone()).collect()
    }

    fn entries(&self) -> Option<Vec<serde_json::Value>> {
        Some(values(&self.items))
    }
}
