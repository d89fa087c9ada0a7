//! Several proposals at once, as a person decides and orders them: one ballot, one after another.

use althing_contracts::{
    genesis::Tier,
    quantity::DurationMs,
    testing::{self, World},
};

use super::cli::{run, run_all, served_by};
use super::mesh::Served;

async fn served() -> Served {
    let mut genesis = testing::genesis(4);
    for (id, target) in &mut genesis.targets {
        if id.as_str().ends_with("-south") {
            target.tier = Tier::Low;
        }
    }
    served_by(World::with(genesis)).await
}

/// A proposal of the example's form on other targets.
fn file(served: &Served, name: &str, target: &str, after: Option<&str>) -> String {
    let form = std::fs::read_to_string(super::cli::example("roll-greeter-2.toml")).unwrap();
    let mut document: toml::Table = toml::from_str(&form).unwrap();
    let stage = format!(
        "name = \"only\"\nsteps = [{{ target = \"{target}\", action = {{ kind = \"deploy\", service = \"web\", version = \"{name}\", \
         artefact = \"{}\", instances = 1 }} }}]",
        "ab".repeat(32)
    );
    document.insert("stages".to_owned(), toml::Value::Array(vec![toml::from_str(&stage).unwrap()]));
    document.insert("title".to_owned(), name.into());
    if let Some(after) = after {
        document.insert("after".to_owned(), toml::Value::Array(vec![after.into()]));
    }
    let path = served.dir.path().join(format!("{name}.toml"));
    std::fs::write(&path, toml::to_string(&document).unwrap()).unwrap();
    format!("{name}.toml")
}

async fn submit(served: &Served, file: &str, author: &str) -> String {
    let submitted =
        run(served.dir.path(), &format!("proposal submit {file} --yes --as {author} -o json")).await;
    assert_eq!(submitted.code(), 0, "{}", submitted.stderr());
    submitted.json()["proposal"]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_person_votes_on_several_routine_proposals_at_once() {
    let served = served().await;
    let home = served.dir.path();
    let mut ids = Vec::new();
    for org in ["acme", "birch", "cedar"] {
        let file = file(&served, &format!("roll-{org}"), &format!("{org}-south"), None);
        ids.push(submit(&served, &file, &format!("{org}/author")).await);
    }
    let short: Vec<&str> = ids.iter().map(|id| &id[..8]).collect();
    let words = format!("vote batch yes {} --yes --as birch/author", short.join(" "));
    let table = run(home, &words).await;
    assert_eq!(table.code(), 0, "{}", table.stderr());
    assert!(table.stdout().contains("roll-cedar") && table.stdout().contains("voting"), "{}", table.stdout());
    let again = run(home, &format!("{words} -o json")).await.json();
    assert_eq!((&again["repeated"], again["proposals"].as_array().unwrap().len()), (&true.into(), 3));

    let high = file(&served, "roll-high", "acme-north", None);
    let high = submit(&served, &high, "cedar/author").await;
    assert_eq!(high.len(), 64);
    for (words, message) in [
        (format!("yes {} {} --as cedar/author", short[0], &high[..8]), "is of the standard track, on which"),
        (format!("yes {} {} --as cedar/author", short[0], short[0]), "twice"),
        (format!("no {} --as birch/author", short[0]), "has already done this and said otherwise"),
    ] {
        let refused = run(home, &format!("vote batch {words} --yes -o json")).await;
        assert_eq!(refused.code(), 5, "{}", refused.stderr());
        let failure = refused.failure();
        assert!(failure.starts_with("the ballot is not taken on any of the proposals: "), "{failure}");
        assert!(failure.contains(message), "{failure}");
    }
    served.api.stop().await;
}

#[tokio::test]
async fn a_person_orders_one_proposal_after_another() {
    let served = served().await;
    let home = served.dir.path();
    let first = file(&served, "roll-1", "acme-south", None);
    let first = submit(&served, &first, "acme/author").await;
    let second = file(&served, "roll-2", "acme-south", Some(&first));
    let plan = run(home, &format!("proposal plan {second}")).await.stdout().to_owned();
    assert!(plan.contains("web roll-1 x1"), "it begins with what the first leaves: {plan}");
    let second = submit(&served, &second, "birch/author").await;
    let shown = run(home, &format!("proposal show {second} -o json")).await.json();
    assert_eq!(shown["document"]["after"][0], first.as_str());
    let nothing = file(&served, "roll-3", "acme-south", Some(&"0".repeat(64)));
    let refused = run(home, &format!("proposal plan {nothing}")).await;
    assert_eq!(refused.code(), 1);
    assert!(refused.stdout().contains("predecessors-stand: it waits for 0000"), "{}", refused.stdout());

    run_all(home, &[format!("proposal cancel {first} --reason no --yes --as acme/author")]).await;
    let shown = run(home, &format!("proposal show {second} -o json")).await.json();
    assert_eq!(shown["stage"], "superseded");
    served.mesh.pass(DurationMs::new(1));
    served.api.stop().await;
}
