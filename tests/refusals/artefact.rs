//! An artefact that is not what was decided on: the step fails, and the ledger says why.

use std::{path::Path, process::Command, time::Duration};

use althing_chaos::process::{Process, client::NodeClient, mesh::ProcessMesh, vote::fresh_key};
use serde_json::{Value, json};

use crate::program::{PROGRAM, command};

/// Longest time until a mesh in one process is up.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// Version 1 of the greeter at one site.
fn document() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/install-greeter-1.toml");
    let mut document: Value = toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    document["stages"].as_array_mut().unwrap().truncate(1);
    document
}

/// Submits, reviews and votes; yields the id.
fn decided(nodes: [&NodeClient; 3], document: &Value) -> String {
    let [acme, birch, cedar] = nodes;
    let plan = acme.post("/v1/proposals/plan", &fresh_key(), &json!({ "document": document })).unwrap();
    let hash = plan["plan"]["plan_hash"].clone();
    let body = json!({ "as": "acme/alice", "document": document, "plan_hash": hash });
    let accepted = acme.post("/v1/proposals", &fresh_key(), &body).unwrap();
    let id = accepted["proposal"]["id"].as_str().unwrap().to_owned();
    birch.wait_for_height(accepted["height"].as_u64().unwrap()).unwrap();
    let review = json!({
        "as": "birch/rita", "revision": 1, "plan_hash": hash, "verdict": "approve", "reason": "looked at",
    });
    let reviewed = birch.post(&format!("/v1/proposals/{id}/reviews"), &fresh_key(), &review).unwrap();
    for (node, voter) in [(acme, "acme/vera"), (birch, "birch/vera"), (cedar, "cedar/vera")] {
        node.wait_for_height(reviewed["height"].as_u64().unwrap()).unwrap();
        let ballot = json!({ "as": voter, "revision": 1, "plan_hash": hash, "choice": "for" });
        node.post(&format!("/v1/proposals/{id}/votes"), &fresh_key(), &ballot).unwrap();
    }
    id
}

#[test]
fn an_artefact_whose_digest_differs_fails_the_step_with_the_reason_on_the_ledger() {
    let folder = tempfile::tempdir().unwrap();
    let mut dev: Command = command(&["dev", "--dir"]);
    dev.arg(folder.path()).env("RUST_LOG", "althing=info");
    let dev = Process::spawn("dev", &mut dev).unwrap();
    dev.wait_for_line("althing context add", START_TIMEOUT).unwrap();
    let mesh = ProcessMesh::open(Path::new(PROGRAM), &folder.path().join("mesh")).unwrap();
    let [acme, birch, cedar] = [0, 1, 2].map(|at| mesh.nodes()[at].client());

    let document = document();
    let digest = document["stages"][0]["steps"][0]["action"]["artefact"].as_str().unwrap();
    let artefact = folder.path().join("mesh/acme/artefacts").join(digest);
    std::fs::write(&artefact, "changed on the way\n").unwrap();
    let id = decided([acme, birch, cedar], &document);

    let address = format!("unix:{}", folder.path().join("mesh/acme/api.sock").display());
    let mut wait =
        command(&["--addr", &address, "proposal", "wait", &id, "--for", "failed", "--timeout", "30s"]);
    let waited = wait.output().unwrap();
    assert!(waited.status.success(), "{waited:?}");
    let execution = acme.get(&format!("/v1/executions/{id}")).unwrap();
    let step = &execution["steps"][0];
    assert_eq!(step["state"], "failed", "{execution}");
    let reason = step["failure"]["reason"].as_str().unwrap();
    let start = format!("{} has the digest ", artefact.display());
    assert!(reason.starts_with(&start), "{reason}");
    assert!(reason.contains(", the plan names "), "{reason}");
    dev.terminate().unwrap();
}
