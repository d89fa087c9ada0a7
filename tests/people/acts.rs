//! The acts that change or stop a proposal on its way, as a person runs them, each with what it refuses.

use super::cli::{Ran, example, run, run_all, served};
use super::mesh::Served;

/// A proposal in review, with its plan hash.
async fn in_review(served: &Served) -> (String, String) {
    let file = example("roll-greeter-2.toml");
    let hash =
        run(served.dir.path(), &format!("proposal plan {file} -o name")).await.stdout().trim().to_owned();
    let words = format!("proposal submit {file} --plan-hash {hash} --as acme/author -o json");
    let accepted = run(served.dir.path(), &words).await.json();
    (accepted["proposal"]["id"].as_str().unwrap()[..8].to_owned(), hash)
}

/// A proposal that was decided and waits out its timelock.
async fn queued(served: &Served) -> String {
    let home = served.dir.path();
    let (id, hash) = in_review(served).await;
    let mut acts = vec![format!("proposal review {id} approve --hash {hash} --as birch/author")];
    for org in ["acme", "birch", "cedar"] {
        acts.push(format!("vote cast {id} yes --hash {hash} --as {org}/author"));
    }
    run_all(home, &acts).await;
    served.mesh.pass_to_deadline();
    served.mesh.pass_to_deadline();
    let reached = run(home, &format!("proposal wait {id} --for queued --timeout 20s")).await;
    assert_eq!(reached.code(), 0, "{}", reached.stderr());
    id
}

/// The example under another title, in the home of the person.
fn edited(served: &Served) -> &'static str {
    let text = std::fs::read_to_string(example("roll-greeter-2.toml")).unwrap();
    let title = text.lines().find(|line| line.starts_with("title = ")).unwrap();
    std::fs::write(served.dir.path().join("edited.toml"), text.replace(title, "title = \"edited\"")).unwrap();
    "edited.toml"
}

async fn expect(served: &Served, words: &str, code: i32, message: &str) {
    let ran: Ran = run(served.dir.path(), &format!("{words} -o json")).await;
    assert_eq!(ran.code(), code, "{words}: {}", ran.stderr());
    assert!(ran.failure().starts_with(message), "{words}: {}", ran.failure());
}

#[tokio::test]
async fn an_author_revises_in_review_and_earlier_sign_offs_are_void() {
    let served = served().await;
    let home = served.dir.path();
    let (id, old) = in_review(&served).await;
    let file = edited(&served);
    let new = run(home, &format!("proposal plan {file} -o name")).await.stdout().trim().to_owned();
    assert_ne!(old, new);
    let revised =
        run(home, &format!("proposal revise {id} {file} --plan-hash {new} --as acme/author -o json")).await;
    let accepted = revised.json();
    assert_eq!(accepted["proposal"]["revision"], 2);
    assert_eq!(accepted["proposal"]["title"], "edited");
    assert_eq!(accepted["proposal"]["stage"], "review");
    let stale = format!("proposal review {id} approve --hash {old} --as birch/author");
    expect(&served, &stale, 5, "the plan hash is ").await;
    let review = run(home, &format!("proposal review {id} approve --hash {new} --as birch/author")).await;
    assert_eq!(review.code(), 0, "{}", review.stderr());
    let late = format!("proposal revise {id} {file} --plan-hash {new} --as acme/author");
    expect(
        &served,
        &late,
        5,
        "revise is not possible while the proposal is voting; possible now: vote, cancel",
    )
    .await;
    served.api.stop().await;
}

