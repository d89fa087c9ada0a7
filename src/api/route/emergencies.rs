//! Owns the routes about emergencies: who declares, signs and ends them, and what holds.

use std::{cmp::Reverse, sync::Arc};

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use althing_contracts::{
    emergency::{Declaration, EmergencyId},
    name::MemberId,
    role::Role,
    transaction::Call,
};

use super::{
    Answer, Shared,
    acts::{made, not_shown},
    find_emergency,
    once::{Reply, once},
};
use crate::api::{
    backend::Backend,
    body::parse,
    height::Pinned,
    view::emergency::{DeclareRequest, EmergencyAcceptedView, EmergencyRequest, EmergencyView},
};

/// Most emergencies that are listed; older ones are found by their id and in the events.
const LISTED_MAX: usize = 200;

/// A request about one emergency.
type Asked = (web::Data<Shared>, web::Path<String>, HttpRequest, web::Payload);

/// Lists emergencies, newest first.
#[utoipa::path(get, path = "/v1/emergencies", tag = "emergencies",
    responses((status = 200, body = Vec<EmergencyView>)))]
pub(crate) async fn list(view: Pinned) -> Answer {
    let mut known: Vec<_> = view.state.emergencies().collect();
    known.sort_by_key(|emergency| (Reverse(emergency.declared_at), emergency.id));
    let shown =
        known.into_iter().take(LISTED_MAX).map(|emergency| EmergencyView::new(&view.state, emergency));
    Ok(HttpResponse::Ok().json(shown.collect::<Vec<_>>()))
}

/// Shows an emergency.
#[utoipa::path(get, path = "/v1/emergencies/{id}", tag = "emergencies",
    responses((status = 200, body = EmergencyView)))]
pub(crate) async fn show(view: Pinned, id: web::Path<String>) -> Answer {
    let emergency = find_emergency(&view.state, &id)?;
    Ok(HttpResponse::Ok().json(EmergencyView::new(&view.state, emergency)))
}

/// Declares an emergency, and signs it by that.
#[utoipa::path(post, path = "/v1/emergencies", tag = "emergencies", request_body = DeclareRequest,
    responses((status = 201, body = EmergencyAcceptedView)))]
pub(crate) async fn declare(
    shared: web::Data<Shared>,
    request: HttpRequest,
    payload: web::Payload,
) -> Answer {
    let backend = shared.backend.clone();
    let work = |body: web::Bytes| async move {
        let DeclareRequest { member, measures, reason, for_ms } = parse(&body)?;
        let (declaration, id) = {
            let view = backend.view();
            let declaration = Declaration { measures, reason, expires: view.state.time().after(for_ms) };
            let id = EmergencyId::of(view.state.network(), &declaration);
            (declaration, id)
        };
        let call = Call::DeclareEmergency { declaration };
        carry_out(backend, (member, Role::Guardian), call, id, StatusCode::CREATED).await
    };
    once(&shared, &request, payload, work).await
}

/// Signs an emergency that another guardian declared.
#[utoipa::path(post, path = "/v1/emergencies/{id}/signatures", tag = "emergencies",
    request_body = EmergencyRequest, responses((status = 200, body = EmergencyAcceptedView)))]
pub(crate) async fn sign(asked: Asked) -> Answer {
    on_emergency(asked, |emergency| Call::SignEmergency { emergency }).await
}

/// Takes an emergency back that one has signed, or ends one whose time is over.
#[utoipa::path(post, path = "/v1/emergencies/{id}/end", tag = "emergencies",
    request_body = EmergencyRequest, responses((status = 200, body = EmergencyAcceptedView)))]
pub(crate) async fn end(asked: Asked) -> Answer {
    on_emergency(asked, |emergency| Call::EndEmergency { emergency }).await
}

async fn on_emergency(
    (shared, id, request, payload): Asked,
    call: impl FnOnce(EmergencyId) -> Call + Send + 'static,
) -> Answer {
    let backend = shared.backend.clone();
    let work = |body: web::Bytes| async move {
        let EmergencyRequest { member } = parse(&body)?;
        let (id, role) = {
            let view = backend.view();
            let id = find_emergency(&view.state, &id)?.id;
            // Who guards nothing ends an emergency in whatever role the member has.
            let held = view.state.member(&member).and_then(|held| held.keys.keys().next_back().copied());
            (id, held.unwrap_or(Role::Guardian))
        };
        let call = call(id);
        let role = if matches!(call, Call::EndEmergency { .. }) { role } else { Role::Guardian };
        carry_out(backend, (member, role), call, id, StatusCode::OK).await
    };
    once(&shared, &request, payload, work).await
}

async fn carry_out(
    backend: Arc<dyn Backend>,
    (member, role): (MemberId, Role),
    call: Call,
    id: EmergencyId,
    status: StatusCode,
) -> Reply {
    made(backend.as_ref(), (member, role), call, status, |accepted, state| {
        let emergency = state.emergency(id).ok_or_else(|| not_shown(accepted))?;
        Ok(EmergencyAcceptedView::new(accepted, EmergencyView::new(state, emergency)))
    })
    .await
}
