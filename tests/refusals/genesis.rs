//! Wrong genesis documents, as a node that starts from them says it.

use std::fs;

use crate::program::Written;

const HELP: &str = "every node needs the same sound document; ask who founded the mesh";

#[test]
fn a_threshold_of_zero_is_refused() {
    let mesh = Written::new();
    mesh.edit("genesis.toml", "at-least = \"2/5\"", "at-least = \"0/5\"");
    let refusal = mesh.refusal("acme");
    assert_eq!(
        (refusal.exit, refusal.detail.as_str(), refusal.help.as_deref()),
        (
            8,
            "DIR/acme/../genesis.toml: the constitution cannot be in force: tracks.standard.scheme.turnout is 0 %; a \
             threshold must be above zero",
            Some(HELP)
        )
    );
}

#[test]
fn a_threshold_above_all_is_refused_at_its_place() {
    let mesh = Written::new();
    mesh.edit("genesis.toml", "at-least = \"2/5\"", "at-least = \"6/5\"");
    let refusal = mesh.refusal("acme");
    assert_eq!(refusal.exit, 8);
    assert!(refusal.detail.starts_with("DIR/acme/../genesis.toml:"), "{refusal:?}");
    assert!(refusal.detail.contains(": 6/5 is above 100 %\n"), "{refusal:?}");
    assert!(refusal.detail.contains("| [constitution.tracks.standard.scheme]\n"), "{refusal:?}");
    assert!(refusal.detail.ends_with('^'), "{refusal:?}");
}

#[test]
fn a_genesis_that_is_not_there_is_asked_for() {
    let mesh = Written::new();
    fs::remove_file(mesh.path("genesis.toml")).unwrap();
    let refusal = mesh.refusal("acme");
    assert_eq!(
        (refusal.exit, refusal.detail.as_str(), refusal.help.as_deref()),
        (
            8,
            "DIR/acme/../genesis.toml: the genesis document cannot be read: No such file or directory (os error 2)",
            Some("set `node.genesis` to the file that every node of the mesh was given")
        )
    );
}
