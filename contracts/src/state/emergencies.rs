//! Owns what is asked about emergencies, and the keeping of one with its timer.

use std::sync::Arc;

use crate::{
    constitution::Track,
    emergency::{Emergency, EmergencyId, Mandate},
    name::{MemberId, TargetId},
    proposal::Proposal,
    reject::Reject,
    state::{Hold, State, timer::Timer},
};

impl State {
    /// One emergency.
    #[must_use]
    pub fn emergency(&self, id: EmergencyId) -> Option<&Emergency> {
        self.registry.emergencies.get(&id).map(Arc::as_ref)
    }

    /// Every emergency that was declared, in the order of the ids.
    pub fn emergencies(&self) -> impl Iterator<Item = &Emergency> {
        self.registry.emergencies.values().map(Arc::as_ref)
    }

    /// Emergencies whose measures hold.
    pub fn emergencies_in_force(&self) -> impl Iterator<Item = &Emergency> {
        self.registry.holds.in_force().iter().filter_map(|id| self.emergency(*id))
    }

    /// The powers that a guardian was given, whether they still hold or not.
    #[must_use]
    pub fn mandate(&self, guardian: &MemberId) -> Option<&Mandate> {
        self.registry.mandates.get(guardian)
    }

    /// The powers of every guardian, whether they still hold or not, by name.
    pub fn mandates(&self) -> impl Iterator<Item = (&MemberId, &Mandate)> {
        self.registry.mandates.iter()
    }

    /// The proposals on which the ledger acts by itself, in the order in which it will.
    pub(crate) fn timed_proposals(&self) -> impl Iterator<Item = &Proposal> {
        self.deadlines.keys().filter_map(|(_, timer)| match timer {
            Timer::Proposal(id) => self.proposal(*id),
            Timer::Emergency(_) | Timer::Recovery(_) => None,
        })
    }

    /// Whether a guardian may declare and sign emergencies, and veto.
    ///
    /// # Errors
    /// Says why not.
    pub fn check_power(&self, guardian: &MemberId) -> Result<(), Reject> {
        self.registry.check_power(guardian)
    }

    /// What keeps anything from being submitted to a track, and from beginning on it.
    #[must_use]
    pub fn hold_on_track(&self, track: Track) -> Option<Hold> {
        self.registry.holds.on_track(track)
    }

    /// What keeps steps from being taken on a target.
    #[must_use]
    pub fn hold_on_target(&self, target: &TargetId) -> Option<Hold> {
        self.registry.holds.on_steps(target)
    }

    /// What keeps an executor from everything.
    #[must_use]
    pub fn hold_on_executor(&self, member: &MemberId) -> Option<Hold> {
        self.registry.holds.on_executor(member)
    }

    /// Keeps an emergency as it stands from here on, and its timer in step with it.
    pub(crate) fn put_emergency(&mut self, emergency: Emergency) {
        let id = emergency.id;
        let (before, after) = (self.emergency(id).and_then(Emergency::deadline), emergency.deadline());
        self.registry.keep_emergency(emergency);
        if let Some(deadline) = before {
            self.deadlines.remove(&(deadline, Timer::Emergency(id)));
        }
        if let Some(deadline) = after {
            self.deadlines.insert((deadline, Timer::Emergency(id)), ());
        }
    }

    /// The proposals that have not ended.
    pub(crate) fn open_proposals(&self) -> impl Iterator<Item = &Proposal> {
        self.open.keys().filter_map(|id| self.proposal(*id))
    }
}
