//! Owns the life of an emergency: declaration, signatures, activation, its end, and the judgement of the members over it.
//!
//! As everywhere, everything is checked before anything is changed.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    digest::Digest,
    emergency::{
        Activation, Declaration, EMERGENCIES_UNJUDGED_MAX, Emergency, EmergencyId, EmergencyStage, Measure,
        refuse,
    },
    event::Event,
    expiry::Expiring,
    lifecycle::{Move, step, submission},
    name::{MemberId, TargetId},
    proposal::Proposal,
    quantity::Height,
    reject::Reject,
    role::Role,
    stage::Stage,
    state::{Registry, State},
    transaction::{AuditVerdict, ProposalId},
};

/// A guardian declares an emergency, and signs it by that.
pub(crate) fn declare(
    state: &mut State,
    sender: &MemberId,
    declaration: &Declaration,
    events: &mut Vec<Event>,
) -> Result<(), Reject> {
    let registry = state.registry();
    registry.check_power(sender)?;
    let id = EmergencyId::of(registry.network, declaration);
    if let Some(used) = registry.emergencies.get(&id) {
        return Err(Reject::EmergencyUsed { emergency: id, stage: used.stage });
    }
    check_one_at_a_time(registry, sender)?;
    check(registry, declaration)?;
    let emergency = Emergency {
        id,
        declaration: declaration.clone(),
        declared_by: sender.clone(),
        declared_at: registry.time,
        rules: registry.constitution.emergency,
        guardians: u32::try_from(registry.members_with(Role::Guardian).count()).unwrap_or(u32::MAX),
        signers: BTreeSet::from([sender.clone()]),
        stage: EmergencyStage::Declared,
        activation: None,
        lifted: None,
        attestations: BTreeMap::new(),
    };
    events.push(Event::EmergencyDeclared {
        emergency: id,
        guardian: sender.clone(),
        declaration: declaration.clone(),
        signed_by: emergency.signed_by(),
    });
    state.put_emergency(emergency);
    activate_if_signed(state, id, events)
}

/// Another guardian signs it; the last signature that it needs puts it in force.
pub(crate) fn sign(
    state: &mut State,
    sender: &MemberId,
    id: EmergencyId,
    events: &mut Vec<Event>,
) -> Result<(), Reject> {
    state.registry().check_power(sender)?;
    let mut emergency = standing(state.registry(), id, EmergencyStage::Declared, "sign-emergency")?.clone();
    check_room(state.registry(), &emergency.declaration)?;
    emergency.signers.insert(sender.clone());
    state.put_emergency(emergency);
    events.push(Event::EmergencySigned { emergency: id, guardian: sender.clone() });
    activate_if_signed(state, id, events)
}

/// A guardian who signed it takes it back, or who declared it before the others have signed. What its own time has ended is a
/// repeat, whoever asks.
pub(crate) fn end(
    state: &mut State,
    (sender, role): (&MemberId, Role),
    id: EmergencyId,
    events: &mut Vec<Event>,
) -> Result<(), Reject> {
    let mut emergency = find(state.registry(), id)?.clone();
    let is_own = role == Role::Guardian && emergency.declared_by == *sender;
    if emergency.stage == EmergencyStage::Declared && is_own {
        fall_due(state, id, events);
        return Ok(());
    }
    if !emergency.is_in_force() {
        return Err(Reject::EmergencyMove { emergency: id, stage: emergency.stage, input: "end-emergency" });
    }
    if role != Role::Guardian || !emergency.signers.contains(sender) {
        return Err(Reject::EmergencyRuns { emergency: id, until: emergency.declaration.expires });
    }
    emergency.lifted = Some(state.time());
    state.put_emergency(emergency);
    events.push(Event::EmergencyLifted { emergency: id, by: Some(sender.clone()) });
    Ok(())
}

