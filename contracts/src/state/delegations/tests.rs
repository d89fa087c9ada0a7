//! Delegations: what is accepted and refused, when it counts, and that no voice is ever heard twice.
#![expect(clippy::arithmetic_side_effects, reason = "sums of a few small numbers, which a test may stop at")]

use std::sync::Arc;

use crate::{
    constitution::{Constitution, Track},
    electorate::Electorate,
    emergency::Measure,
    event::Event,
    genesis::Genesis,
    quantity::{DurationMs, Ratio, TimeMs, Weight},
    reject::Reject,
    role::Role,
    stage::Stage,
    state::{Applied, State},
    testing::{World, deploy, genesis, member, record},
    transaction::{Call, Choice, ProposalId, ReviewVerdict},
    weighing::Weighing,
};

mod any_order;
mod calls;

const DAY: DurationMs = DurationMs::from_hours(24);
const MONTH: DurationMs = DurationMs::from_hours(30 * 24);

/// Four organisations whose authors weigh 100, with more voters in two of them: 600 in all.
fn assembly() -> Genesis {
    let mut genesis = genesis(4);
    for (voter, weight) in [("acme/ann", 40), ("acme/bob", 40), ("birch/cid", 40), ("birch/dan", 80)] {
        let id = member(voter);
        genesis.members.insert(id.clone(), record(&id, weight, &[Role::Voter]));
    }
    genesis
}

fn world() -> World {
    World::with(assembly())
}

fn lend(world: &mut World, from: &str, to: &str) -> Result<Applied, Reject> {
    lend_on(world, None, from, to)
}

fn lend_on(world: &mut World, track: Option<Track>, from: &str, to: &str) -> Result<Applied, Reject> {
    let expires = world.state.time().after(MONTH);
    world.call(from, Role::Voter, Call::Delegate { track, to: member(to), expires })
}

fn revoke(world: &mut World, from: &str, track: Option<Track>) -> Result<Applied, Reject> {
    world.call(from, Role::Voter, Call::Revoke { track })
}

/// A world in which each of the pairs has lent its voice and it is heard by now.
fn lent(pairs: &[(&str, &str)]) -> World {
    let mut world = world();
    for (from, to) in pairs {
        lend(&mut world, from, to).unwrap();
    }
    world.pass(DAY);
    world
}

/// Opens a vote on the standard track; each has a version of its own.
fn open(world: &mut World, version: &str) -> ProposalId {
    let id = world.submit("acme/author", deploy(version, &[&["acme-north"]])).unwrap();
    world.review("birch/author", id, ReviewVerdict::Approve).unwrap();
    assert_eq!(world.state.proposal(id).unwrap().stage, Stage::Voting);
    id
}

/// What counts for, against and as abstention before the caps of organisations.
fn counted(world: &World, id: ProposalId) -> [u64; 3] {
    let vote = &world.state.proposal(id).unwrap().vote;
    let sums = vote.by_org.values().chain(vote.entrusted_by_org.values());
    sums.fold([0; 3], |sum, choices| [0, 1, 2].map(|slot: usize| sum[slot] + choices[slot].get()))
}

fn voice(world: &World, id: ProposalId, voter: &str) -> u64 {
    world.state.may_vote(id, &member(voter)).unwrap().get()
}

fn why(result: Result<Applied, Reject>) -> String {
    let refused = result.unwrap_err();
    assert_eq!(refused.code(), "delegation");
    refused.to_string().trim_start_matches("the delegation cannot be taken: ").to_owned()
}

#[test]
fn a_delegate_speaks_for_who_has_lent_it_a_voice() {
    let mut world = lent(&[("acme/ann", "acme/bob"), ("birch/cid", "acme/bob")]);
    let id = open(&mut world, "1");
    assert_eq!(voice(&world, id, "acme/bob"), 120, "of its own 40, and two times 40");
    world.vote("acme/bob", id, Choice::For).unwrap();
    let proposal = world.state.proposal(id).unwrap();
    assert_eq!(counted(&world, id), [120, 0, 0]);
    let (acme, birch) = (name_of_org("acme"), name_of_org("birch"));
    assert_eq!(proposal.vote.by_org[&acme][0], Weight::new(80));
    assert_eq!(proposal.vote.entrusted_by_org[&acme][0], Weight::new(40));
    assert!(!proposal.vote.by_org.contains_key(&birch), "another organisation has not spoken by it");
    let electorate = &proposal.electorate;
    let (ann, dan) = (member("acme/ann"), member("birch/dan"));
    assert_eq!(proposal.vote.speaker(&ann, electorate), Some(&member("acme/bob")));
    assert_eq!(proposal.vote.speaker(&dan, electorate), None);
}

