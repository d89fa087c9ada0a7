//! Owns the carrying out of acts: what is in force, what an act puts in its place, and which proposals that overtakes.

use std::sync::Arc;

use crate::{
    act::{Act, Subject},
    constitution::Constitution,
    digest::Digest,
    event::Event,
    proposal::Proposal,
    state::{LeafKey, Registry},
    transaction::ProposalId,
};

impl Registry {
    /// Digest of what is in force about a subject.
    pub(crate) fn in_force(&self, subject: &Subject) -> Digest {
        match subject {
            Subject::Constitution => self.constitution.digest(),
        }
    }

    /// Whether something that the acts of a proposal replace is another than when they were planned.
    pub(crate) fn has_moved_under_acts(&self, proposal: &Proposal) -> bool {
        let mut acts = proposal.document.acts.iter().zip(&proposal.plan.acts);
        acts.any(|(act, planned)| self.in_force(&act.subject()) != planned.replaces)
    }

    /// Whether the rules of a proposal's track have changed since they were pinned to it.
    pub(crate) fn has_other_rules(&self, proposal: &Proposal) -> bool {
        self.amended.get(&proposal.track).is_some_and(|version| *version > proposal.constitution)
    }

    /// Carries out what was decided.
    pub(crate) fn enact(&mut self, act: &Act, proposal: ProposalId, events: &mut Vec<Event>) {
        match act {
            Act::Amend { constitution } => self.amend(constitution, proposal, events),
        }
    }

    fn amend(&mut self, constitution: &Constitution, proposal: ProposalId, events: &mut Vec<Event>) {
        let version = constitution.version;
        let touched = self.constitution.touched_by(constitution);
        self.amended.extend(touched.into_iter().map(|track| (track, version)));
        self.constitution = Arc::new(constitution.clone());
        self.derive();
        self.touched.insert(LeafKey::Constitution);
        events.push(Event::Amended { proposal, version, constitution: self.constitution.digest() });
    }
}