/// An auditor says whether the power was used as the rules have it; from the activation on, whatever becomes of it.
pub(crate) fn attest(
    state: &mut State,
    sender: &MemberId,
    id: EmergencyId,
    verdict: &AuditVerdict,
    (height, block): (Height, Digest),
    events: &mut Vec<Event>,
) -> Result<(), Reject> {
    let registry = state.registry();
    let mut emergency = find(registry, id)?.clone();
    if registry.blocks.get(&height) != Some(&block) {
        return Err(Reject::OtherHistory { height, found: block });
    }
    let Some(activation) = emergency.activation else {
        return Err(Reject::EmergencyMove {
            emergency: id,
            stage: emergency.stage,
            input: "attest-emergency",
        });
    };
    if height < activation.height {
        return Err(Reject::Evidence {
            problem: "the audited height lies before the emergency's activation",
        });
    }
    if emergency.attestations.contains_key(sender) {
        return Err(Reject::AlreadyDone { member: sender.clone() });
    }
    emergency.attestations.insert(sender.clone(), verdict.clone());
    state.put_emergency(emergency);
    events.push(Event::EmergencyAttested {
        emergency: id,
        auditor: sender.clone(),
        verdict: verdict.clone(),
    });
    Ok(())
}

/// The end of the time for signatures, or of the measures.
pub(crate) fn fall_due(state: &mut State, id: EmergencyId, events: &mut Vec<Event>) {
    let Some(mut emergency) = state.registry().emergencies.get(&id).map(|held| (**held).clone()) else {
        return;
    };
    if emergency.stage == EmergencyStage::Declared {
        emergency.stage = EmergencyStage::Lapsed;
        events.push(Event::EmergencyLapsed { emergency: id });
    } else {
        emergency.lifted = Some(state.time());
        events.push(Event::EmergencyLifted { emergency: id, by: None });
    }
    state.put_emergency(emergency);
}

/// A proposal ended. When it judged an emergency and did not ratify it, the measures end and their signers lose their power.
pub(crate) fn settle(state: &mut State, proposal: ProposalId, events: &mut Vec<Event>) {
    let Some(id) = state.proposal(proposal).and_then(Proposal::judges) else { return };
    let Some(held) = state.registry().emergencies.get(&id) else { return };
    if held.stage != EmergencyStage::Active {
        return;
    }
    let mut emergency = (**held).clone();
    emergency.stage = EmergencyStage::Reverted;
    emergency.lifted = emergency.lifted.or(Some(state.time()));
    let suspended: Vec<MemberId> = emergency.signers.iter().cloned().collect();
    state.put_emergency(emergency);
    state.registry_mut().suspend(suspended.iter(), id);
    events.push(Event::EmergencyReverted { emergency: id, proposal, suspended });
}

fn find(registry: &Registry, id: EmergencyId) -> Result<&Emergency, Reject> {
    let emergency = registry.emergencies.get(&id).map(AsRef::as_ref);
    emergency.ok_or(Reject::UnknownEmergency { emergency: id })
}

fn standing<'a>(
    registry: &'a Registry,
    id: EmergencyId,
    stage: EmergencyStage,
    input: &'static str,
) -> Result<&'a Emergency, Reject> {
    let emergency = find(registry, id)?;
    if emergency.stage == stage {
        return Ok(emergency);
    }
    Err(Reject::EmergencyMove { emergency: id, stage: emergency.stage, input })
}

/// What needs the state: that the expiry is near, the subjects are known, and no measure goes on unjudged.
fn check(registry: &Registry, declaration: &Declaration) -> Result<(), Reject> {
    declaration.check()?;
    let latest = registry.time.after(registry.constitution.emergency.ttl_max);
    if declaration.expires <= registry.time || declaration.expires > latest {
        return refuse(
            "expires",
            &format!("is {}; it must be after {} and up to {latest}", declaration.expires, registry.time),
        );
    }
    for (index, measure) in declaration.measures.iter().enumerate() {
        check_subject(registry, index, measure)?;
    }
    check_room(registry, declaration)
}

