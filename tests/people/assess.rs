//! What a person learns who has an inventory and no mesh yet.

use super::cli::run;

const INVENTORY: &str = r#"
[[targets]]
name = "acme-north"
owner = "acme"
provider = "local"
jurisdiction = "eu"
tier = "high"
endpoints = ["http://10.0.0.1:8080"]
executors = ["acme/erik"]
data_classes = ["personal", "research"]
monthly_milli = 20000000

[[targets]]
name = "acme-trial"
owner = "acme"
provider = "local"
jurisdiction = "us"
tier = "low"
data_classes = ["personal"]
"#;

#[tokio::test]
async fn an_inventory_becomes_decisions_remarks_and_drafts() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path();
    std::fs::create_dir(home.join("inventory")).unwrap();
    std::fs::write(home.join("inventory/acme.toml"), INVENTORY).unwrap();
    let birch = INVENTORY.replace("acme", "birch").replace("research", "operational");
    std::fs::write(home.join("inventory/birch.toml"), birch).unwrap();
    let assessed = run(home, "assess inventory --into drafts -o json").await.json();
    assert_eq!(assessed["organisations"], 4);
    assert_eq!(assessed["targets"], serde_json::json!({ "high": 2, "low": 2 }));

    let decisions = assessed["decisions"].as_array().unwrap();
    let found = |what: &str, of: &str| {
        let is_meant =
            |it: &&serde_json::Value| it["what"] == what && it["of"].as_str().unwrap().contains(of);
        decisions.iter().find(is_meant).unwrap_or_else(|| panic!("{what} {of}: {decisions:#?}")).clone()
    };
    let hours = |decision: &serde_json::Value| decision["begins_after_ms"].as_u64().unwrap() / 3_600_000;
    let high = found("deploy", "tier high");
    assert_eq!(
        (&high["track"], &high["sign_offs"], &high["cosigners"]),
        (&"high".into(), &2.into(), &2.into())
    );
    // Five days of voting, half a day of confirmation, two days of timelock.
    assert_eq!(hours(&high), 120 + 12 + 48);
    let low = found("configure", "tier low");
    assert_eq!((&low["track"], &low["scheme"], hours(&low)), (&"routine".into(), &"optimistic".into(), 26));
    assert_eq!(found("remove", "tier high")["begins_after_ms"], high["begins_after_ms"]);
    let whole = found("deploy", "all 2 targets of acme");
    assert!(whole["refused"][0].as_str().unwrap().starts_with("blast-radius: "), "{whole}");
    assert_eq!(found("put under governance", "")["track"], "high");

    let remarks = assessed["remarks"].to_string();
    for remark in [
        "nobody may act on it; name a member of acme in executors",
        "it has no endpoints",
        "it holds research data, which the rules do not know",
        "it holds personal data in us; they may be in eu only",
    ] {
        assert!(remarks.contains(remark), "{remark}: {remarks}");
    }
    assert_eq!(assessed["files"], serde_json::json!(["drafts/rules.toml", "drafts/targets-1.toml"]));
    let rules = std::fs::read_to_string(home.join("drafts/rules.toml")).unwrap();
    assert!(rules.contains("cost_ceiling_monthly_milli = 20000000\n"), "{rules}");
    assert!(rules.contains("research = [\"eu\"]\n") && !rules.contains("personal"), "{rules}");
    let targets = std::fs::read_to_string(home.join("drafts/targets-1.toml")).unwrap();
    assert!(targets.contains("acme-north") && !targets.contains("acme-trial"), "{targets}");

    let many: String = (0..40).map(|index| INVENTORY.replace("acme-", &format!("acme-{index}-"))).collect();
    std::fs::write(home.join("many.toml"), many).unwrap();
    let assessed = run(home, "assess many.toml -o json").await.json();
    let of = |it: &serde_json::Value| it["of"].as_str().unwrap().to_owned();
    let mut asked = assessed["decisions"].as_array().unwrap().iter().map(of);
    assert!(asked.any(|of| of == "32 of 80 targets of acme in one stage"), "{assessed}");

    let table = run(home, "assess inventory --organisations 6").await.stdout().to_owned();
    assert!(table.contains("6 organisations"), "{table}");
    assert!(table.contains("2 sign-offs, a majority, 2 co-signatures"), "{table}");
}

#[tokio::test]
async fn what_cannot_be_assessed_is_refused_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let home = dir.path();
    std::fs::create_dir_all(home.join("empty")).unwrap();
    std::fs::create_dir_all(home.join("twice")).unwrap();
    for file in ["twice/a.toml", "twice/b.toml", "good.toml"] {
        std::fs::write(home.join(file), INVENTORY).unwrap();
    }
    std::fs::write(home.join("tier.toml"), INVENTORY.replace("\"low\"", "\"lowest\"")).unwrap();
    std::fs::write(home.join("same.toml"), INVENTORY.replace("acme-trial", "acme-north")).unwrap();
    std::fs::write(home.join("none.toml"), "targets = []\n").unwrap();
    for (words, code, message) in [
        ("nothing.toml", 3, "cannot read nothing.toml: "),
        ("empty", 2, "empty lists no targets"),
        ("none.toml", 2, "none.toml lists no targets"),
        ("tier.toml", 2, "tier.toml is wrong at line 18, column 8: unknown variant `lowest`"),
        ("same.toml", 2, "same.toml lists acme-north twice"),
        ("twice", 2, "twice/b.toml lists acme-north, which twice/a.toml lists too"),
        ("good.toml --into drafts", 0, ""),
        ("good.toml --into drafts", 5, "drafts/rules.toml exists and is not overwritten"),
        ("good.toml --organisations 1", 2, "good.toml: "),
    ] {
        let ran = run(home, &format!("assess {words} -o json")).await;
        assert_eq!(ran.code(), code, "{words}: {}", ran.stderr());
        assert!(code == 0 || ran.failure().starts_with(message), "{words}: {}", ran.failure());
    }
}
