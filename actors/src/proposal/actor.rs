//! Owns the mailbox of the proposal desk. It decides no rule: plans come from the state, refusals from the ledger.

use std::{collections::BTreeMap, sync::Arc};

use actix::{Actor, ActorContext, Context, Handler, ResponseFuture};
use althing_contracts::{
    digest::Digest,
    name::{MemberId, Name, OrgId},
    quantity::Revision,
    role::Role,
    transaction::{Call, ProposalId},
};

use super::{
    message::{
        CancelProposal, CastBallot, DeskError, DryRun, PlanDocument, ReviewProposal, ReviseProposal, Stop,
        SubmitProposal, Submitted, TargetPreview, WAIT_MAX, Wait, Waited,
    },
    metrics::{self, Request, WaitGuard},
    state::{self, Progress},
};
use crate::{
    home::Home,
    ledger::message::{Final, LedgerView},
    port::{LedgerPort, Provider, TargetContext},
    signer::submitter::Submitter,
    span,
    watcher::{Lifeline, StartError, Watched, Watcher},
};
use tracing::Instrument as _;

/// Name of the actor in logs and metrics.
pub const NAME: &str = "proposal";
/// Requests that wait: each client has one.
const MAILBOX_LEN_MAX: usize = 256;

/// What the desk needs.
#[derive(Clone)]
pub struct DeskOptions {
    /// The organisation whose targets the providers of this node know.
    pub org: OrgId,
    /// Providers that are asked what a step would change; empty without an executor.
    pub providers: Vec<Arc<dyn Provider>>,
    /// Signs and submits.
    pub submitter: Submitter,
    /// The ledger.
    pub ledger: Arc<dyn LedgerPort>,
    /// Where it runs.
    pub home: Arc<dyn Home>,
}

/// The desk.
pub struct ProposalDesk {
    desk: Desk,
    lifeline: Lifeline,
}

#[derive(Clone)]
struct Desk {
    org: OrgId,
    providers: Arc<BTreeMap<Name, Arc<dyn Provider>>>,
    submitter: Submitter,
    ledger: Arc<dyn LedgerPort>,
}

/// Starts the desk under supervision.
///
/// # Errors
/// A provider's name is none.
pub fn start(watcher: &Watcher, options: DeskOptions) -> Result<Watched<ProposalDesk>, StartError> {
    metrics::describe();
    let named = |provider: &Arc<dyn Provider>| Ok((Name::new(provider.name())?, Arc::clone(provider)));
    let providers = options.providers.iter().map(named).collect::<Result<_, StartError>>()?;
    let DeskOptions { org, submitter, ledger, home, .. } = options;
    let desk = Desk { org, providers: Arc::new(providers), submitter, ledger };
    watcher.supervise(NAME, move |lifeline| {
        let actor = ProposalDesk { desk: desk.clone(), lifeline };
        Ok(home.start(move || actor))
    })
}

impl Desk {
    fn view(&self) -> Arc<LedgerView> {
        self.ledger.feed().view.borrow().clone()
    }

    async fn plan(self, request: PlanDocument) -> Result<DryRun, DeskError> {
        let view = self.view();
        let PlanDocument { document } = request;
        let plan = view.state.plan(&document)?;
        let mut targets = Vec::new();
        for (step, planned) in (0_u16..).zip(&plan.steps).filter(|(_, planned)| planned.owner == self.org) {
            let Some(target) = view.state.target(&planned.target) else { continue };
            let Some(provider) = self.providers.get(&target.record.provider) else { continue };
            let context = TargetContext { id: planned.target.clone(), record: target.record.clone() };
            let says = provider.plan(&context, &planned.action).await;
            let says = says.map(|preview| preview.changes).map_err(|error| error.to_string());
            targets.push(TargetPreview { step, target: planned.target.clone(), says });
        }
        Ok(DryRun {
            plan_hash: plan.hash(),
            track: view.state.track_of(&document),
            findings: view.state.findings(&document),
            height: view.state.height(),
            targets,
            plan,
        })
    }

    async fn submit(self, request: SubmitProposal) -> Result<Submitted, DeskError> {
        let SubmitProposal { author, document, plan_hash } = request;
        let transaction =
            self.submitter.act(&author, Role::Author, Call::Submit { document, plan_hash }).await?;
        let proposal = transaction.opened().ok_or(DeskError::NothingOpened { height: transaction.height })?;
        Ok(Submitted { proposal, transaction })
    }

    /// The current revision of a proposal whose plan is the one that was shown.
    fn edition(&self, proposal: ProposalId, shown: Digest) -> Result<Revision, DeskError> {
        let view = self.view();
        let unknown = || DeskError::UnknownProposal { proposal, height: view.state.height() };
        let found = view.state.proposal(proposal).ok_or_else(unknown)?;
        let current = found.plan_hash;
        if current == shown {
            Ok(found.revision)
        } else {
            Err(DeskError::PlanMoved { proposal, shown, current })
        }
    }

