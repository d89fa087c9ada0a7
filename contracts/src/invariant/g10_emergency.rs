//! G10: an emergency is carried by enough guardians who hold power, its measures end with their time, the members judge it, and
//! while it holds nothing begins that it holds back.

use std::collections::BTreeSet;

use crate::{
    constitution::Track,
    emergency::{Emergency, EmergencyId, EmergencyStage},
    event::Event,
    invariant::{Broken, View, ensure, ensure_of},
    name::MemberId,
    proposal::Proposal,
    role::Role,
    stage::Stage,
    state::Hold,
};

pub(super) fn check(view: &View<'_>) -> Result<(), Broken> {
    let mut touched: BTreeSet<EmergencyId> = view.events.iter().filter_map(Event::emergency).collect();
    touched.extend(view.before.registry().holds.in_force());
    touched.extend(view.after.registry().holds.in_force());
    touched.into_iter().try_for_each(|id| {
        let Some(emergency) = view.after.emergency(id) else {
            return ensure(false, || format!("the ledger does not hold emergency {id}"));
        };
        check_move(view, emergency)?;
        check_bounds(view, emergency)?;
        check_judgement(view, emergency)
    })?;
    view.transactions.iter().try_for_each(|transaction| {
        let body = transaction.body();
        let hold = |state: &crate::state::State| state.hold_on_executor(&body.sender);
        let acted = body.role == Role::Executor && holds_throughout(hold(view.before), hold(view.after));
        ensure(!acted, || format!("the executor {} acts while an emergency suspends it", body.sender))
    })?;
    view.events.iter().try_for_each(|event| check_held(view, event))
}

/// It goes the way of emergencies, and what was declared and pinned stays.
fn check_move(view: &View<'_>, after: &Emergency) -> Result<(), Broken> {
    let id = after.id;
    ensure_about(after, EmergencyId::of(view.after.network(), &after.declaration) == id, || {
        format!("emergency {id} is not what was declared")
    })?;
    let Some(before) = view.before.emergency(id) else { return Ok(()) };
    let (from, to) = (before.stage, after.stage);
    let through = from == EmergencyStage::Declared && EmergencyStage::Active.may_become(to);
    let moved = from == to || from.may_become(to) || through;
    ensure_about(after, moved, || format!("emergency {id} went from {from} to {to}"))?;
    let same = before.rules == after.rules
        && before.guardians == after.guardians
        && before.declared_at == after.declared_at
        && before.signers.is_subset(&after.signers)
        && (before.lifted.is_none() || before.lifted == after.lifted)
        && (before.activation.is_none() || before.activation == after.activation);
    ensure_about(after, same, || format!("what was pinned about emergency {id} has changed"))
}

/// Enough guardians with power signed it, and it ends in time.
fn check_bounds(view: &View<'_>, emergency: &Emergency) -> Result<(), Broken> {
    let (id, expires) = (emergency.id, emergency.declaration.expires);
    let in_time = expires <= emergency.declared_at.after(emergency.rules.ttl_max);
    ensure_about(emergency, in_time, || format!("emergency {id} lasts longer than the rules allow"))?;
    ensure_about(emergency, !emergency.is_in_force() || view.header.time < expires, || {
        format!("the measures of emergency {id} outlive their end")
    })?;
    let Some(activation) = emergency.activation else {
        let unused = matches!(emergency.stage, EmergencyStage::Declared | EmergencyStage::Lapsed);
        return ensure_about(emergency, unused, || {
            format!("emergency {id} is {} without a beginning", emergency.stage)
        });
    };
    if activation.height != view.header.height {
        return Ok(());
    }
    // A guardian may leave in the very block, after the last signature.
    let powerful = |signer: &&MemberId| {
        view.after.check_power(signer).is_ok() || view.before.check_power(signer).is_ok()
    };
    let signers = emergency.signers.iter().filter(powerful);
    ensure_about(emergency, emergency.is_carried_by(signers), || {
        format!("too few guardians with power carry emergency {id}")
    })
}

/// The members judge it by a proposal that the ledger opened, and what they decide is what it becomes.
fn check_judgement(view: &View<'_>, emergency: &Emergency) -> Result<(), Broken> {
    let (id, stage) = (emergency.id, emergency.stage);
    let Some(activation) = emergency.activation else { return Ok(()) };
    let proposal = view.after.proposal(activation.proposal);
    let Some(proposal) = proposal.filter(|it| it.track == Track::Emergency && it.judges() == Some(id)) else {
        return ensure_about(emergency, false, || format!("no proposal judges emergency {id}"));
    };
    ensure_about(emergency, stage == verdict(proposal), || {
        format!("emergency {id} is {stage}, and the proposal that judges it is {}", proposal.stage)
    })?;
    if stage != EmergencyStage::Reverted {
        return Ok(());
    }
    let falls = view.before.emergency(id).is_none_or(|before| before.stage != EmergencyStage::Reverted);
    let given_back = |signer: &MemberId| {
        view.events
            .iter()
            .any(|event| matches!(event, Event::Reinstated { guardian, .. } if guardian == signer))
    };
    let mut signers = emergency.signers.iter().filter(|signer| falls && !given_back(signer));
    let keeps = signers.find(|signer| view.after.check_power(signer).is_ok());
    ensure_about(emergency, keeps.is_none(), || {
        format!("emergency {id} was reverted, and {keeps:?} has power after it")
    })?;
    ensure_about(emergency, !emergency.is_in_force(), || format!("the reverted emergency {id} is in force"))
}

fn verdict(proposal: &Proposal) -> EmergencyStage {
    let ratified = proposal.ended.is_some_and(|ended| ended.stage == Stage::Executed);
    match (ratified, proposal.stage.is_terminal()) {
        (true, _) => EmergencyStage::Ratified,
        (false, true) => EmergencyStage::Reverted,
        (false, false) => EmergencyStage::Active,
    }
}

/// Nothing begins that an emergency holds back from before the block until after it.
fn check_held(view: &View<'_>, event: &Event) -> Result<(), Broken> {
    let (before, after) = (view.before.registry(), view.after.registry());
    let (proposal, held) = match event {
        Event::StepClaimed { proposal, target, undo, .. } => {
            let hold = |registry: &crate::state::Registry| match undo {
                true => registry.holds.on_undoing(target),
                false => registry.holds.on_steps(target),
            };
            (proposal, holds_throughout(hold(before), hold(after)))
        }
        Event::Submitted { proposal, .. }
        | Event::StageChanged { proposal, to: Stage::Canary, .. }
        | Event::Amended { proposal, .. }
        | Event::Reinstated { proposal, .. } => {
            let Some(track) = view.after.proposal(*proposal).map(|proposal| proposal.track) else {
                return Ok(());
            };
            (proposal, holds_throughout(before.holds.on_track(track), after.holds.on_track(track)))
        }
        _ => return Ok(()),
    };
    ensure_of(*proposal, !held, || "it goes on although an emergency holds it back".to_owned())
}

fn holds_throughout(before: Option<Hold>, after: Option<Hold>) -> bool {
    before.is_some() && before == after
}

/// A finding about an emergency is one about the proposal that judges it, once there is one.
fn ensure_about(emergency: &Emergency, holds: bool, message: impl FnOnce() -> String) -> Result<(), Broken> {
    match emergency.activation {
        Some(activation) => ensure_of(activation.proposal, holds, message),
        None => ensure(holds, message),
    }
}
