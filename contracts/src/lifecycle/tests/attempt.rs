//! What failed and is tried again, and what trying costs.

use super::story::{STAGES, queue, stage};
use crate::{
    act::Act,
    attempt::ContentId,
    event::Event,
    quantity::{BondPoints, DurationMs, TimeMs},
    reject::Reject,
    role::Role,
    stage::Stage,
    state::State,
    testing::{World, acts, deploy, genesis, line, member, member_key, record},
    transaction::{Call, Choice, ProposalId, ReviewVerdict},
};

const AUTHOR: &str = "acme/author";

/// Lets a proposal of this content be voted down by silence, and yields what that caused.
fn defeat(world: &mut World, author: &str) -> Vec<Event> {
    let id = world.submit(author, deploy("2", STAGES)).unwrap();
    let reviewer = if author == "birch/author" { AUTHOR } else { "birch/author" };
    world.review(reviewer, id, ReviewVerdict::Approve).unwrap();
    let left = world.state.proposal(id).unwrap().deadline.unwrap().since(world.state.time());
    let events = world.pass(left);
    assert_eq!(stage(world, id), Stage::Defeated);
    events
}

fn cooldown(world: &World) -> DurationMs {
    world.state.constitution().parameters_of(crate::constitution::Track::Standard).unwrap().cooldown
}

fn refused(world: &mut World, author: &str) -> Reject {
    world.submit(author, deploy("2", STAGES)).unwrap_err()
}

fn free(world: &World) -> u32 {
    world.state.free_points(&member(AUTHOR)).get()
}

#[test]
fn a03_the_same_content_is_not_asked_for_again_inside_its_cooldown_by_nobody() {
    let mut world = World::new(4);
    let events = defeat(&mut world, AUTHOR);
    let until = world.state.time().after(cooldown(&world));
    assert!(events.iter().any(|event| matches!(event,
        Event::CooldownBegan { failures: 1, until: told, .. } if *told == until)));
    let content = ContentId::of(&deploy("2", STAGES));
    assert_eq!(refused(&mut world, AUTHOR), Reject::Cooldown { content, failures: 1, until });
    assert_eq!(refused(&mut world, "cedar/author").code(), "cooldown");
    let mut reworded = deploy("2", &[&["cedar-north"], &["birch-north"], &["acme-north"]]);
    reworded.title = line("another title");
    assert_eq!(world.submit(AUTHOR, reworded).unwrap_err().code(), "cooldown");
    world.submit(AUTHOR, deploy("3", STAGES)).unwrap();
    let left = until.since(world.state.time());
    world.pass(left.saturating_sub(DurationMs::new(1)));
    assert_eq!(refused(&mut world, AUTHOR).code(), "cooldown");
    world.pass(DurationMs::new(1));
    world.submit(AUTHOR, deploy("2", STAGES)).unwrap();
}

#[test]
fn a03_each_failure_makes_the_next_cooldown_longer_and_the_bond_dearer_up_to_a_bound() {
    let mut genesis = genesis(4);
    genesis.constitution.dormancy.votes = 1_000;
    let mut world = World::with(genesis);
    let (once, most) = (cooldown(&world), world.state.constitution().resubmission.failures_max);
    for nth in 1..=u64::from(most) + 1 {
        let author = ["acme/author", "cedar/author", "delta/author"][usize::try_from(nth).unwrap() % 3];
        defeat(&mut world, author);
        let attempts = *world.state.attempts(ContentId::of(&deploy("2", STAGES))).unwrap();
        let counted = nth.min(most.into());
        assert_eq!(attempts.until, world.state.time().after(once.times(counted)));
        assert_eq!(u64::from(attempts.failures), counted);
        world.pass(attempts.until.since(world.state.time()));
        let mut asked = world.clone();
        let before = asked.state.free_points(&member("birch/author")).get();
        asked.submit("birch/author", deploy("2", STAGES)).unwrap();
        let price = before - asked.state.free_points(&member("birch/author")).get();
        assert_eq!(price, 2 * (1 + u32::try_from(counted).unwrap()));
    }
}

