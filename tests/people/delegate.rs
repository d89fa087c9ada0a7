//! Speaking for others as a person sees it: lent, listed, heard in a vote, overridden, taken back, refused.

use althing_contracts::quantity::DurationMs;

use super::cli::{run, run_all, served};

#[tokio::test]
async fn a_person_lets_another_speak_and_takes_that_back() {
    let served = served().await;
    let home = served.dir.path();
    let lent = run(home, "delegate to birch/author --for 30d --as cedar/author -o json").await.json();
    assert_eq!(lent["events"].as_array().unwrap().len(), 4, "one a track");
    assert_eq!(
        (&lent["delegations"][1]["track"], &lent["delegations"][1]["state"]),
        (&"standard".into(), &"waiting".into())
    );
    served.mesh.pass(DurationMs::from_hours(24));
    let listed = run(home, "delegate list").await.stdout().to_owned();
    let of_standard = listed.lines().find(|line| line.contains("standard")).unwrap();
    assert!(
        of_standard.starts_with("cedar/author") && of_standard.contains("birch/author  active"),
        "{listed}"
    );

    let id = served.mesh.vote_on("2");
    let short = &id.to_string()[..8];
    run_all(home, &[format!("vote cast {short} yes --yes --as birch/author")]).await;
    let votes = run(home, &format!("vote list {short}")).await.stdout().to_owned();
    let ballot = votes.lines().find(|line| line.starts_with("birch/author")).unwrap();
    assert!(
        ballot.contains("133") && ballot.ends_with("cedar/author"),
        "a third of 400 is the most: {votes}"
    );
    let explained = run(home, &format!("vote explain {short}")).await.stdout().to_owned();
    assert!(explained.contains("heard through birch/author: for"), "{explained}");

    run_all(home, &[format!("vote cast {short} no --yes --as cedar/author")]).await;
    let votes = run(home, &format!("vote list {short} -o json")).await.json();
    let weights: Vec<_> =
        votes["ballots"].as_array().unwrap().iter().map(|it| it["weight"].as_u64()).collect();
    assert_eq!(weights, [Some(100), Some(100)], "an own ballot is taken out of the delegate's");

    let back = run(home, "delegate revoke --track standard --as cedar/author -o json").await.json();
    assert_eq!(back["delegations"].as_array().unwrap().len(), 3);
    served.api.stop().await;
}

#[tokio::test]
async fn what_nobody_may_lend_is_refused_with_the_reason() {
    let served = served().await;
    let home = served.dir.path();
    run_all(home, &["delegate to birch/author --for 30d --as cedar/author".to_owned()]).await;
    let refusal = "the delegation cannot be taken: ";
    for (words, code, message) in [
        (
            "to cedar/author --for 30d --as birch/author",
            5,
            format!("{refusal}on the routine track cedar/author lets"),
        ),
        ("to acme/guardian --for 30d --as birch/author", 5, format!("{refusal}acme/guardian is no voter")),
        ("to acme/author --for 1h --as birch/author", 5, format!("{refusal}it has to end after ")),
        ("to acme/author --for 400d --as birch/author", 5, format!("{refusal}it has to end after ")),
        ("revoke --as acme/author", 5, format!("{refusal}nobody speaks for the sender there")),
        ("revoke --as acme/guardian", 4, "acme/guardian does not hold the role voter".to_owned()),
        ("revoke --as delta/author", 4, "this node holds no voter key of delta/author".to_owned()),
    ] {
        let ran = run(home, &format!("delegate {words} -o json")).await;
        assert_eq!(ran.code(), code, "{words}: {}", ran.stderr());
        assert!(ran.failure().starts_with(&message), "{words}: {}", ran.failure());
    }
    served.api.stop().await;
}
