//! Owns the routes that read executions.

use actix_web::{HttpResponse, web};

use super::{Answer, find, proposals::ProposalQuery};
use crate::api::{
    height::Pinned,
    query::Query,
    view::{execution::ExecutionView, page::Page},
};

/// Lists executions, those of the newest proposals first.
#[utoipa::path(get, path = "/v1/executions", tag = "executions", params(ProposalQuery),
    responses((status = 200, body = Page<ExecutionView>)))]
pub(crate) async fn list(view: Pinned, query: Query<ProposalQuery>) -> Answer {
    Ok(HttpResponse::Ok().json(query.list(&view.state, ExecutionView::new)?))
}

/// Shows the execution of a proposal: steps by targets, receipts and health.
#[utoipa::path(get, path = "/v1/executions/{id}", tag = "executions",
    responses((status = 200, body = ExecutionView)))]
pub(crate) async fn show(view: Pinned, id: web::Path<String>) -> Answer {
    Ok(HttpResponse::Ok().json(ExecutionView::new(find(&view.state, &id)?)))
}
