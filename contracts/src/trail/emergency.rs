//! G10: an emergency is carried by as many guardians as its rules ask for, each with power and once; its measures end in time
//! and nothing begins that they hold back; the members' vote decides what becomes of it, and of its signers.

use std::collections::{BTreeMap, BTreeSet};

use super::{Found, Trail};
use crate::{
    act::{Act, Subject},
    constitution::{EmergencyRules, Track},
    emergency::{Declaration, EmergencyId, Measure},
    event::Event,
    invariant::{Invariant, View},
    name::{MemberId, TargetId},
    quantity::TimeMs,
    role::Role,
    stage::Stage,
    transaction::{ProposalId, VerifiedTransaction},
};

const G10: Invariant = Invariant::Emergency;

/// What happened about emergencies, and who may declare them.
#[derive(Debug, Clone, Default)]
pub(super) struct Emergencies {
    known: BTreeMap<EmergencyId, EmergencyTrail>,
    /// The end of each guardian's term.
    terms: BTreeMap<MemberId, TimeMs>,
    has_begun: bool,
    suspended: BTreeSet<MemberId>,
}

#[derive(Debug, Clone)]
struct EmergencyTrail {
    declaration: Declaration,
    declared_at: TimeMs,
    rules: EmergencyRules,
    guardians: usize,
    signers: BTreeSet<MemberId>,
    proposal: Option<ProposalId>,
    is_in_force: bool,
    is_settled: bool,
}

impl Emergencies {
    /// Takes the terms at the beginning of the first block.
    pub(super) fn begin(&mut self, block: &View<'_>) {
        if !std::mem::replace(&mut self.has_begun, true) {
            let until = block.before.time().after(block.before.constitution().emergency.term);
            self.terms = block.before.members_with(Role::Guardian).map(|id| (id.clone(), until)).collect();
        }
    }