fn name_of_org(text: &str) -> crate::name::OrgId {
    crate::name::OrgId::new(text).unwrap()
}

#[test]
fn a14_an_own_ballot_is_taken_out_of_the_delegates_whichever_comes_first() {
    let mut world = lent(&[("acme/ann", "acme/bob"), ("birch/cid", "acme/bob")]);
    let id = open(&mut world, "1");
    world.vote("acme/bob", id, Choice::For).unwrap();
    world.vote("acme/ann", id, Choice::Against).unwrap();
    assert_eq!(counted(&world, id), [80, 40, 0]);
    let other = open(&mut world, "2");
    world.vote("acme/ann", other, Choice::Against).unwrap();
    assert_eq!(voice(&world, other, "acme/bob"), 80);
    world.vote("acme/bob", other, Choice::For).unwrap();
    assert_eq!(counted(&world, other), [80, 40, 0]);
    assert_eq!(
        world.state.proposal(id).unwrap().vote.by_org,
        world.state.proposal(other).unwrap().vote.by_org
    );
    let id = open(&mut world, "3");
    assert_eq!(voice(&world, id, "acme/bob"), 120, "who overrides has not undelegated");
}

#[test]
fn a14_a_voice_that_passes_two_delegates_speaks_through_the_nearest_who_votes() {
    let pairs = [("acme/ann", "acme/bob"), ("acme/bob", "birch/cid")];
    let mut world = lent(&pairs);
    let far = open(&mut world, "1");
    world.vote("birch/cid", far, Choice::For).unwrap();
    assert_eq!(counted(&world, far), [120, 0, 0]);
    world.vote("acme/bob", far, Choice::Against).unwrap();
    assert_eq!(counted(&world, far), [40, 80, 0], "bob takes what it speaks for with it");
    world.vote("acme/ann", far, Choice::Abstain).unwrap();
    assert_eq!(counted(&world, far), [40, 40, 40]);
    let near = open(&mut world, "2");
    world.vote("acme/ann", near, Choice::Abstain).unwrap();
    world.vote("birch/cid", near, Choice::For).unwrap();
    assert_eq!(counted(&world, near), [80, 0, 40], "ann is passed over, bob is not");
    world.vote("acme/bob", near, Choice::Against).unwrap();
    assert_eq!(counted(&world, near), [40, 40, 40]);
}

#[test]
fn a02_a_voice_that_is_lent_and_taken_back_in_one_height_is_heard_nowhere() {
    let voices = |world: &mut World, version: &str| {
        let id = open(world, version);
        let delegates = world.state.proposal(id).unwrap().electorate.delegates.clone();
        delegates.into_iter().map(|(from, to)| (from.to_string(), to.to_string())).collect::<Vec<_>>()
    };
    // As quick as the rules let it be.
    let mut genesis = assembly();
    genesis.constitution.delegation.activation = DurationMs::new(1);
    let mut world = World::with(genesis);
    world.pass(DAY);
    lend(&mut world, "birch/cid", "birch/dan").unwrap();
    assert_eq!(voices(&mut world, "2"), []);
    revoke(&mut world, "birch/cid", None).unwrap();
    world.pass(DAY);
    assert_eq!(voices(&mut world, "3"), []);

    // Nor is one taken back and lent again in the height of a submission.
    let lent_to_dan = [("birch/cid".to_owned(), "birch/dan".to_owned())];
    lend(&mut world, "birch/cid", "birch/dan").unwrap();
    world.pass(DAY);
    revoke(&mut world, "birch/cid", None).unwrap();
    assert_eq!(voices(&mut world, "4"), lent_to_dan);
    lend(&mut world, "birch/cid", "acme/ann").unwrap();
    assert_eq!(voices(&mut world, "5"), lent_to_dan);
    world.pass(DAY);
    assert_eq!(voices(&mut world, "6"), [("birch/cid".to_owned(), "acme/ann".to_owned())]);
}

#[test]
fn a23_a_delegation_counts_in_what_is_submitted_after_its_delay_and_in_nothing_earlier() {
    let mut world = world();
    let before = open(&mut world, "1");
    lend(&mut world, "acme/ann", "acme/bob").unwrap();
    let same_block = open(&mut world, "2");
    world.pass(DurationMs::new(DAY.get() - 1));
    let too_soon = open(&mut world, "3");
    world.pass(DurationMs::new(1));
    let at_last = open(&mut world, "4");
    for id in [before, same_block, too_soon] {
        assert_eq!(voice(&world, id, "acme/bob"), 40);
    }
    assert_eq!(voice(&world, at_last, "acme/bob"), 80);
}

