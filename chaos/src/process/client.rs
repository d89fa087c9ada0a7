//! Owns asking one node: its API and its metrics, over the plainest HTTP client.

use std::{
    io,
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

use althing_contracts::transaction::ProposalId;
use serde_json::{Value, json};

use crate::{
    checker::status::Status,
    http::{Answer, Connection, Endpoint},
};

/// Longest time for one request; a submission answers when it is final.
pub const REQUEST_TIMEOUT: Duration = Duration::from_mins(1);

/// Entries of a page of a list.
const PAGE_LEN: usize = 500;
/// How often a node is asked how far it is.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The way to one node.
#[derive(Debug, Clone)]
pub struct NodeClient {
    pub(super) name: String,
    pub(super) org: String,
    pub(super) endpoint: Endpoint,
    pub(super) admin: Option<SocketAddr>,
    timeout: Duration,
}

/// The last final block that a node shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Which node.
    pub node: String,
    /// Its height.
    pub height: u64,
    /// The state's root after it; empty at height 0.
    pub state_root: String,
}

/// Why a node gave no answer of use.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The node cannot be reached, or broke off.
    #[error("{name} did not answer {request}")]
    NoAnswer {
        /// Which node.
        name: String,
        /// What was asked.
        request: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The node is not what the test needs.
    #[error("{name} is of no use here: {why}")]
    Unexpected {
        /// Which node.
        name: String,
        /// What it lacks.
        why: String,
    },
    /// The node refused.
    #[error("{name} answered {request} with {status}: {body}")]
    Refused {
        /// Which node.
        name: String,
        /// What was asked.
        request: String,
        /// The status code.
        status: u16,
        /// The body, a problem document.
        body: String,
    },
}

impl ClientError {
    /// Whether the node answered, and refused.
    #[must_use]
    pub const fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }

    /// Whether asking again can help: the outcome is unknown, or the node says so.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::NoAnswer { .. } => true,
            Self::Unexpected { .. } => false,
            Self::Refused { body, .. } => serde_json::from_str::<Value>(body)
                .is_ok_and(|problem| problem["retryable"].as_bool().unwrap_or(false)),
        }
    }
}

impl NodeClient {
    pub(super) const fn new(
        name: String,
        org: String,
        endpoint: Endpoint,
        admin: Option<SocketAddr>,
    ) -> Self {
        Self { name, org, endpoint, admin, timeout: REQUEST_TIMEOUT }
    }

    /// The same way, for requests that end within `timeout`.
    #[must_use]
    pub fn within(&self, timeout: Duration) -> Self {
        Self { timeout, ..self.clone() }
    }

    /// The node's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whose it is.
    #[must_use]
    pub fn org(&self) -> &str {
        &self.org
    }

    /// Where its API is, as the command line takes it.
    #[must_use]
    pub fn address(&self) -> String {
        match &self.endpoint {
            Endpoint::Tcp(address) => format!("http://{address}"),
            Endpoint::Unix(path) => format!("unix:{}", path.display()),
        }
    }

    /// Connects to the API.
    ///
    /// # Errors
    /// It cannot be reached.
    pub fn connect(&self) -> Result<Connection, ClientError> {
        self.endpoint.connect(self.timeout).map_err(|source| self.no_answer("a connection", source))
    }

    /// Reads a resource.
    ///
    /// # Errors
    /// The node cannot be reached or refuses.
    pub fn get(&self, path: &str) -> Result<Value, ClientError> {
        self.ask(&mut self.connect()?, "GET", path, &[], &[])
    }

    /// Reads where a proposal stands, if there is one, at a height that is not below `least`; yields the height, too.
    ///
    /// # Errors
    /// The node cannot be reached or refuses, for example because it is behind.
    pub fn status(&self, proposal: ProposalId, least: u64) -> Result<(u64, Option<Status>), ClientError> {
        let path = format!("/v1/proposals/{proposal}");
        let headers = [("Althing-Min-Height", &*least.to_string())];
        let answered = self.connect()?.request("GET", &path, &headers, &[]);
        let answer = answered.map_err(|source| self.no_answer(&path, source))?;
        let height = answer.header("althing-height").and_then(|height| height.parse().ok());
        let height =
            height.ok_or_else(|| self.unexpected(format!("its answer to {path} names no height")))?;
        if answer.status == 404 {
            return Ok((height, None));
        }
        let shown = self.accepted(&answer, || format!("GET {path}"))?;
        let status = status_of(&shown);
        let status = status.ok_or_else(|| self.unexpected(format!("its answer to {path} has no stage")))?;
        Ok((height, Some(status)))
    }

    /// Reads every entry of a list, page by page.
    ///
    /// # Errors
    /// The node cannot be reached or refuses.
    pub fn get_all(&self, path: &str) -> Result<Vec<Value>, ClientError> {
        let (mut entries, mut after) = (Vec::new(), String::new());
        loop {
            let mut page = self.get(&format!("{path}?page_size={PAGE_LEN}{after}"))?;
            if let Some(items) = page["items"].as_array_mut() {
                entries.append(items);
            }
            match page["next_page_token"].as_str() {
                Some(token) => after = format!("&page_token={token}"),
                None => return Ok(entries),
            }
        }
    }

