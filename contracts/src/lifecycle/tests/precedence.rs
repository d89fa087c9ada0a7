//! Proposals that wait for others: begun after them, planned on what they leave, superseded with them.

use std::collections::BTreeSet;

use super::story::{carry_out, claim, decide_acts, executable, judge, queue, sign, stage};
use crate::{
    act::Act,
    document::{Action, ProposalDocument},
    event::Event,
    quantity::DurationMs,
    reject::{Reject, StepRefusal},
    role::Role,
    rules::RuleId,
    stage::Stage,
    testing::{World, acts, deploy, line, member, name, record},
    transaction::{Call, Choice, ProposalId, ReviewVerdict},
};

const ONE: &[&[&str]] = &[&["acme-north"]];

fn after(first: ProposalId, mut document: ProposalDocument) -> ProposalDocument {
    document.after = BTreeSet::from([first]);
    document
}

/// Brings a document into the queue and to the end of its timelock.
fn decide(world: &mut World, author: &str, document: ProposalDocument) -> ProposalId {
    world.pass(DurationMs::new(1));
    let id = world.submit(author, document).unwrap();
    world.review("delta/author", id, ReviewVerdict::Approve).unwrap();
    for voter in ["acme/author", "birch/author", "cedar/author"] {
        world.vote(voter, id, Choice::For).unwrap();
    }
    let is_ready = |world: &World| {
        let held = world.state.proposal(id).unwrap();
        held.stage == Stage::Queued && held.eta.unwrap() <= world.state.time()
    };
    while !is_ready(world) {
        world.pass_to_deadline();
    }
    id
}

fn finish(world: &mut World, id: ProposalId) {
    carry_out(world, id, 0);
    judge(world, id, 0);
    judge(world, id, 0);
    assert_eq!(stage(world, id), Stage::Auditing);
}

/// One that may begin, and another that waits for it and has had its timelock.
fn pair(second: ProposalDocument) -> (World, ProposalId, ProposalId) {
    let (mut world, first) = executable(ONE);
    let second = decide(&mut world, "birch/author", after(first, second));
    assert_eq!(stage(&world, first), Stage::Queued);
    (world, first, second)
}

fn orders(world: &World, id: ProposalId) -> usize {
    world.state.orders().iter().filter(|order| order.proposal == id).count()
}

#[test]
fn a_proposal_begins_after_what_it_waits_for() {
    let (mut world, first, second) = pair(deploy("1", &[&["birch-north"]]));
    let refused = claim(&mut world, second, 0).unwrap_err();
    assert_eq!(refused, Reject::Step { step: 0, why: StepRefusal::Awaits { awaited: first } });
    assert!(refused.can_waiting_help());
    assert_eq!((orders(&world, first), orders(&world, second)), (1, 0));
    carry_out(&mut world, first, 0);
    assert!(claim(&mut world, second, 0).is_err(), "it is not carried out before it is found healthy");
    judge(&mut world, first, 0);
    judge(&mut world, first, 0);
    assert_eq!(orders(&world, second), 1);
    finish(&mut world, second);
}

#[test]
fn a_plan_begins_where_the_one_before_it_ends() {
    let (mut world, first, second) = pair(deploy("3", ONE));
    let installs = |version: &str| deploy(version, ONE).stages[0].steps[0].action.clone();
    let planned = &world.state.proposal(second).unwrap().plan.steps[0];
    assert_eq!(planned.before, Some(installs("2")));
    assert_eq!(planned.undo, installs("2"), "a failure leaves what was before it");
    finish(&mut world, first);
    finish(&mut world, second);
    let applied = &world.state.target(&crate::testing::target("acme-north")).unwrap().applied;
    assert_eq!(applied[&name("web")], installs("3"));
}

#[test]
fn a_plan_sees_through_those_between() {
    let (mut world, first) = executable(ONE);
    let second = world.submit("birch/author", after(first, deploy("1", &[&["birch-north"]]))).unwrap();
    let mut third = after(second, deploy("9", ONE));
    third.stages[0].steps[0].action = Action::Remove { resource: name("web") };
    let plan = world.state.plan(&third).unwrap();
    assert_eq!(plan.steps[0].before, Some(deploy("2", ONE).stages[0].steps[0].action.clone()));
    third.after.clear();
    assert!(world.state.plan(&third).is_err(), "there is nothing to remove so far");
}

