//! Owns the following of a ledger's events: each must be a move that the model allows, in the order of the ledger.
//!
//! A simulated run shows its final blocks to a [`Follower`]; the model feeds each of its own moves to a [`Trace`].

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use althing_actors::ledger::{message::EventBatch, state::CommittedBlock};
use althing_contracts::{
    constitution::Constitution,
    event::{Event, EventRecord},
    quantity::{EventSequence, Fence, Height, TimeMs},
    stage::Stage,
    transaction::ProposalId,
};

use super::life::{Deviation, Life, Periods};

/// What the events of a ledger have told so far.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Trace {
    periods: Periods,
    last: (EventSequence, Height, TimeMs),
    fence: Fence,
    lives: BTreeMap<ProposalId, Life>,
    /// Proposals by which members judge an emergency.
    judgements: BTreeSet<ProposalId>,
}

/// Follows blocks that may be shown out of order, as restarted nodes show them.
#[derive(Debug, Clone)]
pub struct Follower {
    trace: Trace,
    next: Height,
    waiting: BTreeMap<Height, EventBatch>,
}

impl Trace {
    /// A ledger without events, under this constitution.
    #[must_use]
    pub fn new(constitution: &Constitution) -> Self {
        Self {
            periods: Periods::of(constitution),
            last: (EventSequence::ZERO, Height::ZERO, TimeMs::ZERO),
            fence: Fence::ZERO,
            lives: BTreeMap::new(),
            judgements: BTreeSet::new(),
        }
    }

    /// Takes the ledger's next event.
    ///
    /// # Errors
    /// The event is out of order, or no move that the model allows; the text says which event and why.
    pub fn take(&mut self, record: &EventRecord) -> Result<(), Deviation> {
        self.check_order(record).and_then(|()| self.check_event(record)).map_err(|Deviation { what }| {
            let EventRecord { sequence, height, .. } = record;
            Deviation { what: format!("event {sequence} at height {height}: {what}") }
        })
    }

    /// Where a proposal stands by its events.
    #[must_use]
    pub fn stage(&self, proposal: ProposalId) -> Option<Stage> {
        self.lives.get(&proposal).map(Life::stage)
    }

    fn check_order(&mut self, record: &EventRecord) -> Result<(), Deviation> {
        let (sequence, height, time) = self.last;
        let follows = record.sequence == sequence.next()
            && match record.height.cmp(&height) {
                std::cmp::Ordering::Less => false,
                std::cmp::Ordering::Equal => record.time == time,
                std::cmp::Ordering::Greater => record.time > time,
            };
        self.last = (record.sequence, record.height, record.time);
        let what = || Deviation { what: format!("it does not follow event {sequence} at height {height}") };
        if follows { Ok(()) } else { Err(what()) }
    }

    fn check_event(&mut self, record: &EventRecord) -> Result<(), Deviation> {
        let event = &record.event;
        if let Event::StepClaimed { fence, .. } = event {
            if *fence <= self.fence {
                return Err(Deviation { what: format!("fence {fence} follows {}", self.fence) });
            }
            self.fence = *fence;
        }
        if let Event::EmergencyActivated { proposal, .. } = event {
            self.judgements.insert(*proposal);
        }
        let Some(id) = event.proposal() else { return Ok(()) };
        if let Some(life) = self.lives.get_mut(&id) {
            let is_judgement = self.judgements.contains(&id);
            let periods = if is_judgement { self.periods.without_timelock() } else { self.periods };
            return life.take(periods, record.time, event);
        }
        self.lives.insert(id, Life::begin(event)?);
        Ok(())
    }
}

impl Follower {
    /// Begins at height 1 of a ledger with this constitution.
    #[must_use]
    pub fn new(constitution: &Constitution) -> Self {
        Self { trace: Trace::new(constitution), next: Height::new(1), waiting: BTreeMap::new() }
    }

    /// Takes the events of a final block; one that was shown before is passed over.
    ///
    /// # Errors
    /// The first event that is no move that the model allows.
    pub fn show(&mut self, height: Height, events: &EventBatch) -> Result<(), Deviation> {
        if height >= self.next {
            self.waiting.insert(height, Arc::clone(events));
        }
        while let Some(events) = self.waiting.remove(&self.next) {
            self.next = self.next.next();
            events.iter().try_for_each(|record| self.trace.take(record))?;
        }
        Ok(())
    }
}

/// Replays the final blocks of a run, from height 1 on: each event has to be a move that the model allows, and each
/// proposal has to stand where its events say.
///
/// # Errors
/// The first event, or the first proposal, that deviates.
pub fn replay<'a>(
    constitution: &Constitution,
    blocks: impl IntoIterator<Item = &'a CommittedBlock>,
) -> Result<Trace, Deviation> {
    let mut trace = Trace::new(constitution);
    for block in blocks {
        block.events.iter().try_for_each(|record| trace.take(record))?;
        for proposal in block.state.proposals() {
            let (told, stands) = (trace.stage(proposal.id), Some(proposal.stage));
            if told != stands {
                let what = format!("the events of {} say {told:?}, the ledger {stands:?}", proposal.id);
                return Err(Deviation { what });
            }
        }
    }
    Ok(trace)
}
