//! Owns that the list of failpoints and the sources say the same: each place has an entry, and each entry one place.

use std::collections::BTreeMap;

use super::source::{SourceFile, line_of};

/// How a place is marked.
const MARKS: [&str; 2] = ["failpoint::reach(\"", "failpoint::attempt(\""];

/// Where each failpoint stands in the product, by name.
pub(crate) fn places(files: &[SourceFile]) -> BTreeMap<String, Vec<String>> {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for file in files.iter().filter(|file| file.is_rust()) {
        for (at, name) in marks(file) {
            places.entry(name).or_default().push(format!("{}:{}", file.path, line_of(&file.text, at)));
        }
    }
    places
}

/// What is wrong between the places and the names of the list.
pub(crate) fn disagreements(places: &BTreeMap<String, Vec<String>>, listed: &[&str]) -> Vec<String> {
    let twice =
        |(at, name): (usize, &&str)| listed[..at].contains(name).then(|| format!("{name} is listed twice"));
    let mut wrong: Vec<String> = listed.iter().enumerate().filter_map(twice).collect();
    let gone = listed.iter().filter(|name| !places.contains_key(**name));
    wrong.extend(gone.map(|name| format!("{name} is listed and stands nowhere")));
    for (name, at) in places {
        if at.len() > 1 {
            wrong.push(format!("{name} stands at {}", at.join(" and ")));
        }
        if !listed.contains(&name.as_str()) {
            wrong.push(format!("{name} at {} is not listed", at.join(" and ")));
        }
    }
    wrong
}

/// The product's marks: where each begins, and its name. What stands in a text or a comment marks nothing.
fn marks(file: &SourceFile) -> Vec<(usize, String)> {
    let code = file.product_code();
    let mut found = Vec::new();
    for mark in MARKS {
        for (at, _) in code.match_indices(mark) {
            let name = file.text[at + mark.len()..].split('"').next().unwrap_or_default();
            found.push((at, name.to_owned()));
        }
    }
    found
}

mod planted {
    use super::*;

    fn file(text: &str) -> Vec<SourceFile> {
        vec![SourceFile::new("actors/src/a.rs", text)]
    }

    #[test]
    fn what_is_marked_and_not_listed_is_found_and_the_other_way_round() {
        let places = places(&file(
            "//! A.\nfn f() {\n    failpoint::reach(\"a.b\");\n    failpoint::attempt(\"c\")?;\n}\n",
        ));
        assert!(disagreements(&places, &["a.b", "c"]).is_empty());
        assert_eq!(disagreements(&places, &["a.b"]), ["c at actors/src/a.rs:4 is not listed"]);
        assert_eq!(disagreements(&places, &["a.b", "c", "d"]), ["d is listed and stands nowhere"]);
        assert_eq!(disagreements(&places, &["a.b", "c", "c"]), ["c is listed twice"]);
    }

    #[test]
    fn a_name_that_stands_twice_is_found_and_one_in_a_test_or_a_comment_is_none() {
        let twice = "fn f() {\n    failpoint::reach(\"a\");\n    failpoint::reach(\"a\");\n}\n";
        let wrong = disagreements(&places(&file(twice)), &["a"]);
        assert_eq!(wrong, ["a stands at actors/src/a.rs:2 and actors/src/a.rs:3"]);
        let inert = "// failpoint::reach(\"a\");\n#[cfg(test)]\nmod tests {\n    fn f() { failpoint::reach(\"a\"); }\n}\n";
        assert!(places(&file(inert)).is_empty());
    }
}
