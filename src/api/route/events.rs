//! Owns the event stream: server-sent events from a durable number on, without gap or repeat.

use std::{collections::BTreeSet, fmt::Write as _, time::Duration};

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use althing_actors::ledger::message::{EventBatch, ReadError};
use althing_contracts::{digest::Digest, event::EventRecord, quantity::EventSequence};
use bytes::Bytes;
use futures::stream;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, broadcast, broadcast::error::RecvError};

use super::{Answer, STREAMS_MAX, Shared};
use crate::api::{
    problem::Problem,
    query::Query,
    view::event::{CloudEvent, TYPE_PREFIX, TYPES},
};

/// Events read from the store at a time while a stream catches up.
const READ_LEN: usize = 256;
/// Silence after which a comment is sent, so that both sides notice a dead connection.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Which events.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventQuery {
    /// Number of the last event that the client has, 0 for all; without it only new events are sent. The
    /// `Last-Event-ID` header of a reconnecting client goes before it.
    pub after: Option<u64>,
    /// Names of the events wanted, separated by commas, for example `voted,stage-changed`; all when absent.
    pub types: Option<String>,
}

/// Streams events of the ledger; `id:` is the event's number, the data a `CloudEvents` 1.0 object.
#[utoipa::path(get, path = "/v1/events", tag = "events",
    params(EventQuery, ("Last-Event-ID" = Option<u64>, Header)),
    responses((status = 200, content_type = "text/event-stream", body = CloudEvent),
        (status = 410, body = Problem)))]
pub(crate) async fn tail(
    shared: web::Data<Shared>,
    query: Query<EventQuery>,
    request: HttpRequest,
) -> Answer {
    let permit = shared.streams.clone().try_acquire_owned().map_err(|_| too_many_streams())?;
    let types = query.types.as_deref().map(parse_types).transpose()?;
    let last = last_event_id(&request)?.or(query.after).map(EventSequence::new);
    let mut tail = Tail::new(&shared, types, last, permit);
    tail.catch_up().await?;
    let stream = stream::unfold(tail, |mut tail| async move {
        let chunk = tail.next().await?;
        Some((Ok::<_, std::io::Error>(chunk), tail))
    });
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header(("cache-control", "no-cache"))
        .streaming(stream))
}

/// Refuses one stream too many.
pub(crate) fn too_many_streams() -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "streams",
        "The node serves too many streams",
        format!(
            "{STREAMS_MAX} streams, waits and downloads are open, which is the most; close one or ask later"
        ),
    )
    .retryable()
}

fn last_event_id(request: &HttpRequest) -> Result<Option<u64>, Problem> {
    let Some(value) = request.headers().get("last-event-id") else { return Ok(None) };
    let number = value.to_str().ok().and_then(|text| text.parse().ok());
    number.map(Some).ok_or_else(|| {
        Problem::bad_request("last-event-id", "Last-Event-ID must be the id of an event, a whole number")
    })
}

fn parse_types(text: &str) -> Result<BTreeSet<String>, Problem> {
    let parse = |name: &str| {
        let name = name.strip_prefix(TYPE_PREFIX).unwrap_or(name);
        if TYPES.contains(&name) {
            return Ok(name.to_owned());
        }
        let detail = format!("{name:?} is not an event; there are {}", TYPES.join(", "));
        Err(Problem::bad_request("event-type", detail).at("types"))
    };
    text.split(',').map(parse).collect()
}

/// One client's place in the events.
struct Tail {
    shared: Shared,
    network: Digest,
    types: Option<BTreeSet<String>>,
    /// The last event that was looked at; `None` until the first one of a stream that wants only new ones.
    last: Option<EventSequence>,
    live: broadcast::Receiver<EventBatch>,
    /// Read and not sent.
    ready: Vec<EventRecord>,
    /// Whether the store may have events that `live` does not bring.
    behind: bool,
    _permit: OwnedSemaphorePermit,
}

impl Tail {
    fn new(
        shared: &Shared,
        types: Option<BTreeSet<String>>,
        last: Option<EventSequence>,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        let live = shared.backend.feed().events.subscribe();
        let network = shared.backend.view().network;
        Self {
            shared: shared.clone(),
            network,
            types,
            last,
            live,
            ready: Vec::new(),
            behind: last.is_some(),
            _permit: permit,
        }
    }

    /// Reads what follows the last event from the store.
    async fn catch_up(&mut self) -> Result<(), ReadError> {
        let Some(last) = self.last.filter(|_| self.behind) else { return Ok(()) };
        let records = self.shared.backend.events_after(last, READ_LEN).await?;
        self.behind = !records.is_empty();
        self.take(&records);
        Ok(())
    }

    /// The next bytes to send; `None` when the stream ends.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if *self.shared.closing.borrow() {
                return None;
            }
            if let Some(chunk) = self.flush() {
                return Some(chunk);
            }
            if self.behind {
                if let Err(error) = self.catch_up().await {
                    tracing::warn!(%error, "an event stream ends because the store cannot be read");
                    return None;
                }
                continue;
            }
            let mut closing = self.shared.closing.clone();
            tokio::select! {
                biased;
                _ = closing.wait_for(|closing| *closing) => return None,
                batch = self.live.recv() => self.receive(batch)?,
                () = tokio::time::sleep(KEEP_ALIVE) => return Some(Bytes::from_static(b": keep-alive\n\n")),
            }
        }
    }

    /// Takes a live batch, or notes that some were missed; `None` when the ledger has stopped.
    fn receive(&mut self, batch: Result<EventBatch, RecvError>) -> Option<()> {
        match batch {
            Ok(batch) => {
                let first = batch.first().map(|record| record.sequence);
                let gap = self.last.zip(first).is_some_and(|(last, first)| first > last.next());
                if gap {
                    self.behind = true;
                } else {
                    self.take(&batch);
                }
                Some(())
            }
            Err(RecvError::Lagged(_)) => {
                self.behind = self.last.is_some();
                Some(())
            }
            Err(RecvError::Closed) => None,
        }
    }

    fn take(&mut self, records: &[EventRecord]) {
        for record in records.iter().filter(|record| self.last.is_none_or(|last| record.sequence > last)) {
            self.ready.push(record.clone());
        }
        self.last = self.ready.last().map(|record| record.sequence).or(self.last);
    }

    fn flush(&mut self) -> Option<Bytes> {
        let mut text = String::new();
        for record in self.ready.drain(..) {
            let event = CloudEvent::new(self.network, &record);
            if self.types.as_ref().is_none_or(|types| types.contains(event.name())) {
                let data = serde_json::to_string(&event).expect("events have only string keys");
                write!(text, "id: {}\nevent: {}\ndata: {data}\n\n", event.id, event.name())
                    .expect("writing to a string cannot fail");
            }
        }
        (!text.is_empty()).then(|| Bytes::from(text))
    }
}
