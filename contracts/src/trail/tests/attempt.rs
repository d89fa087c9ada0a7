//! Failed attempts: what is kept out, and what their bonds are.

use super::*;
use crate::quantity::BondPoints;

/// A life in which a content fails, and is asked for again after its cooldown.
fn tried_again() -> Life {
    let mut life = Life { world: World::new(4), seen: Vec::new() };
    let first = life.submit(deploy("2", STAGES));
    let review = life.world.review_call(first, ReviewVerdict::Approve);
    life.one("birch/author", Role::Reviewer, review);
    life.deadline();
    assert_eq!(life.world.state.proposal(first).unwrap().stage, Stage::Defeated);
    life.block(DurationMs::from_hours(72), &[]);
    let again = life.submit_as("cedar/author", deploy("2", STAGES));
    life.deadline();
    assert_eq!(life.world.state.proposal(again).unwrap().stage, Stage::Expired);
    life
}

fn without(is: fn(&Event) -> bool) -> Vec<Invariant> {
    tried_again().broken(|events| events.retain(|event| !is(event)))
}

#[test]
fn a_life_in_which_something_is_tried_again_breaks_nothing() {
    assert_eq!(tried_again().judged(), []);
}

#[test]
fn g7_a_failure_that_is_not_remembered_is_noticed() {
    assert_eq!(without(|event| matches!(event, Event::CooldownBegan { .. })), [Invariant::Budgets]);
    let sooner = tried_again().broken(|events| {
        for event in events {
            if let Event::CooldownBegan { until, .. } = event {
                *until = TimeMs::new(until.get() - 1);
            }
        }
    });
    assert_eq!(sooner, [Invariant::Budgets]);
}

#[test]
fn g7_what_is_asked_for_again_inside_its_cooldown_is_noticed() {
    let mut life = tried_again();
    let failed = life
        .seen
        .iter()
        .position(|seen| seen.events.iter().any(|event| matches!(event, Event::CooldownBegan { .. })));
    let until = life.seen[failed.unwrap()].header.time.after(DurationMs::from_hours(72));
    let again =
        life.seen.iter_mut().find(|seen| seen.header.time >= until && !seen.events.is_empty()).unwrap();
    again.header.time = TimeMs::new(until.get() - 1);
    assert!(life.judged().iter().any(|violation| violation.message.contains("kept out")));
}

#[test]
fn g7_bonds_that_are_missing_too_small_or_not_lost_are_noticed() {
    assert_eq!(without(|event| matches!(event, Event::BondHeld { .. })), [Invariant::Budgets]);
    let with = |change: fn(&mut Event)| tried_again().broken(|events| events.iter_mut().for_each(change));
    let cheaper = with(|event| {
        if let Event::BondHeld { points, .. } | Event::BondSettled { points, .. } = event {
            *points = BondPoints::new(1);
        }
    });
    assert_eq!(cheaper, [Invariant::Budgets]);
    let kept = with(|event| {
        if let Event::BondSettled { lost_until, .. } = event {
            *lost_until = None;
        }
    });
    assert_eq!(kept, [Invariant::Budgets]);
}
