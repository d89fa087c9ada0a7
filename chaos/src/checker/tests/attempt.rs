//! What was voted down and asked for again, in what a run left behind.

use super::*;

/// A run in which a change is voted down by silence, and asked for again in other words as soon as that may be.
fn tried_again() -> Run {
    let document = deploy("2", &[&["acme-north"]]);
    let mut scribe = begin(&document);
    let first = scribe.run.proposal;
    let review = scribe.world.review_call(first, ReviewVerdict::Approve);
    scribe.block(SECOND, &[("birch/author", Role::Reviewer, review)]);
    scribe.deadline();
    let proposal = scribe.world.state.proposal(first).unwrap();
    scribe.run.ended.extend([(first, how_it_ended(proposal).unwrap())]);
    let cooldown = proposal.parameters.cooldown;
    let mut reworded = document;
    reworded.title = althing_contracts::testing::line("the same in other words");
    let plan_hash = scribe.world.state.plan(&reworded).unwrap().hash();
    let submit = Call::Submit { document: reworded, plan_hash };
    scribe.block(cooldown, &[("cedar/author", Role::Author, submit)]);
    scribe.run
}

#[test]
fn what_is_asked_for_again_after_its_cooldown_is_no_finding() {
    assert_eq!(broken_of(tried_again(), |_| ()), []);
}

#[test]
fn what_is_asked_for_again_inside_its_cooldown_is_found() {
    let sooner = broken_of(tried_again(), |run| {
        let (first, ended) = run.ended.iter().next().map(|(id, ended)| (*id, *ended)).unwrap();
        let since = ended.since.map(|since| since.after(DurationMs::new(1)));
        run.ended.extend([(first, Ended { since, ..ended })]);
    });
    assert_eq!(sooner, [Invariant::Approval]);
}