#[test]
fn a03_a_failure_is_forgotten_and_leaves_nothing_behind() {
    let mut world = World::new(4);
    world.block(DurationMs::new(1), &[]);
    let clean = world.state.encode_snapshot().len();
    defeat(&mut world, AUTHOR);
    let content = ContentId::of(&deploy("2", STAGES));
    let memory = world.state.constitution().resubmission.memory;
    assert!(clean < world.state.encode_snapshot().len());
    world.pass(memory.saturating_sub(DurationMs::new(1)));
    assert!(world.state.attempts(content).is_some());
    let mut restored = State::decode_snapshot(&world.state.encode_snapshot()).unwrap();
    assert_eq!(restored.root(), world.state.root());
    std::mem::swap(&mut world.state, &mut restored);
    world.pass(DurationMs::new(1));
    assert!(world.state.attempts(content).is_none());
    assert_eq!(State::decode_snapshot(&world.state.encode_snapshot()).unwrap().root(), world.state.root());
}

#[test]
fn a03_no_edit_turns_another_proposal_into_what_failed() {
    let mut world = World::new(4);
    defeat(&mut world, AUTHOR);
    let id = world.submit(AUTHOR, deploy("3", STAGES)).unwrap();
    let document = deploy("2", STAGES);
    let plan_hash = world.state.plan(&document).unwrap().hash();
    let replaces = world.state.proposal(id).unwrap().revision;
    let call = Call::Revise { proposal: id, replaces, document, plan_hash };
    assert_eq!(world.call(AUTHOR, Role::Author, call).unwrap_err().code(), "cooldown");
}

#[test]
fn a03_reviewers_refusals_vetoes_and_lapsed_time_are_failures_and_broken_rules_and_withdrawals_are_not() {
    let content = ContentId::of(&deploy("2", STAGES));
    let remembered = |world: &World| world.state.attempts(content).map(|attempts| attempts.failures);
    let mut world = World::new(4);
    let id = world.submit(AUTHOR, deploy("2", STAGES)).unwrap();
    world.review("birch/author", id, ReviewVerdict::Refuse).unwrap();
    assert_eq!((stage(&world, id), remembered(&world)), (Stage::Rejected, Some(1)));
    let mut world = World::new(4);
    let id = world.submit(AUTHOR, deploy("2", STAGES)).unwrap();
    world.pass_to_deadline();
    assert_eq!((stage(&world, id), remembered(&world)), (Stage::Expired, Some(1)));
    let mut world = World::new(4);
    let id = queue(&mut world, "2", STAGES);
    let veto = Call::Veto { proposal: id, reason: line("not like this") };
    world.call("birch/guardian", Role::Guardian, veto).unwrap();
    assert_eq!((stage(&world, id), remembered(&world)), (Stage::Vetoed, Some(1)));
    let mut world = World::new(4);
    let mut broken = deploy("2", STAGES);
    broken.rollback = None;
    let id = world.submit(AUTHOR, broken).unwrap();
    assert_eq!((stage(&world, id), remembered(&world), free(&world)), (Stage::Rejected, None, 100));
    let id = world.submit(AUTHOR, deploy("2", STAGES)).unwrap();
    world.call(AUTHOR, Role::Author, Call::Cancel { proposal: id, reason: line("") }).unwrap();
    assert_eq!((remembered(&world), free(&world)), (None, 100));
}

#[test]
fn a25_a_member_who_floods_is_bounded_and_others_are_not_affected() {
    let flood = |world: &mut World| {
        let asked = (0..100).map(|n| deploy(&format!("v{n}"), STAGES));
        asked.filter(|document| world.submit(AUTHOR, document.clone()).is_ok()).count()
    };
    let mut world = World::new(4);
    assert_eq!(flood(&mut world), usize::from(world.state.constitution().open_proposals_per_author_max));
    world.submit("birch/author", deploy("2", STAGES)).unwrap();
    // With a higher limit the account is the bound: 2 + 4 + … + 18 = 90.
    let mut genesis = genesis(4);
    genesis.constitution.open_proposals_per_author_max = 100;
    let mut world = World::with(genesis);
    assert_eq!(flood(&mut world), 9);
    let refused = world.submit(AUTHOR, deploy("more", STAGES)).unwrap_err();
    let (price, free) = (BondPoints::new(20), BondPoints::new(10));
    assert_eq!(refused, Reject::Bond { author: member(AUTHOR), price, free });
    assert!(refused.can_waiting_help());
}