#[tokio::test]
async fn a_revision_is_refused_with_the_reason() {
    let served = served().await;
    let (id, hash) = in_review(&served).await;
    let file = edited(&served);
    let new =
        run(served.dir.path(), &format!("proposal plan {file} -o name")).await.stdout().trim().to_owned();
    let zeros = "0".repeat(64);
    let unconfirmed = format!("not confirmed: revise {id} by edited.toml with plan hash ");
    for (words, code, message) in [
        (
            format!("{id} {file} --plan-hash {new} --as birch/author"),
            4,
            "only its author acme/author may do this",
        ),
        (
            format!("{id} {file} --plan-hash {new} --revision 9 --as acme/author"),
            5,
            "revision 9 is not the current one, which is 1",
        ),
        (format!("{id} {file} --plan-hash {hash} --as acme/author"), 5, "the plan hash is "),
        (format!("{zeros} {file} --plan-hash {new} --as acme/author"), 3, "there is no proposal 000"),
        (format!("{id} nothing.toml --plan-hash {new} --as acme/author"), 3, "cannot read nothing.toml: "),
        (format!("{id} {file} --plan-hash {new}"), 2, "nobody is named to act as"),
        (format!("{id} {file} --as acme/author"), 2, unconfirmed.as_str()),
    ] {
        expect(&served, &format!("proposal revise {words}"), code, message).await;
    }
    let breach = format!("proposal revise {id} {} --yes --as acme/author", example("residency-breach.toml"));
    expect(
        &served,
        &breach,
        1,
        "rejected by the hard rule data-residency: class `personal` may be held in eu, acme-south is in us",
    )
    .await;
    served.api.stop().await;
}

#[tokio::test]
async fn a_guardian_of_another_organisation_vetoes_what_is_queued() {
    let served = served().await;
    let id = queued(&served).await;
    for (words, code, message) in [
        (
            "--reason unsafe --as acme/guardian",
            4,
            "acme/guardian belongs to the author's organisation; another one has to do this",
        ),
        (
            "--reason unsafe --as birch/author",
            4,
            "birch/author does not hold the role guardian with this key",
        ),
        ("--reason= --as birch/guardian", 1, "the evidence does not hold: a veto needs a reason"),
        ("--reason unsafe --as zeta/gert", 4, "zeta/gert is not a member of this mesh"),
        (
            "--reason unsafe --as delta/guardian",
            4,
            "this node holds no guardian key of delta/guardian; use a node of delta",
        ),
        ("--reason unsafe", 2, "nobody is named to act as"),
    ] {
        expect(&served, &format!("proposal veto {id} {words}"), code, message).await;
    }
    let veto = format!("proposal veto {id} --reason unsafe --as birch/guardian -o json");
    let accepted = run(served.dir.path(), &veto).await.json();
    assert_eq!(accepted["proposal"]["stage"], "vetoed");
    assert_eq!(accepted["events"][0]["cause"], "vetoed by birch/guardian: unsafe", "{accepted}");
    let again = format!("proposal veto {id} --reason unsafe --as cedar/guardian");
    expect(&served, &again, 5, "veto is not possible while the proposal is vetoed").await;
    served.api.stop().await;
}

#[tokio::test]
async fn a_veto_before_the_decision_is_refused() {
    let served = served().await;
    let id = served.mesh.vote_on("2");
    let veto = format!("proposal veto {id} --reason unsafe --as birch/guardian");
    expect(
        &served,
        &veto,
        5,
        "veto is not possible while the proposal is voting; possible now: vote, cancel",
    )
    .await;
    served.api.stop().await;
}

#[tokio::test]
async fn a_tail_ends_at_its_timeout_with_what_came() {
    let served = served().await;
    let home = served.dir.path();
    served.mesh.vote_on("2");
    let few = run(home, "event tail --after 0 --count 1000 --timeout 3s -o json").await;
    let came = few.stdout().lines().count();
    assert!(came >= 3, "{}", few.stdout());
    assert_eq!((few.code(), few.failure()), (6, format!("{came} of 1000 events came within 3s")));
    let open = run(home, "event tail --after 0 --timeout 1s -o name").await;
    assert_eq!(open.code(), 0, "{}", open.stderr());
    assert_eq!(open.stderr(), format!("the time is up after {} events\n", open.stdout().lines().count()));
    let enough = run(home, "event tail --after 0 --count 2 --timeout 30s -o name").await;
    assert_eq!((enough.code(), enough.stdout()), (0, "1\n2\n"));
    served.api.stop().await;
}