    /// Reads the last final block.
    ///
    /// # Errors
    /// The node cannot be reached or refuses.
    pub fn head(&self) -> Result<Head, ClientError> {
        self.head_on(&mut self.connect()?)
    }

    /// As [`Self::head`], on a connection that is kept.
    ///
    /// # Errors
    /// As [`Self::head`].
    pub fn head_on(&self, connection: &mut Connection) -> Result<Head, ClientError> {
        let shown = self.ask(connection, "GET", "/v1/audit/head", &[], &[])?;
        let height = shown["height"].as_u64();
        let height = height.ok_or_else(|| self.unexpected(format!("its head has no height: {shown}")))?;
        let state_root = shown["state_root"].as_str().unwrap_or_default().to_owned();
        Ok(Head { node: self.name.clone(), height, state_root })
    }

    /// Waits until the node shows a block: what another node was told is final arrives a little later.
    ///
    /// # Errors
    /// The node cannot be reached, or does not get there in time.
    pub fn wait_for_height(&self, height: u64) -> Result<(), ClientError> {
        let begun = Instant::now();
        while self.head()?.height < height {
            if begun.elapsed() > REQUEST_TIMEOUT {
                return Err(
                    self.unexpected(format!("it did not reach height {height} within {REQUEST_TIMEOUT:?}"))
                );
            }
            thread::park_timeout(LOOK_EVERY);
        }
        Ok(())
    }

    /// Reads the metrics, in the text format of Prometheus.
    ///
    /// # Errors
    /// The node has no admin listener, or cannot be reached.
    pub fn metrics(&self) -> Result<String, ClientError> {
        let read = || {
            let address = self.admin.ok_or(io::ErrorKind::AddrNotAvailable)?;
            Endpoint::Tcp(address).connect(REQUEST_TIMEOUT)?.request("GET", "/metrics", &[], &[])
        };
        read().map(|answer| answer.text()).map_err(|source| self.no_answer("GET /metrics", source))
    }

    /// Asks for a change; `key` makes a repeat of it the same request.
    ///
    /// # Errors
    /// The node cannot be reached or refuses.
    pub fn post(&self, path: &str, key: &str, body: &Value) -> Result<Value, ClientError> {
        self.post_on(&mut self.connect()?, path, key, body)
    }

    /// As [`Self::post`], on a connection that is kept.
    ///
    /// # Errors
    /// As [`Self::post`].
    pub fn post_on(
        &self,
        connection: &mut Connection,
        path: &str,
        key: &str,
        body: &Value,
    ) -> Result<Value, ClientError> {
        let headers = [("Content-Type", "application/json"), ("Idempotency-Key", key)];
        self.ask(connection, "POST", path, &headers, body.to_string().as_bytes())
    }

    fn ask(
        &self,
        connection: &mut Connection,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Result<Value, ClientError> {
        let request = || format!("{method} {path}");
        let answer: Answer = connection
            .request(method, path, headers, body)
            .map_err(|source| self.no_answer(&request(), source))?;
        self.accepted(&answer, request)
    }

    fn accepted(&self, answer: &Answer, request: impl Fn() -> String) -> Result<Value, ClientError> {
        if !(200..300).contains(&answer.status) {
            let (name, request, status) = (self.name.clone(), request(), answer.status);
            return Err(ClientError::Refused { name, request, status, body: answer.text() });
        }
        serde_json::from_slice(&answer.body).map_err(|error| self.no_answer(&request(), error.into()))
    }

    pub(super) fn unexpected(&self, why: String) -> ClientError {
        ClientError::Unexpected { name: self.name.clone(), why }
    }

    fn no_answer(&self, request: &str, source: io::Error) -> ClientError {
        ClientError::NoAnswer { name: self.name.clone(), request: request.to_owned(), source }
    }
}

/// The status in a proposal as the API shows it.
fn status_of(shown: &Value) -> Option<Status> {
    let stage = match shown["rollout"].as_u64() {
        Some(index) => json!({ "name": shown["stage"], "index": index }),
        None => json!({ "name": shown["stage"] }),
    };
    let revision = serde_json::from_value(shown["revision"].clone()).ok()?;
    Some(Status { stage: serde_json::from_value(stage).ok()?, revision })
}

#[cfg(test)]
mod tests {
    use althing_contracts::{quantity::Revision, stage::Stage};

    use super::*;

    #[test]
    fn a_status_is_read_as_the_ledger_has_it() {
        let revision = Revision::new(2);
        for (shown, stage) in [
            (json!({ "stage": "rolled-back", "revision": 2 }), Stage::RolledBack),
            (json!({ "stage": "rollout", "rollout": 1, "revision": 2 }), Stage::Rollout(1)),
        ] {
            assert_eq!(status_of(&shown), Some(Status { stage, revision }));
        }
        assert_eq!(status_of(&json!({ "stage": "unheard of", "revision": 2 })), None);
    }
}
