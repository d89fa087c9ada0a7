//! Governance that falls dormant, and what awakens it.

use super::story::{STAGES, stage};
use crate::{
    act::Act,
    document::ProposalDocument,
    event::Event,
    genesis::Tier,
    proposal::Proposal,
    quantity::{DurationMs, Ratio, TimeMs},
    reject::Reject,
    role::Role,
    stage::Stage,
    testing::{World, acts, amend, deploy, genesis, line, target},
    transaction::{Call, Choice, ProposalId, ReviewVerdict},
};

const AUTHORS: [&str; 4] = ["acme/author", "birch/author", "cedar/author", "delta/author"];

/// A world in which what touches the south of an organisation alone is routine.
fn world() -> World {
    let mut genesis = genesis(4);
    for org in ["acme", "birch", "cedar", "delta"] {
        genesis.targets.get_mut(&target(&format!("{org}-south"))).unwrap().tier = Tier::Low;
    }
    World::with(genesis)
}

/// Brings a proposal to its vote and lets so many take part until the vote is over; the events of that.
fn vote(world: &mut World, document: ProposalDocument, voters: usize) -> (ProposalId, Vec<Event>) {
    let id = world.submit("acme/author", document).unwrap();
    world.review("birch/author", id, ReviewVerdict::Approve).unwrap();
    for voter in &AUTHORS[..voters] {
        world.vote(voter, id, Choice::For).unwrap();
    }
    let left = world.state.proposal(id).unwrap().deadline.unwrap().since(world.state.time());
    let events = world.pass(left);
    (id, events)
}

fn version(number: usize) -> ProposalDocument {
    deploy(&format!("v{number}"), STAGES)
}

fn is_dormant(event: &Event) -> bool {
    matches!(event, Event::Dormant { .. })
}

fn dormant() -> (World, TimeMs) {
    let mut world = world();
    for number in 0..3 {
        vote(&mut world, version(number), 0);
    }
    let since = world.state.dormant_since().unwrap();
    (world, since)
}

fn awakening(since: TimeMs) -> ProposalDocument {
    acts(vec![Act::Awaken { since }])
}

#[test]
fn a04_three_votes_in_a_row_that_few_attend_make_governance_dormant() {
    let mut world = world();
    vote(&mut world, version(0), 0);
    vote(&mut world, version(1), 0);
    // One of four is above a fifth, although it decides nothing.
    let (id, _) = vote(&mut world, version(2), 1);
    assert_eq!((stage(&world, id), world.state.quiet_votes()), (Stage::Defeated, 0));
    vote(&mut world, version(3), 0);
    let (_, events) = vote(&mut world, version(4), 0);
    assert!(!events.iter().any(is_dormant));
    let (id, events) = vote(&mut world, version(5), 0);
    assert!(events.contains(&Event::Dormant { proposal: id, votes: 3 }));
    assert_eq!(world.state.dormant_since(), Some(world.state.time()));
}

#[test]
fn a04_dormant_governance_takes_what_is_routine_and_awakenings_and_nothing_else() {
    let (mut world, since) = dormant();
    let refused = Reject::Dormant { since };
    assert_eq!(world.submit("acme/author", version(9)).unwrap_err(), refused);
    let rules = world.next_rules(|rules| rules.dormancy.votes = 1_000);
    assert_eq!(world.submit("acme/author", amend(rules.clone())).unwrap_err(), refused);
    let both = acts(vec![Act::Awaken { since }, Act::Amend { constitution: Box::new(rules) }]);
    assert_eq!(world.submit("acme/author", both).unwrap_err(), refused);
    let routine = world.submit("acme/author", deploy("2", &[&["acme-south"]])).unwrap();
    assert_eq!(stage(&world, routine), Stage::Voting);
    let awakening = world.submit("acme/author", awakening(since)).unwrap();
    let document = version(9);
    let plan_hash = world.state.plan(&document).unwrap().hash();
    let replaces = world.state.proposal(awakening).unwrap().revision;
    let call = Call::Revise { proposal: awakening, replaces, document, plan_hash };
    assert_eq!(world.call("acme/author", Role::Author, call).unwrap_err(), refused);
}

