//! Owns laying a text that says only what differs over a whole constitution.

use std::path::Path;

use althing_contracts::constitution::Constitution;
use toml::{Table, Value};

use crate::cli::{
    document,
    failure::{Exit, Failure, Outcome},
};

/// Reads what differs from a file.
///
/// # Errors
/// The file cannot be read or is no TOML.
pub(in crate::cli) fn read(file: &Path) -> Outcome<Table> {
    document::read_as(file, "`althing policy show` has every parameter")
}

/// The constitution with everything that the text says in its place.
///
/// # Errors
/// What comes out is none, or may not be in force.
pub(in crate::cli) fn lay(over: &Constitution, text: &Table, whose: &str) -> Outcome<Constitution> {
    let wrong = |problem: String| Failure::new(Exit::Usage, format!("{whose}: {problem}"));
    let mut laid = Value::try_from(over).map_err(|error| wrong(error.to_string()))?;
    merge(&mut laid, Value::Table(text.clone()));
    let laid: Constitution =
        laid.try_into().map_err(|error: toml::de::Error| wrong(error.message().to_owned()))?;
    laid.check().map_err(|error| wrong(error.to_string()))?;
    Ok(laid)
}

/// Tables are merged entry by entry; a share with its way of comparing is one thing.
fn merge(whole: &mut Value, text: Value) {
    match (whole, text) {
        (Value::Table(whole), Value::Table(text)) if !is_threshold(&text) => {
            for (key, value) in text {
                match whole.get_mut(&key) {
                    Some(known) => merge(known, value),
                    None => drop(whole.insert(key, value)),
                }
            }
        }
        (whole, text) => *whole = text,
    }
}

fn is_threshold(table: &Table) -> bool {
    table.len() == 1 && (table.contains_key("at-least") || table.contains_key("more-than"))
}

#[cfg(test)]
mod tests {
    use althing_contracts::{
        constitution::{Scheme, Threshold, Track},
        quantity::Ratio,
    };

    use super::*;

    fn laid(text: &str) -> Result<Constitution, String> {
        let text = toml::from_str(text).unwrap();
        lay(&Constitution::default_genesis(), &text, "rules.toml")
            .map_err(|failure| failure.to_json()["detail"].to_string())
    }

    #[test]
    fn what_is_said_takes_the_place_of_what_was_and_the_rest_stays() {
        let after =
            laid("member_cap = \"1/4\"\n[tracks.standard.scheme]\nturnout = { more-than = \"2/5\" }\n");
        let mut expected = Constitution::default_genesis();
        expected.member_cap = "1/4".parse().unwrap();
        if let Scheme::Majority { turnout, .. } =
            &mut expected.tracks.get_mut(&Track::Standard).unwrap().scheme
        {
            *turnout = Threshold::MoreThan(Ratio::TWO_FIFTHS);
        }
        assert_eq!(after, Ok(expected));
    }

    #[test]
    fn what_is_no_constitution_is_refused_with_the_reason() {
        let unknown = laid("[tracks.standard]\nreviewer = 2\n").unwrap_err();
        assert!(unknown.contains("rules.toml: unknown field `reviewer`"), "{unknown}");
        let zero = laid("[tracks.standard]\nreviewers = 9\n").unwrap_err();
        assert!(zero.contains("asks for less than the standard track"), "{zero}");
    }
}
