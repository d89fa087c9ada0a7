//! Owns talking to a node: one HTTP client over its Unix socket or loopback address.
//!
//! A POST is sent again under the same key while the node says that waiting helps, until the time is up. Each request
//! asks for the highest block that an answer of the network has shown, and is sent again while the node is behind it.

use std::{fmt, path::PathBuf, str::FromStr, time::Duration};

use althing_contracts::{digest::Digest, quantity::Height};
use reqwest::{Method, Response, StatusCode, header::HeaderMap};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::time::Instant;

use super::{
    failure::{Exit, Failure, Outcome},
    heights::Heights,
};
use crate::api::{
    height::{HEIGHT, MIN_HEIGHT, NETWORK, WAIT_MAX},
    problem::Problem,
    view::page::{PAGE_SIZE_MAX, Page},
};

/// Longest time for a connection to a node on this machine.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// Pause before a request is sent again.
const RETRY_PAUSE: Duration = Duration::from_millis(200);
/// Largest answer that is read into memory: a page of the largest documents.
const ANSWER_LEN_MAX: usize = 64 * 1024 * 1024;

/// Where a node listens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Address {
    /// A Unix socket, written `unix:/path`.
    Unix(PathBuf),
    /// A loopback address, written `http://host:port`.
    Http(String),
}

/// Why a text is no address.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is no address of a node; write unix:/path/to/api.sock or http://127.0.0.1:PORT")]
pub struct AddressError(String);

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let wrong = || AddressError(text.chars().take(200).collect());
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() { Err(wrong()) } else { Ok(Self::Unix(path.into())) };
        }
        let host = text.strip_prefix("http://").ok_or_else(wrong)?.trim_end_matches('/');
        let is_host = !host.is_empty() && !host.contains(['/', '?', '#', '@', ' ']);
        if is_host { Ok(Self::Http(format!("http://{host}"))) } else { Err(wrong()) }
    }
}

impl TryFrom<String> for Address {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Http(base) => f.write_str(base),
        }
    }
}

/// A client of one node.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    address: Address,
    until: Instant,
    heights: Heights,
    /// Whether answers have to include what was seen.
    level: bool,
}

impl Client {
    /// A client whose requests all end within `timeout` from now, and see what `heights` has seen.
    ///
    /// # Errors
    /// The HTTP client cannot be built.
    pub fn new(address: Address, timeout: Duration, heights: Heights) -> Outcome<Self> {
        let mut builder = reqwest::Client::builder().connect_timeout(CONNECT_MAX).no_proxy();
        if let Address::Unix(path) = &address {
            builder = builder.unix_socket(path.clone());
        }
        let http = builder
            .build()
            .map_err(|error| Failure::new(Exit::EndedBadly, format!("the HTTP client failed: {error}")))?;
        Ok(Self { http, address, until: Instant::now() + timeout, heights, level: true })
    }

    /// The same client for what a node has to tell wherever it is, such as how far it is behind.
    #[must_use]
    pub fn at_any_height(self) -> Self {
        Self { level: false, ..self }
    }

    /// What answers have shown.
    pub(super) fn heights(&self) -> &Heights {
        &self.heights
    }

