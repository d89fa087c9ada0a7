//! The rules as a person reads and changes them: shown, drafted, compared, decided, signed, in force.

use super::{
    cli::{example, run, run_all, served},
    mesh::Served,
};

/// A draft of the next rules with one line changed, in the home of the person.
fn edit(home: &std::path::Path, file: &str, from: &str, to: &str) {
    let text = std::fs::read_to_string(home.join("rules.toml")).unwrap();
    assert!(text.contains(from), "{text}");
    std::fs::write(home.join(file), text.replacen(from, to, 1)).unwrap();
}

/// Has a proposal of acts submitted, reviewed and decided; yields its id and the hash of its plan.
async fn bring_to_queue(served: &Served, file: &str) -> (String, String) {
    let home = served.dir.path();
    let hash = run(home, &format!("proposal plan {file} -o name")).await.stdout().trim().to_owned();
    let submit = format!("proposal submit {file} --plan-hash {hash} --as acme/author -o json");
    let id = run(home, &submit).await.json()["proposal"]["id"].as_str().unwrap()[..8].to_owned();
    served.mesh.sign_off("delta/author");
    let mut acts = Vec::new();
    for org in ["birch", "cedar"] {
        acts.push(format!("proposal review {id} approve --hash {hash} --as {org}/author"));
    }
    for org in ["acme", "birch", "cedar"] {
        acts.push(format!("vote cast {id} yes --hash {hash} --as {org}/author"));
    }
    run_all(home, &acts).await;
    pass_until(served, &id, "queued").await;
    (id, hash)
}

/// Has a proposal of acts decided, signed and carried out.
pub(crate) async fn decide(served: &Served, file: &str) {
    let (id, hash) = bring_to_queue(served, file).await;
    let sign = |org| format!("proposal cosign {id} --hash {hash} --as {org}/guardian");
    run_all(served.dir.path(), &["birch", "cedar"].map(sign)).await;
    pass_until(served, &id, "auditing").await;
}

/// Goes on from deadline to deadline until a proposal is in a stage.
async fn pass_until(served: &Served, id: &str, stage: &str) {
    for _ in 0..8 {
        served.mesh.pass_to_deadline();
        let shown = run(served.dir.path(), &format!("proposal show {id} -o json")).await.json();
        if shown["stage"] == stage {
            return;
        }
    }
    panic!("{id} is not {stage}");
}

#[tokio::test]
async fn a_person_sees_what_other_rules_would_have_made_of_past_proposals() {
    let served = served().await;
    let home = served.dir.path();
    run(home, "policy draft rules.toml").await;
    edit(home, "first.toml", "vetoes_per_guardian = 3", "vetoes_per_guardian = 5");
    decide(&served, "first.toml").await;
    std::fs::remove_file(home.join("rules.toml")).unwrap();
    run(home, "policy draft rules.toml").await;
    edit(home, "vetoes.toml", "vetoes_per_guardian = 5", "vetoes_per_guardian = 4");
    let same = run(home, "policy diff vetoes.toml --replay -o json").await.json();
    assert_eq!(same["replay"], serde_json::json!({ "judged": 1, "differing": [] }));

    // Three of four organisations have voted for the first change.
    edit(home, "turnout.toml", "\"3/5\"", "\"19/20\"");
    let replayed = run(home, "policy diff turnout.toml --replay 5 -o json").await.json();
    assert_eq!(replayed["changes"][0]["parameter"], "tracks.constitutional.scheme.turnout.at-least");
    let differing = &replayed["replay"]["differing"][0];
    let approved = serde_json::json!({ "track": "constitutional", "outcome": "approved", "detail": "" });
    assert_eq!(differing["in_force"], approved);
    assert_eq!(differing["proposed"]["detail"], "turnout 300 of 400, needs 380");
    let table = run(home, "policy diff turnout.toml --replay").await.stdout().to_owned();
    assert!(table.contains("constitutional: defeated, turnout 300 of 400, needs 380"), "{table}");
    assert!(table.ends_with("replayed     1 proposals, 1 differ\n"), "{table}");

    edit(home, "unsound.toml", "\"3/5\"", "\"1/20\"");
    for (words, code, message) in [
        ("turnout.toml --replay 0", 2, "last is 0; 1 to 1000 proposals can be judged"),
        ("unsound.toml --replay", 1, "these rules could not be in force here: "),
    ] {
        let ran = run(home, &format!("policy diff {words} -o json")).await;
        assert_eq!(ran.code(), code, "{words}: {}", ran.stderr());
        assert!(ran.failure().contains(message), "{words}: {}", ran.failure());
    }
}

#[tokio::test]
async fn a_person_changes_the_rules_by_a_decision() {
    let served = served().await;
    let home = served.dir.path();
    assert_eq!(run(home, "policy draft rules.toml").await.code(), 0);
    edit(home, "rules.toml", "vetoes_per_guardian = 3", "vetoes_per_guardian = 5");
    let changes = run(home, "policy diff rules.toml -o json").await.json();
    assert_eq!(changes[1]["parameter"], "vetoes_per_guardian");
    assert_eq!((&changes[1]["before"], &changes[1]["after"]), (&"3".into(), &"5".into()));

    let plan = run(home, "proposal plan rules.toml -o json").await.json();
    assert_eq!((&plan["track"], &plan["plan"]["acts"][0]["changes"]), (&"constitutional".into(), &changes));
    let (id, hash) = bring_to_queue(&served, "rules.toml").await;
    for (words, code, message) in [
        ("--as acme/guardian", 4, "acme/guardian belongs to the author's organisation"),
        ("--as birch/author", 4, "birch/author does not hold the role guardian with this key"),
        ("--as birch/guardian", 0, ""),
        ("--as cedar/guardian", 0, ""),
    ] {
        let ran = run(home, &format!("proposal cosign {id} --hash {hash} {words} -o json")).await;
        assert_eq!(ran.code(), code, "{words}: {}", ran.stderr());
        assert!(code == 0 || ran.failure().starts_with(message), "{words}: {}", ran.failure());
    }
    let explained = run(home, &format!("vote explain {id}")).await.stdout().to_owned();
    assert!(
        explained.contains("guardians of organisations other than acme have co-signed it"),
        "{explained}"
    );
    assert_eq!(explained.matches("2, needs 2").count(), 2, "{explained}");
    served.mesh.pass_to_deadline();
    let shown = run(home, "policy show -o json").await.json();
    assert_eq!((&shown["version"], &shown["constitution"]["vetoes_per_guardian"]), (&2.into(), &5.into()));
    served.api.stop().await;
}

