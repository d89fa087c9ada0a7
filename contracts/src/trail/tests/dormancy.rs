//! Dormancy: when it begins, what is taken while it lasts, and what ends it.

use super::*;

/// A life in which governance falls dormant after one quiet vote, and awakens.
fn awakened() -> Life {
    let mut genesis = crate::testing::genesis(4);
    genesis.constitution.dormancy.votes = 1;
    let mut life = Life { world: World::with(genesis), seen: Vec::new() };
    let quiet = life.submit(deploy("2", STAGES));
    let review = life.world.review_call(quiet, ReviewVerdict::Approve);
    life.one("birch/author", Role::Reviewer, review);
    life.deadline();
    let since = life.world.state.dormant_since().unwrap();
    let document = crate::testing::acts(vec![Act::Awaken { since }]);
    let id = life.submit_as("cedar/author", document);
    let review = life.world.review_call(id, ReviewVerdict::Approve);
    life.one("birch/author", Role::Reviewer, review);
    let vote = life.world.vote_call(id, Choice::For);
    let ballots = ["acme/author", "birch/author", "cedar/author"];
    life.block(DurationMs::new(5), &ballots.map(|voter| (voter, Role::Voter, vote.clone())));
    (0..3).for_each(|_| life.deadline());
    assert_eq!(life.world.state.dormant_since(), None);
    life.submit_as("delta/author", deploy("3", STAGES));
    life
}

#[test]
fn a_life_in_which_governance_falls_dormant_and_awakens_breaks_nothing() {
    assert_eq!(awakened().judged(), []);
}

#[test]
fn g12_governance_that_falls_dormant_without_cause_or_not_at_all_is_noticed() {
    let without = |is: fn(&Event) -> bool| awakened().broken(|events| events.retain(|event| !is(event)));
    let silent = without(|event| matches!(event, Event::Dormant { .. }));
    assert_eq!(silent, [Invariant::Reachable]);
    let early = awakened().broken(|events| {
        let reviewed = events.iter().find_map(|event| match event {
            Event::Reviewed { proposal, .. } => Some(*proposal),
            _ => None,
        });
        events.extend(reviewed.map(|proposal| Event::Dormant { proposal, votes: 1 }));
    });
    assert!(early.contains(&Invariant::Reachable));
}

#[test]
fn g12_what_is_submitted_while_governance_is_dormant_is_noticed() {
    let never = awakened().broken(|events| events.retain(|event| !matches!(event, Event::Awake { .. })));
    assert_eq!(never, [Invariant::Reachable]);
}

#[test]
fn g12_an_awakening_by_too_few_is_noticed() {
    let few = awakened().broken(|events| {
        for event in events {
            if let Event::Tallied { tally, .. } = event
                && tally.passes
            {
                tally.tests[0].part = 1;
            }
        }
    });
    assert!(few.contains(&Invariant::Reachable), "{few:?}");
}
