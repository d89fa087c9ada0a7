//! Warnings: once for each end, before it, while it is about to come.
#![expect(
    clippy::arithmetic_side_effects,
    reason = "times that a test counts back from; it may stop at one that is too short"
)]

use super::*;
use crate::expiry::Expiring;

/// A life in which a review is about to expire, and does.
fn warned() -> Life {
    let mut life = Life { world: World::new(4), seen: Vec::new() };
    let id = life.submit(deploy("2", STAGES));
    let left = life.world.state.proposal(id).unwrap().parameters.review.get();
    life.block(DurationMs::new(left - 3_600_000), &[]);
    life.deadline();
    life
}

fn with(change: fn(&mut Vec<Event>)) -> Vec<Invariant> {
    warned().broken(change)
}

#[test]
fn a_life_with_a_warning_breaks_nothing() {
    let life = warned();
    let said = |seen: &Seen| seen.events.iter().any(|event| matches!(event, Event::ExpiryNear { .. }));
    assert!(life.seen.iter().any(said));
    assert_eq!(life.judged(), []);
}

#[test]
fn g13_warnings_that_come_twice_too_early_too_late_or_of_nothing_are_noticed() {
    let is = |event: &Event| matches!(event, Event::ExpiryNear { .. });
    let twice = warned().broken(|events| events.extend(events.iter().find(|event| is(event)).cloned()));
    assert_eq!(twice, [Invariant::Progress]);
    let change = |at: fn(&mut TimeMs, &mut Expiring)| {
        warned().broken(move |events| {
            for event in events {
                if let Event::ExpiryNear { expiring, at: end } = event {
                    at(end, expiring);
                }
            }
        })
    };
    assert_eq!(change(|at, _| *at = at.after(DurationMs::from_hours(12))), [Invariant::Progress]);
    assert_eq!(change(|at, _| *at = TimeMs::new(at.get() - 3_600_000)), [Invariant::Progress]);
    let other = change(|_, expiring| {
        if let Expiring::Review { proposal } = expiring {
            *expiring = Expiring::Execution { proposal: *proposal };
        }
    });
    assert_eq!(other, [Invariant::Progress]);
    assert_eq!(with(|_| ()), []);
}
