//! Who takes part as a person reads and changes it: listed, drafted, refused, decided.

use super::{
    cli::{run, run_all, served},
    policy::decide,
};

#[tokio::test]
async fn a_person_lets_a_member_in_and_out_by_decisions() {
    let served = served().await;
    let home = served.dir.path();
    let made = run(home, "key new voter keys/zoe.voter.key -o name").await;
    let key = made.stdout().trim().to_owned();
    assert!(key.starts_with("ed25519:"), "{key}");
    assert_eq!(run(home, "key new voter keys/zoe.voter.key").await.code(), 5, "a key is never overwritten");

    let member = format!("mesh draft join.toml member acme/zoe --weight 7 --key voter={key}");
    assert_eq!(run(home, &member).await.code(), 0);
    let plan = run(home, "proposal plan join.toml -o json").await.json();
    let act = &plan["plan"]["acts"][0];
    assert_eq!(
        (&plan["track"], &act["kind"], &act["subject"]),
        (&"constitutional".into(), &"set-member".into(), &"member acme/zoe".into())
    );
    assert_eq!(act["changes"][0]["parameter"], "keys.voter");
    assert_eq!((&act["changes"][1]["before"], &act["changes"][1]["after"]), (&().into(), &"7".into()));
    decide(&served, "join.toml").await;
    let members = run(home, "mesh members -o json").await.json();
    let author = members.as_array().unwrap().iter().find(|member| member["id"] == "acme/author").unwrap();
    assert_eq!(author["points"], serde_json::json!({ "account": 100, "free": 100, "held": 0, "lost": 0 }));
    let zoe = members.as_array().unwrap().iter().find(|member| member["id"] == "acme/zoe").unwrap();
    assert_eq!((&zoe["weight"], &zoe["keys"]["voter"]), (&7.into(), &key.as_str().into()));
    assert_eq!(zoe.get("points"), None, "only authors have an account");

    run_all(home, &["mesh draft leave.toml remove-member acme/zoe".to_owned()]).await;
    decide(&served, "leave.toml").await;
    let names = run(home, "mesh members -o name").await.stdout().to_owned();
    assert!(names.contains("acme/author\n") && !names.contains("acme/zoe"), "{names}");
    served.api.stop().await;
}

#[tokio::test]
async fn who_cannot_take_part_is_refused_with_the_reason() {
    let served = served().await;
    let home = served.dir.path();
    let key = "ed25519:".to_owned() + &"11".repeat(32);
    let draft = "mesh draft";
    for (words, code, message) in [
        (
            format!("{draft} a.toml member acme/zoe"),
            2,
            "member acme/zoe is new to the mesh and --key is not given",
        ),
        (
            format!("{draft} a.toml organisation echo --node {key}"),
            2,
            "organisation echo is new to the mesh and --weight",
        ),
        (
            format!("{draft} a.toml target acme-west --owner acme"),
            2,
            "target acme-west is new to the mesh and --provider",
        ),
        (format!("{draft} a.toml member acme/author --without voter --add"), 3, "cannot read a.toml"),
        (format!("{draft} lone.toml remove-member acme/executor"), 0, ""),
        (
            "proposal submit lone.toml --yes --as acme/author".to_owned(),
            1,
            "rejected by the hard rule parties-sound: target acme-north names executor acme/executor of acme",
        ),
        (format!("{draft} awaken.toml awaken"), 5, "governance is not dormant"),
        (format!("{draft} again.toml reinstate acme/guardian"), 0, ""),
        (format!("{draft} nobody.toml reinstate acme/author"), 0, ""),
        (
            "proposal submit nobody.toml --yes --as acme/author".to_owned(),
            1,
            "rejected by the hard rule guardian-known: ",
        ),
        (format!("{draft} both.toml member acme/both --key voter={key} --weight 1"), 0, ""),
        (format!("{draft} both.toml --add member acme/both --key author={key}"), 2, "both.toml: "),
    ] {
        let ran = run(home, &format!("{words} -o json")).await;
        assert_eq!(ran.code(), code, "{words}: {}", ran.stderr());
        assert!(code == 0 || ran.failure().starts_with(message), "{words}: {}", ran.failure());
    }
    served.api.stop().await;
}
