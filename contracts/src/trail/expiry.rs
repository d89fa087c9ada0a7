//! G13: what is about to expire is said once for each end, before it and not long before it, while it is still about to. By the
//! events alone.

use std::collections::BTreeSet;

use super::{Found, Trail, ensure, ensure_at};
use crate::{
    event::Event,
    expiry::Expiring,
    invariant::{Invariant, View},
    quantity::{DurationMs, TimeMs},
    stage::Stage,
};

const G13: Invariant = Invariant::Progress;

/// The ends to come of which people were warned.
#[derive(Debug, Clone, Default)]
pub(super) struct Warned {
    said: BTreeSet<(TimeMs, Expiring)>,
    /// The longest time before an end that any rules so far have asked for.
    before_max: DurationMs,
}

impl Warned {
    /// Judges one event.
    pub(super) fn check(&self, trail: &Trail, block: &View<'_>, event: &Event) -> Result<(), Found> {
        let Event::ExpiryNear { expiring, at } = event else { return Ok(()) };
        let time = block.header.time;
        let in_time = time < *at && at.since(time) <= self.before_max;
        let once = !self.said.contains(&(*at, expiring.clone()));
        let message = || format!("{expiring} ends at {at}, says a block of {time}, once {once}");
        let Some(id) = expiring.proposal() else { return ensure_at(in_time && once, G13, message) };
        ensure(in_time && once, G13, id, message)?;
        let stage = trail.proposals().get(&id).and_then(|trail| trail.stage);
        let expected = match expiring {
            Expiring::Review { .. } => Stage::Review,
            Expiring::Voting { .. } => Stage::Voting,
            _ => Stage::Queued,
        };
        ensure(stage == Some(expected), G13, id, || {
            format!("{expiring} is said to end while it is {stage:?}")
        })
    }

    /// Adds an event of a block.
    pub(super) fn push(&mut self, block: &View<'_>, event: &Event) {
        if let Event::ExpiryNear { expiring, at } = event {
            let time = block.header.time;
            self.said.retain(|(at, _)| *at > time);
            self.said.insert((*at, expiring.clone()));
        }
    }

    /// Takes the rules at the beginning of a block.
    pub(super) fn begin(&mut self, trail: &Trail) {
        let before = trail.constitution().map_or(DurationMs::ZERO, |rules| rules.warning);
        self.before_max = self.before_max.max(before);
    }
}
