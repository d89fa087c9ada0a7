//! The API over real sockets.

use std::time::Duration;

use althing::api::{
    backend::{Backend as _, NodeRole},
    problem::Problem,
    view::{
        act::AcceptedView,
        event::CloudEvent,
        explain::{ConditionView, ExplainView},
        node::NodeView,
        page::Page,
        plan::PlanReport,
        progress::{Progress, WaitView},
        proposal::{ProposalSummary, ProposalView},
    },
};
use althing_contracts::{
    testing,
    transaction::{Call, Choice},
};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use super::mesh::{Mesh, Served};

fn served() -> Served {
    Mesh::new(NodeRole::Validator).serve()
}

async fn get<T: serde::de::DeserializeOwned>(served: &Served, path: &str) -> T {
    let response = reqwest::get(served.url(path)).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK, "{path}");
    response.json().await.unwrap()
}

async fn refused(served: &Served, path: &str) -> Problem {
    problem(reqwest::get(served.url(path)).await.unwrap()).await
}

async fn problem(response: reqwest::Response) -> Problem {
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let status = response.status().as_u16();
    let problem: Problem = response.json().await.unwrap();
    assert_eq!(problem.status, status);
    assert_eq!(*problem.kind, *format!("urn:althing:problem:{}", problem.code));
    problem
}

async fn post(served: &Served, path: &str, key: &str, body: &Value) -> reqwest::Response {
    let request = Client::new().post(served.url(path)).header("idempotency-key", key).json(body);
    request.send().await.unwrap()
}

fn document() -> Value {
    serde_json::to_value(testing::deploy("2", &[&["acme-north"], &["birch-north"]])).unwrap()
}

async fn planned(served: &Served, document: &Value) -> PlanReport {
    post(served, "/v1/proposals/plan", "plan", &json!({ "document": document })).await.json().await.unwrap()
}

#[tokio::test]
async fn a_proposal_is_planned_submitted_shown_and_listed() {
    let served = served();
    let report = planned(&served, &document()).await;
    assert_eq!(report.plan.steps.len(), 2);
    assert!(report.findings.is_empty());
    let body = json!({"as": "acme/author", "document": document(), "plan_hash": report.plan.plan_hash});
    let response = post(&served, "/v1/proposals", "k1", &body).await;
    assert_eq!(response.status(), StatusCode::CREATED);
    let accepted: AcceptedView = response.json().await.unwrap();
    let id = accepted.proposal.id.clone();
    let shown: ProposalView = get(&served, &format!("/v1/proposals/{}", &id[..6])).await;
    assert_eq!((shown.summary.id.as_str(), shown.plan.plan_hash), (id.as_str(), report.plan.plan_hash));
    let page: Page<ProposalSummary> = get(&served, "/v1/proposals?author=acme/author&ended=false").await;
    assert_eq!(page.items.len(), 1);
    let none: Page<ProposalSummary> = get(&served, "/v1/proposals?stage=closed").await;
    assert_eq!((none.items.len(), none.next_page_token), (0, None));
    served.api.stop().await;
}

#[tokio::test]
async fn lists_come_in_pages_newest_first() {
    let served = served();
    let ids: Vec<String> = ["1", "2", "3"].iter().map(|v| served.mesh.vote_on(v).to_string()).collect();
    let first: Page<ProposalSummary> = get(&served, "/v1/proposals?page_size=2").await;
    let token = first.next_page_token.unwrap();
    let second: Page<ProposalSummary> =
        get(&served, &format!("/v1/proposals?page_size=2&page_token={token}")).await;
    let listed: Vec<_> =
        first.items.iter().chain(&second.items).map(|proposal| proposal.id.clone()).collect();
    assert_eq!(listed, ids.into_iter().rev().collect::<Vec<_>>());
    assert_eq!(second.next_page_token, None);
    assert_eq!(refused(&served, "/v1/proposals?page_size=501").await.code, "page-size");
    assert_eq!(refused(&served, "/v1/proposals?page_token=x").await.code, "page-token");
    assert_eq!(refused(&served, "/v1/proposals?pagesize=1").await.code, "query");
    served.api.stop().await;
}

