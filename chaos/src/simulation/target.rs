//! Owns the targets: what is really applied to them, and their own append-only log of effects, which no node writes.
//! A target refuses an old fence; one that keeps idempotency keys answers a repeat, one that does not relies on the
//! executor to look before it acts again.

use std::collections::{BTreeMap, BTreeSet};

use althing_actors::port::{Effect, Evidence, ProviderError, ProviderOrder};
use althing_contracts::{
    document::Action,
    name::{Name, TargetId},
    quantity::Fence,
    testing::{healthy, unhealthy},
    transaction::HealthReport,
};
use rand::{Rng, rngs::StdRng};

use super::report::{self, Coverage};
use crate::checker::EffectEntry;

/// A version whose name ends like this does not become healthy.
pub const SICK: &str = "-sick";

/// Everything that is governed.
#[derive(Debug)]
pub struct Targets {
    places: BTreeMap<TargetId, Place>,
    effects: Vec<EffectEntry>,
    /// Targets that somebody changed behind the mesh's back.
    disturbed: BTreeSet<TargetId>,
    /// Whether targets answer a repeat by its key.
    keeps_keys: bool,
    /// Calls that go wrong, of a thousand; 0 when the faults have ended.
    trouble_permille: u32,
}

#[derive(Debug, Default)]
struct Place {
    applied: BTreeMap<Name, Action>,
    seen: Fence,
    done: BTreeSet<String>,
    /// An order that took half of its effect, by its key and resource.
    half: Option<(String, Name)>,
}

/// What goes wrong in one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    None,
    Lost,
    ReplyLost,
    Half,
    Retry,
    Refused,
}

impl Targets {
    /// Targets on which nothing is applied.
    #[must_use]
    pub const fn new(keeps_keys: bool, trouble_permille: u32) -> Self {
        Self {
            places: BTreeMap::new(),
            effects: Vec::new(),
            disturbed: BTreeSet::new(),
            keeps_keys,
            trouble_permille,
        }
    }

    /// Whether a late call does no harm, because the target knows its key.
    pub const fn keeps_keys(&self) -> bool {
        self.keeps_keys
    }

    /// Ends all trouble.
    pub const fn calm(&mut self) {
        self.trouble_permille = 0;
    }

    /// Whether calls still go wrong.
    pub const fn is_troubled(&self) -> bool {
        self.trouble_permille > 0
    }

    /// The log of effects.
    pub fn effects(&self) -> &[EffectEntry] {
        &self.effects
    }

    /// Targets that somebody changed behind the mesh's back.
    pub const fn disturbed(&self) -> &BTreeSet<TargetId> {
        &self.disturbed
    }

    /// Somebody changes a target behind everybody's back.
    pub fn meddle(&mut self, target: &TargetId, resource: &Name) -> bool {
        let was_there =
            self.places.get_mut(target).and_then(|place| place.applied.remove(resource)).is_some();
        if was_there {
            self.disturbed.insert(target.clone());
        }
        was_there
    }

    /// What is applied to a resource.
    pub fn read(
        &mut self,
        random: &mut StdRng,
        target: &TargetId,
        resource: &Name,
        fence: Fence,
    ) -> Result<Option<Action>, ProviderError> {
        if random.random_range(0..1_000) < self.trouble_permille {
            return Err(ProviderError::Retry("simulated: the target cannot be read".to_owned()));
        }
        let place = self.places.entry(target.clone()).or_default();
        // A read without a fence keeps nobody out.
        if fence < place.seen && fence > Fence::ZERO {
            return Err(ProviderError::Fenced { found: fence, seen: place.seen });
        }
        place.seen = place.seen.max(fence);
        match &place.half {
            Some((_, half)) if half == resource => {
                Err(ProviderError::Unknown("simulated: the resource is half changed".to_owned()))
            }
            _ => Ok(place.applied.get(resource).cloned()),
        }
    }

