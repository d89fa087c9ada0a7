//! Owns the routes about who speaks for whom.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use althing_contracts::{name::MemberId, role::Role, transaction::Call};

use super::{
    Answer, Shared,
    acts::made,
    once::{Reply, once},
};
use crate::api::{
    backend::Backend,
    body::parse,
    height::Pinned,
    query::Query,
    view::{
        delegation::{DelegateRequest, DelegatedView, DelegationView, DelegationsView, RevokeRequest},
        page::{Page, PageQuery},
    },
};

/// Lists who has let whom speak for it, by who has.
#[utoipa::path(get, path = "/v1/delegations", tag = "delegations", params(PageQuery),
    responses((status = 200, body = Page<DelegationsView>)))]
pub(crate) async fn list(view: Pinned, query: Query<PageQuery>) -> Answer {
    let (size, after) = (query.size()?, query.after::<MemberId>()?);
    let rest = view.state.members().filter(|(id, member)| {
        after.as_ref().is_none_or(|after| *id > after) && !member.delegations.is_empty()
    });
    let shown = rest.map(|(id, member)| {
        let delegations = DelegationView::all(&view.state, id, member);
        (id.clone(), DelegationsView { member: id.to_string(), delegations })
    });
    Ok(HttpResponse::Ok().json(Page::take(shown, size)))
}

/// Lets another voter speak for a voter, on one track or on all.
#[utoipa::path(post, path = "/v1/delegations", tag = "delegations", request_body = DelegateRequest,
    responses((status = 200, body = DelegatedView)))]
pub(crate) async fn delegate(
    shared: web::Data<Shared>,
    request: HttpRequest,
    payload: web::Payload,
) -> Answer {
    let backend = shared.backend.clone();
    let work = |body: web::Bytes| async move {
        let DelegateRequest { member, to, track, for_ms } = parse(&body)?;
        let expires = backend.view().state.time().after(for_ms);
        carry_out(backend, member, Call::Delegate { track, to, expires }).await
    };
    once(&shared, &request, payload, work).await
}

/// Lets a voter speak for itself again, on one track or on all.
#[utoipa::path(post, path = "/v1/delegations/revoke", tag = "delegations", request_body = RevokeRequest,
    responses((status = 200, body = DelegatedView)))]
pub(crate) async fn revoke(shared: web::Data<Shared>, request: HttpRequest, payload: web::Payload) -> Answer {
    let backend = shared.backend.clone();
    let work = |body: web::Bytes| async move {
        let RevokeRequest { member, track } = parse(&body)?;
        carry_out(backend, member, Call::Revoke { track }).await
    };
    once(&shared, &request, payload, work).await
}

async fn carry_out(backend: Arc<dyn Backend>, member: MemberId, call: Call) -> Reply {
    let voter = member.clone();
    made(backend.as_ref(), (member, Role::Voter), call, StatusCode::OK, |accepted, state| {
        Ok(DelegatedView::new(accepted, state, &voter))
    })
    .await
}