#[tokio::test]
async fn rules_that_may_not_be_in_force_are_refused_with_the_reason() {
    let served = served().await;
    let home = served.dir.path();
    run(home, "policy draft rules.toml").await;
    edit(home, "reviewers.toml", "reviewers = 3", "reviewers = 4");
    edit(home, "typing.toml", "heartbeat", "heartbeet");
    edit(home, "share.toml", "member_cap = \"1/3\"", "member_cap = \"4/3\"");
    for (words, code, message) in [
        ("policy draft rules.toml".to_owned(), 5, "rules.toml exists and is not overwritten"),
        (
            "proposal submit reviewers.toml --yes --as acme/author".to_owned(),
            1,
            "rejected by the hard rule constitution-sound: constitution: tracks.constitutional.reviewers needs 4",
        ),
        (
            "proposal submit rules.toml --yes --as acme/author".to_owned(),
            1,
            "rejected by the hard rule constitution-sound: the constitution says what the one in force says",
        ),
        ("policy diff typing.toml".to_owned(), 2, "typing.toml is wrong at line "),
        ("policy diff share.toml".to_owned(), 2, "share.toml is wrong at line "),
        ("policy diff nothing.toml".to_owned(), 3, "cannot read nothing.toml"),
        (
            format!("policy diff {}", example("roll-greeter-2.toml")),
            2,
            &*format!("{} does not change", example("roll-greeter-2.toml")),
        ),
    ] {
        let ran = run(home, &format!("{words} -o json")).await;
        assert_eq!(ran.code(), code, "{words}: {}", ran.stderr());
        assert!(ran.failure().starts_with(message), "{words}: {}", ran.failure());
    }
    served.api.stop().await;
}

/// A file of `examples/constitutions`.
fn constitution(file: &str) -> String {
    format!("{}/examples/constitutions/{file}", env!("CARGO_MANIFEST_DIR"))
}

#[tokio::test]
async fn every_example_of_a_constitution_keeps_what_its_tests_say() {
    let home = tempfile::tempdir().unwrap();
    for name in ["consortium", "one-big-two-small", "ai-safety-board", "research-grid"] {
        let ran =
            run(home.path(), &format!("policy test {}", constitution(&format!("{name}.test.toml")))).await;
        assert_eq!(ran.code(), 0, "{name}: {}{}", ran.stdout(), ran.stderr());
    }
}

#[tokio::test]
async fn a_test_of_rules_that_does_not_hold_says_what_is_other_and_a_wrong_one_where() {
    let home = tempfile::tempdir().unwrap();
    let given =
        "[given]\norganisations = { acme = 1, birch = 1, cedar = 1, delta = 1 }\n[[test]]\nname = \"one\"\n";
    let case = |when: &str, then: &str| format!("{given}when = {{ author = {when} }}\nthen = {{ {then} }}\n");
    for (text, code, message) in [
        (case("\"acme\", deploy = [\"acme\"]", "stage = \"vetoed\""), 1, "1 tests do not hold"),
        (case("\"acme\", deplo = [\"acme\"]", ""), 2, "some.test.toml is wrong at line 5, column "),
        (
            case("\"acme\", deploy = [\"acme\"], against = [\"echo\"]", ""),
            2,
            "echo is no organisation of the given mesh",
        ),
        (case("\"acme\", amend = { member_cap = \"5/4\" }", ""), 2, "some.test.toml: "),
        (format!("rules = \"nothing.toml\"\n{}", case("\"acme\"", "")), 3, "cannot read nothing.toml"),
    ] {
        std::fs::write(home.path().join("some.test.toml"), text).unwrap();
        let ran = run(home.path(), "policy test some.test.toml -o json").await;
        assert_eq!(ran.code(), code, "{}", ran.stderr());
        assert!(ran.failure().starts_with(message), "{}", ran.failure());
        assert!(code != 1 || ran.stdout().contains("the end is closed, not vetoed"), "{}", ran.stdout());
    }
}

#[tokio::test]
async fn rules_are_drafted_from_a_text_that_says_what_differs() {
    let served = served().await;
    let home = served.dir.path();
    let draft = format!("policy draft rules.toml --set {}", constitution("consortium.toml"));
    assert_eq!(run(home, &draft).await.code(), 0);
    let changes = run(home, "policy diff rules.toml -o json").await.json();
    let parameters: Vec<&str> =
        changes.as_array().unwrap().iter().map(|change| change["parameter"].as_str().unwrap()).collect();
    assert_eq!(
        parameters,
        [
            "hard_rules.canary_share_max",
            "member_cap",
            "organisation_cap",
            "tracks.standard.scheme.organisations.at-least",
            "version"
        ]
    );
    served.api.stop().await;
}
