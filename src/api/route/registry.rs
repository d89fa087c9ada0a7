//! Owns the routes that read who and what is in the mesh.

use actix_web::{HttpResponse, web};
use althing_contracts::name::{MemberId, OrgId, TargetId};

use super::{Answer, Shared};
use crate::api::{
    height::Pinned,
    query::Query,
    view::{
        constitution::ConstitutionView,
        node::{NodeView, PeerView},
        page::{Page, PageQuery},
        registry::{MemberView, OrganisationView, TargetView},
    },
};

/// Lists governed targets with what is applied to them.
#[utoipa::path(get, path = "/v1/targets", tag = "mesh", params(PageQuery),
    responses((status = 200, body = Page<TargetView>)))]
pub(crate) async fn targets(view: Pinned, query: Query<PageQuery>) -> Answer {
    let (size, after) = (query.size()?, query.after::<TargetId>()?);
    let rest = view.state.targets().filter(|(id, _)| after.as_ref().is_none_or(|after| *id > after));
    let shown = rest.map(|(id, target)| (id.clone(), TargetView::new(id, target)));
    Ok(HttpResponse::Ok().json(Page::take(shown, size)))
}

/// Shows the rules in force.
#[utoipa::path(get, path = "/v1/constitution", tag = "mesh", responses((status = 200, body = ConstitutionView)))]
pub(crate) async fn constitution(view: Pinned) -> Answer {
    Ok(HttpResponse::Ok().json(ConstitutionView::new(view.state.constitution())))
}

/// Lists members.
#[utoipa::path(get, path = "/v1/members", tag = "mesh", params(PageQuery),
    responses((status = 200, body = Page<MemberView>)))]
pub(crate) async fn members(view: Pinned, query: Query<PageQuery>) -> Answer {
    let (size, after) = (query.size()?, query.after::<MemberId>()?);
    let members = view.state.members().filter(|(_, member)| !member.has_left());
    let rest = members.filter(|(id, _)| after.as_ref().is_none_or(|after| *id > after));
    let shown = rest.map(|(id, member)| (id.clone(), MemberView::new(&view.state, id, member)));
    Ok(HttpResponse::Ok().json(Page::take(shown, size)))
}

/// Lists organisations with their nodes.
#[utoipa::path(get, path = "/v1/organisations", tag = "mesh", params(PageQuery),
    responses((status = 200, body = Page<OrganisationView>)))]
pub(crate) async fn organisations(view: Pinned, query: Query<PageQuery>) -> Answer {
    let (size, after) = (query.size()?, query.after::<OrgId>()?);
    let rest = view.state.organisations().filter(|(id, _)| after.as_ref().is_none_or(|after| *id > after));
    let shown = rest.map(|(id, record)| (id.clone(), OrganisationView::new(&view.state, id, record)));
    Ok(HttpResponse::Ok().json(Page::take(shown, size)))
}

/// Lists the other nodes of the mesh.
#[utoipa::path(get, path = "/v1/peers", tag = "mesh", responses((status = 200, body = Vec<PeerView>)))]
pub(crate) async fn peers(shared: web::Data<Shared>) -> Answer {
    let peers: Vec<PeerView> = shared.backend.peers().iter().map(PeerView::from).collect();
    Ok(HttpResponse::Ok().json(peers))
}

/// Shows this node.
#[utoipa::path(get, path = "/v1/node", tag = "mesh", responses((status = 200, body = NodeView)))]
pub(crate) async fn node(shared: web::Data<Shared>, view: Pinned) -> Answer {
    let backend = shared.backend.as_ref();
    let shown = NodeView::new(&backend.facts(), backend.takes_writes(), &view, &backend.peers());
    Ok(HttpResponse::Ok().json(shown))
}
