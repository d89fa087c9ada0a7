//! Owns carrying a POST out once: its key, its bounded body, its answer kept for whoever repeats it.
//!
//! The work goes on when the client breaks off, so that a repeat finds its answer.

use std::future::Future;

use actix_web::{HttpRequest, HttpResponse, ResponseError as _, http::StatusCode, web};
use althing_actors::failpoint;
use althing_contracts::quantity::Height;
use bytes::Bytes;

use super::{Answer, Shared};
use crate::api::{
    body, height,
    idempotency::{self, Begin, Ticket},
    problem::{PROBLEM_MEDIA_TYPE, Problem},
};

/// What a request was answered with.
pub(crate) type Reply = Result<Done, Problem>;

/// A request that was carried out.
pub(crate) struct Done {
    status: StatusCode,
    height: Height,
    body: Bytes,
}

impl Done {
    /// An answer that shows the ledger at a height.
    pub(crate) fn new(status: StatusCode, height: Height, shown: &impl serde::Serialize) -> Self {
        Self { status, height, body: json(shown) }
    }
}

/// Runs `work` over the body unless this request was answered before.
///
/// # Errors
/// The key or body is refused; what `work` refuses is an answer.
pub(crate) async fn once<W, F>(
    shared: &Shared,
    request: &HttpRequest,
    payload: web::Payload,
    work: W,
) -> Answer
where
    W: FnOnce(Bytes) -> F,
    F: Future<Output = Reply> + Send + 'static,
{
    let key = idempotency::key_of(request)?;
    let body = body::read(request, payload).await?;
    match shared.idempotency.begin(key, idempotency::fingerprint(request, &body))? {
        Begin::Stored(answer) => Ok(respond(answer)),
        Begin::Run(ticket) => {
            let running = tokio::spawn(run(ticket, work(body)));
            running.await.map_or_else(|_| Err(broke_off()), |answer| Ok(respond(answer)))
        }
    }
}

async fn run(ticket: Ticket, work: impl Future<Output = Reply>) -> idempotency::Answer {
    let (keep, answer) = match work.await {
        Ok(Done { status, height, body }) => {
            (true, idempotency::Answer { status, height: Some(height), body })
        }
        Err(problem) => {
            let (status, body) = (problem.status_code(), json(&problem));
            (!problem.retryable, idempotency::Answer { status, height: None, body })
        }
    };
    if keep {
        ticket.finish(answer.clone());
        failpoint::reach("api.kept");
    }
    answer
}

fn json(value: &impl serde::Serialize) -> Bytes {
    serde_json::to_vec(value).expect("views have only string keys").into()
}

fn respond(answer: idempotency::Answer) -> HttpResponse {
    let media_type = if answer.status.is_success() { "application/json" } else { PROBLEM_MEDIA_TYPE };
    let mut response = HttpResponse::build(answer.status);
    if let Some(height) = answer.height {
        response.insert_header(height::header(height));
    }
    response.content_type(media_type).body(answer.body)
}

fn broke_off() -> Problem {
    let detail = "the node failed while it carried the request out; look at the proposal before asking again";
    Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The node failed", detail).retryable()
}
