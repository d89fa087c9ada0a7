//! Owns the table of routes and what all of them share: finding proposals, and errors in one form.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, Resource, http::StatusCode, web};
use althing_contracts::{
    digest::Digest,
    emergency::{Emergency, EmergencyId},
    proposal::Proposal,
    state::State,
    transaction::ProposalId,
};
use tokio::sync::{Semaphore, watch};

use super::{backend::Backend, idempotency::IdempotencyStore, problem::Problem};

pub mod acts;
pub mod admin;
pub mod audit;
pub mod calendar;
pub mod delegations;
pub mod emergencies;
pub mod events;
pub mod executions;
pub mod keys;
pub mod once;
pub mod proposals;
pub mod registry;
pub mod trials;
pub mod wait;

/// Most event streams and waits at once: each holds a connection.
pub const STREAMS_MAX: usize = 64;
/// Fewest digits of a shortened proposal id.
pub const ID_PREFIX_LEN_MIN: usize = 6;

/// What every route works with.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) idempotency: Arc<IdempotencyStore>,
    pub(crate) streams: Arc<Semaphore>,
    pub(crate) trials: Arc<Semaphore>,
    /// Becomes `true` when the API stops: streams and waits end.
    pub(crate) closing: watch::Receiver<bool>,
}

/// Result of a handler.
pub(crate) type Answer = Result<HttpResponse, Problem>;

/// Mounts the routes of `/v1`, those that change the ledger only when `writes`.
pub(crate) fn configure(config: &mut web::ServiceConfig, writes: bool) {
    config.app_data(web::PathConfig::default().error_handler(|error, _| bad_path(&error)));
    let mut list = resource("/v1/proposals").get(proposals::list);
    let mut emergencies = resource("/v1/emergencies").get(emergencies::list);
    let mut votes = resource("/v1/proposals/{id}/votes").get(proposals::votes);
    let mut voices = resource("/v1/delegations").get(delegations::list);
    let mut recoveries = resource("/v1/recoveries").get(keys::recoveries);
    if writes {
        list = list.post(acts::submit);
        voices = voices.post(delegations::delegate);
        recoveries = recoveries.post(keys::recover);
        votes = votes.post(acts::vote);
        emergencies = emergencies.post(emergencies::declare);
        for writer in [
            resource("/v1/proposals/{id}/revisions").post(acts::revise),
            resource("/v1/proposals/{id}/reviews").post(acts::review),
            resource("/v1/proposals/{id}/cancel").post(acts::cancel),
            resource("/v1/proposals/{id}/cosignatures").post(acts::cosign),
            resource("/v1/proposals/{id}/veto").post(acts::veto),
            resource("/v1/delegations/revoke").post(delegations::revoke),
            resource("/v1/votes").post(acts::vote_batch),
            resource("/v1/keys/replace").post(keys::replace),
            resource("/v1/recoveries/stop").post(keys::stop),
            resource("/v1/emergencies/{id}/signatures").post(emergencies::sign),
            resource("/v1/emergencies/{id}/end").post(emergencies::end),
            resource("/v1/executions/{id}/abort").post(acts::abort),
            resource("/v1/executions/{id}/resume").post(acts::resume),
        ] {
            config.service(writer.0);
        }
    }
    for reader in [
        list,
        emergencies,
        resource("/v1/emergencies/{id}").get(emergencies::show),
        resource("/v1/proposals/plan").post(proposals::plan),
        resource("/v1/proposals/rehearse").post(trials::rehearse),
        resource("/v1/proposals/{id}").get(proposals::show),
        resource("/v1/proposals/{id}/plan").get(proposals::plan_of),
        votes,
        voices,
        recoveries,
        resource("/v1/proposals/{id}/timeline").get(proposals::timeline),
        resource("/v1/proposals/{id}/explain").get(proposals::explain),
        resource("/v1/proposals/{id}/wait").get(wait::wait),
        resource("/v1/executions").get(executions::list),
        resource("/v1/executions/{id}").get(executions::show),
        resource("/v1/constitution").get(registry::constitution),
        resource("/v1/constitution/backtest").post(trials::backtest),
        resource("/v1/calendar").get(calendar::list),
        resource("/v1/calendar.ics").get(calendar::file),
        resource("/v1/targets").get(registry::targets),
        resource("/v1/members").get(registry::members),
        resource("/v1/organisations").get(registry::organisations),
        resource("/v1/peers").get(registry::peers),
        resource("/v1/node").get(registry::node),
        resource("/v1/events").get(events::tail),
        resource("/v1/audit/head").get(audit::head),
        resource("/v1/audit/export").get(audit::export),
    ] {
        config.service(reader.0);
    }
    config.default_service(web::to(no_such_path));
}

