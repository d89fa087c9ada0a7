//! Owns the routes that try something on a copy of the ledger's state; nothing is changed or recorded.

use actix_web::{HttpRequest, http::StatusCode, web};
use althing_actors::ledger::message::SubmitError;
use tokio::sync::OwnedSemaphorePermit;

use super::{
    Answer, Shared,
    once::{Done, once},
};
use crate::api::{
    body::parse,
    problem::Problem,
    view::{
        backtest::{BacktestRequest, BacktestView},
        rehearsal::{RehearsalView, RehearseRequest},
    },
};

/// Trials at once: each takes a processor for as long as it lasts, and the node has work of its own.
pub const TRIALS_MAX: usize = 2;

/// Plays the whole life of a document on a copy of the ledger's state; nothing is changed or recorded.
#[utoipa::path(post, path = "/v1/proposals/rehearse", tag = "proposals", request_body = RehearseRequest,
    responses((status = 200, body = RehearsalView)))]
pub(crate) async fn rehearse(
    shared: web::Data<Shared>,
    request: HttpRequest,
    payload: web::Payload,
) -> Answer {
    let trials = shared.get_ref().clone();
    let work = |body: web::Bytes| async move {
        let asked: RehearseRequest = parse(&body)?;
        let view = trials.backend.view();
        let (state, script) = (view.state.clone(), asked.script(&view.state)?);
        let rehearsal = try_out(&trials, move || state.rehearse(&asked.document, &script)).await??;
        Ok(Done::new(StatusCode::OK, view.state.height(), &RehearsalView::new(&rehearsal)))
    };
    once(&shared, &request, payload, work).await
}

/// Judges past proposals by other rules and by those in force, and says where they differ; nothing is changed or recorded.
#[utoipa::path(post, path = "/v1/constitution/backtest", tag = "mesh", request_body = BacktestRequest,
    responses((status = 200, body = BacktestView)))]
pub(crate) async fn backtest(
    shared: web::Data<Shared>,
    request: HttpRequest,
    payload: web::Payload,
) -> Answer {
    let trials = shared.get_ref().clone();
    let work = |body: web::Bytes| async move {
        let asked: BacktestRequest = parse(&body)?;
        let (last, view) = (asked.last()?, trials.backend.view());
        let state = view.state.clone();
        let backtest = try_out(&trials, move || state.backtest(&asked.constitution, last)).await?;
        let backtest = backtest.map_err(|error| {
            let detail = format!("these rules could not be in force here: {error}");
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "constitution", "The rules are unsound", detail)
                .at("constitution")
        })?;
        Ok(Done::new(StatusCode::OK, view.state.height(), &BacktestView::new(&backtest)))
    };
    once(&shared, &request, payload, work).await
}

/// Runs a trial beside the requests, none of which should wait for thousands of ballots.
async fn try_out<T: Send + 'static>(
    shared: &Shared,
    trial: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Problem> {
    let permit: OwnedSemaphorePermit = shared.trials.clone().try_acquire_owned().map_err(|_| too_many())?;
    let run = move || {
        // Until it is over, also when nobody waits for it any more.
        let _permit = permit;
        trial()
    };
    web::block(run).await.map_err(|_| SubmitError::Stopping.into())
}

fn too_many() -> Problem {
    let detail = format!("{TRIALS_MAX} rehearsals and backtests are running, which is the most; ask later");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "trials", "The node tries too much at once", detail)
        .retryable()
}