    /// Carries an order out, or not.
    pub fn carry_out(
        &mut self,
        random: &mut StdRng,
        at_us: u64,
        order: &ProviderOrder,
        undo: bool,
        coverage: &mut Coverage,
    ) -> Result<Effect, ProviderError> {
        let trouble = self.draw(random);
        if trouble == Trouble::Lost {
            coverage.count(report::CALL_LOST);
            return Err(ProviderError::Unknown("simulated: the call was lost".to_owned()));
        }
        let keeps_keys = self.keeps_keys;
        let place = self.places.entry(order.target.id.clone()).or_default();
        let evidence =
            || Evidence { facts: BTreeMap::from([("target".to_owned(), order.target.id.to_string())]) };
        if order.fence < place.seen {
            coverage.count(report::FENCED);
            return Err(ProviderError::Fenced { found: order.fence, seen: place.seen });
        }
        place.seen = order.fence;
        if keeps_keys && place.done.contains(&order.idempotency_key) {
            coverage.count(report::REPEATED_ORDER);
            return Ok(Effect::Same(evidence()));
        }
        let resource = order.action.resource();
        let is_half = place.half.as_ref().is_some_and(|(_, half)| half == resource);
        place.check(order, is_half)?;
        let changed = is_half || place.applied.get(resource) != order.action.leaves();
        match trouble {
            Trouble::Retry => return Err(ProviderError::Retry("simulated: busy".to_owned())),
            Trouble::Refused if !is_half => {
                return Err(ProviderError::Refused("simulated: not here".to_owned()));
            }
            Trouble::Half if changed && !is_half => {
                coverage.count(report::HALF_EFFECT);
                place.half = Some((order.idempotency_key.clone(), resource.clone()));
                self.effects.push(entry(at_us, order, undo, true));
                return Err(ProviderError::Unknown("simulated: stopped half-way".to_owned()));
            }
            _ => {}
        }
        let completes = place.half.as_ref().is_some_and(|(key, _)| *key == order.idempotency_key);
        place.apply(order);
        if !completes {
            self.effects.push(entry(at_us, order, undo, changed));
        }
        if trouble == Trouble::ReplyLost {
            coverage.count(report::REPLY_LOST);
            return Err(ProviderError::Unknown("simulated: the reply was lost".to_owned()));
        }
        Ok(Effect::New(evidence()))
    }

    /// What a probe of a target finds.
    pub fn health(&self, random: &mut StdRng, target: &TargetId) -> HealthReport {
        let is_sick = self.places.get(target).is_some_and(Place::is_sick);
        if is_sick || random.random_range(0..1_000) < self.trouble_permille / 4 {
            unhealthy()
        } else {
            healthy()
        }
    }

    fn draw(&self, random: &mut StdRng) -> Trouble {
        if random.random_range(0..1_000) >= self.trouble_permille {
            return Trouble::None;
        }
        match random.random_range(0..8) {
            0 | 1 => Trouble::Lost,
            2 | 3 => Trouble::ReplyLost,
            4 => Trouble::Half,
            5 | 6 => Trouble::Retry,
            _ => Trouble::Refused,
        }
    }
}

impl Place {
    fn check(&self, order: &ProviderOrder, is_half: bool) -> Result<(), ProviderError> {
        let found = self.applied.get(order.action.resource());
        let expected = order.expect.as_ref().and_then(Action::leaves);
        if is_half || found == expected || found == order.action.leaves() {
            return Ok(());
        }
        Err(ProviderError::Drift { expected: format!("{expected:?}"), found: format!("{found:?}") })
    }

    fn apply(&mut self, order: &ProviderOrder) {
        let resource = order.action.resource();
        match &order.action {
            Action::Remove { .. } => drop(self.applied.remove(resource)),
            action => drop(self.applied.insert(resource.clone(), action.clone())),
        }
        self.half = None;
        self.done.insert(order.idempotency_key.clone());
    }

    fn is_sick(&self) -> bool {
        self.applied.values().any(|action| match action {
            Action::Deploy { version, .. } => version.as_str().ends_with(SICK),
            Action::Configure { .. } | Action::Remove { .. } => false,
        })
    }
}

fn entry(at_us: u64, order: &ProviderOrder, undo: bool, changed: bool) -> EffectEntry {
    EffectEntry {
        at_us,
        target: order.target.id.clone(),
        idempotency_key: order.idempotency_key.clone(),
        fence: order.fence,
        action: order.action.clone(),
        undo,
        changed,
    }
}