#[test]
fn a23_what_is_above_the_cap_of_a_delegate_is_ignored_and_so_is_what_is_above_that_of_a_member() {
    let all = [("acme/ann", "acme/author"), ("birch/cid", "acme/author"), ("birch/dan", "acme/author")];
    let mut world = lent(&all);
    let id = open(&mut world, "1");
    assert_eq!(
        voice(&world, id, "acme/author"),
        200,
        "100, and 120 of the 160 entrusted, but a third at most"
    );
    world.vote("acme/author", id, Choice::For).unwrap();
    let vote = &world.state.proposal(id).unwrap().vote;
    let acme = name_of_org("acme");
    assert_eq!(vote.by_org[&acme][0], Weight::new(140), "what comes from others is ignored first");
    assert_eq!(vote.entrusted_by_org[&acme][0], Weight::new(60));
    world.vote("birch/dan", id, Choice::For).unwrap();
    assert_eq!(counted(&world, id), [140 + 40 + 80, 0, 0], "the rest of what is entrusted is under the caps");
}

#[test]
fn a23_the_cap_of_a_delegate_holds_for_what_colleagues_have_lent_it_too() {
    let mut genesis = assembly();
    genesis.constitution.delegation.cap = Ratio::new(1, 20).unwrap();
    let mut world = World::with(genesis);
    lend(&mut world, "acme/ann", "acme/bob").unwrap();
    lend(&mut world, "birch/cid", "acme/bob").unwrap();
    world.pass(DAY);
    let id = open(&mut world, "1");
    assert_eq!(voice(&world, id, "acme/bob"), 70, "its own 40, and 30 of 80");
    world.vote("acme/bob", id, Choice::For).unwrap();
    let vote = &world.state.proposal(id).unwrap().vote;
    assert!(vote.entrusted_by_org.is_empty(), "what comes from others is ignored first");
}

#[test]
fn a23_no_organisation_is_in_favour_or_has_seen_it_by_the_weight_of_another() {
    let mut world = lent(&[("birch/dan", "acme/ann"), ("birch/author", "acme/ann")]);
    let id = open(&mut world, "1");
    world.vote("acme/bob", id, Choice::Against).unwrap();
    world.vote("acme/author", id, Choice::Against).unwrap();
    world.vote("acme/ann", id, Choice::For).unwrap();
    let tally = world.state.proposal(id).unwrap().count();
    let organisations = tally.tests.last().unwrap();
    assert_eq!(
        (organisations.part, organisations.whole),
        (0, 4),
        "acme is against by 140 to 40, birch silent"
    );
    assert_eq!(world.state.proposal(id).unwrap().vote.by_org.len(), 1);
}

#[test]
fn a23_the_cap_of_an_organisation_holds_over_what_others_have_entrusted_it_with() {
    let mut genesis = assembly();
    genesis.constitution.delegation.cap = Ratio::ONE_THIRD;
    let mut world = World::with(genesis);
    for (from, to) in [("birch/author", "acme/ann"), ("birch/dan", "acme/bob"), ("cedar/author", "acme/bob")]
    {
        lend(&mut world, from, to).unwrap();
    }
    world.pass(DAY);
    let id = open(&mut world, "1");
    for voter in ["acme/author", "acme/ann", "acme/bob"] {
        world.vote(voter, id, Choice::For).unwrap();
    }
    assert_eq!(counted(&world, id), [100 + 140 + 200, 0, 0]);
    assert_eq!(world.state.proposal(id).unwrap().count().weight_for, Weight::new(200), "a third of 600");
}

#[test]
fn what_is_lent_on_one_track_is_heard_on_no_other() {
    let mut world = world();
    lend_on(&mut world, Some(Track::High), "acme/ann", "acme/bob").unwrap();
    world.pass(DAY);
    let id = open(&mut world, "1");
    assert_eq!(voice(&world, id, "acme/bob"), 40);
    lend_on(&mut world, Some(Track::Standard), "acme/ann", "birch/cid").unwrap();
    world.pass(DAY);
    let id = open(&mut world, "2");
    assert_eq!((voice(&world, id, "acme/bob"), voice(&world, id, "birch/cid")), (40, 80));
}

