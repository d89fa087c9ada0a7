//! Emergencies as people run them: declared, signed, judged, ended, each with what it refuses.

use super::cli::{run, run_all, served};
use super::mesh::Served;

async fn expect(served: &Served, words: &str, code: i32, message: &str) {
    let ran = run(served.dir.path(), &format!("{words} -o json")).await;
    assert_eq!(ran.code(), code, "{words}: {}", ran.stderr());
    assert!(ran.failure().starts_with(message), "{words}: {}", ran.failure());
}

/// An emergency that two more guardians have to sign, and its whole id.
async fn declared(served: &Served) -> String {
    let words =
        "emergency declare --pause acme-north --halt standard --reason fire --for 1h --as acme/guardian";
    let accepted = run(served.dir.path(), &format!("{words} -o json")).await.json();
    assert_eq!(accepted["emergency"]["stage"], "declared");
    accepted["emergency"]["id"].as_str().unwrap().to_owned()
}

async fn active(served: &Served) -> (String, String) {
    let id = declared(served).await;
    let signatures: Vec<String> =
        ["birch", "cedar"].map(|org| format!("emergency sign {id} --as {org}/guardian")).into();
    run_all(served.dir.path(), &signatures).await;
    let shown = run(served.dir.path(), &format!("emergency show {} -o json", &id[..8])).await.json();
    assert_eq!((&shown["stage"], &shown["in_force"]), (&"active".into(), &true.into()));
    (id, shown["proposal"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn guardians_declare_and_sign_an_emergency_and_the_members_stand_by_it() {
    let served = served().await;
    let home = served.dir.path();
    let (id, proposal) = active(&served).await;
    let table = run(home, &format!("emergency show {id}")).await.stdout().to_owned();
    for line in
        ["pause acme-north", "halt the standard track", "at least 2/3 of 4 guardians, of 3 organisations"]
    {
        assert!(table.contains(line), "{table}");
    }
    let submit =
        format!("proposal submit {} --yes --as acme/author", super::cli::example("roll-greeter-2.toml"));
    expect(&served, &submit, 5, &format!("emergency {id} halts the standard track until ")).await;
    expect(
        &served,
        &format!("emergency end {id} --as delta/author"),
        4,
        "this node holds no voter key of delta/author",
    )
    .await;
    expect(
        &served,
        &format!("emergency end {id} --as birch/author"),
        5,
        &format!("emergency {id} runs until "),
    )
    .await;
    let ballots: Vec<String> = ["acme", "birch", "cedar"]
        .map(|org| format!("vote cast {proposal} yes --yes --as {org}/author"))
        .into();
    run_all(home, &ballots).await;
    served.mesh.pass_to_deadline();
    let lifted = run(home, "emergency list -o json").await.json();
    assert_eq!((&lifted[0]["stage"], &lifted[0]["in_force"]), (&"active".into(), &false.into()));
    let ended = run(home, &format!("emergency end {id} --as birch/author -o json")).await.json();
    assert_eq!(ended["repeated"], true, "it has ended by itself");
    served.mesh.pass_to_deadline();
    let shown = run(home, &format!("emergency show {id} -o json")).await.json();
    assert_eq!((&shown["stage"], &shown["awaits_audit"]), (&"ratified".into(), &true.into()));
    for kind in ["declared", "signed", "activated", "lifted", "ratified"] {
        let told =
            run(home, &format!("event tail --after 0 --type emergency-{kind} --count 1 -o ndjson")).await;
        assert_eq!(told.json()["subject"], *id, "{kind}");
    }
    served.api.stop().await;
}

#[tokio::test]
async fn a_guardian_takes_an_emergency_back() {
    let served = served().await;
    let (id, _) = active(&served).await;
    let ended =
        run(served.dir.path(), &format!("emergency end {id} --as cedar/guardian -o json")).await.json();
    assert_eq!((&ended["repeated"], &ended["emergency"]["in_force"]), (&false.into(), &false.into()));
    assert_eq!(ended["events"][0]["by"], "cedar/guardian");
    served.api.stop().await;
}

#[tokio::test]
async fn what_is_no_emergency_is_refused_with_the_reason() {
    let served = served().await;
    let id = declared(&served).await;
    let zeros = "0".repeat(64);
    for (words, code, message) in [
        ("declare --reason fire --for 1h --as birch/guardian".to_owned(), 1, "measures has 0; from 1 to 8"),
        ("declare --halt constitutional --reason fire --for 1h --as birch/guardian".to_owned(), 2, ""),
        (
            "declare --pause nowhere --reason fire --for 1h --as birch/guardian".to_owned(),
            1,
            "no organisation owns",
        ),
        (
            "declare --suspend acme/author --reason fire --for 1h --as birch/guardian".to_owned(),
            1,
            "measures[0] suspends",
        ),
        (
            "declare --pause acme-south --reason fire --for 25h --as birch/guardian".to_owned(),
            1,
            "expires is ",
        ),
        (
            "declare --pause acme-south --reason fire --for 1h --as acme/author".to_owned(),
            4,
            "acme/author does not hold the role guardian",
        ),
        (format!("sign {} --as birch/guardian", &id[..8]), 2, "not confirmed: sign to "),
        (format!("sign {zeros} --as birch/guardian"), 3, "there is no emergency 000"),
        (format!("sign {id} --as birch/author"), 4, "birch/author does not hold the role guardian"),
        (format!("end {id} --as birch/guardian"), 5, "end-emergency is not possible while emergency "),
        (format!("show {}", &zeros[..5]), 2, "\"00000\" is no emergency id"),
    ] {
        let ran = run(served.dir.path(), &format!("emergency {words} -o json")).await;
        assert_eq!(ran.code(), code, "{words}: {}", ran.stderr());
        assert!(message.is_empty() || ran.failure().starts_with(message), "{words}: {}", ran.failure());
    }
    served.api.stop().await;
}
