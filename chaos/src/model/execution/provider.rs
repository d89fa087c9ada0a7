//! Owns the provider of the model: one resource of one target, the rules of the port `Provider` and nothing else.
//! Every order is admitted by its fence, takes effect once under its key, and refuses a target that has moved.

use std::collections::BTreeSet;

use althing_actors::port::{Effect, Evidence, ProviderError, ProviderOrder};
use althing_contracts::{document::Action, quantity::Fence};

/// The provider with what it has on record.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Provider {
    /// Highest fence of an order that was begun.
    fence: Fence,
    pub(super) applied: Option<Action>,
    /// Every effect, in order: the key and the fence.
    pub(super) effects: Vec<(String, Fence)>,
}

impl Provider {
    pub(super) const fn new(applied: Option<Action>) -> Self {
        Self { fence: Fence::ZERO, applied, effects: Vec::new() }
    }

    /// Reads, which keeps every order under an older fence out from there on.
    pub(super) fn read(&mut self, fence: Fence) -> Result<Option<Action>, ProviderError> {
        self.admit(fence)?;
        self.fence = fence;
        Ok(self.applied.clone())
    }

    pub(super) fn carry_out(&mut self, order: &ProviderOrder, undo: bool) -> Result<Effect, ProviderError> {
        self.admit(order.fence)?;
        let evidence = Evidence { facts: [].into() };
        if self.effects.iter().any(|(key, _)| *key == order.idempotency_key) {
            return Ok(Effect::Same(evidence));
        }
        let (found, wanted) = (self.applied.as_ref().and_then(Action::leaves), order.action.leaves());
        let expected = order.expect.as_ref().and_then(Action::leaves);
        if found != expected && !(undo && found == wanted) {
            let text = |action: Option<&Action>| format!("{action:?}");
            return Err(ProviderError::Drift { expected: text(expected), found: text(found) });
        }
        self.fence = order.fence;
        if found == wanted {
            // An undo of what never took effect leaves everything as it is.
            return Ok(Effect::Same(evidence));
        }
        self.applied = wanted.cloned();
        self.effects.push((order.idempotency_key.clone(), order.fence));
        Ok(Effect::New(evidence))
    }

    fn admit(&self, fence: Fence) -> Result<(), ProviderError> {
        if fence < self.fence {
            return Err(ProviderError::Fenced { found: fence, seen: self.fence });
        }
        Ok(())
    }

    /// Keys that took effect more than once.
    pub(super) fn is_once_each(&self) -> bool {
        let keys: BTreeSet<&String> = self.effects.iter().map(|(key, _)| key).collect();
        keys.len() == self.effects.len()
    }
}