    /// Time left.
    pub fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    /// Reads a resource.
    ///
    /// # Errors
    /// The node cannot be reached, refuses, or answers in another form.
    pub async fn get<T: DeserializeOwned>(&self, path: &str) -> Outcome<T> {
        loop {
            let response = self.send(self.request(Method::GET, path).timeout(self.left())).await?;
            match self.checked(response).await {
                Ok(response) => return self.decode(response).await,
                Err(failure) if is_behind(&failure) && self.may_send_again(&failure) => {
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Reads a resource with a query.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn get_with<T: DeserializeOwned>(&self, path: &str, query: &[(&str, String)]) -> Outcome<T> {
        self.get(&with_query(path, query)).await
    }

    /// Reads the pages of a list as one. No more are asked for once there are `most` entries.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn list<T: DeserializeOwned>(&self, path: &str, most: usize) -> Outcome<Page<T>> {
        let mut all = Page { items: Vec::new(), next_page_token: None };
        loop {
            let mut query = vec![("page_size", PAGE_SIZE_MAX.to_string())];
            query.extend(all.next_page_token.take().map(|token| ("page_token", token)));
            let page: Page<T> = self.get_with(path, &query).await?;
            all.items.extend(page.items);
            all.next_page_token = page.next_page_token;
            if all.next_page_token.is_none() || all.items.len() >= most {
                return Ok(all);
            }
        }
    }

    /// Sends a new request, once.
    ///
    /// # Errors
    /// As [`Self::get`]; out of time, the outcome is unknown.
    pub async fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Outcome<T> {
        let key = new_key();
        loop {
            let request = self.request(Method::POST, path).timeout(self.left()).json(body);
            let response = self.send(request.header("idempotency-key", &key)).await?;
            match self.checked(response).await {
                Ok(response) => return self.decode(response).await,
                Err(failure) if self.may_send_again(&failure) => tokio::time::sleep(RETRY_PAUSE).await,
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Opens a stream or download; only its beginning is bounded in time.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn open(&self, path: &str, headers: &[(&'static str, String)]) -> Outcome<Response> {
        let mut request = self.request(Method::GET, path);
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let response = tokio::time::timeout(self.left(), self.send(request)).await;
        self.checked(response.map_err(|_| self.too_late())??).await
    }

    /// Whether a refusal may pass, and there is time to hear the next answer.
    fn may_send_again(&self, failure: &Failure) -> bool {
        // A node that is behind waits before it says so again.
        let wait = if is_behind(failure) { WAIT_MAX } else { Duration::ZERO };
        may_pass(failure) && self.left() > RETRY_PAUSE + wait
    }

    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let base = match &self.address {
            Address::Unix(_) => "http://localhost",
            Address::Http(base) => base,
        };
        let request = self.http.request(method, format!("{base}{path}"));
        match self.heights.min_height().filter(|_| self.level) {
            Some(heights) => request.header(MIN_HEIGHT.as_str(), heights),
            None => request,
        }
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Outcome<Response> {
        let response = request
            .send()
            .await
            .map_err(|error| if error.is_timeout() { self.too_late() } else { self.unreachable(&error) })?;
        if let Some((network, height)) = shown(response.headers()) {
            self.heights.note(network, height);
        }
        Ok(response)
    }

    async fn checked(&self, response: Response) -> Outcome<Response> {
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = self.body(response).await?;
        match serde_json::from_slice::<Problem>(&body) {
            Ok(problem) => Err(Failure::refused(problem, self.heights.file())),
            Err(_) => Err(self.not_a_node(status)),
        }
    }

    async fn decode<T: DeserializeOwned>(&self, response: Response) -> Outcome<T> {
        let status = response.status();
        let body = self.body(response).await?;
        serde_json::from_slice(&body).map_err(|_| self.not_a_node(status))
    }

    async fn body(&self, mut response: Response) -> Outcome<Vec<u8>> {
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
            body.extend_from_slice(&chunk);
            if body.len() > ANSWER_LEN_MAX {
                let detail = format!("the answer of {} is above {ANSWER_LEN_MAX} bytes", self.address);
                return Err(Failure::with_help(Exit::EndedBadly, detail, "ask for smaller pages"));
            }
        }
        Ok(body)
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let cause = std::iter::successors(std::error::Error::source(error), |error| error.source()).last();
        let cause = cause.map_or_else(|| error.to_string(), ToString::to_string);
        let detail = format!("the node at {} cannot be reached: {cause}", self.address);
        Failure::with_help(
            Exit::Unreachable,
            detail,
            "is it running? start a mesh with `althing dev`, or choose another node with --addr or --context",
        )
    }

    fn too_late(&self) -> Failure {
        let detail =
            format!("the node at {} did not answer in time; what was asked may still happen", self.address);
        Failure::with_help(
            Exit::Timeout,
            detail,
            "look with `althing proposal list`, or give more with --timeout",
        )
    }

    fn not_a_node(&self, status: StatusCode) -> Failure {
        let detail = format!("{} answered {status} in a form that is not this API's", self.address);
        Failure::with_help(Exit::Unreachable, detail, "is this the address of a node, and of this version?")
    }
}

fn may_pass(failure: &Failure) -> bool {
    failure.problem.as_ref().is_some_and(|problem| {
        let codes = ["busy", "undecided", "idempotency-key-running", "behind"];
        problem.retryable && codes.contains(&problem.code.as_str())
    })
}

fn is_behind(failure: &Failure) -> bool {
    failure.problem.as_ref().is_some_and(|problem| problem.code == "behind")
}

/// The network of an answer, and the height that it shows.
fn shown(headers: &HeaderMap) -> Option<(Digest, Height)> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    Some((text(NETWORK.as_str())?.parse().ok()?, Height::new(text(HEIGHT.as_str())?.parse().ok()?)))
}

fn new_key() -> String {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).expect("the system has random bytes");
    hex::encode(bytes)
}

/// A path with a query, each value percent-encoded.
pub(super) fn with_query(path: &str, query: &[(&str, String)]) -> String {
    let pairs: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
    if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
}

/// Percent-encodes everything but the unreserved characters (RFC 3986 §2.3).
pub(super) fn encode(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).to_string()
            }
            other => format!("%{other:02X}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_sockets_or_plain_http() {
        assert_eq!("unix:/run/a.sock".parse(), Ok(Address::Unix("/run/a.sock".into())));
        assert_eq!("http://127.0.0.1:1/".parse(), Ok(Address::Http("http://127.0.0.1:1".to_owned())));
        for wrong in ["", "unix:", "https://example.org", "127.0.0.1:1", "http://", "http://a/b"] {
            assert!(wrong.parse::<Address>().is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn queries_are_encoded() {
        assert_eq!(with_query("/v1", &[("a", "b/c d".to_owned())]), "/v1?a=b%2Fc%20d");
    }
}