/// A resource that answers other methods with 405.
struct Methods(Resource);

fn resource(path: &str) -> Methods {
    Methods(web::resource(path).default_service(web::to(other_method)))
}

impl Methods {
    fn get<F, Args>(self, handler: F) -> Self
    where
        F: actix_web::Handler<Args>,
        Args: actix_web::FromRequest + 'static,
        F::Output: actix_web::Responder + 'static,
    {
        Self(self.0.route(web::get().to(handler)))
    }

    fn post<F, Args>(self, handler: F) -> Self
    where
        F: actix_web::Handler<Args>,
        Args: actix_web::FromRequest + 'static,
        F::Output: actix_web::Responder + 'static,
    {
        Self(self.0.route(web::post().to(handler)))
    }
}

fn bad_path(error: &impl std::fmt::Display) -> actix_web::Error {
    Problem::bad_request("path", format!("the path of the address cannot be read: {error}")).into()
}

/// Answers an address that nothing is mounted on.
pub(crate) async fn no_such_path(request: HttpRequest) -> Answer {
    let detail = format!("nothing is served at {}; see /openapi.json on the admin listener", request.path());
    Err(Problem::not_found("path", detail))
}

async fn other_method(request: HttpRequest) -> Answer {
    let detail = format!("{} is not served at {} on this node", request.method(), request.path());
    Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method", "The method is not served here", detail))
}

/// The proposal that an id or a unique prefix of 6 or more digits names.
///
/// # Errors
/// It is no id, names no proposal, or more than one.
pub(crate) fn find<'a>(state: &'a State, text: &str) -> Result<&'a Proposal, Problem> {
    let by_id = |digest| state.proposal(ProposalId::from_digest(digest));
    named("proposal", text, by_id, || state.proposals().map(|proposal| (proposal.id.digest(), proposal)))
}

/// The emergency that an id or a unique prefix of 6 or more digits names.
///
/// # Errors
/// It is no id, names no emergency, or more than one.
pub(crate) fn find_emergency<'a>(state: &'a State, text: &str) -> Result<&'a Emergency, Problem> {
    let by_id = |digest| state.emergency(EmergencyId::from_digest(digest));
    named("emergency", text, by_id, || {
        state.emergencies().map(|emergency| (emergency.id.digest(), emergency))
    })
}

/// What a whole id or a prefix of one names.
fn named<'a, T: 'a, I: Iterator<Item = (Digest, &'a T)>>(
    what: &str,
    text: &str,
    by_id: impl FnOnce(Digest) -> Option<&'a T>,
    all: impl FnOnce() -> I,
) -> Result<&'a T, Problem> {
    let unknown = || Problem::not_found(&format!("unknown-{what}"), format!("there is no {what} {text}"));
    if let Ok(digest) = text.parse::<Digest>() {
        return by_id(digest).ok_or_else(unknown);
    }
    let is_prefix = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if !is_prefix || !(ID_PREFIX_LEN_MIN..64).contains(&text.len()) {
        let detail = format!(
            "{text:?} is no {what} id; give its 64 hexadecimal digits or the first {ID_PREFIX_LEN_MIN} or more"
        );
        return Err(Problem::bad_request("id", detail));
    }
    let mut matches = all().filter(|(digest, _)| digest.to_string().starts_with(text));
    match (matches.next(), matches.next()) {
        (Some((_, found)), None) => Ok(found),
        (None, _) => Err(unknown()),
        (Some(_), Some(_)) => {
            let detail = format!("{text} is the beginning of more than one {what}'s id; give more digits");
            Err(Problem::bad_request("ambiguous-id", detail))
        }
    }
}
