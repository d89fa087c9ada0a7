//! Owns asking the governed service itself: what a person who knows nothing of the ledger would see.

use std::time::Duration;

use crate::{cli::failure::Outcome, demo::operator::failed, dev::DevMesh};

/// Longest time for one answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Asks every instance of every site, and checks that each answers with `version`.
pub(super) async fn expect_everywhere(mesh: &DevMesh, version: &str) -> Outcome<usize> {
    let endpoints = endpoints(mesh)?;
    let http = reqwest::Client::builder().no_proxy().timeout(ANSWER_MAX).build();
    let http = http.map_err(|error| failed(format!("the HTTP client failed: {error}")))?;
    for endpoint in &endpoints {
        let answer = http.get(endpoint).send().await;
        let answer =
            answer.map_err(|error| failed(format!("the service at {endpoint} does not answer: {error}")))?;
        let found = answer.headers().get("x-greeter-version").and_then(|value| value.to_str().ok());
        if found != Some(version) {
            let found = found.unwrap_or("no version");
            return Err(failed(format!("the service at {endpoint} answers with {found}, not {version}")));
        }
    }
    Ok(endpoints.len())
}

fn endpoints(mesh: &DevMesh) -> Outcome<Vec<String>> {
    let node = mesh.names().find_map(|name| mesh.node(name.as_str()));
    let node = node.ok_or_else(|| failed("no node is up"))?;
    let view = node.ledger().feed().view.borrow().clone();
    let targets = view.state.targets();
    Ok(targets.flat_map(|(_, target)| target.record.endpoints.iter().map(ToString::to_string)).collect())
}
