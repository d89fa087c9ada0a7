//! The vote: ballots, caps, thresholds, late extension, confirm period, optimistic votes.

use std::sync::Arc;

use super::story::{STAGES, stage};
use crate::{
    constitution::{Scheme, Threshold, Track},
    electorate::{Electorate, Shares, Voices},
    event::Event,
    genesis::{Genesis, Tier},
    quantity::{DurationMs, Ratio, TimeMs, Weight},
    role::Role,
    stage::Stage,
    state::Applied,
    testing::{World, deploy, genesis, member, record, target},
    transaction::{Choice, ProposalId, ReviewVerdict},
};

const ALL: [&str; 4] = ["acme/author", "birch/author", "cedar/author", "delta/author"];

/// A world whose proposal is being voted on.
fn voting(genesis: Genesis) -> (World, ProposalId) {
    let mut world = World::with(genesis);
    world.pass(DurationMs::new(1));
    let id = world.submit("acme/author", deploy("2", STAGES)).unwrap();
    if stage(&world, id) == Stage::Review {
        world.review("birch/author", id, ReviewVerdict::Approve).unwrap();
    }
    (world, id)
}

/// A proposal that touches one target of little weight.
pub(super) fn routine() -> (World, ProposalId) {
    routine_in(genesis(4))
}

fn routine_in(mut genesis: Genesis) -> (World, ProposalId) {
    genesis.targets.get_mut(&target("acme-north")).unwrap().tier = Tier::Low;
    let mut world = World::with(genesis);
    world.pass(DurationMs::new(1));
    let id = world.submit("acme/author", deploy("2", &[&["acme-north"]])).unwrap();
    assert_eq!(world.state.proposal(id).unwrap().track, Track::Routine);
    (world, id)
}

fn cast(world: &mut World, id: ProposalId, choices: &[Choice]) {
    for (voter, choice) in ALL.iter().zip(choices) {
        world.vote(voter, id, *choice).unwrap();
    }
}

fn closes(world: &World, id: ProposalId) -> TimeMs {
    world.state.proposal(id).unwrap().vote.closes
}

/// Lets time pass until so long before the end of the vote.
fn until_before_end(world: &mut World, id: ProposalId, before: u64) {
    let left = closes(world, id).since(world.state.time());
    world.pass(left.saturating_sub(DurationMs::new(before)));
}

fn outcome(choices: &[Choice]) -> Stage {
    let (mut world, id) = voting(genesis(4));
    cast(&mut world, id, choices);
    world.pass_to_deadline();
    stage(&world, id)
}

#[test]
fn a_majority_with_a_quorum_of_weight_and_organisations_passes() {
    use Choice::{Abstain, Against, For};
    assert_eq!(outcome(&[For, For]), Stage::Confirming);
    assert_eq!(outcome(&[For]), Stage::Defeated, "turnout is 25 % of 40 %");
    assert_eq!(outcome(&[For, Against]), Stage::Defeated, "a tie is not more than half");
    assert_eq!(outcome(&[For, For, Against]), Stage::Confirming);
    assert_eq!(outcome(&[For, Abstain]), Stage::Defeated, "one of four organisations is less than a third");
    assert_eq!(outcome(&[]), Stage::Defeated);
}

#[test]
fn a_ballot_counts_once_and_its_repeat_is_the_same() {
    let (mut world, id) = voting(genesis(4));
    world.vote("acme/author", id, Choice::For).unwrap();
    assert_eq!(world.vote("acme/author", id, Choice::For), Ok(Applied::Same));
    assert_eq!(world.vote("acme/author", id, Choice::Against).unwrap_err().code(), "already-done");
    assert_eq!(world.state.proposal(id).unwrap().vote.ballots.len(), 1);
}

#[test]
fn a_ballot_of_somebody_without_weight_is_refused() {
    let (mut world, id) = voting(genesis(4));
    let reviewer = member("acme/late");
    let mut genesis = world.genesis.clone();
    genesis.members.insert(reviewer.clone(), record(&reviewer, 0, &[Role::Reviewer]));
    let refused = world.state.may_vote(id, &reviewer).unwrap_err();
    assert_eq!(refused.to_string(), "acme/late had no weight when this proposal was opened");
    let refused = world.vote("acme/late", id, Choice::For).unwrap_err();
    assert_eq!(refused.code(), "not-a-member");
}

