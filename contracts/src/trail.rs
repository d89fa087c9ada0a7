//! Owns the invariants over a whole history, judged from the events alone and from nothing that a state remembers.
//!
//! Each file judges one invariant from a [`Trail`], which it shares with no rule: a state machine that forgets or
//! miscounts what happened does not hide it. Tests, simulator, auditor and node run the same code.

use std::collections::BTreeMap;

use crate::{
    invariant::{Invariant, View, Violation},
    transaction::ProposalId,
};

mod approval;
mod attempt;
mod dormancy;
mod effect;
mod emergency;
mod evidence;
mod expiry;
mod keys;
mod record;
mod separation;
mod sequence;
mod voice;

pub use record::{ProposalTrail, StepTrail, Trail};

/// Most violations of one block: the first says that something is wrong, the rest help to find out what.
pub const VIOLATIONS_MAX: usize = 64;

/// What a check found.
struct Found {
    invariant: Invariant,
    proposal: Option<ProposalId>,
    message: String,
}

/// Judges a ledger block by block.
#[derive(Debug, Clone, Default)]
pub struct Historian {
    trail: Trail,
    used: sequence::Used,
    emergencies: emergency::Emergencies,
    attempts: attempt::Attempts,
    turnouts: dormancy::Turnouts,
    warned: expiry::Warned,
    words: keys::Words,
}

impl Historian {
    /// Judges the next block, from height 1 on, and yields everything that does not hold.
    pub fn observe(&mut self, block: &View<'_>) -> Vec<Violation> {
        let mut found = Vec::new();
        self.trail.begin(block);
        self.emergencies.begin(block);
        self.warned.begin(&self.trail);
        for transaction in block.transactions {
            found.extend(self.used.check(block, transaction).err());
            found.extend(self.emergencies.check_transaction(block, transaction).err());
        }
        found.extend(separation::check_transactions(block).err());
        for event in block.events {
            found.extend(approval::check(&self.trail, block, event).err());
            found.extend(voice::check(&self.trail, block, event).err());
            found.extend(effect::check(&self.trail, event).err());
            found.extend(separation::check_event(&self.trail, event).err());
            found.extend(evidence::check(&self.trail, block, event).err());
            found.extend(self.emergencies.check(&self.trail, block, event).err());
            found.extend(self.attempts.check(&self.trail, block, event).err());
            found.extend(self.turnouts.check(&self.trail, block, event).err());
            found.extend(self.warned.check(&self.trail, block, event).err());
            found.extend(self.words.check(&self.trail, block, event).err());
            found.truncate(VIOLATIONS_MAX);
            self.trail.push(block, event);
            self.emergencies.push(&self.trail, block, event);
            self.attempts.push(&self.trail, block, event);
            self.turnouts.push(&self.trail, event);
            self.warned.push(block, event);
            self.words.push(block, event);
        }
        found.extend(self.emergencies.check_end(block).err());
        found.extend(self.attempts.check_end(&self.trail, block).err());
        found.extend(self.turnouts.check_end().err());
        let height = block.header.height;
        let violation =
            |Found { invariant, proposal, message }| Violation { invariant, height, proposal, message };
        found.into_iter().map(violation).collect()
    }

    /// What happened to each proposal.
    #[must_use]
    pub const fn proposals(&self) -> &BTreeMap<ProposalId, ProposalTrail> {
        self.trail.proposals()
    }
}

fn ensure(
    holds: bool,
    invariant: Invariant,
    proposal: ProposalId,
    message: impl FnOnce() -> String,
) -> Result<(), Found> {
    if holds {
        return Ok(());
    }
    let message = format!("proposal {proposal}: {}", message());
    Err(Found { invariant, proposal: Some(proposal), message })
}

/// Like [`ensure`], about no proposal.
fn ensure_at(holds: bool, invariant: Invariant, message: impl FnOnce() -> String) -> Result<(), Found> {
    if holds { Ok(()) } else { Err(Found { invariant, proposal: None, message: message() }) }
}

#[cfg(test)]
mod tests;
