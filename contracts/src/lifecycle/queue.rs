//! Owns the queue: the timelock and its stretch, co-signatures, veto, supersession, and the last instant to begin.

use crate::{
    digest::Digest,
    event::Event,
    expiry::Expiring,
    lifecycle::{Cast, enact},
    name::{Line, MemberId},
    proposal::Proposal,
    quantity::{DurationMs, Revision, TimeMs},
    reject::{Reject, StepRefusal},
    rules,
    stage::Stage,
    state::Registry,
    tally::TallyReport,
};

/// Opposition at which the timelock is stretched in full: one part in this many of the decided weight.
const FULL_STRETCH_DIVISOR: u128 = 3;

/// Queues a decided proposal behind its timelock.
pub(super) fn enter(cast: &mut Cast<'_>) {
    let timelock = timelock(cast.proposal);
    let eta = cast.registry.time.after(timelock);
    cast.go(Stage::Queued, &format!("decided; its timelock runs for {timelock} ms"));
    cast.proposal.eta = Some(eta);
    cast.wait_until(eta);
    if let Some(last) = cast.proposal.begin_by() {
        cast.registry.warn_of(Expiring::Execution { proposal: cast.proposal.id }, last);
    }
    if let Some(cause) = overtaken(cast.proposal, cast.registry) {
        cast.go(Stage::Superseded, cause);
    }
}

/// The end of the timelock, or of the time in which execution may begin.
#[expect(clippy::unnecessary_wraps, reason = "every arm of the table has one shape")]
pub(super) fn fall_due(cast: &mut Cast<'_>) -> Result<(), Reject> {
    let now = cast.registry.time;
    let last = cast.proposal.begin_by().unwrap_or(now);
    if last <= now {
        let cosigned = cast.proposal.is_cosigned();
        let cause = if cosigned { "no executor began it in time" } else { "it was not co-signed in time" };
        cast.go(Stage::Expired, cause);
        return Ok(());
    }
    if !keeps_the_rules(cast) {
        return Ok(());
    }
    if enact::is_due(cast.proposal, cast.registry) {
        enact::enact(cast);
        return Ok(());
    }
    if cast.registry.awaited(&cast.proposal.document).next().is_some() {
        // The last of those that it waits for releases it.
        cast.wait_until(last);
        return Ok(());
    }
    if cast.registry.busy_target(&cast.proposal.document.acts).is_some() {
        // Whoever acts on the target holds it for some leases; this comes back after each.
        cast.wait_until(last.min(now.after(cast.proposal.parameters.lease)));
        return Ok(());
    }
    if wait_for_halt(cast, last) {
        return Ok(());
    }
    cast.wait_until(last);
    cast.events.push(Event::TimelockElapsed { proposal: cast.proposal.id, execute_by: last });
    Ok(())
}

/// Everything that it waited for is carried out: if its timelock is over, it may begin.
pub(super) fn release(cast: &mut Cast<'_>) -> Result<(), Reject> {
    if cast.proposal.eta.is_some_and(|eta| eta <= cast.registry.time) { fall_due(cast) } else { Ok(()) }
}

/// A guardian of another organisation signs what was decided.
pub(super) fn cosign(
    cast: &mut Cast<'_>,
    sender: &MemberId,
    edition: (Revision, Digest),
) -> Result<(), Reject> {
    cast.proposal.check_edition(edition)?;
    cast.check_other_organisation(sender)?;
    if cast.proposal.parameters.cosign.is_none() {
        return Err(Reject::NothingToCosign { track: cast.proposal.track });
    }
    cast.proposal.cosigned_by.insert(sender.clone());
    cast.events.push(Event::Cosigned { proposal: cast.proposal.id, guardian: sender.clone() });
    let now = cast.registry.time;
    if enact::is_due(cast.proposal, cast.registry) && keeps_the_rules(cast) {
        enact::enact(cast);
    } else if cast.proposal.eta.is_some_and(|eta| eta <= now)
        && cast.proposal.is_cosigned()
        && let Some(last) = cast.proposal.begin_by()
    {
        wait_for_halt(cast, last);
    }
    Ok(())
}

/// What the ledger carries out itself has nobody to begin it once a halted track is free: it waits for that, if that comes in time.
fn wait_for_halt(cast: &mut Cast<'_>, last: TimeMs) -> bool {
    let hold = cast.registry.holds.on_track(cast.proposal.track).filter(|hold| hold.until < last);
    let Some(hold) = hold.filter(|_| !cast.proposal.document.acts.is_empty()) else { return false };
    cast.wait_until(hold.until);
    true
}

/// Whether no hard rule refuses it by now; what one refuses is superseded.
fn keeps_the_rules(cast: &mut Cast<'_>) -> bool {
    let findings = rules::findings(&cast.proposal.document, cast.registry);
    if let Some(finding) = findings.first() {
        cast.go(Stage::Superseded, finding.message.as_str());
    }
    findings.is_empty()
}

