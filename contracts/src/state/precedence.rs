//! Owns what proposals know of each other: which a proposal waits for, what those will have left on the targets by then, and
//! which it waits for in vain.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    document::{Action, ProposalDocument},
    name::{Name, TargetId},
    plan::Plan,
    proposal::Proposal,
    reject::Reject,
    shared_map::SharedMap,
    stage::Stage,
    state::Registry,
    transaction::ProposalId,
};

/// The proposals that others may wait for; derived and never stored.
#[derive(Debug, Clone, Default)]
pub(crate) struct Precedence {
    /// Those that have not ended.
    open: SharedMap<ProposalId, Pending>,
    /// Those that were carried out.
    carried_out: SharedMap<ProposalId, ()>,
}

/// What others have to know of a proposal that has not ended.
#[derive(Debug, Clone)]
struct Pending {
    document: Arc<ProposalDocument>,
    plan: Arc<Plan>,
}

/// Most proposals that have not ended and that one waits for, directly and through others.
const CHAIN_MAX: usize = 32;

/// What will be applied, by target and resource; `None` where nothing will be.
pub(crate) type Outcome = BTreeMap<(TargetId, Name), Option<Action>>;

impl Precedence {
    /// Takes over where a proposal stands.
    pub(super) fn note(&mut self, proposal: &Proposal) {
        if proposal.is_open() {
            let (document, plan) = (Arc::clone(&proposal.document), Arc::clone(&proposal.plan));
            self.open.insert(proposal.id, Pending { document, plan });
            return;
        }
        self.open.remove(&proposal.id);
        if proposal.ended.is_some_and(|ended| ended.stage == Stage::Executed) {
            self.carried_out.insert(proposal.id, ());
        }
    }
}

impl Registry {
    /// The proposals that a document waits for and that are not carried out so far.
    pub(crate) fn awaited<'a>(
        &'a self,
        document: &'a ProposalDocument,
    ) -> impl Iterator<Item = ProposalId> + 'a {
        let carried_out = &self.precedence.carried_out;
        document.after.iter().filter(|id| !carried_out.contains_key(*id)).copied()
    }

    /// One of them that will not be: it ended otherwise, or there is none.
    pub(crate) fn awaited_in_vain(&self, document: &ProposalDocument) -> Option<ProposalId> {
        self.awaited(document).find(|id| !self.precedence.open.contains_key(id))
    }

    /// Refuses an edition of a proposal that would wait for itself. That nobody does so through others, and that no chain grows
    /// behind somebody's back, follows from this: whom others wait for takes nothing more to wait for.
    pub(crate) fn check_precedence(
        &self,
        (id, before): (ProposalId, &ProposalDocument),
        document: &ProposalDocument,
    ) -> Result<(), Reject> {
        let mut others = self.precedence.open.values();
        if document.after.contains(&id) {
            return Err(refused("names the proposal itself".to_owned()));
        }
        if document.after.is_subset(&before.after) || !others.any(|it| it.document.after.contains(&id)) {
            return Ok(());
        }
        Err(refused("has more than before, while other proposals wait for this one".to_owned()))
    }

    /// What the proposals that a document waits for, and those before them, will have left behind.
    pub(crate) fn outcome_before(&self, document: &ProposalDocument) -> Result<Outcome, Reject> {
        let before = self.before(document)?;
        let steps = before.iter().flat_map(|pending| &pending.plan.steps);
        let place = |target: &TargetId, action: &Action| (target.clone(), action.resource().clone());
        Ok(steps.map(|step| (place(&step.target, &step.action), step.action.leaves().cloned())).collect())
    }

    /// The proposals that a document waits for and that have not ended, with all that they wait for: each after those.
    fn before(&self, document: &ProposalDocument) -> Result<Vec<&Pending>, Reject> {
        let (mut seen, mut found) = (BTreeSet::new(), Vec::new());
        let mut stack: Vec<Visit> = document.after.iter().rev().copied().map(Visit::Enter).collect();
        while let Some(visit) = stack.pop() {
            match visit {
                Visit::Leave(id) => found.extend(self.precedence.open.get(&id)),
                Visit::Enter(id) => {
                    let Some(pending) = self.precedence.open.get(&id) else { continue };
                    if !seen.insert(id) {
                        continue;
                    }
                    if seen.len() > CHAIN_MAX {
                        return Err(refused(format!(
                            "waits for more than {CHAIN_MAX} proposals, with those before them"
                        )));
                    }
                    stack.push(Visit::Leave(id));
                    stack.extend(pending.document.after.iter().rev().copied().map(Visit::Enter));
                }
            }
        }
        Ok(found)
    }
}

/// A step of the way through what waits for what.
enum Visit {
    Enter(ProposalId),
    Leave(ProposalId),
}

fn refused(problem: String) -> Reject {
    Reject::Document { field: "after".to_owned(), problem }
}
