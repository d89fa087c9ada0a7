use std::{fs, os::unix::fs::PermissionsExt};

use super::*;

const SEED: [u8; 32] = [7; 32];
const TEXT: &str = "\
-----BEGIN ALTHING KEY-----
version: 1
purpose: voter
public: ed25519:ea4a6c63e29c520abef5507b132ec5f9954776aebebe7b92421eea691446d22c
secret: 0707070707070707070707070707070707070707070707070707070707070707
-----END ALTHING KEY-----
";
const VOTER: KeyPurpose = KeyPurpose::Member(Role::Voter);

fn key() -> SecretKey {
    SecretKey::from_seed(VOTER, Zeroizing::new(SEED))
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// The message of loading a private file with this text.
fn refusal(text: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vera.voter.key");
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let message = load(&path, VOTER).unwrap_err().to_string();
    message.replace(directory.path().to_str().unwrap(), "KEYS")
}

#[test]
fn version_1_is_pinned() {
    assert_eq!(text::write(&key()).as_str(), TEXT);
    assert_eq!(text::read(TEXT).unwrap().seed(), &SEED);
}

#[test]
fn a_created_key_is_private_and_loads_for_its_purpose_only() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys").join("vera.voter.key");
    create(&path, &key()).unwrap();
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    assert_eq!(load(&path, VOTER).unwrap().seed(), &SEED);
    assert_eq!(
        load(&path, KeyPurpose::Consensus).unwrap_err().to_string(),
        format!(
            "{} holds a key for voter, but one for consensus is needed here; keys are never shared between purposes",
            path.display()
        )
    );
}

#[test]
fn a_key_file_is_never_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys/node.key");
    create(&path, &key()).unwrap();
    let message = create(&path, &SecretKey::generate(KeyPurpose::Node).unwrap()).unwrap_err().to_string();
    assert_eq!(
        message,
        format!(
            "{} exists and is not overwritten; move it away if the key is to be replaced",
            path.display()
        )
    );
    assert_eq!(load(&path, VOTER).unwrap().seed(), &SEED);
}

#[test]
fn a_key_that_others_can_read_is_refused_with_the_remedy() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("keys/node.key");
    create(&path, &key()).unwrap();
    for loose in [0o640, 0o604, 0o620, 0o601] {
        fs::set_permissions(&path, fs::Permissions::from_mode(loose)).unwrap();
        let (message, path) = (load(&path, VOTER).unwrap_err().to_string(), path.display());
        assert_eq!(
            message,
            format!("{path} has mode {loose:04o}, so that other users can read it; run `chmod 600 {path}`")
        );
    }
}

#[test]
fn a_directory_that_others_can_write_takes_no_key() {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o770)).unwrap();
    let message = create(&directory.path().join("node.key"), &key()).unwrap_err().to_string();
    assert!(message.ends_with(&format!("run `chmod 700 {}`", directory.path().display())), "{message}");
}

#[test]
fn a_missing_key_is_named_with_what_to_do() {
    assert_eq!(
        load(Path::new("/nowhere/node.key"), KeyPurpose::Node).unwrap_err().to_string(),
        "the key file /nowhere/node.key does not exist; create it by `althing init`, or correct its path"
    );
}

#[test]
fn what_is_not_a_key_file_is_refused_without_repeating_it() {
    let prefix = "KEYS/vera.voter.key is not a key file of version 1: ";
    for (text, reason) in [
        (String::new(), "the line `-----BEGIN ALTHING KEY-----` is missing"),
        (TEXT.replace("version: 1", "version: 2"), "it is of version `2`"),
        (TEXT.replace("voter", "king"), "its purpose `king` is not known"),
        (TEXT.replace(": 07", ": 7"), "its secret is not 64 hexadecimal digits"),
        (TEXT.replace(": 07", ": 08"), "its public key is not that of its secret"),
        (format!("{TEXT}more"), "something follows its last line"),
        ("x".repeat(5_000), "it is longer than 4 KiB"),
    ] {
        assert_eq!(refusal(&text), format!("{prefix}{reason}"));
    }
}

#[test]
fn generated_keys_differ_and_debug_output_hides_them() {
    let (one, two) = (SecretKey::generate(VOTER).unwrap(), SecretKey::generate(VOTER).unwrap());
    assert_ne!(one.seed(), two.seed());
    assert!(!format!("{one:?}").contains(&hex::encode(one.seed())));
}

#[test]
fn the_members_of_a_directory_are_loaded_by_file_name() {
    let directory = tempfile::tempdir().unwrap();
    let keys = directory.path().join("keys");
    let (org, vera) = (OrgId::new("acme").unwrap(), MemberId::new("acme/vera").unwrap());
    create(&member_key_path(&keys, &vera, Role::Voter), &key()).unwrap();
    create(&keys.join("node.key"), &SecretKey::generate(KeyPurpose::Node).unwrap()).unwrap();
    let next = SecretKey::generate(VOTER).unwrap();
    create(&keys.join("vera.voter.2.key"), &next).unwrap();
    create(&keys.join("vera.voter.2.old.key"), &SecretKey::generate(VOTER).unwrap()).unwrap();
    let loaded = load_members(&keys, &org).unwrap();
    assert_eq!(loaded.len(), 2);
    let (_, _, first) = &loaded[0];
    assert_eq!(first.public(), next.public(), "in the order of the file names");
    let loaded = &loaded[1..];
    assert_eq!((&loaded[0].0, loaded[0].1, loaded[0].2.public()), (&vera, Role::Voter, key().public()));
}

#[test]
fn only_a_node_key_is_an_identity() {
    assert!(key().identity().is_none());
    let node = SecretKey::generate(KeyPurpose::Node).unwrap();
    assert_eq!(node.identity().unwrap().node_id(), node.public());
}

#[test]
fn a_directory_of_too_many_keys_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    for number in 0..=DIRECTORY_KEYS_MAX {
        fs::write(directory.path().join(format!("m{number}.voter.key")), "").unwrap();
    }
    let error = load_members(directory.path(), &OrgId::new("acme").unwrap()).unwrap_err();
    assert!(matches!(error, KeyError::TooMany { found: 1_001, .. }), "{error}");
}
