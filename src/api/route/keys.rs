//! Owns the routes about the keys of members.

use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, web};
use althing_contracts::{name::MemberId, role::Role, state::State, transaction::Call};

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
        key::{KeyAcceptedView, RecoverKeyRequest, RecoveryView, ReplaceKeyRequest, StopRecoveryRequest},
        page::{Page, PageQuery},
    },
};

/// Lists the keys that colleagues say are lost, by member and role.
#[utoipa::path(get, path = "/v1/recoveries", tag = "keys", params(PageQuery),
    responses((status = 200, body = Page<RecoveryView>)))]
pub(crate) async fn recoveries(view: Pinned, query: Query<PageQuery>) -> Answer {
    let (size, after) = (query.size()?, query.after::<Place>()?);
    let places = view.state.recoveries().map(|(member, role, held)| (Place(member.clone(), role), held));
    let rest = places.filter(|(place, _)| after.as_ref().is_none_or(|after| place > after));
    let shown = rest.map(|(place, held)| {
        let shown = RecoveryView::new(&view.state, (&place.0, place.1), held);
        (place, shown)
    });
    Ok(HttpResponse::Ok().json(Page::take(shown, size)))
}

/// Where a list goes on: after the key of a member for a role.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Place(MemberId, Role);

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.0, self.1)
    }
}

impl std::str::FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (member, role) = text.split_once(':').ok_or(())?;
        let role = Role::ALL.into_iter().find(|known| known.name() == role).ok_or(())?;
        Ok(Self(member.parse().map_err(|_| ())?, role))
    }
}

/// Gives a member another key in the place of the one that signs this.
#[utoipa::path(post, path = "/v1/keys/replace", tag = "keys", request_body = ReplaceKeyRequest,
    responses((status = 200, body = KeyAcceptedView)))]
pub(crate) async fn replace(
    shared: web::Data<Shared>,
    request: HttpRequest,
    payload: web::Payload,
) -> Answer {
    let backend = shared.backend.clone();
    let work = |body: web::Bytes| async move {
        let ReplaceKeyRequest { claim } = parse(&body)?;
        let holder = (claim.member.clone(), claim.role);
        carry_out(backend, holder.clone(), holder, Call::ReplaceKey { claim }).await
    };
    once(&shared, &request, payload, work).await
}

/// Takes a colleague's word that a key is lost, and which one comes in its place.
#[utoipa::path(post, path = "/v1/recoveries", tag = "keys", request_body = RecoverKeyRequest,
    responses((status = 200, body = KeyAcceptedView)))]
pub(crate) async fn recover(
    shared: web::Data<Shared>,
    request: HttpRequest,
    payload: web::Payload,
) -> Answer {
    let backend = shared.backend.clone();
    let work = |body: web::Bytes| async move {
        let RecoverKeyRequest { signer, claim } = parse(&body)?;
        let place = (claim.member.clone(), claim.role);
        let role = role_of(&backend.view().state, &signer);
        carry_out(backend, (signer, role), place, Call::SignRecovery { claim }).await
    };
    once(&shared, &request, payload, work).await
}

/// Refuses a recovery of one's own key, or takes one's word about a colleague's back.
#[utoipa::path(post, path = "/v1/recoveries/stop", tag = "keys", request_body = StopRecoveryRequest,
    responses((status = 200, body = KeyAcceptedView)))]
pub(crate) async fn stop(shared: web::Data<Shared>, request: HttpRequest, payload: web::Payload) -> Answer {
    let backend = shared.backend.clone();
    let work = |body: web::Bytes| async move {
        let StopRecoveryRequest { by, member, role } = parse(&body)?;
        let signs_as = if by == member { role } else { role_of(&backend.view().state, &by) };
        let call = Call::StopRecovery { member: member.clone(), role };
        carry_out(backend, (by, signs_as), (member, role), call).await
    };
    once(&shared, &request, payload, work).await
}

/// The role in which a person speaks about a colleague: it is one person in each.
fn role_of(state: &State, member: &MemberId) -> Role {
    let held = state.member(member).into_iter().flat_map(|held| held.keys.keys());
    held.copied().find(|role| role.is_personal()).unwrap_or(Role::Voter)
}

async fn carry_out(
    backend: Arc<dyn Backend>,
    (sender, role): (MemberId, Role),
    place: (MemberId, Role),
    call: Call,
) -> Reply {
    made(backend.as_ref(), (sender, role), call, StatusCode::OK, |accepted, state| {
        Ok(KeyAcceptedView::new(accepted, state, (&place.0, place.1)))
    })
    .await
}
