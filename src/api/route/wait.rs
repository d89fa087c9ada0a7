//! Owns waiting for a proposal: a bounded long poll that ends as soon as the goal is reached or missed.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use althing_actors::ledger::message::LedgerView;
use althing_contracts::{quantity::Height, transaction::ProposalId};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{Answer, Shared, events::too_many_streams, find};
use crate::api::{
    height::{self, Pinned},
    history,
    problem::Problem,
    query::Query,
    view::{
        explain,
        progress::{Goal, Progress, WaitView},
        proposal::ProposalSummary,
    },
};

/// Longest wait of one request; clients ask again.
pub const WAIT_MAX: Duration = Duration::from_mins(1);
/// Events of a proposal that are searched for the reason of its end.
const CAUSE_EVENTS_MAX: usize = 500;

/// What to wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WaitQuery {
    /// The stage to reach.
    #[serde(rename = "for")]
    pub goal: Goal,
    /// Longest wait, up to 60,000; 30,000 when absent.
    #[param(maximum = 60000)]
    pub timeout_ms: Option<u64>,
}

/// Waits until a proposal reaches a stage, ends otherwise, or the time is up.
#[utoipa::path(get, path = "/v1/proposals/{id}/wait", tag = "proposals",
    params(WaitQuery),
    responses((status = 200, body = WaitView)))]
pub(crate) async fn wait(
    shared: web::Data<Shared>,
    view: Pinned,
    id: web::Path<String>,
    query: Query<WaitQuery>,
) -> Answer {
    let _permit = shared.streams.clone().try_acquire_owned().map_err(|_| too_many_streams())?;
    let timeout = query.timeout_ms.map_or(WAIT_MAX / 2, Duration::from_millis).min(WAIT_MAX);
    let id = find(&view.state, &id)?.id;
    let (seen, shown) = watch(&shared, id, query.goal, Instant::now() + timeout).await?;
    Ok(HttpResponse::Ok().insert_header(height::header(seen)).json(shown))
}

async fn watch(
    shared: &Shared,
    id: ProposalId,
    goal: Goal,
    until: Instant,
) -> Result<(Height, WaitView), Problem> {
    let mut follower = shared.backend.feed().view;
    let mut closing = shared.closing.clone();
    loop {
        let view = follower.borrow_and_update().clone();
        let shown = (view.state.height(), look(shared, &view, id, goal).await?);
        if shown.1.progress != Progress::Pending {
            return Ok(shown);
        }
        tokio::select! {
            changed = follower.changed() => if changed.is_err() { return Ok(shown) },
            _ = closing.wait_for(|closing| *closing) => return Ok(shown),
            () = tokio::time::sleep_until(until) => return Ok(shown),
        }
    }
}

async fn look(shared: &Shared, view: &LedgerView, id: ProposalId, goal: Goal) -> Result<WaitView, Problem> {
    let proposal = find(&view.state, &id.to_string())?;
    let progress = goal.progress(proposal);
    let unmet = match progress {
        Progress::Pending => explain::unmet(&view.state, proposal),
        Progress::Reached | Progress::Missed => Vec::new(),
    };
    let cause = match progress {
        Progress::Missed => cause(shared, proposal).await,
        Progress::Reached | Progress::Pending => None,
    };
    Ok(WaitView { progress, proposal: ProposalSummary::new(proposal), unmet, cause })
}

/// Why a proposal missed its goal: what it was rolled back for, or the cause of its last move.
async fn cause(shared: &Shared, proposal: &althing_contracts::proposal::Proposal) -> Option<String> {
    if let Some(cause) = &proposal.execution.rollback_cause {
        return Some(cause.to_string());
    }
    if let Some(finding) = proposal.findings.first() {
        return Some(finding.message.to_string());
    }
    let (records, _) = history::of(shared.backend.as_ref(), proposal, None, CAUSE_EVENTS_MAX).await.ok()?;
    records.iter().rev().find_map(|record| match &record.event {
        althing_contracts::event::Event::StageChanged { cause, .. } => Some(cause.to_string()),
        _ => None,
    })
}
