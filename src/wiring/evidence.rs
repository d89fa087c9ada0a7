//! Owns carrying evidence of double signatures from the node's own detector to the ledger, where everyone sees it.

use althing_actors::signer::submitter::Submitter;
use althing_contracts::{
    name::MemberId,
    role::Role,
    transaction::{Call, Equivocation},
};
use tokio::sync::broadcast::{self, error::RecvError};
use tracing::{info, warn};

/// Reports with the first key that may: an executor's, which a node holds anyway. Without one, others report.
pub(super) fn report<'a>(
    evidence: broadcast::Receiver<Equivocation>,
    holders: impl Iterator<Item = &'a (MemberId, Role)>,
    submitter: Submitter,
) {
    let reporter =
        holders.filter(|(_, role)| *role == Role::Executor).map(|(member, _)| member.clone()).next();
    if let Some(member) = reporter {
        tokio::spawn(follow(evidence, member, submitter));
    }
}

async fn follow(mut evidence: broadcast::Receiver<Equivocation>, member: MemberId, submitter: Submitter) {
    loop {
        let found = match evidence.recv().await {
            Ok(found) => found,
            // What is skipped is in the log, and one report of a validator is enough.
            Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => return,
        };
        let height = found.height;
        let call = Call::ReportEquivocation { evidence: Box::new(found) };
        match submitter.act(&member, Role::Executor, call).await {
            Ok(done) => info!(%height, reported_at = %done.height, "equivocation is on the ledger"),
            // Another node's report was first, or the ledger is not deciding; the evidence stays in the log.
            Err(error) => warn!(%height, %error, "equivocation not reported"),
        }
    }
}