#[test]
fn a_ballot_after_the_end_is_refused_with_what_is_possible() {
    let (mut world, id) = voting(genesis(4));
    world.pass_to_deadline();
    let refused = world.vote("acme/author", id, Choice::For).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "vote is not possible while the proposal is defeated; possible now: nothing"
    );
}

#[test]
fn an_organisation_counts_for_its_cap_and_no_more() {
    let mut genesis = genesis(4);
    for n in 0..9 {
        let id = member(&format!("acme/voter-{n}"));
        genesis.members.insert(id.clone(), record(&id, 100, &[Role::Voter]));
    }
    // With most of the weight cut away, three fifths of it can never take part.
    let high = genesis.constitution.tracks[&Track::High].scheme.clone();
    genesis.constitution.tracks.get_mut(&Track::Constitutional).unwrap().scheme = high;
    let (mut world, id) = voting(genesis);
    for n in 0..9 {
        world.vote(&format!("acme/voter-{n}"), id, Choice::For).unwrap();
    }
    world.vote("acme/author", id, Choice::For).unwrap();
    let tally = world.state.proposal(id).unwrap().count();
    assert_eq!(tally.weight_for, Weight::new(433), "1000 of 1300 is cut to a third");
    assert!(!tally.passes);
}

#[test]
fn a_member_counts_for_the_cap_and_no_more() {
    let mut genesis = genesis(4);
    genesis.members.get_mut(&member("acme/author")).unwrap().weight = Weight::new(600);
    let (mut world, id) = voting(genesis);
    assert_eq!(world.state.may_vote(id, &member("acme/author")), Ok(Weight::new(300)));
    world.vote("acme/author", id, Choice::For).unwrap();
    assert!(!world.state.proposal(id).unwrap().count().passes);
}

#[test]
fn a08_a_quorum_reached_in_the_last_second_extends_voting() {
    let (mut world, id) = voting(genesis(4));
    world.vote("acme/author", id, Choice::For).unwrap();
    let end = closes(&world, id);
    until_before_end(&mut world, id, 1_000);
    let Ok(Applied::New(events)) = world.vote("birch/author", id, Choice::For) else { panic!() };
    let window = world.state.proposal(id).unwrap().parameters.late_window;
    assert_eq!(closes(&world, id), end.after(window));
    assert!(events.iter().any(|event| matches!(event, Event::VotingExtended { .. })));
}

#[test]
fn a08_a_ballot_that_changes_nothing_late_does_not_extend() {
    let (mut world, id) = voting(genesis(4));
    cast(&mut world, id, &[Choice::For, Choice::For]);
    let end = closes(&world, id);
    until_before_end(&mut world, id, 1_000);
    world.vote("cedar/author", id, Choice::For).unwrap();
    assert_eq!(closes(&world, id), end);
}

#[test]
fn a08_flips_back_and_forth_extend_but_never_above_twice_the_period() {
    let mut genesis = genesis(4);
    for n in 0..40 {
        let id = member(&format!("{}/voter-{n}", crate::testing::org(n % 4)));
        genesis.members.insert(id.clone(), record(&id, 100, &[Role::Voter]));
    }
    let (mut world, id) = voting(genesis);
    let (opened, voting) = {
        let proposal = world.state.proposal(id).unwrap();
        (proposal.vote.opened, proposal.parameters.voting)
    };
    cast(&mut world, id, &[Choice::For; 4]);
    for n in 0..14 {
        world.vote(&format!("{}/voter-{n}", crate::testing::org(n % 4)), id, Choice::For).unwrap();
    }
    for n in 14..32 {
        world.vote(&format!("{}/voter-{n}", crate::testing::org(n % 4)), id, Choice::Against).unwrap();
    }
    let mut extensions = 0;
    for n in 32..40 {
        if closes(&world, id).since(world.state.time()) > DurationMs::new(1) {
            until_before_end(&mut world, id, 1);
        }
        let before = closes(&world, id);
        let choice = if n % 2 == 0 { Choice::For } else { Choice::Against };
        world.vote(&format!("{}/voter-{n}", crate::testing::org(n % 4)), id, choice).unwrap();
        extensions += usize::from(closes(&world, id) > before);
        assert!(closes(&world, id) <= opened.after(voting).after(voting));
    }
    assert_eq!(extensions, 6, "six windows of twelve hours are the period once more");
    assert_eq!(closes(&world, id), opened.after(voting).after(voting));
}

