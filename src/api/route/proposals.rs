//! Owns the routes that read proposals: lists, the whole, plans, votes, timelines and explanations.

use std::{cmp::Reverse, fmt, str::FromStr};

use actix_web::{HttpRequest, HttpResponse, http::StatusCode, http::header, web};
use althing_actors::ledger::message::SubmitError;
use althing_contracts::{
    proposal::Proposal,
    quantity::{EventSequence, Height},
    transaction::ProposalId,
};
use serde::{Deserialize, Serialize};

use super::{
    Answer, Shared, find,
    once::{Done, once},
};
use crate::api::{
    body::parse,
    height::{self, Pinned},
    history,
    problem::Problem,
    query::Query,
    view::{
        self,
        event::CloudEvent,
        explain::ExplainView,
        page::{Page, PageQuery},
        plan::{FindingView, PlanReport, PlanRequest, PlanView},
        proposal::{ProposalSummary, ProposalView},
        vote::VoteView,
    },
};

/// Which proposals.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ProposalQuery {
    /// Entries wanted, 1 to 500; 50 when absent.
    pub page_size: Option<u16>,
    /// `next_page_token` of the page before.
    pub page_token: Option<String>,
    /// Only those in this stage, for example `voting`.
    pub stage: Option<String>,
    /// Only those of this author.
    pub author: Option<String>,
    /// Only those that have ended, or have not.
    pub ended: Option<bool>,
}

/// The place of a proposal in lists: newest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place(Reverse<Height>, ProposalId);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.0.0, self.1)
    }
}

impl FromStr for Place {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (height, id) = text.split_once('-').ok_or(())?;
        let height = height.parse().map(Height::new).map_err(|_| ())?;
        let id = id.parse().map(ProposalId::from_digest).map_err(|_| ())?;
        Ok(Self(Reverse(height), id))
    }
}

impl ProposalQuery {
    /// Which page.
    pub fn page(&self) -> PageQuery {
        PageQuery { page_size: self.page_size, page_token: self.page_token.clone() }
    }

    fn takes(&self, proposal: &Proposal) -> bool {
        self.stage.as_ref().is_none_or(|stage| proposal.stage.name() == stage)
            && self.author.as_ref().is_none_or(|author| proposal.author.as_str() == author)
            && self.ended.is_none_or(|ended| proposal.stage.is_terminal() == ended)
    }

    /// The page of proposals of `state`, each shown by `show`.
    pub(crate) fn list<T>(
        &self,
        state: &althing_contracts::state::State,
        show: impl Fn(&Proposal) -> T,
    ) -> Result<Page<T>, Problem> {
        let (size, after) = (self.page().size()?, self.page().after::<Place>()?);
        let place = |proposal: &Proposal| Place(Reverse(proposal.submitted_at), proposal.id);
        let wanted = state.proposals().filter(|proposal| self.takes(proposal));
        let mut entries: Vec<_> = wanted.map(|proposal| (place(proposal), proposal)).collect();
        entries.retain(|(place, _)| after.is_none_or(|after| *place > after));
        entries.sort_by_key(|(place, _)| *place);
        Ok(Page::take(entries.into_iter().map(|(place, proposal)| (place, show(proposal))), size))
    }
}

/// Lists proposals, newest first.
#[utoipa::path(get, path = "/v1/proposals", tag = "proposals", params(ProposalQuery),
    responses((status = 200, body = Page<ProposalSummary>)))]
pub(crate) async fn list(view: Pinned, query: Query<ProposalQuery>) -> Answer {
    Ok(HttpResponse::Ok().json(query.list(&view.state, ProposalSummary::new)?))
}

/// Shows a whole proposal. The `ETag` changes with every block that changes it.
#[utoipa::path(get, path = "/v1/proposals/{id}", tag = "proposals",
    responses((status = 200, body = ProposalView), (status = 304)))]
