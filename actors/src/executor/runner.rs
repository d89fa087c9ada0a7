//! Owns the executor without its mailbox: the plan runner with its intent journal, and what its outputs ask of the
//! ledger. Refuses to let a provider be called or an outcome be reported before the journal has it on the disk.

use althing_contracts::{
    digest::{Digest, Purpose},
    event::Event,
    name::{MemberId, TargetId},
    quantity::TimeMs,
    state::State,
    transaction::Call,
};

use super::{
    journal::{self, Entry, IntentRecord, StepKey},
    state::{ExecutorConfig, ExecutorState, Grant, Input, Output, Settlement},
};
use crate::{
    failpoint,
    journal::{Journal, JournalError, Place},
    ledger::message::Final,
};

/// The plan runner with its journal.
#[derive(Debug)]
pub struct Runner {
    state: ExecutorState,
    journal: Journal<IntentRecord>,
}

impl Runner {
    /// Goes on from the intent journal at a place.
    ///
    /// # Errors
    /// The disk fails or the chain is broken.
    pub fn open(config: ExecutorConfig, place: impl Into<Place>) -> Result<Self, JournalError> {
        let (journal, tries) = journal::open(place)?;
        Ok(Self { state: ExecutorState::new(config, tries), journal })
    }

    /// Takes what happened and yields what is to be done; whatever of it has to be on the disk first, is.
    ///
    /// # Errors
    /// The journal cannot be written. Nothing may follow: the executor begins again from what is on the disk.
    pub fn step(&mut self, now: TimeMs, input: Input) -> Result<Vec<Output>, JournalError> {
        let outputs = self.state.step(now, input);
        for output in &outputs {
            if let Some(record) = record_of(now, output) {
                failpoint::reach("executor.record");
                self.journal.append(&record)?;
                failpoint::reach("executor.recorded");
            }
        }
        Ok(outputs)
    }

    /// When [`Input::Tick`] is due.
    pub const fn wake_at(&self) -> Option<TimeMs> {
        self.state.wake_at()
    }

    /// Steps that are being carried out.
    pub fn running(&self) -> impl Iterator<Item = (&TargetId, StepKey)> {
        self.state.running()
    }
}

/// What has to be on the disk before an output is carried out.
fn record_of(now: TimeMs, output: &Output) -> Option<IntentRecord> {
    let (key, fence, entry) = match output {
        Output::CarryOut { key, order, .. } => {
            let entry = Entry::Intent {
                target: order.target.id.clone(),
                idempotency_key: order.idempotency_key.clone(),
                action: order.action.clone(),
                expect: order.expect.clone(),
            };
            (*key, order.fence, entry)
        }
        Output::Report { key, fence, outcome, evidence, .. } => {
            (*key, *fence, Entry::Outcome { outcome: outcome.clone(), facts: evidence.facts.clone() })
        }
        _ => return None,
    };
    Some(IntentRecord::V1 { time: now, key, fence, entry })
}

impl Output {
    /// What it asks of the ledger, and who asks.
    pub fn call(&self) -> Option<(&MemberId, Call)> {
        match self {
            Self::Claim { key, member } => {
                Some((member, Call::Claim { proposal: key.proposal, step: key.step }))
            }
            Self::Report { key, member, fence, outcome, evidence } => {
                let evidence = Digest::of_object(Purpose::Evidence, &evidence.facts);
                let (proposal, step) = (key.proposal, key.step);
                let call =
                    Call::Receipt { proposal, step, fence: *fence, outcome: outcome.clone(), evidence };
                Some((member, call))
            }
            Self::Attest { member, key, health } => {
                let (proposal, stage, step) = (key.proposal, key.stage, key.step);
                Some((member, Call::AttestHealth { proposal, stage, step, health: health.clone() }))
            }
            Self::Read { .. } | Self::CarryOut { .. } | Self::Probe { .. } => None,
        }
    }
}

/// The answer to a claim that is final, by the state that shows it or a later one.
pub fn granted(state: &State, key: StepKey, answer: &Final) -> Settlement<Option<Grant>> {
    let fence = answer.events.iter().find_map(|event| match event {
        Event::StepClaimed { proposal, step, fence, undo, .. }
            if (*proposal, *step, *undo) == (key.proposal, key.step, key.undo) =>
        {
            Some(*fence)
        }
        _ => None,
    });
    let grant = fence.map(|fence| match state.proposal(key.proposal) {
        Some(proposal) => Grant::of(proposal, key, fence, answer.time.after(proposal.parameters.lease)),
        None => Grant { fence, until: answer.time, follows_another: true },
    });
    Settlement::Final(answer.height, grant)
}