#[test]
fn a_vote_that_stops_passing_while_confirming_is_reopened() {
    let (mut world, id) = voting(genesis(4));
    cast(&mut world, id, &[Choice::For, Choice::For]);
    world.pass_to_deadline();
    assert_eq!(stage(&world, id), Stage::Confirming);
    world.vote("cedar/author", id, Choice::Against).unwrap();
    assert_eq!(stage(&world, id), Stage::Confirming, "two of three still pass");
    world.vote("delta/author", id, Choice::Against).unwrap();
    assert_eq!(stage(&world, id), Stage::Voting);
    world.pass_to_deadline();
    assert_eq!(stage(&world, id), Stage::Defeated);
}

#[test]
fn a_confirm_period_without_a_change_leads_to_the_queue() {
    let (mut world, id) = voting(genesis(4));
    cast(&mut world, id, &[Choice::For, Choice::For]);
    world.pass_to_deadline();
    let confirm = world.state.proposal(id).unwrap().parameters.confirm;
    world.pass(confirm.saturating_sub(DurationMs::new(1)));
    assert_eq!(stage(&world, id), Stage::Confirming);
    world.pass(DurationMs::new(1));
    assert_eq!(stage(&world, id), Stage::Queued);
}

#[test]
fn a_routine_change_passes_when_enough_organisations_saw_it_and_few_object() {
    let (mut world, id) = routine();
    assert_eq!(stage(&world, id), Stage::Voting, "no sign-off is needed");
    cast(&mut world, id, &[Choice::For, Choice::For]);
    world.pass_to_deadline();
    assert_eq!(stage(&world, id), Stage::Confirming);
}

#[test]
fn a_routine_change_is_defeated_by_a_third_that_objects() {
    let (mut world, id) = routine();
    cast(&mut world, id, &[Choice::For, Choice::Against, Choice::Against]);
    world.pass_to_deadline();
    assert_eq!(stage(&world, id), Stage::Defeated);
    let (mut world, id) = routine();
    cast(&mut world, id, &[Choice::For, Choice::Against]);
    world.pass_to_deadline();
    assert_eq!(stage(&world, id), Stage::Confirming, "a quarter is less than a third");
}

#[test]
fn a05_silence_promotes_an_optimistic_vote_to_a_full_one() {
    let (mut world, id) = routine();
    world.vote("birch/author", id, Choice::For).unwrap();
    let events = world.pass_to_deadline();
    assert!(events.iter().any(|event| matches!(event, Event::Promoted { .. })));
    let proposal = world.state.proposal(id).unwrap();
    assert_eq!(proposal.stage, Stage::Voting);
    assert!(matches!(proposal.parameters.scheme, Scheme::Majority { .. }));
    assert_eq!(proposal.vote.ballots.len(), 1, "the ballot that was cast stays");
    world.pass_to_deadline();
    assert_eq!(stage(&world, id), Stage::Defeated, "silence does not pass a full vote");
}

#[test]
fn a_routine_change_that_was_objected_to_gets_no_second_vote_because_few_have_seen_it() {
    let mut genesis = genesis(4);
    let routine = genesis.constitution.tracks.get_mut(&Track::Routine).unwrap();
    let Scheme::Optimistic { objection, .. } = &mut routine.scheme else { panic!("it is optimistic") };
    *objection = Threshold::AtLeast(Ratio::new(1, 4).unwrap());
    let (mut world, id) = routine_in(genesis);
    world.vote("birch/author", id, Choice::Against).unwrap();
    let events = world.pass_to_deadline();
    assert!(!events.iter().any(|event| matches!(event, Event::Promoted { .. })));
    assert_eq!(stage(&world, id), Stage::Defeated);
}