    /// Judges one event.
    pub(super) fn check(&self, trail: &Trail, block: &View<'_>, event: &Event) -> Result<(), Found> {
        match event {
            Event::EmergencyDeclared { emergency, guardian, declaration, .. } => {
                self.check_power(block, guardian)?;
                let latest =
                    trail.constitution().map(|rules| block.header.time.after(rules.emergency.ttl_max));
                let in_time = latest.is_some_and(|latest| declaration.expires <= latest);
                ensure(None, in_time, || format!("emergency {emergency} lasts longer than the rules allow"))?;
                let is_new = !self.known.contains_key(emergency);
                ensure(None, is_new, || format!("emergency {emergency} is declared a second time"))
            }
            Event::EmergencySigned { emergency, guardian } => {
                self.check_power(block, guardian)?;
                let known = self.known.get(emergency);
                let first = known.is_some_and(|known| !known.signers.contains(guardian));
                ensure(None, first, || format!("{guardian} signs emergency {emergency} twice"))?;
                let last = known.map(|known| known.declared_at.after(known.rules.signing));
                let in_time = last.is_some_and(|last| block.header.time < last);
                ensure(None, in_time, || format!("emergency {emergency} is signed too late"))
            }
            Event::EmergencyActivated { emergency, proposal, .. } => {
                self.check_activation(block, *emergency, *proposal)
            }
            Event::EmergencyRatified { emergency, proposal } => {
                let passes = trail.proposals().get(proposal).and_then(|it| it.tally.as_ref());
                let passes = passes.is_some_and(|tally| tally.passes);
                self.check_verdict(*emergency, *proposal, passes)
            }
            Event::EmergencyReverted { emergency, proposal, suspended } => {
                self.check_verdict(*emergency, *proposal, true)?;
                let signers = self.known.get(emergency).map(|known| &known.signers);
                let all = signers.is_some_and(|signers| signers.iter().eq(suspended));
                ensure(Some(*proposal), all, || {
                    format!("not all who signed emergency {emergency} are suspended")
                })
            }
            Event::StepClaimed { proposal, target, undo, .. } => {
                let held = self.in_force().find(|known| known.keeps(target, *undo));
                ensure(Some(*proposal), held.is_none(), || {
                    format!("a step is claimed on {target}, which is held")
                })
            }
            Event::Submitted { proposal, .. } | Event::StageChanged { proposal, to: Stage::Canary, .. } => {
                let track = block.after.proposal(*proposal).map(|proposal| proposal.track);
                let held = self.in_force().any(|known| track.is_some_and(|track| known.halts(track)));
                ensure(Some(*proposal), !held, || "it goes on although its track is halted".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// Judges one transaction: a key that was suspended before the block and still is does nothing.
    pub(super) fn check_transaction(
        &self,
        block: &View<'_>,
        transaction: &VerifiedTransaction,
    ) -> Result<(), Found> {
        let body = transaction.body();
        let lifted: BTreeSet<EmergencyId> = block.events.iter().filter_map(ended).collect();
        let mut holding = self.known.iter().filter(|(id, known)| known.is_in_force && !lifted.contains(id));
        let acts = body.role == Role::Executor && holding.any(|(_, known)| known.suspends(&body.sender));
        ensure(None, !acts, || format!("the executor {} acts while an emergency suspends it", body.sender))
    }

    /// Judges the end of a block: measures whose time is over have ended.
    pub(super) fn check_end(&self, block: &View<'_>) -> Result<(), Found> {
        let time = block.header.time;
        let outlives = self.in_force().find(|known| known.declaration.expires <= time);
        ensure(outlives.and_then(|known| known.proposal), outlives.is_none(), || {
            "the measures of an emergency outlive their end".to_owned()
        })
    }

    /// Adds an event of a block.
    pub(super) fn push(&mut self, trail: &Trail, block: &View<'_>, event: &Event) {
        match event {
            Event::EmergencyDeclared { emergency, guardian, declaration, .. } => {
                let Some(rules) = trail.constitution().map(|rules| rules.emergency) else { return };
                let fresh = EmergencyTrail {
                    declaration: declaration.clone(),
                    declared_at: block.header.time,
                    rules,
                    guardians: guardians(block),
                    signers: BTreeSet::from([guardian.clone()]),
                    proposal: None,
                    is_in_force: false,
                    is_settled: false,
                };
                self.known.insert(*emergency, fresh);
            }
            Event::EmergencySigned { emergency, guardian } => {
                self.change(*emergency, |known| known.signers.extend([guardian.clone()]));
            }
            Event::EmergencyActivated { emergency, proposal, .. } => self.change(*emergency, |known| {
                (known.proposal, known.is_in_force) = (Some(*proposal), true);
            }),
            Event::EmergencyLifted { emergency, .. } => {
                self.change(*emergency, |known| known.is_in_force = false);
            }
            Event::EmergencyRatified { emergency, .. } => {
                self.change(*emergency, |known| known.is_settled = true);
            }
            Event::EmergencyReverted { emergency, suspended, .. } => {
                self.change(*emergency, |known| (known.is_settled, known.is_in_force) = (true, false));
                self.suspended.extend(suspended.iter().cloned());
            }
            Event::Enacted { subject: Subject::Member(id), .. } => {
                let held = block.after.member(id);
                let guards = held.is_some_and(|held| held.keys.contains_key(&Role::Guardian));
                if let Some(rules) = trail.constitution().filter(|_| guards) {
                    self.terms.entry(id.clone()).or_insert(block.header.time.after(rules.emergency.term));
                }
            }
            Event::Reinstated { guardian, until, .. } => {
                self.suspended.remove(guardian);
                self.terms.insert(guardian.clone(), *until);
            }
            _ => {}
        }
    }

    fn change(&mut self, id: EmergencyId, change: impl FnOnce(&mut EmergencyTrail)) {
        if let Some(known) = self.known.get_mut(&id) {
            change(known);
        }
    }

    fn in_force(&self) -> impl Iterator<Item = &EmergencyTrail> {
        self.known.values().filter(|known| known.is_in_force)
    }

    fn check_power(&self, block: &View<'_>, guardian: &MemberId) -> Result<(), Found> {
        let until = self.terms.get(guardian).copied();
        let in_term = until.is_some_and(|until| until > block.header.time);
        let holds = in_term && !self.suspended.contains(guardian);
        ensure(None, holds, || format!("{guardian} uses a power that ended"))
    }

    fn check_activation(&self, block: &View<'_>, id: EmergencyId, proposal: ProposalId) -> Result<(), Found> {
        let Some(known) = self.known.get(&id) else {
            return ensure(Some(proposal), false, || {
                format!("emergency {id} is active and nobody declared it")
            });
        };
        let powerful = known.signers.iter().filter(|signer| self.check_power(block, signer).is_ok());
        let signers: Vec<&MemberId> = powerful.collect();
        let organisations: BTreeSet<&str> = signers.iter().map(|signer| signer.org_str()).collect();
        let (part, whole) = (u64::try_from(signers.len()), u64::try_from(known.guardians));
        let enough = part
            .is_ok_and(|part| whole.is_ok_and(|whole| known.rules.guardians.is_passed_by(part, whole)))
            && organisations.len() >= usize::from(known.rules.organisations);
        ensure(Some(proposal), enough, || {
            format!(
                "emergency {id} is active by {} guardians of {} organisations",
                signers.len(),
                organisations.len()
            )
        })?;
        let acts = block.after.proposal(proposal).map(|proposal| &proposal.document.acts[..]);
        let judged = matches!(acts, Some([Act::Ratify { emergency }]) if *emergency == id);
        ensure(Some(proposal), judged, || format!("its proposal does not judge emergency {id}"))
    }

    /// An emergency is settled once, by the proposal that was opened for it.
    fn check_verdict(&self, id: EmergencyId, proposal: ProposalId, passes: bool) -> Result<(), Found> {
        let known = self.known.get(&id);
        let own = known.is_some_and(|known| known.proposal == Some(proposal) && !known.is_settled);
        ensure(Some(proposal), own && passes, || format!("emergency {id} is settled without its vote"))
    }
}

impl EmergencyTrail {
    fn keeps(&self, on: &TargetId, undo: bool) -> bool {
        self.declaration.measures.iter().any(|measure| match measure {
            Measure::PauseTarget { target } => !undo && target == on,
            Measure::IsolateTarget { target } => target == on,
            Measure::HaltTrack { .. } | Measure::SuspendExecutor { .. } => false,
        })
    }

    fn halts(&self, on: Track) -> bool {
        self.declaration.measures.iter().any(|it| matches!(it, Measure::HaltTrack { track } if *track == on))
    }

    fn suspends(&self, executor: &MemberId) -> bool {
        let suspends = |it: &Measure| matches!(it, Measure::SuspendExecutor { member } if member == executor);
        self.declaration.measures.iter().any(suspends)
    }
}

/// How many guardians there are; the fewer ones, when that changes in the very block.
fn guardians(block: &View<'_>) -> usize {
    let count = |state: &crate::state::State| state.members_with(Role::Guardian).count();
    count(block.before).min(count(block.after))
}

const fn ended(event: &Event) -> Option<EmergencyId> {
    match event {
        Event::EmergencyLifted { emergency, .. } | Event::EmergencyReverted { emergency, .. } => {
            Some(*emergency)
        }
        _ => None,
    }
}

fn ensure(proposal: Option<ProposalId>, holds: bool, message: impl FnOnce() -> String) -> Result<(), Found> {
    if holds { Ok(()) } else { Err(Found { invariant: G10, proposal, message: message() }) }
}
