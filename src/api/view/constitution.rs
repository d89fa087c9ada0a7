//! Owns how the rules are shown: the whole text, and the difference of two texts by parameter.

use althing_contracts::constitution::Constitution;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// The rules in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConstitutionView {
    /// 1 at genesis, one more with each change.
    pub version: u32,
    /// Names this exact text.
    pub digest: String,
    /// Every parameter, in the form of `[constitution]` of a genesis document.
    #[schema(value_type = Object)]
    pub constitution: Constitution,
}

/// A parameter or field of which two texts say something else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangeView {
    /// Its path, for example `tracks.standard.voting`.
    pub parameter: String,
    /// What the first text says; absent when it says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// What the second text says; absent when it says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

impl ConstitutionView {
    /// Shows a constitution.
    pub fn new(constitution: &Constitution) -> Self {
        Self {
            version: constitution.version,
            digest: constitution.digest().to_string(),
            constitution: constitution.clone(),
        }
    }
}

/// Every parameter of which two constitutions say something else, in the order of the paths.
pub fn changes(before: &Constitution, after: &Constitution) -> Vec<ChangeView> {
    differences(Some(before), Some(after))
}

/// Every field of which two records say something else, in the order of the paths.
///
/// # Panics
/// Never: what is on the ledger has only string keys.
pub(super) fn differences<T: Serialize>(before: Option<&T>, after: Option<&T>) -> Vec<ChangeView> {
    let value = |record: &T| serde_json::to_value(record).expect("a record has only string keys");
    let mut found = Vec::new();
    compare("", before.map(value).as_ref(), after.map(value).as_ref(), &mut found);
    found
}

fn compare(path: &str, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<ChangeView>) {
    if before == after {
        return;
    }
    let members = |value: Option<&Value>| match value {
        Some(Value::Object(members)) => Some(members.clone()),
        None => Some(serde_json::Map::new()),
        Some(_) => None,
    };
    let (Some(old), Some(new)) = (members(before), members(after)) else {
        let text = |value: Option<&Value>| value.map(text);
        found.push(ChangeView { parameter: path.to_owned(), before: text(before), after: text(after) });
        return;
    };
    let names: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for name in names {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        compare(&path, old.get(name), new.get(name), found);
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use althing_contracts::{
        constitution::{Threshold, Track},
        quantity::{DurationMs, Ratio},
    };

    use super::*;

    #[test]
    fn a_difference_names_each_parameter_once_with_both_texts() {
        let before = Constitution::default_genesis();
        let mut after = before.clone();
        after.version = 2;
        let standard = after.tracks.get_mut(&Track::Standard).unwrap();
        standard.voting = DurationMs::from_hours(1);
        if let althing_contracts::constitution::Scheme::Majority { turnout, .. } = &mut standard.scheme {
            *turnout = Threshold::MoreThan(Ratio::ONE_HALF);
        }
        after.tracks.get_mut(&Track::High).unwrap().cosign = None;
        after.hard_rules.residency.pop_last();
        let told: Vec<String> = changes(&before, &after)
            .into_iter()
            .map(|ChangeView { parameter, before, after }| format!("{parameter} {before:?} {after:?}"))
            .collect();
        assert_eq!(
            told,
            [
                r#"hard_rules.residency.public Some("eu, us") None"#,
                r#"tracks.high.cosign.guardians Some("2") None"#,
                r#"tracks.high.cosign.organisations Some("2") None"#,
                r#"tracks.standard.scheme.turnout.at-least Some("2/5") None"#,
                r#"tracks.standard.scheme.turnout.more-than None Some("1/2")"#,
                r#"tracks.standard.voting Some("259200000") Some("3600000")"#,
                r#"version Some("1") Some("2")"#,
            ]
        );
        assert!(changes(&before, &before).is_empty());
    }
}