#[test]
fn a25_a_bond_comes_back_at_once_unless_the_members_or_a_guardian_decided_against_it() {
    let mut world = World::new(4);
    let lost_for = world.state.constitution().bonds.lost_for;
    let id = queue(&mut world, "3", &[&["acme-south"]]);
    assert_eq!(free(&world), 98);
    let events = defeat(&mut world, AUTHOR);
    let until: TimeMs = world.state.time().after(lost_for);
    assert!(events.iter().any(|event| matches!(event,
        Event::BondSettled { points, lost_until: Some(told), .. } if points.get() == 4 && *told == until)));
    assert_eq!(free(&world), 94);
    while stage(&world, id) == Stage::Queued {
        world.pass_to_deadline();
    }
    assert_eq!((stage(&world, id), free(&world)), (Stage::Expired, 96));
    world.pass(until.since(world.state.time()).saturating_sub(DurationMs::new(1)));
    assert_eq!(free(&world), 96);
    world.pass(DurationMs::new(1));
    assert_eq!(free(&world), 100);
}

#[test]
fn a25_nobody_withdraws_from_a_vote_to_spare_the_bond_its_defeat() {
    let mut world = World::new(4);
    let id = world.submit(AUTHOR, deploy("2", STAGES)).unwrap();
    world.review("birch/author", id, ReviewVerdict::Approve).unwrap();
    world.vote("cedar/author", id, Choice::Against).unwrap();
    world.call(AUTHOR, Role::Author, Call::Cancel { proposal: id, reason: line("") }).unwrap();
    assert_eq!((stage(&world, id), free(&world)), (Stage::Cancelled, 98));
}

#[test]
fn where_no_bonds_are_asked_for_an_author_opens_what_the_limit_allows() {
    let mut genesis = genesis(4);
    genesis.constitution.bonds.base = BondPoints::ZERO;
    let most = genesis.constitution.open_proposals_per_author_max;
    let mut world = World::with(genesis);
    for version in 0..most {
        world.submit(AUTHOR, deploy(&format!("v{version}"), STAGES)).unwrap();
    }
    assert_eq!((free(&world), refused(&mut world, AUTHOR).code()), (100, "too-many-open"));
}

#[test]
fn a25_what_only_takes_access_away_or_replaces_keys_needs_no_bond() {
    let mut genesis = genesis(4);
    genesis.constitution.bonds.account = BondPoints::new(10);
    let mut world = World::with(genesis);
    world.submit(AUTHOR, deploy("2", STAGES)).unwrap();
    world.submit(AUTHOR, deploy("3", STAGES)).unwrap();
    assert_eq!((free(&world), world.submit(AUTHOR, deploy("4", STAGES)).unwrap_err().code()), (4, "bond"));
    let executor = member("acme/executor");
    let mut renewed = record(&executor, 0, &[Role::Executor]);
    renewed.keys.insert(Role::Executor, member_key(&member("acme/other"), Role::Executor).public());
    let rotation = Act::SetMember { member: executor.clone(), record: renewed };
    let promotion = Act::SetMember { member: executor.clone(), record: record(&executor, 5, &[Role::Voter]) };
    world.submit(AUTHOR, acts(vec![rotation.clone()])).unwrap();
    assert_eq!(free(&world), 4);
    assert_eq!(world.submit(AUTHOR, acts(vec![rotation, promotion])).unwrap_err().code(), "document");
    let newcomer = member("acme/newcomer");
    let more = Act::SetMember { record: record(&newcomer, 0, &[Role::Author]), member: newcomer };
    assert_eq!(world.submit(AUTHOR, acts(vec![more])).unwrap_err().code(), "bond");
}

#[test]
fn a25_an_edit_pays_for_what_it_asks_for_and_gives_the_old_bond_back() {
    let mut world = World::new(4);
    defeat(&mut world, "cedar/author");
    world.pass(cooldown(&world));
    let id: ProposalId = world.submit(AUTHOR, deploy("3", STAGES)).unwrap();
    assert_eq!(free(&world), 98);
    let document = deploy("2", STAGES);
    let plan_hash = world.state.plan(&document).unwrap().hash();
    let replaces = world.state.proposal(id).unwrap().revision;
    world.call(AUTHOR, Role::Author, Call::Revise { proposal: id, replaces, document, plan_hash }).unwrap();
    assert_eq!(free(&world), 96);
    let mut broken = deploy("4", STAGES);
    broken.rollback = None;
    let plan_hash = world.state.plan(&broken).unwrap().hash();
    let replaces = world.state.proposal(id).unwrap().revision;
    let call = Call::Revise { proposal: id, replaces, document: broken, plan_hash };
    world.call(AUTHOR, Role::Author, call).unwrap();
    assert_eq!((stage(&world, id), free(&world)), (Stage::Rejected, 100));
    assert_eq!(world.state.attempts(ContentId::of(&deploy("4", STAGES))), None);
}
