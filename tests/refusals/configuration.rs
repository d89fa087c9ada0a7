//! Wrong configurations and keys.

use std::{fs, os::unix::fs::PermissionsExt};

use crate::program::Written;

#[test]
fn a_wrong_field_of_a_configuration_is_shown_with_line_column_and_caret() {
    let mesh = Written::new();
    mesh.edit("acme/node.toml", "max_peers = 256", "max_pears = 256");
    let refusal = mesh.refusal("acme");
    assert_eq!(refusal.exit, 8);
    assert_eq!(
        refusal.detail,
        "DIR/acme/node.toml:16:1: unknown field `max_pears`, expected one of `listen`, `bootstrap`, `max_peers`\n\
         16 | max_pears = 256\n   | ^^^^^^^^^"
    );
    mesh.edit("acme/node.toml", "max_pears = 256", "max_peers = \"many\"");
    let refusal = mesh.refusal("acme");
    assert_eq!(
        refusal.detail,
        "DIR/acme/node.toml:16:13: invalid type: string \"many\", expected u32\n\
         16 | max_peers = \"many\"\n   |             ^^^^^^"
    );
}

#[test]
fn a_time_with_a_unit_is_refused_with_the_unit_to_use() {
    let mesh = Written::new();
    mesh.edit("acme/node.toml", "ready_within_ms = 10000", "ready_within_ms = \"10s\"");
    let refusal = mesh.refusal("acme");
    assert_eq!(refusal.exit, 8);
    assert!(refusal.detail.contains(": invalid type: string \"10s\", expected u64\n"), "{refusal:?}");
    assert_eq!(
        refusal.help.as_deref(),
        Some("`ready_within_ms` is a number of milliseconds, written without quotes and without a unit")
    );
}

#[test]
fn what_is_no_configuration_is_refused() {
    let mesh = Written::new();
    fs::write(mesh.path("acme/node.toml"), [0xff, 0xfe, 0]).unwrap();
    let refusal = mesh.refusal("acme");
    assert_eq!(
        (refusal.exit, refusal.detail.as_str(), refusal.help.as_deref()),
        (
            8,
            "DIR/acme/node.toml: the configuration file cannot be read: stream did not contain valid UTF-8",
            Some("this is no configuration; give the path of the node's `node.toml` with `-c FILE`")
        )
    );
}

#[test]
fn wrong_keys_are_named_with_the_remedy() {
    let mesh = Written::new();
    let configured = "node_key_file = \"keys/node.key\"";
    mesh.edit("acme/node.toml", configured, "node_key_file = \"keys/absent.key\"");
    let refusal = mesh.refusal("acme");
    assert_eq!(refusal.exit, 8);
    assert_eq!(
        refusal.detail,
        "the key file DIR/acme/keys/absent.key does not exist; create it by `althing init`, or correct its path"
    );
    mesh.edit("acme/node.toml", "keys/absent.key", "keys/consensus.key");
    let refusal = mesh.refusal("acme");
    assert_eq!(
        (refusal.exit, refusal.detail.as_str()),
        (
            8,
            "DIR/acme/keys/consensus.key holds a key for consensus, but one for node is needed here; keys are never \
             shared between purposes"
        )
    );
    mesh.edit("acme/node.toml", "\"keys/consensus.key", "\"keys/node.key");
    fs::set_permissions(mesh.path("acme/keys/node.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let refusal = mesh.refusal("acme");
    assert_eq!(
        (refusal.exit, refusal.detail.as_str()),
        (
            8,
            "DIR/acme/keys/node.key has mode 0644, so that other users can read it; run `chmod 600 \
             DIR/acme/keys/node.key`"
        )
    );
}

#[test]
fn a_key_that_the_genesis_does_not_name_is_shown() {
    let mesh = Written::new();
    mesh.edit("acme/node.toml", "\"keys/node.key\"", "\"../birch/keys/node.key\"");
    let refusal = mesh.refusal("acme");
    assert_eq!(refusal.exit, 8);
    let start = "the genesis names no validator node of acme with the key ed25519:";
    assert!(refusal.detail.starts_with(start), "{refusal:?}");
    let remedy = "; check `node.org`, `node.role`, `node.genesis` and the files in `[identity]`; a node that a later \
                  decision admits sets `node.joined_later`";
    assert!(refusal.detail.ends_with(remedy), "{refusal:?}");
}
