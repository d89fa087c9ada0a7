//! A node, or whoever stands between, that shows another change than the one whose hash it names.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::cli::{run, served};

/// Longest request that is read.
const REQUEST_LEN_MAX: usize = 64 * 1_024;

/// Answers every request with the same page, and counts what would have been signed.
async fn show(page: Value, signed: Arc<AtomicUsize>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (page, signed) = (page.to_string(), signed.clone());
            tokio::spawn(async move { answer(stream, &page, &signed).await });
        }
    });
    address
}

async fn answer(mut stream: TcpStream, page: &str, signed: &AtomicUsize) {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") && request.len() < REQUEST_LEN_MAX {
        let mut bytes = [0; 1_024];
        let len = stream.read(&mut bytes).await.unwrap();
        if len == 0 {
            return;
        }
        request.extend_from_slice(&bytes[..len]);
    }
    if request.starts_with(b"POST") {
        signed.fetch_add(1, Ordering::SeqCst);
    }
    let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close";
    let response = format!("{head}\r\ncontent-length: {}\r\n\r\n{page}", page.len());
    // Whoever asked may have gone.
    let _sent = stream.write_all(response.as_bytes()).await;
}

#[tokio::test]
async fn a22_a_served_rendering_that_differs_from_its_digest_is_refused_before_a_ballot_is_signed() {
    let served = served().await;
    let home = served.dir.path();
    let id = served.mesh.vote_on("2");
    let honest: Value =
        reqwest::get(served.url(&format!("/v1/proposals/{id}"))).await.unwrap().json().await.unwrap();
    let altered = |pointer: &str, value: Value| {
        let mut page = honest.clone();
        *page.pointer_mut(pointer).unwrap_or_else(|| panic!("{pointer} of {honest}")) = value;
        page
    };
    let pages = [
        altered("/document/stages/0/steps/0/action/version", json!("evil")),
        altered("/plan/steps/0/after/version", json!("evil")),
        altered("/execution/steps/0/action/version", json!("evil")),
        altered("/title", json!("nothing to see here")),
        altered("/plan_hash", json!("00".repeat(32))),
    ];
    for page in pages {
        let signed = Arc::new(AtomicUsize::new(0));
        let address = show(page, signed.clone()).await;
        for words in [
            format!("vote cast {id} yes --yes --as birch/author"),
            format!("proposal review {id} approve --yes --as birch/author"),
            format!("proposal cosign {id} --yes --as birch/guardian"),
            format!("proposal show {id}"),
        ] {
            let ran = run(home, &format!("--addr http://{address} {words} -o json")).await;
            assert_eq!((ran.code(), ran.stdout()), (1, ""), "{words}: {}", ran.stderr());
            assert!(ran.failure().starts_with("refused: the node"), "{words}: {}", ran.failure());
        }
        assert_eq!(signed.load(Ordering::SeqCst), 0, "nothing was asked to be signed");
    }
    let signed = Arc::new(AtomicUsize::new(0));
    let address = show(honest, signed.clone()).await;
    let shown = run(home, &format!("--addr http://{address} proposal show {id} -o json")).await;
    assert_eq!(shown.code(), 0, "{}", shown.stderr());
    run(home, &format!("--addr http://{address} vote cast {id} yes --yes --as birch/author")).await;
    assert_eq!(signed.load(Ordering::SeqCst), 1, "what is as it says goes on");
    served.api.stop().await;
}
