//! A rehearsal as a person runs it: what would happen, how it would end, and that nothing of it is there afterwards.

use super::cli::{example, run, served};

#[tokio::test]
async fn a_person_sees_how_a_proposal_would_go_before_it_is_submitted() {
    let served = served().await;
    let home = served.dir.path();
    let rehearse = format!("proposal rehearse {} --as acme/author", example("roll-greeter-2.toml"));
    for (words, code, ended, scene) in [
        ("--quiet", 0, "executed", "every step is done and healthy"),
        ("--fail-step 0", 1, "failed", "step 0 on acme-north failed: it fails in this rehearsal"),
        ("--sick-stage 1", 1, "rolled-back", "unhealthy in this rehearsal"),
        ("--against acme --against birch/author --against cedar", 1, "defeated", "birch/author: against"),
        ("--absent birch --absent cedar --absent delta", 1, "defeated", "turnout 100 of 400, not enough"),
        ("--refuse birch", 1, "rejected", "birch/author: refuse"),
    ] {
        let ran = run(home, &format!("{rehearse} {words} -o json")).await;
        assert_eq!(ran.code(), code, "{words}: {}", ran.stderr());
        let told: serde_json::Value = serde_json::from_str(ran.stdout()).unwrap();
        let end = if told["ended"].is_null() { &told["stage"] } else { &told["ended"] };
        assert_eq!(end, ended, "{words}");
        let scenes = told["scenes"].as_array().unwrap();
        let details = || scenes.iter().map(|scene| scene["detail"].as_str().unwrap());
        assert!(
            details().any(|detail| detail.contains(scene)),
            "{words}: {:?}",
            details().collect::<Vec<_>>()
        );
    }
    let table = run(home, &rehearse).await.stdout().to_owned();
    assert!(table.contains("timelock runs"), "{table}");
    let words: Vec<&str> = table.lines().last().unwrap().split_whitespace().collect();
    assert_eq!(words, ["ends", "executed"]);
    assert_eq!(run(home, "proposal list -o json").await.json()["items"], serde_json::json!([]));
    served.api.stop().await;
}

#[tokio::test]
async fn a_rehearsal_of_strangers_is_refused() {
    let served = served().await;
    let file = example("roll-greeter-2.toml");
    for (words, code, message) in [
        (
            format!("{file} --as acme/author --against zeta"),
            2,
            "against: zeta is no voter, and no organisation",
        ),
        (format!("{file} --as zeta/gert"), 4, "zeta/gert is not a member of this mesh"),
        (format!("{file} --as acme/executor"), 4, "acme/executor does not hold the role author"),
        ("nothing.toml --as acme/author".to_owned(), 3, "cannot read nothing.toml"),
    ] {
        let ran = run(served.dir.path(), &format!("proposal rehearse {words} -o json")).await;
        assert_eq!(ran.code(), code, "{words}: {}", ran.stderr());
        assert!(ran.failure().starts_with(message), "{words}: {}", ran.failure());
    }
    served.api.stop().await;
}
