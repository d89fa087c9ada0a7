//! Governance that fell dormant and was awakened, in what a run left behind.

use althing_contracts::{act::Act, testing::acts};

use super::*;

/// A run in which two votes that nobody attends make governance dormant, and its members awaken it.
fn awakened() -> Run {
    let mut genesis = genesis(4);
    genesis.constitution.dormancy.votes = 2;
    let mut scribe = begin_in(World::with(genesis), &deploy("1", &[&["acme-north"]]));
    for version in ["2", "3"] {
        let id = scribe.run.proposal;
        let review = scribe.world.review_call(id, ReviewVerdict::Approve);
        scribe.block(SECOND, &[("birch/author", Role::Reviewer, review)]);
        scribe.deadline();
        let ended = how_it_ended(scribe.world.state.proposal(id).unwrap()).unwrap();
        scribe.run.ended.insert(id, ended);
        if version == "2" {
            scribe.propose(&deploy(version, &[&["acme-north"]]));
        }
    }
    let since = scribe.world.state.dormant_since().unwrap();
    scribe.propose(&acts(vec![Act::Awaken { since }]));
    scribe.decide(&["birch/author"]);
    scribe.deadline();
    assert_eq!(scribe.world.state.dormant_since(), None);
    let height = scribe.world.state.height();
    scribe.run.ended.insert(scribe.run.proposal, Ended { stage: Stage::Executed, height, since: None });
    scribe.run
}

#[test]
fn an_awakening_of_what_had_fallen_dormant_is_no_finding() {
    assert_eq!(broken_of(awakened(), |_| ()), []);
}

#[test]
fn an_awakening_after_too_few_quiet_votes_or_of_another_dormancy_is_found() {
    let defeat = |run: &Run, nth: usize| {
        let mut defeats: Vec<_> = run.ended.iter().filter(|(_, end)| end.stage == Stage::Defeated).collect();
        defeats.sort_by_key(|(_, end)| end.since);
        *defeats[nth].0
    };
    let fewer = broken_of(awakened(), |run| {
        let first = defeat(run, 0);
        run.ended.remove(&first);
    });
    assert_eq!(fewer, [Invariant::Approval]);
    let other = broken_of(awakened(), |run| {
        let last = defeat(run, 1);
        let ended = run.ended[&last];
        let since = ended.since.map(|since| since.after(DurationMs::new(1)));
        run.ended.insert(last, Ended { since, ..ended });
    });
    assert_eq!(other, [Invariant::Approval]);
}
