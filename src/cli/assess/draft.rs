//! Owns the drafts that come of an assessment: rules that say only what differs, and proposals that put what is listed under
//! governance.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::Path,
};

use althing_contracts::{
    act::{ACTS_MAX, Act},
    constitution::Constitution,
    document::ProposalDocument,
    name::{Line, Name, Prose},
};

use super::inventory::{Inventory, Listed};
use crate::cli::{
    document,
    failure::{Exit, Failure, Outcome},
    policy::overlay,
    proposal::{text_of, write_new},
};

/// The file of the rules.
const RULES: &str = "rules.toml";

/// Files by name, not written yet.
pub(super) type Drafts = BTreeMap<String, String>;

/// Everything that can be drafted from what is listed.
///
/// # Errors
/// What comes of it could not be in force.
pub(super) fn of(inventory: &Inventory, base: &Constitution) -> Outcome<Drafts> {
    let mut drafts = Drafts::new();
    if let Some(rules) = rules(inventory, base) {
        let text = document::parse_toml(Exit::EndedBadly, RULES, rules.clone(), "")?;
        overlay::lay(base, &text, RULES)?;
        drafts.insert(RULES.to_owned(), rules);
    }
    let acting = inventory.iter().filter(|(_, listed)| !listed.executors.is_empty());
    let acts: Vec<Act> = acting
        .map(|(target, listed)| Act::SetTarget { target: target.clone(), record: listed.record() })
        .collect();
    for (index, acts) in acts.chunks(ACTS_MAX).enumerate() {
        drafts.insert(format!("targets-{}.toml", index + 1), proposal(acts)?);
    }
    Ok(drafts)
}

/// Writes drafts into a directory, which is made; nothing is overwritten.
///
/// # Errors
/// One of them is there already, or the directory cannot be written to.
pub(super) fn write(drafts: &Drafts, directory: &Path) -> Outcome<Vec<String>> {
    std::fs::create_dir_all(directory).map_err(|error| {
        Failure::new(Exit::Usage, format!("cannot make the directory {}: {error}", directory.display()))
    })?;
    let write = |(name, text): (&String, &String)| {
        let file = directory.join(name);
        write_new(&file, text).map(|()| file.display().to_string())
    };
    drafts.iter().map(write).collect()
}

/// What the rules do not know yet: classes of data, each allowed where it is today, and what the dearest thing costs. Nothing that
/// they know is made wider. `None` when they know everything.
fn rules(inventory: &Inventory, base: &Constitution) -> Option<String> {
    let known = &base.hard_rules;
    let mut text = String::new();
    let dearest = inventory.values().map(|listed| listed.monthly_milli).max().unwrap_or_default();
    if dearest > known.cost_ceiling_monthly_milli {
        text += "[hard_rules]\n# What the dearest of what is listed costs a month, in thousandths.\n";
        let _infallible = writeln!(text, "cost_ceiling_monthly_milli = {dearest}\n");
    }
    let mut places: BTreeMap<&Name, BTreeSet<&Name>> = BTreeMap::new();
    for Listed { data_classes, jurisdiction, .. } in inventory.values() {
        for class in data_classes.iter().filter(|class| !known.residency.contains_key(*class)) {
            places.entry(class).or_default().insert(jurisdiction);
        }
    }
    if !places.is_empty() {
        text += "# Where data of each class is today.\n[hard_rules.residency]\n";
    }
    for (class, jurisdictions) in places {
        let quoted: Vec<String> = jurisdictions.iter().map(|name| format!("\"{name}\"")).collect();
        let _infallible = writeln!(text, "{class} = [{}]", quoted.join(", "));
    }
    (!text.is_empty()).then(|| {
        "# Drafted from an inventory: what differs from the rules that it was assessed by.\n\
         # `althing policy draft change.toml --set rules.toml` makes a proposal of it.\n\n"
            .to_owned()
            + &text
    })
}

fn proposal(acts: &[Act]) -> Outcome<String> {
    let subjects: Vec<String> = acts.iter().map(|act| act.subject().to_string()).collect();
    let title = Line::shortened(&format!("put under governance: {}", subjects.join(", ")));
    let reason = Prose::new("why it should be governed")
        .map_err(|error| Failure::new(Exit::EndedBadly, error.to_string()))?;
    let document = ProposalDocument::of_acts(title, reason, acts.to_vec());
    text_of(&document)
}
