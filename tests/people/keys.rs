//! Keys as people replace and recover them: made, claimed, signed by colleagues, refused, listed.

use std::path::Path;

use althing_contracts::{
    quantity::DurationMs,
    role::Role,
    testing::{self, World},
};
use althing_netconfig::keys::{self, KeyPurpose, SecretKey};

use super::cli::{run, run_all, served, served_by};
use super::mesh::Served;

/// A file with one of the keys that the mesh of these tests can sign with.
fn key_file(home: &Path, member: &str, role: Role, number: usize) -> String {
    let id = testing::member(member);
    let key = testing::member_keys(&id, role).nth(number).unwrap();
    let file = home.join("keys").join(format!("{}.{role}.{number}.key", id.as_str().replace('/', "-")));
    let key = SecretKey::from_seed(KeyPurpose::Member(role), key.secret().into());
    keys::create(&file, &key).unwrap();
    file.display().to_string()
}

async fn key_of(served: &Served, member: &str, role: &str) -> String {
    let members = run(served.dir.path(), "mesh members -o json").await.json();
    let held = members.as_array().unwrap().iter().find(|held| held["id"] == *member).unwrap();
    held["keys"][role].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_person_signs_with_another_key_from_here_on() {
    let served = served().await;
    let home = served.dir.path();
    let file = key_file(home, "birch/author", Role::Voter, 1);
    let before = key_of(&served, "birch/author", "voter").await;
    let done = run(home, &format!("key replace {file} --as birch/author -o json")).await.json();
    let after = key_of(&served, "birch/author", "voter").await;
    assert_eq!((&done["key"], &done["events"][0]["replaces"]), (&after.clone().into(), &before.into()));
    let told = run(home, "event tail --after 0 --type key-replaced --count 1 -o ndjson").await.json();
    assert_eq!((&told["data"]["member"], &told["data"]["key"]), (&"birch/author".into(), &after.into()));

    let id = served.mesh.vote_on("2");
    run_all(home, &[format!("vote cast {id} yes --yes --as birch/author")]).await;
    let again = run(home, &format!("key replace {file} --as birch/author -o json")).await;
    assert_eq!(again.code(), 5, "{}", again.stderr());
    assert!(
        again.failure().starts_with("the key is not replaced: the new key is one that"),
        "{}",
        again.failure()
    );
    served.api.stop().await;
}

#[tokio::test]
async fn colleagues_recover_a_key_and_its_holder_refuses() {
    let mut genesis = testing::genesis(4);
    for colleague in ["birch/ann", "birch/bob"].map(testing::member) {
        genesis.members.insert(colleague.clone(), testing::record(&colleague, 1, &[Role::Voter]));
    }
    let served = served_by(World::with(genesis)).await;
    let home = served.dir.path();
    let file = key_file(home, "birch/author", Role::Author, 1);
    let claimed = run(home, &format!("key claim {file} claim.toml --as birch/author")).await;
    assert_eq!(claimed.code(), 0, "{}", claimed.stderr());
    let again = run(home, &format!("key claim {file} claim.toml --as birch/author")).await;
    assert_eq!(again.code(), 5, "a file is never overwritten");

    let first = run(home, "key recover claim.toml --as birch/ann -o json").await.json();
    assert_eq!(
        (&first["recovery"]["needed"], &first["recovery"]["due_ms"]),
        (&2.into(), &serde_json::Value::Null)
    );
    run_all(home, &["key recover claim.toml --as birch/bob".to_owned()]).await;
    let table = run(home, "key recoveries").await.stdout().to_owned();
    assert!(table.contains("birch/author") && table.contains("birch/ann for "), "{table}");
    let listed = run(home, "key recoveries -o json").await.json();
    let [due, until] = [&listed["items"][0]["due_ms"], &listed["items"][0]["signatures"][1]["until_ms"]];
    assert_eq!(
        until.as_u64().unwrap() - due.as_u64().unwrap(),
        24 * 60 * 60 * 1_000,
        "72 and 48 hours: {listed}"
    );
    let calendar = run(home, "calendar").await.stdout().to_owned();
    assert!(calendar.contains("birch/author gets another key as author"), "{calendar}");

    run_all(home, &["key stop birch/author author --as birch/author".to_owned()]).await;
    assert_eq!(run(home, "key recoveries -o json").await.json()["items"], serde_json::json!([]));
    for colleague in ["ann", "bob"] {
        run_all(home, &[format!("key recover claim.toml --as birch/{colleague}")]).await;
    }
    served.mesh.pass(DurationMs::from_hours(48));
    let recovered = run(home, "event tail --after 0 --type key-replaced --count 1 -o ndjson").await.json();
    assert_eq!(recovered["data"]["recovered_by"], serde_json::json!(["birch/ann", "birch/bob"]));
    let submit = super::cli::example("roll-greeter-2.toml");
    let planned = run(home, &format!("proposal submit {submit} --yes --as birch/author -o json")).await;
    assert_eq!(planned.code(), 0, "the new key signs: {}", planned.stderr());
    served.api.stop().await;
}

#[tokio::test]
async fn what_nobody_may_do_to_a_key_is_refused_with_the_reason() {
    let served = served().await;
    let home = served.dir.path();
    let voter = key_file(home, "birch/author", Role::Voter, 1);
    let executor = key_file(home, "birch/executor", Role::Executor, 1);
    run_all(home, &[format!("key claim {voter} claim.toml --as birch/author")]).await;
    std::fs::write(home.join("torn.toml"), "member = \"birch/author\"\n").unwrap();
    let text = std::fs::read_to_string(home.join("claim.toml")).unwrap();
    std::fs::write(home.join("forged.toml"), text.replace("birch/author", "birch/guardian")).unwrap();
    run_all(home, &["key new node node.key".to_owned()]).await;
    let refusal = "the key is not replaced: ";
    for (words, code, message) in [
        (
            "recover claim.toml --as acme/author".to_owned(),
            5,
            format!("{refusal}only another person of birch"),
        ),
        (
            "recover claim.toml --as birch/author".to_owned(),
            5,
            format!("{refusal}only another person of birch"),
        ),
        (
            "recover claim.toml --as birch/guardian".to_owned(),
            5,
            format!("{refusal}birch has 1 other people"),
        ),
        (
            "recover forged.toml --as birch/author".to_owned(),
            5,
            format!("{refusal}the key that the claim replaces"),
        ),
        (
            "recover torn.toml --as birch/guardian".to_owned(),
            2,
            "torn.toml is wrong at line 1, column 1: missing field `role`".to_owned(),
        ),
        ("recover none.toml --as birch/guardian".to_owned(), 3, "cannot read none.toml".to_owned()),
        (
            "recover claim.toml --as birch/executor".to_owned(),
            4,
            "birch/executor does not hold the role voter".to_owned(),
        ),
        (
            "recover claim.toml --as delta/author".to_owned(),
            4,
            "this node holds no author key of delta/author".to_owned(),
        ),
        (format!("replace {executor} --as birch/executor"), 4, "a executor may not do this".to_owned()),
        (
            format!("replace {voter} --as birch/guardian"),
            2,
            "birch/guardian has no key for the role voter".to_owned(),
        ),
        ("replace node.key --as birch/author".to_owned(), 2, "node.key holds a key for node".to_owned()),
        (
            "stop birch/author voter --as birch/author".to_owned(),
            5,
            format!("{refusal}birch/author is not about to"),
        ),
    ] {
        let ran = run(home, &format!("key {words} -o json")).await;
        assert_eq!(ran.code(), code, "{words}: {}", ran.stderr());
        assert!(ran.failure().starts_with(&message), "{words}: {}", ran.failure());
    }
    served.api.stop().await;
}