#[test]
fn what_waits_in_vain_is_superseded() {
    let (mut world, first, second) = pair(deploy("1", &[&["birch-north"]]));
    let veto = Call::Veto { proposal: first, reason: line("no") };
    world.call("birch/guardian", Role::Guardian, veto).unwrap();
    assert_eq!((stage(&world, first), stage(&world, second)), (Stage::Vetoed, Stage::Superseded));

    let mut world = World::new(4);
    let first = world.submit("acme/author", deploy("2", ONE)).unwrap();
    let second = world.submit("birch/author", after(first, deploy("1", &[&["birch-north"]]))).unwrap();
    let third = world.submit("cedar/author", after(second, deploy("1", &[&["cedar-north"]]))).unwrap();
    let cancel = Call::Cancel { proposal: first, reason: line("no") };
    world.call("acme/author", Role::Author, cancel).unwrap();
    assert_eq!((stage(&world, second), stage(&world, third)), (Stage::Superseded, Stage::Superseded));
}

#[test]
fn what_failed_and_may_be_tried_again_is_waited_for() {
    let (mut world, first, second) = pair(deploy("1", &[&["birch-north"]]));
    claim(&mut world, first, 0).unwrap();
    let reason = line("disk full");
    let failed = crate::transaction::StepOutcome::Failed { reason, retryable: true };
    super::story::report(&mut world, first, 0, failed).unwrap();
    assert_eq!((stage(&world, first), stage(&world, second)), (Stage::Failed, Stage::Queued));
    world.call("acme/author", Role::Author, Call::Resume { proposal: first }).unwrap();
    finish(&mut world, first);
    finish(&mut world, second);
}

#[test]
fn nobody_waits_for_what_is_not_there_or_has_failed() {
    let mut world = World::new(4);
    let nothing = ProposalId::from_digest(crate::digest::Digest::ZERO);
    let id = world.submit("acme/author", after(nothing, deploy("2", ONE))).unwrap();
    let held = world.state.proposal(id).unwrap();
    assert_eq!((held.stage, held.findings[0].rule), (Stage::Rejected, RuleId::PredecessorsStand));
    let of_acts =
        Act::SetMember { member: member("acme/zoe"), record: record(&member("acme/zoe"), 1, &[Role::Voter]) };
    let id = world.submit("birch/author", after(id, acts(vec![of_acts]))).unwrap();
    assert_eq!(stage(&world, id), Stage::Rejected, "nor with acts");
}

#[test]
fn what_was_carried_out_is_waited_for_no_more() {
    let (mut world, first) = executable(ONE);
    finish(&mut world, first);
    let second = decide(&mut world, "birch/author", after(first, deploy("1", &[&["birch-north"]])));
    finish(&mut world, second);
    let decoded = crate::state::State::decode_snapshot(&world.state.encode_snapshot()).unwrap();
    assert_eq!(
        decoded.plan(&after(first, deploy("5", ONE))),
        world.state.plan(&after(first, deploy("5", ONE)))
    );
    assert!(decoded.findings(&after(first, deploy("5", ONE))).is_empty());
}

#[test]
fn nobody_waits_for_itself_through_others() {
    let mut world = World::new(4);
    let first = world.submit("acme/author", deploy("2", ONE)).unwrap();
    let free = world.submit("delta/author", deploy("1", &[&["delta-north"]])).unwrap();
    let second = world.submit("birch/author", after(first, deploy("1", &[&["birch-north"]]))).unwrap();
    let revise = |world: &mut World, (id, author): (ProposalId, &str), awaited: &[ProposalId]| {
        let mut document = deploy("3", &[&[&author.replace("/author", "-north")]]);
        document.after = awaited.iter().copied().collect();
        let plan_hash = world.state.plan(&document)?.hash();
        let replaces = world.state.proposal(id).unwrap().revision;
        world.call(author, Role::Author, Call::Revise { proposal: id, replaces, document, plan_hash })
    };
    let refusal = |refused: Result<_, Reject>| refused.unwrap_err().to_string();
    let others = "after has more than before, while other proposals wait for this one";
    for awaited in [second, free] {
        assert_eq!(refusal(revise(&mut world, (first, "acme/author"), &[awaited])), others);
    }
    let itself = "after names the proposal itself";
    for (id, author) in [(first, "acme/author"), (second, "birch/author")] {
        assert_eq!(refusal(revise(&mut world, (id, author), &[id])), itself);
    }
    revise(&mut world, (second, "birch/author"), &[first, free]).expect("nobody waits for it");
    revise(&mut world, (second, "birch/author"), &[]).expect("less is always allowed");
    revise(&mut world, (first, "acme/author"), &[free]).expect("nobody waits for it any more");
}