pub(crate) async fn show(view: Pinned, id: web::Path<String>, request: HttpRequest) -> Answer {
    let shown = ProposalView::new(&view.state, find(&view.state, &id)?);
    let body = serde_json::to_vec(&shown).expect("views have only string keys");
    let tag = format!("\"{}\"", &blake3::hash(&body).to_hex()[..32]);
    let known = request.headers().get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if known.is_some_and(|known| known.split(',').any(|known| known.trim() == tag)) {
        return Ok(HttpResponse::NotModified().insert_header((header::ETAG, tag)).finish());
    }
    Ok(HttpResponse::Ok().insert_header((header::ETAG, tag)).content_type("application/json").body(body))
}

/// Makes a dry run of a document; nothing is changed or recorded.
#[utoipa::path(post, path = "/v1/proposals/plan", tag = "proposals", request_body = PlanRequest,
    responses((status = 200, body = PlanReport)))]
pub(crate) async fn plan(shared: web::Data<Shared>, request: HttpRequest, payload: web::Payload) -> Answer {
    let backend = shared.backend.clone();
    let work = |body: web::Bytes| async move {
        let PlanRequest { document } = parse(&body)?;
        let view = backend.view();
        let plan = view.state.plan(&document)?;
        let report = PlanReport {
            plan: PlanView::new(&view.state, &plan, &document),
            track: view::kebab(&view.state.track_of(&document)),
            findings: view.state.findings(&document).iter().map(FindingView::from).collect(),
        };
        Ok(Done::new(StatusCode::OK, view.state.height(), &report))
    };
    once(&shared, &request, payload, work).await
}

/// Shows the plan of the current revision.
#[utoipa::path(get, path = "/v1/proposals/{id}/plan", tag = "proposals",
    responses((status = 200, body = PlanView)))]
pub(crate) async fn plan_of(view: Pinned, id: web::Path<String>) -> Answer {
    let proposal = find(&view.state, &id)?;
    Ok(HttpResponse::Ok().json(PlanView::new(&view.state, &proposal.plan, &proposal.document)))
}

/// Shows the vote on the current revision.
#[utoipa::path(get, path = "/v1/proposals/{id}/votes", tag = "proposals",
    responses((status = 200, body = VoteView)))]
pub(crate) async fn votes(view: Pinned, id: web::Path<String>) -> Answer {
    Ok(HttpResponse::Ok().json(VoteView::new(find(&view.state, &id)?)))
}

/// Explains why a proposal is where it is: what can come next, when, on which conditions with their figures, who may act
/// and who may not, and why.
#[utoipa::path(get, path = "/v1/proposals/{id}/explain", tag = "proposals",
    responses((status = 200, body = ExplainView)))]
pub(crate) async fn explain(view: Pinned, id: web::Path<String>) -> Answer {
    let proposal = find(&view.state, &id)?;
    // Every member with a role is asked for, which takes its time in a large mesh.
    let (id, state) = (proposal.id, view.state.clone());
    let explain = move || ExplainView::new(&state, state.proposal(id)?);
    let explained = web::block(explain).await.map_err(|_| Problem::from(SubmitError::Stopping))?;
    let unknown = || Problem::not_found("unknown-proposal", format!("there is no proposal {id}"));
    Ok(HttpResponse::Ok().json(explained.ok_or_else(unknown)?))
}

/// Lists what happened to a proposal since its current revision was submitted.
#[utoipa::path(get, path = "/v1/proposals/{id}/timeline", tag = "proposals",
    params(PageQuery),
    responses((status = 200, body = Page<CloudEvent>)))]
pub(crate) async fn timeline(
    shared: web::Data<Shared>,
    view: Pinned,
    id: web::Path<String>,
    query: Query<PageQuery>,
) -> Answer {
    let (size, after) = (query.size()?, query.after::<u64>()?);
    let proposal = find(&view.state, &id)?;
    let after = after.map(EventSequence::new);
    let (records, next) = history::of(shared.backend.as_ref(), proposal, after, size).await?;
    // Events may be of blocks after the view.
    let newest = records.last().map_or(view.state.height(), |record| record.height.max(view.state.height()));
    let items = records.iter().map(|record| CloudEvent::new(view.network, record)).collect();
    Ok(HttpResponse::Ok()
        .insert_header(height::header(newest))
        .json(Page { items, next_page_token: next.map(|sequence| sequence.to_string()) }))
}
