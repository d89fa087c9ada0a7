//! Owns the routes that change the ledger: each becomes one call, signed by the member's key on this node.

use std::{sync::Arc, time::Duration};

use actix_web::{HttpRequest, http::StatusCode, web};
use althing_actors::{
    failpoint,
    ledger::message::{Final, LedgerView},
};
use althing_contracts::{
    digest::Digest,
    name::MemberId,
    proposal::Proposal,
    reject::Reject,
    role::Role,
    state::State,
    transaction::{Call, ProposalId},
};

use super::{
    Answer, Shared, find,
    once::{Done, Reply, once},
};
use crate::api::{
    backend::Backend,
    body::parse,
    problem::Problem,
    view::act::{
        AcceptedView, BatchRequest, BatchView, CosignRequest, ReasonRequest, ResumeRequest, ReviewRequest,
        ReviseRequest, SubmitRequest, VoteRequest,
    },
};

/// Longest time from a final answer until the node's own view shows it.
const VIEW_LAG_MAX: Duration = Duration::from_secs(5);

/// A request about one proposal.
type Asked = (web::Data<Shared>, web::Path<String>, HttpRequest, web::Payload);

/// What a request asks of the ledger.
struct Act {
    member: MemberId,
    role: Role,
    call: Call,
    subject: Subject,
}

/// Which proposal an act is about.
enum Subject {
    /// One that exists.
    Known(ProposalId),
    /// One that the act opens with this document.
    Opened(Digest),
}

/// Opens a proposal.
#[utoipa::path(post, path = "/v1/proposals", tag = "proposals", request_body = SubmitRequest,
    responses((status = 201, body = AcceptedView)))]
pub(crate) async fn submit(shared: web::Data<Shared>, request: HttpRequest, payload: web::Payload) -> Answer {
    let backend = shared.backend.clone();
    let work = |body: web::Bytes| async move {
        let asked: SubmitRequest = parse(&body)?;
        let subject = Subject::Opened(asked.document.digest());
        let call = Call::Submit { document: asked.document, plan_hash: asked.plan_hash };
        let act = Act { member: asked.member, role: Role::Author, call, subject };
        carry_out(backend, act, StatusCode::CREATED).await
    };
    once(&shared, &request, payload, work).await
}

/// Replaces the content of a proposal in review; what was said about the revision before is void.
#[utoipa::path(post, path = "/v1/proposals/{id}/revisions", tag = "proposals", request_body = ReviseRequest,
    responses((status = 200, body = AcceptedView)))]
pub(crate) async fn revise(asked: Asked) -> Answer {
    on_proposal(asked, |proposal, body| {
        let ReviseRequest { member, replaces, document, plan_hash } = parse(body)?;
        let call = Call::Revise { proposal: proposal.id, replaces, document, plan_hash };
        Ok((member, Role::Author, call))
    })
    .await
}

/// Signs a proposal off, or refuses it.
#[utoipa::path(post, path = "/v1/proposals/{id}/reviews", tag = "proposals", request_body = ReviewRequest,
    responses((status = 200, body = AcceptedView)))]
pub(crate) async fn review(asked: Asked) -> Answer {
    on_proposal(asked, |proposal, body| {
        let ReviewRequest { member, revision, plan_hash, verdict, reason } = parse(body)?;
        let call = Call::Review { proposal: proposal.id, revision, plan_hash, verdict, reason };
        Ok((member, Role::Reviewer, call))
    })
    .await
}

/// Casts a ballot.
#[utoipa::path(post, path = "/v1/proposals/{id}/votes", tag = "proposals", request_body = VoteRequest,
    responses((status = 200, body = AcceptedView)))]
pub(crate) async fn vote(asked: Asked) -> Answer {
    on_proposal(asked, |proposal, body| {
        let VoteRequest { member, revision, plan_hash, choice } = parse(body)?;
        Ok((member, Role::Voter, Call::Vote { proposal: proposal.id, revision, plan_hash, choice }))
    })
    .await
}

/// Casts one ballot on several proposals of the routine track, on all of them or on none.
#[utoipa::path(post, path = "/v1/votes", tag = "proposals", request_body = BatchRequest,
    responses((status = 200, body = BatchView)))]
pub(crate) async fn vote_batch(
    shared: web::Data<Shared>,
    request: HttpRequest,
    payload: web::Payload,
) -> Answer {
    let backend = shared.backend.clone();
    let work = |body: web::Bytes| async move {
        let BatchRequest { member, editions, choice } = parse(&body)?;
        let named: Vec<ProposalId> = editions.iter().map(|edition| edition.proposal).collect();
        let call = Call::VoteBatch { editions, choice };
        made(backend.as_ref(), (member, Role::Voter), call, StatusCode::OK, |accepted, state| {
            Ok(BatchView::new(accepted, named.iter().filter_map(|id| state.proposal(*id))))
        })
        .await
    };
    once(&shared, &request, payload, work).await
}

/// Withdraws a proposal that is not decided.
#[utoipa::path(post, path = "/v1/proposals/{id}/cancel", tag = "proposals", request_body = ReasonRequest,
    responses((status = 200, body = AcceptedView)))]
pub(crate) async fn cancel(asked: Asked) -> Answer {
    on_proposal(asked, |proposal, body| {
        let ReasonRequest { member, reason } = parse(body)?;
        Ok((member, Role::Author, Call::Cancel { proposal: proposal.id, reason }))
    })
    .await
}

/// Signs a queued proposal whose track asks for guardians.
#[utoipa::path(post, path = "/v1/proposals/{id}/cosignatures", tag = "proposals", request_body = CosignRequest,
    responses((status = 200, body = AcceptedView)))]