#[test]
fn an_emergency_is_judged_by_who_speaks_on_the_standard_track() {
    let mut world = world();
    lend_on(&mut world, Some(Track::Standard), "acme/ann", "acme/bob").unwrap();
    lend_on(&mut world, Some(Track::High), "birch/cid", "birch/dan").unwrap();
    let refused = lend_on(&mut world, Some(Track::Emergency), "birch/dan", "birch/cid");
    assert_eq!(refused.unwrap_err(), Reject::NoTrack { track: Track::Emergency });
    world.pass(DAY);
    let halt = Measure::HaltTrack { track: Track::Routine };
    let id = world.declare("acme/guardian", &[halt]).unwrap();
    for guardian in ["birch/guardian", "cedar/guardian"] {
        world.sign_emergency(guardian, id).unwrap();
    }
    let judgement = world.state.emergency(id).unwrap().activation.unwrap().proposal;
    assert_eq!((voice(&world, judgement, "acme/bob"), voice(&world, judgement, "birch/dan")), (80, 80));
}

#[test]
fn tracks_on_which_the_same_speak_for_the_same_share_their_electorate() {
    let mut world = world();
    world.pass(DAY);
    let of = |world: &mut World, track| world.state.registry_mut().electorate(track).unwrap().0;
    let before = of(&mut world, Track::High);
    assert!(Arc::ptr_eq(&before, &of(&mut world, Track::Standard)));
    world.pass(DAY);
    assert!(Arc::ptr_eq(&before, &of(&mut world, Track::High)), "it is not made anew without need");
    lend_on(&mut world, Some(Track::High), "acme/ann", "acme/bob").unwrap();
    assert!(Arc::ptr_eq(&before, &of(&mut world, Track::High)), "what is said counts from the next block on");
    world.pass(DAY);
    assert!(Arc::ptr_eq(&before, &of(&mut world, Track::Standard)), "nothing was said about it");
    assert_eq!(of(&mut world, Track::High).delegates.len(), 1);
}

#[test]
fn tracks_that_weigh_otherwise_have_electorates_of_their_own() {
    let mut genesis = assembly();
    genesis.constitution.tracks.get_mut(&Track::High).unwrap().weighing = Weighing::Quadratic;
    let mut world = World::with(genesis);
    world.pass(DAY);
    let of = |world: &mut World, track| world.state.registry_mut().electorate(track).unwrap().0;
    let standard = of(&mut world, Track::Standard);
    assert_ne!(standard.total, of(&mut world, Track::High).total);
    assert!(Arc::ptr_eq(&standard, &of(&mut world, Track::Constitutional)));
}

#[test]
fn a_voice_is_heard_until_its_term_ends_and_in_what_was_submitted_before_to_the_end() {
    let mut world = world();
    let expires = world.state.time().after(MONTH);
    lend(&mut world, "acme/ann", "acme/bob").unwrap();
    world.pass(DurationMs::new(MONTH.get() - 1));
    let last = open(&mut world, "1");
    world.pass(DurationMs::new(1));
    assert_eq!(world.state.time(), expires);
    let first = open(&mut world, "2");
    assert_eq!((voice(&world, last, "acme/bob"), voice(&world, first, "acme/bob")), (80, 40));
}

#[test]
fn a_voice_is_taken_back_from_the_next_block_on() {
    let mut world = lent(&[("acme/ann", "acme/bob")]);
    let before = open(&mut world, "1");
    let Ok(Applied::New(events)) = revoke(&mut world, "acme/ann", Some(Track::Standard)) else { panic!() };
    let (delegator, delegate) = (member("acme/ann"), member("acme/bob"));
    assert_eq!(events, [Event::Revoked { delegator, delegate, track: Track::Standard }]);
    let same_block = open(&mut world, "2");
    world.pass(DurationMs::new(1));
    let after = open(&mut world, "3");
    let heard = [before, same_block, after].map(|id| voice(&world, id, "acme/bob"));
    assert_eq!(heard, [80, 80, 40], "a snapshot is of the height before");
    let held = &world.state.member(&member("acme/ann")).unwrap().delegations;
    assert_eq!(
        held.keys().copied().collect::<Vec<_>>(),
        [Track::Routine, Track::High, Track::Constitutional]
    );
}

