//! Owns the warnings of what is about to expire: scheduled with the end that they are about, said once, and dropped when that
//! end is another by then. No block is made for a warning: it comes with the first one from its time on.

use crate::{
    event::Event,
    expiry::{Expiring, Warning},
    proposal::Proposal,
    quantity::TimeMs,
    role::Role,
    shared_map::SharedMap,
    stage::Stage,
    state::{LeafKey, Registry, State},
    tally::TallyTestKind,
    transaction::ProposalId,
};

/// When each warning is said, the next one first; follows from what is scheduled.
pub(crate) type Agenda = SharedMap<(TimeMs, Expiring), ()>;

impl State {
    /// When the next warning is said, unless what it is about is over by then.
    #[must_use]
    pub fn next_warning(&self) -> Option<TimeMs> {
        self.registry.agenda.get_min().map(|((due, _), ())| *due)
    }

    /// Says what is about to expire.
    pub(super) fn warn(&mut self, events: &mut Vec<Event>) {
        while let Some(((due, expiring), ())) = self.registry.agenda.get_min().cloned() {
            if due > self.registry.time {
                return;
            }
            let Some(Warning { at, .. }) = self.registry.drop_warning(&expiring) else { return };
            if at > self.registry.time && self.is_near(&expiring, at) {
                events.push(Event::ExpiryNear { expiring, at });
            }
        }
    }

    /// Whether it still ends at this time.
    fn is_near(&self, expiring: &Expiring, at: TimeMs) -> bool {
        let waits = |id: ProposalId, stage: Stage| {
            self.proposal(id).filter(|held| held.stage == stage && held.deadline == Some(at))
        };
        match expiring {
            Expiring::Review { proposal } => waits(*proposal, Stage::Review).is_some(),
            Expiring::Voting { proposal } => waits(*proposal, Stage::Voting).is_some_and(lacks_voters),
            Expiring::Execution { proposal } => self
                .proposal(*proposal)
                .is_some_and(|held| held.stage == Stage::Queued && held.begin_by() == Some(at)),
            Expiring::Emergency { emergency } => self
                .emergency(*emergency)
                .is_some_and(|held| held.is_in_force() && held.declaration.expires == at),
            Expiring::Term { guardian } => {
                let guards =
                    self.member(guardian).is_some_and(|held| held.keys.contains_key(&Role::Guardian));
                let mandate = self.mandate(guardian);
                guards && mandate.is_some_and(|mandate| mandate.until == at && mandate.suspended_by.is_none())
            }
            Expiring::Delegation { delegator, track } => {
                let held = self.member(delegator).filter(|held| !held.has_left());
                held.and_then(|held| held.delegations.get(track)).is_some_and(|held| held.expires == at)
            }
        }
    }
}

impl Registry {
    /// Schedules the warning of an end, in the place of the one that was scheduled for an earlier end of the same.
    pub(crate) fn warn_of(&mut self, expiring: Expiring, at: TimeMs) {
        self.drop_warning(&expiring);
        let warning = Warning::of(self.time, at, self.constitution.warning);
        self.agenda.insert((warning.due, expiring.clone()), ());
        self.touched.insert(LeafKey::Warning(expiring.clone()));
        self.warnings.insert(expiring, warning);
    }

    /// Schedules the warnings of the terms with which a mesh begins.
    pub(super) fn warn_of_first_terms(&mut self) {
        let terms: Vec<_> =
            self.mandates.iter().map(|(guardian, held)| (guardian.clone(), held.until)).collect();
        for (guardian, until) in terms {
            self.warn_of(Expiring::Term { guardian }, until);
        }
    }

    /// When each warning is said.
    pub(super) fn derive_agenda(&mut self) {
        let agenda = self.warnings.iter().map(|(expiring, warning)| ((warning.due, expiring.clone()), ()));
        self.agenda = agenda.collect();
    }

    fn drop_warning(&mut self, expiring: &Expiring) -> Option<Warning> {
        let warning = self.warnings.remove(expiring)?;
        self.agenda.remove(&(warning.due, expiring.clone()));
        self.touched.insert(LeafKey::Warning(expiring.clone()));
        Some(warning)
    }
}

/// Whether too few take part for the count to say anything.
fn lacks_voters(proposal: &Proposal) -> bool {
    let tally = proposal.count();
    !tally.holds(TallyTestKind::Turnout) || !tally.holds(TallyTestKind::Acknowledgement)
}