    async fn act(self, member: MemberId, role: Role, call: Call) -> Result<Final, DeskError> {
        let span = span::of(NAME, call.proposal());
        Ok(self.submitter.act(&member, role, call).instrument(span).await?)
    }

    /// Follows the ledger's views; each one is judged, so nothing is missed and nothing is polled.
    async fn wait(self, request: Wait) -> Result<Waited, DeskError> {
        let _guard = WaitGuard::new();
        let Wait { proposal, until, deadline } = request;
        let mut view = self.ledger.feed().view;
        let over = tokio::time::sleep(deadline.min(WAIT_MAX));
        tokio::pin!(over);
        loop {
            let now = view.borrow_and_update().clone();
            let unknown = || DeskError::UnknownProposal { proposal, height: now.state.height() };
            let found = now.state.proposal(proposal).ok_or_else(unknown)?;
            let stage = match state::progress(found, &until) {
                Progress::Reached(stage) => return Ok(Waited::Reached(stage)),
                Progress::Ended(stage) => return Ok(Waited::Ended(stage)),
                Progress::Underway(stage) => stage,
            };
            tokio::select! {
                changed = view.changed() => changed.map_err(|_| DeskError::Stopping)?,
                () = &mut over => {
                    return Ok(Waited::TimedOut { stage, unmet: state::unmet(&now.state, proposal) });
                }
            }
        }
    }
}

impl Actor for ProposalDesk {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX_LEN_MAX);
    }
}

impl Handler<PlanDocument> for ProposalDesk {
    type Result = ResponseFuture<Result<DryRun, DeskError>>;

    fn handle(&mut self, request: PlanDocument, _: &mut Self::Context) -> Self::Result {
        metrics::asked(Request::Plan);
        Box::pin(self.desk.clone().plan(request))
    }
}

impl Handler<SubmitProposal> for ProposalDesk {
    type Result = ResponseFuture<Result<Submitted, DeskError>>;

    fn handle(&mut self, request: SubmitProposal, _: &mut Self::Context) -> Self::Result {
        metrics::asked(Request::Submit);
        Box::pin(self.desk.clone().submit(request))
    }
}

impl Handler<ReviseProposal> for ProposalDesk {
    type Result = ResponseFuture<Result<Final, DeskError>>;

    fn handle(&mut self, request: ReviseProposal, _: &mut Self::Context) -> Self::Result {
        metrics::asked(Request::Revise);
        let ReviseProposal { author, proposal, replaces, document, plan_hash } = request;
        let call = Call::Revise { proposal, replaces, document, plan_hash };
        Box::pin(self.desk.clone().act(author, Role::Author, call))
    }
}

impl Handler<ReviewProposal> for ProposalDesk {
    type Result = ResponseFuture<Result<Final, DeskError>>;

    fn handle(&mut self, request: ReviewProposal, _: &mut Self::Context) -> Self::Result {
        metrics::asked(Request::Review);
        let (desk, ReviewProposal { reviewer, proposal, plan_hash, verdict, reason }) =
            (self.desk.clone(), request);
        Box::pin(async move {
            let revision = desk.edition(proposal, plan_hash)?;
            let call = Call::Review { proposal, revision, plan_hash, verdict, reason };
            desk.act(reviewer, Role::Reviewer, call).await
        })
    }
}

impl Handler<CastBallot> for ProposalDesk {
    type Result = ResponseFuture<Result<Final, DeskError>>;

    fn handle(&mut self, request: CastBallot, _: &mut Self::Context) -> Self::Result {
        metrics::asked(Request::Vote);
        let (desk, CastBallot { voter, proposal, plan_hash, choice }) = (self.desk.clone(), request);
        Box::pin(async move {
            let revision = desk.edition(proposal, plan_hash)?;
            desk.act(voter, Role::Voter, Call::Vote { proposal, revision, plan_hash, choice }).await
        })
    }
}

impl Handler<CancelProposal> for ProposalDesk {
    type Result = ResponseFuture<Result<Final, DeskError>>;

    fn handle(&mut self, request: CancelProposal, _: &mut Self::Context) -> Self::Result {
        metrics::asked(Request::Cancel);
        let CancelProposal { author, proposal, reason } = request;
        Box::pin(self.desk.clone().act(author, Role::Author, Call::Cancel { proposal, reason }))
    }
}

impl Handler<Wait> for ProposalDesk {
    type Result = ResponseFuture<Result<Waited, DeskError>>;

    fn handle(&mut self, request: Wait, _: &mut Self::Context) -> Self::Result {
        metrics::asked(Request::Wait);
        Box::pin(self.desk.clone().wait(request))
    }
}

impl Handler<Stop> for ProposalDesk {
    type Result = ();

    fn handle(&mut self, _: Stop, ctx: &mut Self::Context) {
        self.lifeline.stop();
        ctx.stop();
    }
}

#[cfg(test)]
mod tests;
