//! Owns the routes that read executions.

use actix_web::{HttpResponse, web};

use super::{Answer, Shared, find, proposals::ProposalQuery};
use crate::api::{
    problem::Problem,
    view::{execution::ExecutionView, page::Page},
};

/// Lists executions, those of the newest proposals first.
#[utoipa::path(get, path = "/v1/executions", tag = "executions", params(ProposalQuery),
    responses((status = 200, body = Page<ExecutionView>), (status = "4XX", body = Problem)))]
pub(crate) async fn list(shared: web::Data<Shared>, query: web::Query<ProposalQuery>) -> Answer {
    let view = shared.backend.view();
    Ok(HttpResponse::Ok().json(query.list(&view.state, ExecutionView::new)?))
}

/// Shows the execution of a proposal: steps by targets, receipts and health.
#[utoipa::path(get, path = "/v1/executions/{id}", tag = "executions", params(("id" = String, Path)),
    responses((status = 200, body = ExecutionView), (status = "4XX", body = Problem)))]
pub(crate) async fn show(shared: web::Data<Shared>, id: web::Path<String>) -> Answer {
    let view = shared.backend.view();
    Ok(HttpResponse::Ok().json(ExecutionView::new(find(&view.state, &id)?)))
}