#[test]
fn a04_a_decision_in_which_enough_take_part_awakens_governance() {
    let (mut world, since) = dormant();
    let (id, _) = vote(&mut world, awakening(since), 3);
    assert_eq!(stage(&world, id), Stage::Confirming);
    assert_eq!(world.state.dormant_since(), Some(since), "a vote alone changes nothing");
    world.pass_to_deadline();
    let events = world.pass_to_deadline();
    assert!(events.contains(&Event::Awake { proposal: id }));
    assert_eq!((world.state.dormant_since(), world.state.quiet_votes()), (None, 0));
    world.submit("acme/author", version(9)).unwrap();
    let late = world.submit("birch/author", awakening(since)).unwrap();
    assert_eq!(stage(&world, late), Stage::Rejected, "what is awake is not awakened");
}

#[test]
fn a04_an_awakening_that_fails_may_be_tried_at_once_by_whomever_and_costs_nothing() {
    let (mut world, since) = dormant();
    let free = |world: &World| world.state.free_points(&crate::testing::member("acme/author"));
    let before = free(&world);
    for _ in 0..5 {
        let (id, _) = vote(&mut world, awakening(since), 1);
        assert_eq!(stage(&world, id), Stage::Defeated);
    }
    assert_eq!(free(&world), before);
    assert_eq!(world.state.dormant_since(), Some(since));
    let (id, _) = vote(&mut world, awakening(since), 4);
    assert_eq!(stage(&world, id), Stage::Confirming);
}

#[test]
fn a04_an_awakening_of_another_dormancy_is_refused() {
    let (mut world, since) = dormant();
    let other = world.submit("acme/author", awakening(since.after(DurationMs::new(1)))).unwrap();
    assert_eq!(stage(&world, other), Stage::Rejected);
}

#[test]
fn a04_what_was_open_goes_on_and_what_was_promoted_counts_as_a_vote() {
    let mut world = world();
    let open = world.submit("delta/author", version(8)).unwrap();
    let routine = world.submit("acme/author", deploy("2", &[&["acme-south"]])).unwrap();
    for number in 0..2 {
        vote(&mut world, version(number), 0);
    }
    // The silence over what is routine is its own second vote, which nobody attends.
    while world.state.proposal(routine).is_some_and(Proposal::is_open) {
        world.pass_to_deadline();
    }
    assert!(world.state.proposal(routine).unwrap().vote.promoted);
    assert!(world.state.dormant_since().is_some());
    assert!(stage(&world, open).is_terminal() || stage(&world, open) == Stage::Review);
}

#[test]
fn a29_the_floor_of_dormancy_is_within_reach_of_every_majority() {
    let refusal = |change: fn(&mut crate::constitution::Constitution)| {
        let mut rules = genesis(4).constitution;
        change(&mut rules);
        rules.check().err().map(|error| error.to_string())
    };
    assert_eq!(refusal(|rules| rules.dormancy.floor = Ratio::TWO_FIFTHS), None);
    let found = refusal(|rules| rules.dormancy.floor = Ratio::ONE_HALF).unwrap();
    assert!(found.starts_with("tracks.standard.scheme.turnout asks for less than the floor"), "{found}");
    assert!(refusal(|rules| rules.dormancy.votes = 0).is_some());
    assert!(refusal(|rules| rules.dormancy.votes = 1_001).is_some());
}

#[test]
fn guardians_have_no_more_to_say_about_an_awakening_than_their_vetoes() {
    let (mut world, since) = dormant();
    let (id, _) = vote(&mut world, awakening(since), 4);
    world.pass_to_deadline();
    assert_eq!(stage(&world, id), Stage::Queued);
    let veto = Call::Veto { proposal: id, reason: line("not so soon") };
    world.call("birch/guardian", Role::Guardian, veto).unwrap();
    let (id, _) = vote(&mut world, awakening(since), 4);
    assert_eq!(stage(&world, id), Stage::Confirming);
}