/// Refuses to begin what too few guardians have signed.
pub(super) fn check_cosigned(proposal: &Proposal, step: u16) -> Result<(), Reject> {
    match proposal.parameters.cosign {
        Some(needed) if !proposal.is_cosigned() => {
            let (signed, organisations) = (proposal.cosigned_by.len(), proposal.cosigning_organisations());
            Err(Reject::Step { step, why: StepRefusal::NotCosigned { signed, organisations, needed } })
        }
        _ => Ok(()),
    }
}

/// A guardian stops it, within a budget and with a reason.
pub(super) fn veto(cast: &mut Cast<'_>, sender: &MemberId, reason: &Line) -> Result<(), Reject> {
    cast.check_other_organisation(sender)?;
    if reason.as_str().trim().is_empty() {
        return Err(Reject::Evidence { problem: "a veto needs a reason" });
    }
    cast.registry.check_power(sender)?;
    let document = &cast.proposal.document;
    if cast.registry.is_about_guardians(document) || Registry::removes(document, sender) {
        return Err(Reject::VetoOnGuardians);
    }
    let max = cast.registry.constitution.vetoes_per_guardian;
    let used = cast.registry.members.get(sender).map_or(max, |member| member.vetoes);
    if used >= max {
        return Err(Reject::VetoesSpent { member: sender.clone(), max });
    }
    cast.registry.member_mut(sender)?.vetoes = used.saturating_add(1);
    cast.proposal.vetoed_by = Some(sender.clone());
    cast.go(Stage::Vetoed, &format!("vetoed by {sender}: {reason}"));
    Ok(())
}

/// What it was planned against has moved.
#[expect(clippy::unnecessary_wraps, reason = "every arm of the table has one shape")]
pub(super) fn supersede(cast: &mut Cast<'_>, cause: &str) -> Result<(), Reject> {
    cast.go(Stage::Superseded, cause);
    Ok(())
}

/// Why a proposal that is not carried out so far cannot be any more.
pub(crate) fn overtaken(proposal: &Proposal, registry: &Registry) -> Option<&'static str> {
    match proposal.stage {
        Stage::Review | Stage::Voting | Stage::Confirming | Stage::Queued
            if registry.has_other_rules(proposal) =>
        {
            Some("the rules of its track have changed since it was submitted")
        }
        Stage::Review | Stage::Voting | Stage::Confirming | Stage::Queued
            if registry.awaited_in_vain(&proposal.document).is_some() =>
        {
            Some("a proposal that it waits for was not carried out")
        }
        // Until what it waits for is carried out, nothing is as its plan finds it.
        Stage::Queued if registry.awaited(&proposal.document).next().is_some() => None,
        Stage::Queued if registry.has_moved_under_acts(proposal) => {
            Some("what it replaces has changed since the plan was made")
        }
        Stage::Queued if registry.first_moved(&proposal.plan).is_some() => {
            Some("a target has moved since the plan was made")
        }
        _ => None,
    }
}

/// The pinned timelock, stretched linearly while opposition grows from its floor to one third.
fn timelock(proposal: &Proposal) -> DurationMs {
    let parameters = &proposal.parameters;
    let base = parameters.timelock;
    let (excess, range) = opposition(proposal);
    let stretches = u128::from(parameters.timelock_stretch_max.saturating_sub(1));
    let longest = u128::from(base.get()).saturating_mul(stretches);
    let extra = longest.saturating_mul(excess.min(range)).checked_div(range).unwrap_or(0);
    base.saturating_add(DurationMs::new(u64::try_from(extra).unwrap_or(u64::MAX)))
}

/// How far opposition is above its floor, as a part of the way to one third.
///
/// With share `a/d` and floor `p/q` the part is `(a/d − p/q) / (1/3 − p/q) = 3(aq − pd) / d(q − 3p)`.
fn opposition(proposal: &Proposal) -> (u128, u128) {
    let floor = proposal.parameters.opposition_floor;
    let (p, q) = (u128::from(floor.numerator()), u128::from(floor.denominator()));
    let TallyReport { weight_for, weight_against, .. } = proposal.count();
    let a = u128::from(weight_against.get());
    let d = a.saturating_add(weight_for.get().into());
    let excess = a.saturating_mul(q).saturating_sub(p.saturating_mul(d)).saturating_mul(FULL_STRETCH_DIVISOR);
    let range = d.saturating_mul(q.saturating_sub(p.saturating_mul(FULL_STRETCH_DIVISOR)));
    // A floor of a third or more leaves no way to grow: what is above it stretches in full.
    if range == 0 { (excess.min(1), 1) } else { (excess, range) }
}