pub(crate) async fn cosign(asked: Asked) -> Answer {
    on_proposal(asked, |proposal, body| {
        let CosignRequest { member, revision, plan_hash } = parse(body)?;
        Ok((member, Role::Guardian, Call::Cosign { proposal: proposal.id, revision, plan_hash }))
    })
    .await
}

/// Stops a queued proposal.
#[utoipa::path(post, path = "/v1/proposals/{id}/veto", tag = "proposals", request_body = ReasonRequest,
    responses((status = 200, body = AcceptedView)))]
pub(crate) async fn veto(asked: Asked) -> Answer {
    on_proposal(asked, |proposal, body| {
        let ReasonRequest { member, reason } = parse(body)?;
        Ok((member, Role::Guardian, Call::Veto { proposal: proposal.id, reason }))
    })
    .await
}

/// Gives a running execution up and rolls it back.
#[utoipa::path(post, path = "/v1/executions/{id}/abort", tag = "executions", request_body = ReasonRequest,
    responses((status = 200, body = AcceptedView)))]
pub(crate) async fn abort(asked: Asked) -> Answer {
    on_proposal(asked, |proposal, body| {
        let ReasonRequest { member, reason } = parse(body)?;
        Ok((member, Role::Executor, Call::Abort { proposal: proposal.id, reason }))
    })
    .await
}

/// Continues a failed execution.
#[utoipa::path(post, path = "/v1/executions/{id}/resume", tag = "executions", request_body = ResumeRequest,
    responses((status = 200, body = AcceptedView)))]
pub(crate) async fn resume(asked: Asked) -> Answer {
    on_proposal(asked, |proposal, body| {
        let ResumeRequest { member } = parse(body)?;
        let role = if member == proposal.author { Role::Author } else { Role::Executor };
        Ok((member, role, Call::Resume { proposal: proposal.id }))
    })
    .await
}

/// Makes the call of an act on the proposal that a request names.
async fn on_proposal<P>((shared, id, request, payload): Asked, prepare: P) -> Answer
where
    P: FnOnce(&Proposal, &[u8]) -> Result<(MemberId, Role, Call), Problem> + Send + 'static,
{
    let backend = shared.backend.clone();
    let work = |body: web::Bytes| async move {
        let act = {
            let view = backend.view();
            let proposal = find(&view.state, &id)?;
            let (member, role, call) = prepare(proposal, &body)?;
            Act { member, role, call, subject: Subject::Known(proposal.id) }
        };
        carry_out(backend, act, StatusCode::OK).await
    };
    once(&shared, &request, payload, work).await
}

async fn carry_out(backend: Arc<dyn Backend>, act: Act, status: StatusCode) -> Reply {
    let Act { member, role, call, subject: about } = act;
    made(backend.as_ref(), (member.clone(), role), call, status, |accepted, state| {
        Ok(AcceptedView::new(accepted, subject(state, &member, &about, accepted)?))
    })
    .await
}

/// Tells a stranger from a member whose key is elsewhere, before any key is looked for.
fn known(state: &State, member: &MemberId, role: Role) -> Result<(), Problem> {
    match state.member(member) {
        None => Err(Reject::NotAMember { member: member.clone() }.into()),
        Some(record) if !record.keys.contains_key(&role) => {
            Err(Reject::NotInRole { member: member.clone(), role }.into())
        }
        Some(_) => Ok(()),
    }
}

/// Has a member make a call, and answers with what the ledger shows once it is final.
pub(super) async fn made<V: serde::Serialize>(
    backend: &dyn Backend,
    (member, role): (MemberId, Role),
    call: Call,
    status: StatusCode,
    show: impl FnOnce(&Final, &State) -> Result<V, Problem>,
) -> Reply {
    known(&backend.view().state, &member, role)?;
    failpoint::reach("api.submit");
    let accepted = backend.submit(member, role, call).await?;
    failpoint::reach("api.final");
    let view = view_of(backend, &accepted).await;
    let shown = show(&accepted, &view.state)?;
    Ok(Done::new(status, view.state.height().max(accepted.height), &shown))
}

/// The node's view once it includes the block of a final answer, or its newest one when that takes too long.
async fn view_of(backend: &dyn Backend, accepted: &Final) -> Arc<LedgerView> {
    let mut follower = backend.feed().view;
    let shown = follower.wait_for(|view| view.state.height() >= accepted.height);
    match tokio::time::timeout(VIEW_LAG_MAX, shown).await {
        Ok(Ok(view)) => view.clone(),
        _ => backend.view(),
    }
}

fn subject<'a>(
    state: &'a State,
    author: &MemberId,
    subject: &Subject,
    accepted: &Final,
) -> Result<&'a Proposal, Problem> {
    let found = match subject {
        Subject::Known(id) => state.proposal(*id),
        Subject::Opened(document) => match accepted.opened() {
            Some(id) => state.proposal(id),
            None => state
                .proposals()
                .filter(|proposal| proposal.author == *author && proposal.document.digest() == *document)
                .max_by_key(|proposal| proposal.submitted_at),
        },
    };
    found.ok_or_else(|| not_shown(accepted))
}

/// It is final, and this node's own view lags behind.
pub(super) fn not_shown(accepted: &Final) -> Problem {
    let detail = format!("final at height {}, which this node does not show yet; ask again", accepted.height);
    Problem::new(StatusCode::GATEWAY_TIMEOUT, "undecided", "The outcome is not shown yet", detail).retryable()
}