#[test]
fn a_voice_comes_back_when_its_delegate_leaves() {
    let mut world = lent(&[("acme/ann", "acme/bob"), ("acme/bob", "birch/cid")]);
    let before = open(&mut world, "1");
    world.state.tamper_with_members(|members| drop(members.remove(&member("acme/bob"))));
    world.pass(DurationMs::new(1));
    let after = open(&mut world, "2");
    assert_eq!(voice(&world, after, "acme/ann"), 40);
    assert_eq!(voice(&world, after, "birch/cid"), 40, "it does not skip who has left");
    assert_eq!(voice(&world, before, "birch/cid"), 120, "what was submitted before keeps its voters");
    world.vote("acme/ann", before, Choice::Against).unwrap();
    assert_eq!(voice(&world, before, "birch/cid"), 80);
    let back = record(&member("acme/bob"), 40, &[Role::Voter]);
    let back = Arc::new(crate::state::registry::member(&back));
    world.state.tamper_with_members(|members| drop(members.insert(member("acme/bob"), back)));
    world.pass(DurationMs::new(1));
    let id = open(&mut world, "3");
    assert_eq!(voice(&world, id, "acme/bob"), 80, "ann has not said otherwise");
    assert_eq!(voice(&world, id, "birch/cid"), 40);
    lend(&mut world, "acme/bob", "birch/dan").unwrap();
    let refused = why(lend(&mut world, "birch/dan", "cedar/author"));
    assert!(refused.contains("3 delegates"), "{refused}");
}

#[test]
fn a_constitution_without_delegation_hears_everyone_for_itself() {
    let mut world = lent(&[("acme/ann", "acme/bob")]);
    let off = |rules: &mut Constitution| rules.delegation.cap = Ratio::new(0, 1).unwrap();
    let rules = world.next_rules(off);
    rules.check().unwrap();
    assert_eq!(world.state.constitution().touched_by(&rules).len(), Track::ALL.len());
    world.state.tamper_with_rules(off);
    world.state.tamper_with_members(|_| {});
    let id = open(&mut world, "1");
    assert_eq!(voice(&world, id, "acme/bob"), 40);
    assert_eq!(
        why(lend(&mut world, "acme/ann", "acme/bob")),
        "the constitution lets nobody speak for another"
    );
}

#[test]
fn a_snapshot_carries_what_was_lent_and_what_was_taken_back() {
    let mut world = lent(&[("acme/ann", "acme/bob"), ("acme/bob", "birch/cid")]);
    let id = open(&mut world, "1");
    world.vote("birch/cid", id, Choice::For).unwrap();
    world.vote("acme/ann", id, Choice::Against).unwrap();
    revoke(&mut world, "acme/ann", None).unwrap();
    let mut decoded =
        World { state: State::decode_snapshot(&world.state.encode_snapshot()).unwrap(), ..world.clone() };
    for world in [&mut world, &mut decoded] {
        world.vote("acme/bob", id, Choice::Abstain).unwrap();
        assert_eq!(counted(world, id), [40, 40, 40]);
        world.pass(DurationMs::new(1));
        lend(world, "acme/ann", "birch/dan").unwrap();
        world.pass(DAY);
        let id = open(world, "2");
        assert_eq!(["birch/dan", "birch/cid"].map(|voter| voice(world, id, voter)), [120, 80]);
    }
    assert_eq!(world.state.root(), decoded.state.root());
    assert_eq!(world.state.encode_snapshot(), decoded.state.encode_snapshot());
}

#[test]
fn the_root_commits_to_who_speaks_for_whom() {
    let mut world = lent(&[("acme/ann", "acme/bob")]);
    let mut other = world.state.clone();
    other.tamper_with_members(|members| {
        let ann = Arc::make_mut(members.get_mut(&member("acme/ann")).unwrap());
        ann.delegations.get_mut(&Track::High).unwrap().to = member("birch/cid");
    });
    assert_ne!(world.state.root(), other.root());
}

#[test]
fn chains_that_no_call_could_have_made_are_cut_at_their_beginning() {
    let names = ["acme/a", "acme/b", "acme/c", "acme/d", "acme/e", "acme/f"].map(member);
    let [ann, bob, cid, dan, eve, fay] = names.clone();
    let voters = names.iter().map(|voter| (voter.clone(), Weight::new(10))).collect();
    let voices = [
        (ann.clone(), bob.clone()),
        (bob.clone(), cid.clone()),
        (cid.clone(), dan.clone()),
        (eve.clone(), fay.clone()),
        (fay, eve),
    ];
    let shares = crate::electorate::Shares { member: Ratio::ONE_HALF, delegate: Ratio::ONE_HALF };
    let electorate = Electorate::of(voters, &voices.into(), shares);
    assert_eq!(electorate.delegates, [(bob.clone(), cid.clone()), (cid, dan.clone())].into());
    assert_eq!(electorate.entrusted(&dan).inside, Weight::new(20));
    assert_eq!(electorate.chain(&bob).count(), 2);
}