#[tokio::test]
async fn a_post_needs_a_key_and_a_repeat_gets_the_first_answer() {
    let served = served();
    let plan_hash = planned(&served, &document()).await.plan.plan_hash;
    let body = json!({"as": "acme/author", "document": document(), "plan_hash": plan_hash});
    let missing = Client::new().post(served.url("/v1/proposals")).json(&body).send().await.unwrap();
    assert_eq!(missing.status(), StatusCode::BAD_REQUEST);
    assert_eq!(problem(missing).await.code, "idempotency-key-missing");
    let first: Value = post(&served, "/v1/proposals", "k", &body).await.json().await.unwrap();
    let repeat: Value = post(&served, "/v1/proposals", "k", &body).await.json().await.unwrap();
    assert_eq!(first, repeat);
    let other = post(&served, "/v1/proposals/plan", "k", &json!({"document": document()})).await;
    assert_eq!(other.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(problem(other).await.code, "idempotency-key-reused");
    let page: Page<ProposalSummary> = get(&served, "/v1/proposals").await;
    assert_eq!(page.items.len(), 1);
    served.api.stop().await;
}

#[tokio::test]
async fn wrong_fields_are_named_by_their_path() {
    let served = served();
    for (change, path, detail) in [
        (
            json!({"healht": 1}),
            "document.healht",
            "document.healht: unknown field `healht`, expected one of `schema`, `title`, `reason`, `cost`, `slo`, \
             `data_classes`, `health`, `rollback`, `stages`, `acts`, `after` at line 1 column",
        ),
        (
            json!({"title": 5}),
            "document.title",
            "document.title: invalid type: integer `5`, expected a string",
        ),
        (
            json!({"cost": {"monthly_milli": "12 EUR"}}),
            "document.cost.monthly_milli",
            "document.cost.monthly_milli: invalid type: string \"12 EUR\", expected u64",
        ),
        (
            json!({"health": {"path": "/", "samples": 20, "success": "150 %", "latency_p95_ms": 1, "within_ms": 1}}),
            "document.health.success",
            "document.health.success: `150 %` is not a ratio; write it as two whole numbers, for example 2/3",
        ),
    ] {
        let mut document = document();
        document.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let response = post(&served, "/v1/proposals/plan", path, &json!({ "document": document })).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        let problem = problem(response).await;
        assert_eq!((problem.code.as_str(), problem.field.as_deref()), ("field", Some(path)));
        assert!(problem.detail.starts_with(detail), "{}", problem.detail);
    }
    served.api.stop().await;
}

#[tokio::test]
async fn a_body_of_ten_megabytes_gets_a_clear_answer() {
    let served = served();
    let body = json!({"document": {"title": "x".repeat(10 * 1024 * 1024)}});
    let response = post(&served, "/v1/proposals/plan", "k", &body).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(
        problem(response).await.detail,
        "the body has 10485785 bytes, at most 266240 are allowed; split the change into smaller proposals"
    );
    served.api.stop().await;
}

#[tokio::test]
async fn errors_of_the_framework_have_the_same_form() {
    let served = served();
    let unknown = refused(&served, "/v2/x").await;
    assert_eq!((unknown.status, unknown.code.as_str()), (404, "path"));
    let client = Client::new();
    let method = problem(client.delete(served.url("/v1/proposals")).send().await.unwrap()).await;
    assert_eq!((method.status, method.code.as_str()), (405, "method"));
    let text = client.post(served.url("/v1/proposals/plan")).header("idempotency-key", "k").body("x");
    assert_eq!(problem(text.send().await.unwrap()).await.code, "media-type");
    assert_eq!(refused(&served, "/v1/proposals/abcde").await.code, "id");
    assert_eq!(refused(&served, "/v1/proposals/abcdef").await.code, "unknown-proposal");
    let host = client.get(served.url("/v1/node")).header("host", "example.org").send().await.unwrap();
    assert_eq!(problem(host).await.status, 421);
    served.api.stop().await;
}

#[tokio::test]
async fn an_auditor_takes_no_writes() {
    let served = Mesh::new(NodeRole::Auditor).serve();
    let response = post(&served, "/v1/proposals", "k", &json!({})).await;
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert_eq!(problem(response).await.detail, "POST is not served at /v1/proposals on this node");
    let response = post(&served, "/v1/proposals/abcdef/cancel", "k", &json!({})).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    assert!(!get::<NodeView>(&served, "/v1/node").await.takes_writes);
    served.api.stop().await;
}

#[tokio::test]
async fn ballots_that_may_not_count_are_refused_with_the_reason() {
    let served = served();
    let id = served.mesh.vote_on("2");
    let shown: ProposalView = get(&served, &format!("/v1/proposals/{id}")).await;
    let hash = shown.summary.plan_hash;
    let votes = format!("/v1/proposals/{id}/votes");
    let ballot = |member: &str, choice: &str| json!({"as": member, "revision": 1, "plan_hash": hash, "choice": choice});
    let ask = async |key: &str, body: Value| problem(post(&served, &votes, key, &body).await).await;

    let stranger = ask("1", ballot("zeta/zoe", "for")).await;
    assert_eq!((stranger.status, stranger.detail.as_str()), (403, "zeta/zoe is not a member of this mesh"));
    let guardian = ask("2", ballot("acme/guardian", "for")).await;
    assert_eq!(guardian.detail, "acme/guardian does not hold the role voter with this key");
    let elsewhere = ask("3", ballot("delta/author", "for")).await;
    assert_eq!(elsewhere.detail, "this node holds no voter key of delta/author; use a node of delta");
    let mut old = ballot("birch/author", "for");
    old["revision"] = json!(7);
    assert_eq!(ask("4", old).await.detail, "revision 7 is not the current one, which is 1");
    let mut moved = ballot("birch/author", "for");
    moved["plan_hash"] = json!("0".repeat(64));
    let moved = ask("5", moved).await;
    let zeros = "0".repeat(64);
    assert_eq!(
        (moved.status, moved.detail),
        (409, format!("the plan hash is {hash} now, not {zeros}; plan again and look at the difference"))
    );

    assert_eq!(post(&served, &votes, "6", &ballot("birch/author", "for")).await.status(), StatusCode::OK);
    let twice = ask("7", ballot("birch/author", "against")).await;
    assert_eq!(
        (twice.status, twice.detail.as_str()),
        (409, "birch/author has already done this and said otherwise")
    );
    served.mesh.pass_to_deadline();
    let late = ask("8", ballot("cedar/author", "for")).await;
    assert_eq!((late.status, late.code.as_str()), (409, "illegal-move"));
    assert!(late.detail.starts_with("vote is not possible while the proposal is "), "{}", late.detail);
    served.api.stop().await;
}

#[tokio::test]
async fn a_target_that_nobody_owns_is_refused() {
    let served = served();
    let document = testing::deploy("2", &[&["nowhere"]]);
    let response = post(&served, "/v1/proposals/plan", "k", &json!({ "document": document })).await;
    assert_eq!(response.status(), StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(problem(response).await.detail, "no organisation owns a target nowhere");
    served.api.stop().await;
}

#[tokio::test]
async fn an_explanation_has_every_condition_with_its_figures() {
    let served = served();
    let id = served.mesh.vote_on("2");
    let call = Call::Vote {
        proposal: id,
        revision: althing_contracts::quantity::Revision::new(1),
        plan_hash: get::<ProposalView>(&served, &format!("/v1/proposals/{id}"))
            .await
            .summary
            .plan_hash
            .parse()
            .unwrap(),
        choice: Choice::For,
    };
    served.mesh.act("birch/author", althing_contracts::role::Role::Voter, call).unwrap();
    let shown: ExplainView = get(&served, &format!("/v1/proposals/{id}/explain")).await;
    let forward = &shown.next[0];
    assert_eq!((forward.stage.as_str(), forward.earliest_ms), ("confirming", shown.proposal.deadline_ms));
    let figures =
        |it: &ConditionView| (it.name.clone(), it.holds, [it.have, it.need], it.whole, it.unit.clone());
    let conditions: Vec<_> = forward.conditions.iter().map(figures).collect();
    let expected = |name: &str, holds, figures, whole, unit: &str| {
        (name.to_owned(), holds, figures, Some(whole), unit.to_owned())
    };
    assert_eq!(
        conditions,
        [
            expected("turnout", false, [100, 160], 400, "weight"),
            expected("approval", true, [100, 51], 100, "weight"),
            expected("organisations", false, [1, 2], 4, "organisations"),
        ]
    );
    let voter = shown.voters.iter().find(|voter| voter.member == "birch/author").unwrap();
    assert_eq!(
        (voter.heard_through.as_deref(), voter.choice.as_deref()),
        (Some("birch/author"), Some("for"))
    );
    let vote = shown.parts.iter().find(|part| part.call == "vote").unwrap();
    assert!(vote.awaited && vote.may.contains(&"cedar/author".to_owned()), "{vote:?}");
    let barred: Vec<_> = vote.may_not.iter().map(|it| (it.member.as_str(), it.code.as_str())).collect();
    assert_eq!(barred, [("birch/author", "done")]);
    served.api.stop().await;
}

#[tokio::test]
async fn a_wait_ends_when_the_goal_is_reached_missed_or_out_of_time() {
    let served = served();
    let id = served.mesh.vote_on("2");
    let wait = |goal: &str, ms: u64| format!("/v1/proposals/{id}/wait?for={goal}&timeout_ms={ms}");
    let reached: WaitView = get(&served, &wait("voting", 0)).await;
    assert_eq!(reached.progress, Progress::Reached);
    let pending: WaitView = get(&served, &wait("executed", 0)).await;
    assert_eq!(pending.progress, Progress::Pending);
    assert_eq!(pending.unmet.len(), 3, "{pending:?}");
    let path = wait("queued", 30_000);
    let waiting = get::<WaitView>(&served, &path);
    let passing = async { served.mesh.pass_to_deadline() };
    let (missed, ()) = tokio::join!(waiting, passing);
    assert_eq!((missed.progress, missed.proposal.stage.as_str()), (Progress::Missed, "defeated"));
    assert!(missed.cause.is_some());
    assert_eq!(refused(&served, &wait("fame", 0)).await.code, "query");
    served.api.stop().await;
}

/// Reads events off a stream until there are `count`.
async fn read_events(response: &mut reqwest::Response, count: usize) -> Vec<CloudEvent> {
    let mut text = String::new();
    let mut events = Vec::new();
    while events.len() < count {
        text += std::str::from_utf8(&response.chunk().await.unwrap().unwrap()).unwrap();
        while let Some((message, rest)) = text.split_once("\n\n") {
            let id = message.lines().find_map(|line| line.strip_prefix("id: ")).unwrap().to_owned();
            let data = message.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
            let event: CloudEvent = serde_json::from_str(data).unwrap();
            assert_eq!(id, event.id);
            events.push(event);
            text = rest.to_owned();
        }
    }
    events
}

fn ids(events: &[CloudEvent]) -> Vec<u64> {
    events.iter().map(|event| event.id.parse().unwrap()).collect()
}

#[tokio::test]
async fn a_stream_resumes_without_gap_or_repeat() {
    let served = served();
    served.mesh.vote_on("2");
    let mut all = reqwest::get(served.url("/v1/events?after=0")).await.unwrap();
    assert_eq!(all.headers()["content-type"], "text/event-stream");
    let old = read_events(&mut all, 3).await;
    served.mesh.vote_on("3");
    let live = read_events(&mut all, 1).await;
    let next = old.len() as u64 + 1;
    assert_eq!(ids(&old), (1..next).collect::<Vec<_>>());
    assert_eq!(ids(&live)[0], next);
    let client = Client::new();
    let resumed = client.get(served.url("/v1/events?after=0")).header("last-event-id", "2").send().await;
    assert_eq!(ids(&read_events(&mut resumed.unwrap(), 1).await)[0], 3);
    let mut only = reqwest::get(served.url("/v1/events?after=0&types=reviewed")).await.unwrap();
    assert_eq!(read_events(&mut only, 2).await[1].kind, "io.althing.reviewed");
    served.api.stop().await;
}

#[tokio::test]
async fn a_stream_refuses_what_it_cannot_serve() {
    let served = served();
    assert_eq!(refused(&served, "/v1/events?types=gossip").await.code, "event-type");
    let unread = refused(&served, "/v1/events?after=x").await;
    assert_eq!((unread.code.as_str(), unread.field.as_deref()), ("query", Some("after")));
    *served.mesh.pruned.lock().unwrap() = true;
    let gone = refused(&served, "/v1/events?after=0").await;
    assert_eq!((gone.status, gone.detail.as_str()), (410, "history before 9 is not kept on this node"));
    served.api.stop().await;
}

#[tokio::test]
async fn streams_and_waits_end_before_the_api_stops() {
    let served = served();
    let id = served.mesh.vote_on("2");
    let mut stream = reqwest::get(served.url("/v1/events")).await.unwrap();
    let wait = tokio::spawn(reqwest::get(served.url(&format!("/v1/proposals/{id}/wait?for=closed"))));
    // The node answers this on the same workers, so the wait above is being served or comes after the stop.
    let _node: NodeView = get(&served, "/v1/node").await;
    let stopped = tokio::time::timeout(Duration::from_secs(2), served.api.stop()).await;
    assert!(stopped.is_ok(), "open streams kept the API from stopping");
    assert!(stream.chunk().await.is_ok_and(|chunk| chunk.is_none()));
    drop(wait);
}

#[tokio::test]
async fn a_timeline_is_one_proposals_events_in_pages() {
    let served = served();
    let (first, second) = (served.mesh.vote_on("2"), served.mesh.vote_on("3"));
    let page: Page<CloudEvent> = get(&served, &format!("/v1/proposals/{second}/timeline")).await;
    assert!(!page.items.is_empty());
    assert!(page.items.iter().all(|event| event.subject == Some(second.to_string())));
    assert_eq!(page.items[0].name(), "submitted");
    let one: Page<CloudEvent> = get(&served, &format!("/v1/proposals/{first}/timeline?page_size=1")).await;
    assert_eq!(one.items[0].subject, Some(first.to_string()));
    let token = one.next_page_token.unwrap();
    let path = format!("/v1/proposals/{first}/timeline?page_size=1&page_token={token}");
    let two: Page<CloudEvent> = get(&served, &path).await;
    assert_ne!(one.items[0].id, two.items[0].id);
    served.api.stop().await;
}

#[tokio::test]
async fn an_unchanged_proposal_is_not_sent_again() {
    let served = served();
    let id = served.mesh.vote_on("2");
    let url = served.url(&format!("/v1/proposals/{id}"));
    let first = reqwest::get(&url).await.unwrap();
    let tag = first.headers()["etag"].clone();
    let again = Client::new().get(&url).header("if-none-match", tag.clone()).send().await.unwrap();
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    served.mesh.pass_to_deadline();
    let moved = Client::new().get(&url).header("if-none-match", tag).send().await.unwrap();
    assert_eq!(moved.status(), StatusCode::OK);
    served.api.stop().await;
}

#[tokio::test]
async fn the_admin_listener_says_what_is_wrong() {
    let served = served();
    let text = async |path: &str| {
        let response = reqwest::get(served.admin(path)).await.unwrap();
        (response.status(), response.text().await.unwrap())
    };
    assert_eq!(text("/livez").await, (StatusCode::OK, "[+]api ok\n".to_owned()));
    assert_eq!(text("/readyz").await, (StatusCode::OK, "[+]log ok\n[+]peers ok\n".to_owned()));
    *served.mesh.ready.lock().unwrap() = Some("1 of 3 connected, 2 are needed");
    let (status, body) = text("/readyz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(body, "[+]log ok\n[-]peers failed: 1 of 3 connected, 2 are needed\n");
    assert_eq!(text("/metrics").await.1, "althing_height 1\n");
    assert!(text("/openapi.json").await.1.contains("\"openapi\": \"3.1.0\""));
    assert_eq!(text("/v1/node").await.0, StatusCode::NOT_FOUND);
    served.api.stop().await;
}

#[tokio::test]
async fn a_bundle_is_downloaded_whole() {
    let served = served();
    let response = reqwest::get(served.url("/v1/audit/export")).await.unwrap();
    let announced = response.headers()["content-length"].to_str().unwrap().to_owned();
    let bundle = response.bytes().await.unwrap();
    assert_eq!(announced, bundle.len().to_string());
    assert!(bundle.starts_with(b"ALTHINGB"));
    served.api.stop().await;
}

#[tokio::test]
async fn work_goes_on_when_the_client_breaks_off_and_a_repeat_gets_its_answer() {
    let served = served();
    let plan_hash = planned(&served, &document()).await.plan.plan_hash;
    let body = json!({"as": "acme/author", "document": document(), "plan_hash": plan_hash});
    served.mesh.open.send_replace(false);
    let request = Client::new().post(served.url("/v1/proposals")).header("idempotency-key", "k").json(&body);
    let broken_off = tokio::spawn(request.send());
    served.mesh.started.notified().await;
    let meanwhile = post(&served, "/v1/proposals", "k", &body).await;
    assert_eq!(meanwhile.status(), StatusCode::CONFLICT);
    assert_eq!(problem(meanwhile).await.code, "idempotency-key-running");
    broken_off.abort();
    assert!(broken_off.await.unwrap_err().is_cancelled());

    let mut follower = served.mesh.feed().view;
    served.mesh.open.send_replace(true);
    let shown = follower.wait_for(|view| view.state.proposals().count() == 1);
    tokio::time::timeout(Duration::from_secs(10), shown).await.unwrap().unwrap();
    let repeat = post(&served, "/v1/proposals", "k", &body).await;
    assert!([StatusCode::CREATED, StatusCode::CONFLICT].contains(&repeat.status()), "{}", repeat.status());
    assert_eq!(served.mesh.view().state.proposals().count(), 1);
    served.api.stop().await;
}

#[tokio::test]
async fn one_stream_too_many_is_refused() {
    let served = served();
    let mut open = Vec::new();
    for _ in 0..althing::api::route::STREAMS_MAX {
        let response = reqwest::get(served.url("/v1/events")).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        open.push(response);
    }
    let refused = reqwest::get(served.url("/v1/events")).await.unwrap();
    assert_eq!(refused.headers()["retry-after"], "1");
    let refused = problem(refused).await;
    assert_eq!((refused.status, refused.code.as_str(), refused.retryable), (503, "streams", true));
    served.api.stop().await;
}
