//! Voices: what was lent, by which bounds, and what is heard of it.

use super::*;

/// A life in which one voter speaks for another, until it is taken back.
fn lent() -> Life {
    let mut life = Life { world: World::new(4), seen: Vec::new() };
    let expires = life.world.state.time().after(DurationMs::from_hours(1_000));
    let delegate = Call::Delegate { track: None, to: member("birch/author"), expires };
    life.one("acme/author", Role::Voter, delegate);
    life.block(DurationMs::from_hours(24), &[]);
    let id = life.submit(deploy("2", STAGES));
    let review = life.world.review_call(id, ReviewVerdict::Approve);
    life.one("birch/author", Role::Reviewer, review);
    for (voter, choice) in [("birch/author", Choice::For), ("cedar/author", Choice::For)] {
        let ballot = life.world.vote_call(id, choice);
        life.one(voter, Role::Voter, ballot);
    }
    life.deadline();
    life.one("acme/author", Role::Voter, Call::Revoke { track: None });
    life.submit_as("cedar/author", deploy("3", STAGES));
    life
}

#[test]
fn a_life_in_which_voices_are_lent_breaks_nothing() {
    assert_eq!(lent().judged(), []);
}

#[test]
fn g5_voices_that_were_not_lent_or_not_taken_back_are_noticed() {
    let without = |is: fn(&Event) -> bool| lent().broken(|events| events.retain(|event| !is(event)));
    let is_of_standard =
        |event: &Event| matches!(event, Event::Delegated { track: crate::constitution::Track::Standard, .. });
    assert_eq!(without(is_of_standard), [Invariant::Weight]);
    assert_eq!(without(|event| matches!(event, Event::Revoked { .. })), [Invariant::Weight]);
}

#[test]
fn g5_a_voice_that_is_lent_at_once_or_for_too_long_is_noticed() {
    let with = |change: fn(&mut TimeMs, &mut TimeMs)| {
        let mut life = lent();
        // What is submitted later would be noticed as well.
        life.seen.truncate(1);
        life.broken(|events| {
            for event in events {
                if let Event::Delegated { from, expires, .. } = event {
                    change(from, expires);
                }
            }
        })
    };
    assert_eq!(with(|_, _| ()), []);
    assert_eq!(with(|from, _| *from = TimeMs::new(from.get() - 1)), [Invariant::Weight]);
    assert_eq!(with(|_, expires| *expires = TimeMs::MAX), [Invariant::Weight]);
    assert_eq!(with(|from, expires| *expires = *from), [Invariant::Weight]);
}