/// What ends with others ends in generations; a recursion would need more stack the more there are.
#[test]
fn a_thousand_that_wait_in_vain_end_with_one() {
    let work = || {
        let mut world = World::new(4);
        world.state.tamper_with_rules(|rules| {
            rules.bonds.base = crate::quantity::BondPoints::ZERO;
            rules.open_proposals_per_author_max = 1_000;
        });
        let first = world.submit("acme/author", deploy("2", ONE)).unwrap();
        for number in 0..1_000_u32 {
            let document = after(first, deploy(&format!("v-{number}"), ONE));
            world.submit(["birch/author", "cedar/author"][usize::from(number % 2 == 0)], document).unwrap();
        }
        let cancel = Call::Cancel { proposal: first, reason: line("no") };
        world.call("acme/author", Role::Author, cancel).unwrap();
        world.state.proposals().filter(|it| it.stage == Stage::Superseded).count()
    };
    let thread = std::thread::Builder::new().stack_size(1024 * 1024).spawn(work).unwrap();
    assert_eq!(thread.join().unwrap(), 1_000);
}

#[test]
fn a_chain_has_a_bound() {
    let mut world = World::new(4);
    let authors: Vec<String> = ["acme", "birch", "cedar", "delta"].map(|org| format!("{org}/author")).into();
    world.state.tamper_with_rules(|rules| rules.bonds.base = crate::quantity::BondPoints::ZERO);
    let mut last = world.submit("acme/author", deploy("v-0", ONE)).unwrap();
    let mut refused = None;
    for number in 1..40_u32 {
        let author = &authors[usize::try_from(number % 4).unwrap()];
        world.state.tamper_with_rules(|rules| rules.open_proposals_per_author_max = 100);
        match world.submit(author, after(last, deploy(&format!("v-{number}"), ONE))) {
            Ok(id) => last = id,
            Err(reject) => {
                refused = Some((number, reject.to_string()));
                break;
            }
        }
    }
    let expected = "after waits for more than 32 proposals, with those before them".to_owned();
    assert_eq!(refused, Some((33, expected)));
    let mut many = deploy("x", ONE);
    many.after = (0..9_u8)
        .map(|byte| ProposalId::from_digest(crate::digest::Digest::from_bytes([byte; 32])))
        .collect();
    let refused = many.check().unwrap_err().to_string();
    assert_eq!(refused, "after has 9; from 0 to 8 are allowed");
}

#[test]
fn acts_wait_as_well_and_are_carried_out_with_the_last_that_they_wait_for() {
    let mut genesis = crate::testing::genesis(4);
    for rules in genesis.constitution.tracks.values_mut() {
        rules.execute_by = DurationMs::from_hours(60 * 24);
    }
    let mut world = World::with(genesis);
    let first = queue(&mut world, "2", ONE);
    let zoe = member("acme/zoe");
    let join = Act::SetMember { member: zoe.clone(), record: record(&zoe, 0, &[Role::Author]) };
    let second = decide_acts(&mut world, after(first, acts(vec![join])));
    sign(&mut world, second);
    while world.state.proposal(second).unwrap().eta.unwrap() > world.state.time() {
        world.pass_to_deadline();
    }
    assert_eq!(stage(&world, second), Stage::Queued);
    carry_out(&mut world, first, 0);
    judge(&mut world, first, 0);
    judge(&mut world, first, 0);
    assert_eq!(stage(&world, second), Stage::Auditing);
    assert!(world.state.member(&zoe).is_some());
}

#[test]
fn whoever_waits_is_told_when_it_may_begin_and_expires_like_any_other() {
    let (mut world, first, second) = pair(deploy("1", &[&["birch-north"]]));
    let last = world.state.proposal(second).unwrap().begin_by().unwrap();
    assert_eq!(world.state.proposal(second).unwrap().deadline, Some(last));
    carry_out(&mut world, first, 0);
    judge(&mut world, first, 0);
    let attest = |world: &mut World, by: &str| {
        super::story::attest(world, first, by, 0, crate::testing::healthy()).unwrap()
    };
    attest(&mut world, "acme/executor");
    let crate::state::Applied::New(events) = attest(&mut world, "delta/executor") else {
        panic!("another answer")
    };
    let told = Event::TimelockElapsed { proposal: second, execute_by: last };
    assert!(events.contains(&told), "{events:?}");
    while stage(&world, second) == Stage::Queued {
        world.pass_to_deadline();
    }
    assert_eq!(stage(&world, second), Stage::Expired);
}
