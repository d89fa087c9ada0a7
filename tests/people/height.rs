//! What was done at one node is there at the next: two nodes of one network, one behind the other.

use althing::api::{backend::NodeRole, problem::Problem};
use althing_contracts::testing::World;
use reqwest::{Client, Response, StatusCode};
use tokio::process::Child;

use super::{
    cli::{command, run},
    mesh::{Mesh, Served},
};

const HEIGHT: &str = "althing-height";
const MIN_HEIGHT: &str = "althing-min-height";

fn served() -> Served {
    Mesh::new(NodeRole::Validator).serve()
}

async fn ask(served: &Served, path: &str, min_height: &str) -> Response {
    Client::new().get(served.url(path)).header(MIN_HEIGHT, min_height).send().await.unwrap()
}

fn height(answer: &Response) -> &str {
    answer.headers()[HEIGHT].to_str().unwrap()
}

async fn refused(response: Response) -> Problem {
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    response.json().await.unwrap()
}

#[tokio::test]
async fn every_answer_names_its_height_and_network() {
    let served = served();
    let network = World::new(4).network().to_string();
    let id = served.mesh.vote_on("2");
    for path in ["/v1/proposals", &format!("/v1/proposals/{id}/timeline"), "/v1/node", "/v1/proposals/000000"]
    {
        let answer = reqwest::get(served.url(path)).await.unwrap();
        assert_eq!(height(&answer), "2", "{path}");
        assert_eq!(answer.headers()["althing-network"].to_str().unwrap(), network, "{path}");
    }
    served.api.stop().await;
}

#[tokio::test]
async fn an_act_names_the_block_that_it_made_also_when_it_is_repeated() {
    let served = served();
    let id = served.mesh.vote_on("2");
    let body = serde_json::json!({"as": "acme/author", "reason": "not needed"});
    for _ in 0..2 {
        let cancel = Client::new().post(served.url(&format!("/v1/proposals/{id}/cancel"))).json(&body);
        let answer = cancel.header("idempotency-key", "k").send().await.unwrap();
        assert_eq!((answer.status(), height(&answer)), (StatusCode::OK, "3"));
        served.mesh.vote_on("3");
    }
    served.api.stop().await;
}

#[tokio::test]
async fn a_request_waits_for_the_block_that_it_names() {
    let served = served();
    let url = served.url("/v1/proposals");
    let asked = tokio::spawn(Client::new().get(url).header(MIN_HEIGHT, "2").send());
    // The node answers this meanwhile, so the request above is waiting or comes when the block is there.
    assert_eq!(reqwest::get(served.url("/v1/node")).await.unwrap().headers()[HEIGHT], "0");
    served.mesh.vote_on("2");
    let answer = asked.await.unwrap().unwrap();
    assert_eq!((answer.status(), height(&answer)), (StatusCode::OK, "2"));
    served.api.stop().await;
}

#[tokio::test]
async fn a_node_that_does_not_get_the_block_says_where_it_is() {
    let served = served();
    served.mesh.vote_on("2");
    let answer = ask(&served, "/v1/proposals", "7").await;
    assert_eq!((height(&answer), answer.headers()["retry-after"].to_str().unwrap()), ("2", "1"));
    let network = World::new(4).network().short();
    let problem = refused(answer).await;
    assert_eq!((problem.status, problem.code.as_str(), problem.retryable), (503, "behind", true));
    assert_eq!(
        problem.detail,
        format!(
            "this node is at height 2 of network {network} and did not reach height 7, which the request asks for, within \
             5 s; ask again in a moment, or ask a node that has it"
        )
    );
    served.api.stop().await;
}

#[tokio::test]
async fn a_wrong_height_is_refused_and_one_of_another_network_does_not_count() {
    let served = served();
    let other = "0".repeat(64);
    let answer = ask(&served, "/v1/proposals", &format!("7;network=\"{other}\"")).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let problem = refused(ask(&served, "/v1/proposals", "soon").await).await;
    assert_eq!((problem.status, problem.code.as_str()), (400, "min-height"));
    assert_eq!(
        problem.detail,
        "Althing-Min-Height must be a height such as 120, or up to 8 with their networks, such as 120;network=\"64 \
         hexadecimal digits\", separated by commas; send back what Althing-Height and Althing-Network of an answer said"
    );
    served.api.stop().await;
}

#[tokio::test]
async fn a_wait_for_a_block_ends_before_the_api_stops() {
    let served = served();
    let asked = tokio::spawn(Client::new().get(served.url("/v1/proposals")).header(MIN_HEIGHT, "7").send());
    assert_eq!(reqwest::get(served.url("/v1/node")).await.unwrap().status(), StatusCode::OK);
    let stopped = tokio::time::timeout(std::time::Duration::from_secs(2), served.api.stop()).await;
    assert!(stopped.is_ok(), "a wait for a block kept the API from stopping");
    drop(asked);
}

fn spawn(served: &Served, words: &str) -> Child {
    let mut command = command(served.dir.path());
    command.args(words.split(' ')).stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    command.spawn().unwrap()
}

#[tokio::test]
async fn a_command_at_another_node_sees_what_the_one_before_did() {
    let (ahead, behind) = (served(), served());
    let home = ahead.dir.path();
    let id = ahead.mesh.vote_on("2").to_string();
    assert_eq!(run(home, &format!("proposal show {id} --addr {}", ahead.addr())).await.code(), 0);

    let late = run(home, &format!("proposal show {id} --addr {} --timeout 500ms", behind.addr())).await;
    assert_eq!(late.code(), 6, "{}", late.stderr());
    let status =
        run(home, &format!("node status --addr {} --timeout 2s -o json", behind.addr())).await.json();
    assert_eq!(status["head"]["height"], 0);
    let waiting = spawn(&ahead, &format!("proposal show {id} --addr {}", behind.addr()));
    behind.mesh.vote_on("2");
    let shown = waiting.wait_with_output().await.unwrap();
    assert!(shown.status.success(), "{shown:?}");

    let elsewhere = tempfile::tempdir().unwrap();
    let fresh = served();
    let nothing = run(elsewhere.path(), &format!("proposal show {id} --addr {} -o json", fresh.addr())).await;
    assert_eq!((nothing.code(), nothing.failure()), (3, format!("there is no proposal {id}")));
    for served in [ahead, behind, fresh] {
        served.api.stop().await;
    }
}

#[tokio::test]
async fn a_node_that_stays_behind_is_refused_with_what_to_do() {
    let (ahead, behind) = (served(), served());
    let home = ahead.dir.path();
    ahead.mesh.vote_on("2");
    assert_eq!(run(home, &format!("event tail --after 0 --count 2 --addr {}", ahead.addr())).await.code(), 0);
    let late = run(home, &format!("proposal list --addr {} --timeout 9s -o json", behind.addr())).await;
    assert_eq!(late.code(), 6, "{}", late.stderr());
    assert!(late.failure().starts_with("this node is at height 0 of network "), "{}", late.failure());
    let file = home.join(".config/althing/contexts.heights");
    let help = format!("if the mesh began anew with the same genesis, remove {}", file.display());
    assert!(late.stderr().contains(&help), "{}", late.stderr());
    std::fs::remove_file(file).unwrap();
    assert_eq!(run(home, &format!("proposal list --addr {}", behind.addr())).await.code(), 0);
    for served in [ahead, behind] {
        served.api.stop().await;
    }
}
