//! Precedence: what waits for another proposal is carried out after it.

use super::*;

#[test]
fn g3_what_is_carried_out_before_what_it_waits_for_is_noticed() {
    let (mut life, first) = Life::executed();
    let mut second = deploy("3", &[&["cedar-north"]]);
    second.after.insert(first);
    let id = life.submit_as("cedar/author", second);
    let review = life.world.review_call(id, ReviewVerdict::Approve);
    life.one("birch/author", Role::Reviewer, review);
    let vote = life.world.vote_call(id, Choice::For);
    let ballots = ["acme/author", "birch/author", "cedar/author"];
    life.block(DurationMs::new(5), &ballots.map(|voter| (voter, Role::Voter, vote.clone())));
    while life.world.state.orders().iter().all(|order| order.proposal != id) {
        life.deadline();
    }
    life.one("cedar/executor", Role::Executor, Call::Claim { proposal: id, step: 0 });
    assert_eq!(life.judged(), []);
    let early = life.broken(|events| {
        events.retain(|event| !matches!(event, Event::StageChanged { to: Stage::Executed, .. }));
    });
    assert!(early.contains(&Invariant::Approval), "{early:?}");
}