/// Refuses more emergencies than may be unjudged at one time, and a measure on what an unjudged one is about.
fn check_room(registry: &Registry, declaration: &Declaration) -> Result<(), Reject> {
    let is_active = |held: &&Emergency| held.stage == EmergencyStage::Active;
    let active: Vec<&Emergency> =
        registry.emergencies.values().map(AsRef::as_ref).filter(is_active).collect();
    if active.len() >= EMERGENCIES_UNJUDGED_MAX {
        return Err(Reject::TooManyEmergencies { max: EMERGENCIES_UNJUDGED_MAX });
    }
    let subjects: BTreeSet<_> = declaration.measures.iter().map(Measure::subject).collect();
    let is_again =
        |held: &&Emergency| held.declaration.measures.iter().any(|it| subjects.contains(&it.subject()));
    active.into_iter().find(is_again).map_or(Ok(()), |held| Err(Reject::MeasureUnjudged { by: held.id }))
}

/// Refuses a second declaration of a guardian whose first one may still be signed: one alone takes nobody's room.
fn check_one_at_a_time(registry: &Registry, sender: &MemberId) -> Result<(), Reject> {
    let is_own = |held: &&Emergency| held.stage == EmergencyStage::Declared && held.declared_by == *sender;
    match registry.emergencies.values().map(AsRef::as_ref).find(is_own) {
        Some(held) => Err(Reject::DeclarationOpen { emergency: held.id }),
        None => Ok(()),
    }
}

fn check_subject(registry: &Registry, index: usize, measure: &Measure) -> Result<(), Reject> {
    match measure {
        Measure::HaltTrack { .. } => Ok(()),
        Measure::PauseTarget { target } | Measure::IsolateTarget { target } => {
            let known = registry.targets.contains_key(target);
            if known { Ok(()) } else { Err(Reject::UnknownTarget { target: target.clone() }) }
        }
        Measure::SuspendExecutor { member } => {
            let held = registry.members.get(member);
            if held.is_some_and(|held| held.keys.contains_key(&Role::Executor)) {
                return Ok(());
            }
            refuse(&format!("measures[{index}]"), &format!("suspends {member}, who is no executor"))
        }
    }
}

/// Puts it in force as soon as enough guardians who hold power have signed.
fn activate_if_signed(state: &mut State, id: EmergencyId, events: &mut Vec<Event>) -> Result<(), Reject> {
    let registry = state.registry();
    let emergency = find(registry, id)?;
    let signers = emergency.signers.iter().filter(|signer| registry.check_power(signer).is_ok());
    if !emergency.is_carried_by(signers) {
        return Ok(());
    }
    let mut emergency = emergency.clone();
    let expires = emergency.declaration.expires;
    let (time, height) = (registry.time, registry.height);
    let proposal = submission::judgement_of(&emergency, state.registry_mut())?;
    emergency.stage = EmergencyStage::Active;
    emergency.activation = Some(Activation { time, height, proposal: proposal.id });
    state.put_emergency(emergency);
    state.registry_mut().warn_of(Expiring::Emergency { emergency: id }, expires);
    events.push(Event::EmergencyActivated { emergency: id, proposal: proposal.id, expires });
    submission::open_judgement(state, proposal, events);
    stop_executions(state, id, events);
    Ok(())
}

/// What is being carried out on a target that is held is rolled back; nobody goes on in an emergency.
fn stop_executions(state: &mut State, id: EmergencyId, events: &mut Vec<Event>) {
    let registry = state.registry();
    let held = |target: &TargetId| registry.holds.on_steps(target).is_some();
    let goes_on = |proposal: &&Proposal| {
        matches!(proposal.stage, Stage::Canary | Stage::Rollout(_) | Stage::Verifying)
            && proposal.plan.steps.iter().any(|planned| held(&planned.target))
    };
    let running: Vec<ProposalId> =
        state.open_proposals().filter(goes_on).map(|proposal| proposal.id).collect();
    for proposal in running {
        let cause = format!("emergency {} keeps one of its targets", id.digest().short());
        // What is being carried out may always be stopped.
        let _stopped = state.with_proposal(proposal, events, |cast| step(cast, Move::Stopped(&cause)));
    }
}