const THIRDS: Shares = Shares { member: Ratio::ONE_THIRD, delegate: Ratio::ONE_THIRD };

#[test]
fn thresholds_hold_exactly_from_their_share_on() {
    use crate::{proposal::Vote, tally::count};
    let voters: Vec<_> = (0..99).map(|n| member(&format!("org-{}/v{n}", n % 9))).collect();
    let weights = voters.iter().map(|voter| (voter.clone(), Weight::new(1))).collect();
    let electorate = Electorate::of(weights, &Voices::new(), THIRDS);
    let track = &World::new(4).genesis.constitution.tracks[&Track::Standard];
    let passes = |weight_for: usize, against: usize, abstain: usize| {
        let mut vote = Vote::default();
        let choices = [(Choice::For, weight_for), (Choice::Against, against), (Choice::Abstain, abstain)];
        let choices = choices.into_iter().flat_map(|(choice, n)| std::iter::repeat_n(choice, n));
        for (voter, choice) in voters.iter().zip(choices) {
            vote.cast(voter, choice, &electorate);
        }
        count(&vote, &electorate, &track.scheme, Ratio::ONE_THIRD).passes
    };
    assert!(!passes(39, 0, 0), "39 of 99 is below two fifths");
    assert!(passes(40, 0, 0), "40 of 99 is the first above");
    assert!(!passes(20, 20, 0), "a half is not more than a half");
    assert!(passes(21, 20, 0));
    assert!(passes(21, 0, 19), "abstentions count for turnout");
}

#[test]
fn nobody_may_vote_before_the_vote() {
    let mut world = World::new(4);
    let id = world.submit("acme/author", deploy("2", STAGES)).unwrap();
    let refused = world.state.may_vote(id, &member("acme/author")).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "vote is not possible while the proposal is review; possible now: revise, review, cancel"
    );
}

#[test]
fn a_voter_whose_weight_the_cap_rounds_to_nothing_has_no_ballot() {
    let (mut world, id) = voting(genesis(4));
    let voters = ["acme/author", "birch/author"].map(member);
    let weights = voters.iter().map(|voter| (voter.clone(), Weight::new(1))).collect();
    let electorate = Electorate::of(weights, &Voices::new(), THIRDS);
    world.state.tamper(id, |proposal| proposal.electorate = Arc::new(electorate));
    let refused = world.vote("acme/author", id, Choice::For).unwrap_err();
    assert_eq!(refused.to_string(), "acme/author had no weight when this proposal was opened");
}

#[test]
fn a_vote_that_stops_passing_with_all_its_time_spent_is_defeated() {
    let mut genesis = genesis(4);
    let standard = genesis.constitution.tracks.get_mut(&Track::Standard).unwrap();
    standard.late_window = standard.voting;
    let (mut world, id) = voting(genesis);
    cast(&mut world, id, &[Choice::For, Choice::For]);
    world.pass_to_deadline();
    let vote = &world.state.proposal(id).unwrap().vote;
    let voting = world.state.proposal(id).unwrap().parameters.voting;
    assert_eq!(vote.closes, vote.opened.after(voting).after(voting));
    assert_eq!(stage(&world, id), Stage::Confirming);
    world.vote("cedar/author", id, Choice::Against).unwrap();
    let Ok(Applied::New(events)) = world.vote("delta/author", id, Choice::Against) else { panic!() };
    let cause = events.iter().find_map(|event| match event {
        Event::StageChanged { from: Stage::Voting, to: Stage::Defeated, cause, .. } => Some(cause),
        _ => None,
    });
    let cause = cause.unwrap();
    assert_eq!(cause.as_str(), "the count fails: approval 200 of 400");
    assert_eq!(world.state.proposal(id).unwrap().deadline, None);
}
