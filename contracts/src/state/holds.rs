//! Owns what the measures in force hold back: derived from the emergencies, never stored.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    constitution::Track,
    emergency::{Emergency, EmergencyId, Measure},
    name::{MemberId, TargetId},
    quantity::TimeMs,
};

/// Everything that is held back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Holds {
    in_force: BTreeSet<EmergencyId>,
    tracks: BTreeMap<Track, Hold>,
    paused: BTreeMap<TargetId, Hold>,
    isolated: BTreeMap<TargetId, Hold>,
    executors: BTreeMap<MemberId, Hold>,
}

/// By which emergency, and how long at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hold {
    /// Which.
    pub by: EmergencyId,
    /// Its expiry.
    pub until: TimeMs,
}

impl Holds {
    pub(super) fn of<'a>(emergencies: impl Iterator<Item = &'a Emergency>) -> Self {
        let mut holds = Self::default();
        for emergency in emergencies.filter(|emergency| emergency.is_in_force()) {
            holds.in_force.insert(emergency.id);
            let hold = Hold { by: emergency.id, until: emergency.declaration.expires };
            for measure in &emergency.declaration.measures {
                holds.add(measure, hold);
            }
        }
        holds
    }

    fn add(&mut self, measure: &Measure, hold: Hold) {
        match measure {
            Measure::HaltTrack { track } => extend(&mut self.tracks, *track, hold),
            Measure::PauseTarget { target } => extend(&mut self.paused, target.clone(), hold),
            Measure::IsolateTarget { target } => {
                extend(&mut self.paused, target.clone(), hold);
                extend(&mut self.isolated, target.clone(), hold);
            }
            Measure::SuspendExecutor { member } => extend(&mut self.executors, member.clone(), hold),
        }
    }

    /// The emergencies whose measures hold.
    pub(crate) const fn in_force(&self) -> &BTreeSet<EmergencyId> {
        &self.in_force
    }

    /// What keeps anything from being submitted to a track, and from beginning on it.
    pub(crate) fn on_track(&self, track: Track) -> Option<Hold> {
        self.tracks.get(&track).copied()
    }

    /// What keeps a step from being taken on a target.
    pub(crate) fn on_steps(&self, target: &TargetId) -> Option<Hold> {
        self.paused.get(target).copied()
    }

    /// What keeps everyone from a target, the undoing of steps included.
    pub(crate) fn on_undoing(&self, target: &TargetId) -> Option<Hold> {
        self.isolated.get(target).copied()
    }

    /// What keeps an executor from everything.
    pub(crate) fn on_executor(&self, member: &MemberId) -> Option<Hold> {
        self.executors.get(member).copied()
    }
}

/// Of two holds on the same, the one that lasts longer counts.
fn extend<K: Ord>(holds: &mut BTreeMap<K, Hold>, subject: K, hold: Hold) {
    let kept = holds.entry(subject).or_insert(hold);
    if hold.until > kept.until {
        *kept = hold;
    }
}
