//! Owns the beginning of a block: time moves, people are warned of what is about to expire, and everything that fell due
//! happens in the order (deadline, emergencies first, then recovered keys, id).

use std::sync::Arc;

use crate::{
    digest::Digest,
    emergency::EmergencyId,
    event::Event,
    lifecycle::{self, Cast, Move},
    quantity::{Height, TimeMs},
    reject::Reject,
    state::{Applied, KeyPlace, State},
    transaction::ProposalId,
};

/// What the ledger acts on by itself. Measures end before anything else that falls due at the same time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    Emergency(EmergencyId),
    Recovery(KeyPlace),
    Proposal(ProposalId),
}

/// Deadlines of one proposal that may pass in one block: a life has fewer stages than this.
const DEADLINES_PER_PROPOSAL_MAX: usize = 16;

impl State {
    pub(super) fn begin(&mut self, height: Height, time: TimeMs, parent: Digest) -> Result<Applied, Reject> {
        let (last, last_time) = (self.registry.height, self.registry.time);
        if last.checked_add(Height::new(1)) != Some(height) || time <= last_time {
            return Err(Reject::OutOfOrder { height, time, last, last_time });
        }
        self.registry.height = height;
        self.registry.deciding = Arc::clone(&self.registry.roster);
        self.registry.time = time;
        self.registry.remember_block(last, parent);
        self.registry.touched.ledger();
        self.registry.settle_floor();
        self.registry.fade();
        let mut events = Vec::new();
        self.warn(&mut events);
        let most = self.deadlines.len().saturating_mul(DEADLINES_PER_PROPOSAL_MAX);
        for _ in 0..most {
            match self.next_due() {
                Some((_, Timer::Emergency(id))) => lifecycle::emergency::fall_due(self, id, &mut events),
                Some((_, Timer::Recovery(place))) => self.recover(place, &mut events),
                Some((due, Timer::Proposal(id))) => self.fire(due, id, &mut events),
                None => break,
            }
        }
        Ok(Applied::New(events))
    }

    fn next_due(&self) -> Option<(TimeMs, Timer)> {
        let (due, ()) = self.deadlines.get_min()?;
        (due.0 <= self.registry.time).then(|| due.clone())
    }

    /// A timer that the rules do not know is dropped, so that one proposal never holds the ledger up.
    fn fire(&mut self, due: TimeMs, id: ProposalId, events: &mut Vec<Event>) {
        let fired = self.with_proposal(id, events, |cast: &mut Cast<'_>| {
            cast.proposal.deadline = None;
            lifecycle::step(cast, Move::Deadline)
        });
        if fired.is_err() {
            self.deadlines.remove(&(due, Timer::Proposal(id)));
            self.registry.touched.proposal(id);
        }
    }
}
