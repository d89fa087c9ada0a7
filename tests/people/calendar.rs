//! What falls due, over the API and on the command line.

use althing::api::view::{calendar::DueView, page::Page};
use althing_contracts::quantity::DurationMs;
use reqwest::StatusCode;

use super::cli::{run, served};

#[tokio::test]
async fn what_falls_due_is_a_list_in_pages_and_a_file_for_calendars() {
    let served = served().await;
    let home = served.dir.path();
    let id = served.mesh.vote_on("2").to_string();
    let get = |path: String| {
        let url = served.url(&path);
        async move { reqwest::get(url).await.unwrap() }
    };
    let whole: Page<DueView> = get("/v1/calendar".to_owned()).await.json().await.unwrap();
    assert_eq!((whole.items.len(), whole.next_page_token), (5, None));
    let first = &whole.items[0];
    assert_eq!((first.occasion.as_str(), first.id.as_str()), ("voting-ends", id.as_str()));
    assert_eq!((first.subject.as_str(), first.awaits.as_deref()), ("proposal", Some("voter")));
    assert!(whole.items[1..].iter().all(|due| due.occasion == "term-ends"));

    let mut pages: Vec<DueView> = Vec::new();
    let mut token = String::new();
    loop {
        let page = get(format!("/v1/calendar?page_size=2{token}")).await;
        let page: Page<DueView> = page.json().await.unwrap();
        pages.extend(page.items);
        let Some(next) = page.next_page_token else { break };
        token = format!("&page_token={next}");
    }
    assert_eq!(pages, whole.items);
    let soon = get(format!("/v1/calendar?until_ms={}", first.at_ms)).await;
    assert_eq!(soon.json::<Page<DueView>>().await.unwrap().items, whole.items[..1]);

    let file = get("/v1/calendar.ics".to_owned()).await;
    assert_eq!(file.headers()["content-type"], "text/calendar; charset=utf-8");
    let text = file.text().await.unwrap();
    assert_eq!(text.matches("\r\nBEGIN:VEVENT\r\n").count(), 5, "{text}");
    let listed = run(home, "calendar").await;
    assert!(
        listed.stdout().contains("voting-ends") && listed.stdout().contains(&id[..8]),
        "{}",
        listed.stdout()
    );
    let uids = |text: &str| {
        let unfolded = text.replace("\r\n ", "");
        unfolded.lines().filter(|line| line.starts_with("UID:")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(uids(run(home, "calendar --ics -").await.stdout()), uids(&text));
    assert_eq!(run(home, "calendar --ics mesh.ics").await.code(), 0);
    let written = std::fs::read_to_string(home.join("mesh.ics")).unwrap();
    assert_eq!(uids(&written), uids(&text));
    assert_eq!(run(home, "calendar --ics mesh.ics -o json").await.code(), 5, "a file is not overwritten");

    served.mesh.pass(DurationMs::from_hours(1));
    let again: Page<DueView> = get("/v1/calendar".to_owned()).await.json().await.unwrap();
    assert_eq!(again.items, whole.items, "entries keep their names while time passes");
    served.api.stop().await;
}

#[tokio::test]
async fn a_calendar_refuses_what_it_does_not_know() {
    let served = served().await;
    for path in [
        "calendar?page_size=0",
        "calendar?page_size=501",
        "calendar?page_token=zz",
        "calendar?page_token=00",
        "calendar?page_token=%0d%0aBEGIN:VEVENT",
        "calendar?until_ms=-1",
        "calendar?until=1",
        "calendar.ics?page_size=1",
    ] {
        let response = reqwest::get(served.url(&format!("/v1/{path}"))).await.unwrap();
        assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{path}");
        assert_eq!(response.headers()["content-type"], "application/problem+json", "{path}");
    }
    served.api.stop().await;
}
