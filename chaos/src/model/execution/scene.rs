//! Owns what makes two scenes one: their ledgers' roots and the small world around them.

use std::hash::{Hash, Hasher};

use althing_actors::{
    executor::state::{Input, Settlement},
    port::{Effect, ProviderError, ProviderOrder},
};
use althing_contracts::{document::Action, quantity::Fence, stage::Stage, transaction::ProposalId};

use super::{Late, Scene, Waiting};

/// What a runner is told when the answer is lost: the outcome is not known.
pub(super) fn lost(waiting: &Waiting) -> Option<Input> {
    match waiting {
        Waiting::Claim(key, _) => Some(Input::Claimed { key: *key, answer: Settlement::Open }),
        Waiting::Report(key, ..) => Some(Input::Reported { key: *key, answer: Settlement::Open }),
        Waiting::Attest(_, key, _) => Some(Input::Attested { key: *key, answer: Settlement::Open }),
        Waiting::CarryOut(key, _) => {
            let effect = Err(ProviderError::Unknown("the answer was lost".to_owned()));
            Some(Input::CarriedOut { key: *key, effect })
        }
        Waiting::Read(..) => None,
    }
}

impl Scene {
    /// An order reaches the provider; what must never follow from it is noted.
    pub(super) fn carry_out(
        &mut self,
        id: ProposalId,
        order: &ProviderOrder,
        undo: bool,
    ) -> Result<Effect, ProviderError> {
        let effect = self.provider.carry_out(order, undo);
        if matches!(effect, Ok(Effect::New(_))) {
            let proposal = self.ledger.proposal(id);
            let planned = &proposal.plan.steps[0];
            let approved = proposal.count().passes
                && proposal.eta.is_some_and(|eta| eta <= self.ledger.state.time())
                && order.action == *(if undo { &planned.undo } else { &planned.action });
            if !approved {
                self.wrong.get_or_insert("an effect without approval, timelock or plan");
            }
            // A rollback that was given up is an incident: people act, and no record claims what is applied.
            if proposal.ended.is_some_and(|ended| ended.stage != Stage::RollbackFailed) {
                self.wrong.get_or_insert("an effect after the end");
            }
        }
        effect
    }

    /// When an execution has just ended, the target is as the ledger says.
    pub(super) fn judge_end(&mut self, id: ProposalId) {
        let proposal = self.ledger.proposal(id);
        let Some(ended) = proposal.ended.filter(|ended| ended.height == self.ledger.state.height()) else {
            return;
        };
        let planned = &proposal.plan.steps[0];
        let applied = self.provider.applied.as_ref().and_then(Action::leaves);
        let as_told = match ended.stage {
            Stage::Executed => applied == planned.action.leaves(),
            Stage::RolledBack | Stage::Failed => applied == planned.before.as_ref().and_then(Action::leaves),
            _ => true,
        };
        if !as_told {
            self.wrong.get_or_insert("the target is not as the ledger says at the end");
        }
    }
}

impl Late {
    pub(super) fn names(&self) -> (&str, Fence, bool) {
        (&self.order.idempotency_key, self.order.fence, self.undo)
    }
}

impl PartialEq for Late {
    fn eq(&self, other: &Self) -> bool {
        self.names() == other.names()
    }
}

impl Hash for Scene {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.ledger.hash(hasher);
        (self.now, self.left, self.wrong, self.provider.effects.len()).hash(hasher);
        self.runners.iter().for_each(|runner| runner.hash(hasher));
        format!("{:?}", self.provider).hash(hasher);
        self.late.iter().for_each(|late| late.names().hash(hasher));
    }
}

impl std::fmt::Debug for Scene {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}; {:?}; effects {:?}; ", self.ledger, self.runners, self.provider.effects)?;
        let late: Vec<_> = self.late.iter().map(|late| (late.order.fence, late.undo)).collect();
        write!(f, "late {late:?}; now {}; {:?}", self.now, self.wrong)
    }
}
