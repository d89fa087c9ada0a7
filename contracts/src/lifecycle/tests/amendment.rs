//! Amendments: the rules change by a decision about their whole text, and only by one.

use super::story::{self, STAGES, audit, cause_of, claim, executable, pass_timelock, sign, stage};
use crate::{
    constitution::{Constitution, Scheme, Threshold, Track},
    event::Event,
    quantity::{AmountMilli, DurationMs, Ratio},
    reject::Reject,
    stage::Stage,
    state::Applied,
    testing::{World, amend, deploy},
    transaction::{AuditVerdict, Choice, ProposalId, ReviewVerdict},
};

fn longer_votes(constitution: &mut Constitution) {
    constitution.tracks.get_mut(&Track::Standard).unwrap().voting = DurationMs::from_hours(100);
}

fn other_ceiling(constitution: &mut Constitution) {
    constitution.hard_rules.cost_ceiling_monthly_milli = AmountMilli::new(999);
}

/// Brings an amendment to a vote that passes.
fn propose(world: &mut World, constitution: Constitution) -> ProposalId {
    story::propose_acts(world, amend(constitution))
}

/// Brings an amendment into the queue.
fn decide(world: &mut World, constitution: Constitution) -> ProposalId {
    story::decide_acts(world, amend(constitution))
}

/// Goes on until so many hours before the end of the proposal's timelock.
fn pass_until(world: &mut World, id: ProposalId, hours: u64) {
    let left = world.state.proposal(id).unwrap().eta.unwrap().since(world.state.time());
    world.pass(left.saturating_sub(DurationMs::from_hours(hours)));
}

fn enact(world: &mut World, constitution: Constitution) -> ProposalId {
    let (id, _) = story::enact_acts(world, amend(constitution));
    assert_eq!(stage(world, id), Stage::Auditing);
    id
}

#[test]
fn an_amendment_is_in_force_from_the_end_of_its_timelock_on() {
    let mut world = World::new(4);
    let constitution = world.next_rules(longer_votes);
    let id = decide(&mut world, constitution.clone());
    assert_eq!(world.state.proposal(id).unwrap().track, Track::Constitutional);
    assert_eq!(world.state.allowed_moves(id), ["veto", "cosign"], "there is no step to claim");
    sign(&mut world, id);
    let before = world.state.root();
    assert_eq!(world.state.constitution().version, 1, "its timelock runs");
    let events = pass_timelock(&mut world, id);
    let digest = constitution.digest();
    assert_eq!(events[0], Event::Amended { proposal: id, version: 2, constitution: digest });
    assert_eq!(*world.state.constitution(), constitution);
    assert_ne!(world.state.root(), before);
    assert!(world.state.orders().is_empty(), "no executor is asked");
    let proposal = world.state.proposal(id).unwrap();
    assert_eq!((proposal.stage, proposal.ended.unwrap().stage), (Stage::Auditing, Stage::Executed));
    world.pass(DurationMs::new(1));
    audit(&mut world, id, AuditVerdict::Sound).unwrap();
    assert_eq!(stage(&world, id), Stage::Closed);

    let later = world.submit("acme/author", deploy("2", STAGES)).unwrap();
    let later = world.state.proposal(later).unwrap();
    assert_eq!((later.constitution, later.parameters.voting), (2, DurationMs::from_hours(100)));
}

#[test]
fn a17_a_change_of_the_rules_supersedes_what_is_open_under_them_and_keeps_its_ballots() {
    let mut world = World::new(4);
    let constitution = world.next_rules(longer_votes);
    let amendment = decide(&mut world, constitution);
    sign(&mut world, amendment);
    let mut open = Vec::new();
    for hours in [100, 80, 27, 14, 10, 5] {
        pass_until(&mut world, amendment, hours);
        if matches!(hours, 27 | 14) {
            // The first one's vote ends, then its confirm period.
            continue;
        }
        let id = world.submit("acme/author", deploy(&format!("v{hours}"), STAGES)).unwrap();
        open.push(id);
        if hours == 5 {
            continue;
        }
        world.review("birch/author", id, ReviewVerdict::Approve).unwrap();
        for voter in ["acme/author", "birch/author", "cedar/author"] {
            world.vote(voter, id, Choice::For).unwrap();
        }
    }
    pass_until(&mut world, amendment, 1);
    let stands: Vec<Stage> = open.iter().map(|id| stage(&world, *id)).collect();
    assert_eq!(stands, [Stage::Queued, Stage::Confirming, Stage::Voting, Stage::Review]);
    let events = pass_timelock(&mut world, amendment);
    for id in &open {
        assert_eq!(cause_of(&events, *id), "the rules of its track have changed since it was submitted");
    }
    let ballots: Vec<usize> =
        open.iter().map(|id| world.state.proposal(*id).unwrap().vote.ballots.len()).collect();
    assert_eq!(ballots, [3, 3, 3, 0]);
}

#[test]
fn a_change_of_one_track_leaves_the_others_alone_and_one_of_a_hard_rule_none() {
    let longer = |track: Track| {
        move |rules: &mut Constitution| {
            rules.tracks.get_mut(&track).unwrap().voting = DurationMs::from_hours(169);
        }
    };
    let survives = |change: &dyn Fn(&mut Constitution)| {
        let mut world = World::new(4);
        let constitution = world.next_rules(change);
        let amendment = decide(&mut world, constitution);
        sign(&mut world, amendment);
        pass_until(&mut world, amendment, 1);
        let open = world.submit("acme/author", deploy("2", STAGES)).unwrap();
        pass_timelock(&mut world, amendment);
        stage(&world, open) != Stage::Superseded
    };
    assert!(survives(&longer(Track::High)));
    assert!(survives(&longer(Track::Routine)));
    assert!(survives(&|rules| rules.vetoes_per_guardian = 5));
    assert!(!survives(&longer(Track::Standard)));
    assert!(!survives(&other_ceiling));
    assert!(!survives(&|rules| rules.organisation_cap = Ratio::ONE_HALF));
    assert!(!survives(&|rules| rules.classification.standard_targets_max = 3));
    assert!(!survives(&|rules| rules.member_cap = crate::quantity::Ratio::TWO_FIFTHS));
}

#[test]
fn a_routine_vote_is_superseded_with_the_standard_rules_that_it_may_fall_back_on() {
    let (mut world, id) = super::ballot::routine();
    let constitution = world.state.constitution().clone();
    let mut standard = constitution.clone();
    longer_votes(&mut standard);
    assert!(constitution.touched_by(&standard).contains(&Track::Routine));
    assert!(!constitution.touched_by(&standard).contains(&Track::High));
    world.vote("acme/author", id, Choice::For).unwrap();
}

#[test]
fn what_is_carried_out_goes_on_under_the_rules_that_it_was_decided_by() {
    let (mut world, id) = executable(&[&["acme-north"]]);
    claim(&mut world, id, 0).unwrap();
    let lease = world.state.proposal(id).unwrap().parameters.lease;
    world.state.tamper_with_rules(|_| {});
    let constitution = world.next_rules(|rules| {
        rules.tracks.get_mut(&Track::Standard).unwrap().lease = DurationMs::new(lease.get() * 2);
    });
    let digest = constitution.digest();
    world.state.tamper(id, |proposal| proposal.deadline = None);
    let amendment = decide(&mut world, constitution);
    sign(&mut world, amendment);
    pass_timelock(&mut world, amendment);
    assert_eq!(world.state.constitution().digest(), digest);
    assert_eq!(stage(&world, id), Stage::Canary);
    assert_eq!(world.state.proposal(id).unwrap().parameters.lease, lease);
}

#[test]
fn the_last_signature_after_the_timelock_puts_an_amendment_in_force_and_without_it_it_expires() {
    let mut world = World::new(4);
    let constitution = world.next_rules(longer_votes);
    let id = decide(&mut world, constitution);
    pass_timelock(&mut world, id);
    assert_eq!(stage(&world, id), Stage::Queued);
    let mut unsigned = world.clone();
    world.cosign("birch/guardian", id).unwrap();
    assert_eq!(world.state.constitution().version, 1);
    let Ok(Applied::New(events)) = world.cosign("delta/guardian", id) else { panic!("it is signed") };
    assert!(matches!(events[1], Event::Amended { version: 2, .. }), "{events:?}");
    assert_eq!(stage(&world, id), Stage::Auditing);

    unsigned.pass_to_deadline();
    assert_eq!(stage(&unsigned, id), Stage::Expired);
    assert_eq!(unsigned.state.constitution().version, 1);
}

#[test]
fn the_hard_rules_are_asked_again_before_the_last_signature_puts_an_amendment_in_force() {
    let mut world = World::new(4);
    let constitution = world.next_rules(longer_votes);
    let id = decide(&mut world, constitution);
    pass_timelock(&mut world, id);
    world.cosign("birch/guardian", id).unwrap();
    world.state.tamper_with_rules(|rules| rules.version = 7);
    let Ok(Applied::New(events)) = world.cosign("delta/guardian", id) else { panic!("it is signed") };
    assert_eq!(cause_of(&events, id), "the constitution has version 2; the next one is 8");
    assert_eq!(world.state.constitution().version, 7);
}

#[test]
fn of_two_amendments_the_one_that_is_in_force_first_overtakes_the_other() {
    let mut world = World::new(4);
    let (one, other) =
        (world.next_rules(longer_votes), world.next_rules(|rules| rules.vetoes_per_guardian = 7));
    let first = propose(&mut world, one);
    let second = propose(&mut world, other);
    while stage(&world, second) != Stage::Queued {
        world.pass_to_deadline();
    }
    sign(&mut world, first);
    sign(&mut world, second);
    let events = pass_timelock(&mut world, first);
    assert_eq!(cause_of(&events, second), "what it replaces has changed since the plan was made");
    assert_eq!(world.state.constitution().vetoes_per_guardian, 3);
}

fn finding(change: impl FnOnce(&mut Constitution)) -> String {
    let mut world = World::new(4);
    let constitution = world.next_rules(change);
    let id = world.submit("acme/author", amend(constitution)).unwrap();
    let proposal = world.state.proposal(id).unwrap();
    assert_eq!(proposal.stage, Stage::Rejected);
    proposal.findings[0].message.to_string()
}

#[test]
fn a29_an_amendment_that_makes_a_track_unreachable_is_rejected_when_it_is_submitted() {
    assert_eq!(
        finding(|rules| rules.tracks.retain(|track, _| *track != Track::Constitutional)),
        "constitution: track Constitutional has no parameters"
    );
    let found = finding(|rules| rules.tracks.get_mut(&Track::Constitutional).unwrap().reviewers = 4);
    assert!(found.contains("needs 4 organisations with a reviewer besides"), "{found}");
    let found = finding(|rules| rules.tracks.get_mut(&Track::Routine).unwrap().attestations = 2);
    assert!(found.ends_with("needs 2 members with the role auditor, and the mesh has fewer"), "{found}");
    let found = finding(|rules| {
        rules.tracks.get_mut(&Track::Constitutional).unwrap().timelock =
            DurationMs::from_hours(10 * 365 * 24);
    });
    assert!(found.contains("timelock is 315360000000 ms"), "{found}");
    let found = finding(|rules| rules.organisation_cap = Ratio::ONE_TENTH);
    assert!(found.ends_with("asks for more than 100 % and can never be reached"), "{found}");
}

#[test]
fn a29_an_amendment_that_takes_the_rules_own_protection_away_is_rejected() {
    let weaken = |approval: Threshold, organisations: Threshold| {
        move |rules: &mut Constitution| {
            let high = rules.tracks[&Track::High].clone();
            let Scheme::Majority { turnout, .. } = high.scheme else { panic!("it is a majority") };
            for track in [Track::Standard, Track::High, Track::Constitutional] {
                let scheme = Scheme::Majority { turnout, approval, organisations };
                rules.tracks.get_mut(&track).unwrap().scheme = scheme;
            }
        }
    };
    let (half, third) = (Threshold::MoreThan(Ratio::ONE_HALF), Ratio::ONE_THIRD);
    let found = finding(weaken(half, half));
    assert!(found.contains("approval asks for less than two thirds"), "{found}");
    let found = finding(weaken(Threshold::AtLeast(Ratio::TWO_THIRDS), Threshold::AtLeast(third)));
    assert!(found.contains("organisations asks for less than more than half"), "{found}");
}

#[test]
fn an_amendment_that_does_not_follow_or_says_nothing_new_is_rejected() {
    assert_eq!(finding(|rules| rules.version = 1), "the constitution has version 1; the next one is 2");
    assert_eq!(finding(|rules| rules.version = 3), "the constitution has version 3; the next one is 2");
    assert_eq!(finding(|_| {}), "the constitution says what the one in force says");
}

#[test]
fn a10_a27_what_ended_under_the_old_rules_stays_ended() {
    let mut world = World::new(4);
    let defeated = world.submit("acme/author", deploy("2", STAGES)).unwrap();
    world.review("birch/author", defeated, ReviewVerdict::Approve).unwrap();
    world.vote("acme/author", defeated, Choice::For).unwrap();
    let expired = world.submit("acme/author", deploy("3", STAGES)).unwrap();
    world.pass(DurationMs::from_hours(8 * 24));
    let before = (stage(&world, defeated), stage(&world, expired));
    assert_eq!(before, (Stage::Defeated, Stage::Expired));
    let constitution = world.next_rules(|rules| {
        let standard = rules.tracks.get_mut(&Track::Standard).unwrap();
        standard.review = DurationMs::from_hours(90 * 24);
        if let Scheme::Majority { turnout, .. } = &mut standard.scheme {
            *turnout = Threshold::AtLeast(Ratio::ONE_TENTH);
        }
        rules.dormancy.floor = Ratio::ONE_TENTH;
    });
    enact(&mut world, constitution);
    assert_eq!((stage(&world, defeated), stage(&world, expired)), before);
}

#[test]
fn a_document_changes_targets_or_the_rules_and_each_of_them_once() {
    let world = World::new(4);
    let mut mixed = amend(world.next_rules(longer_votes));
    mixed.stages = deploy("2", STAGES).stages;
    let refused = |document| match world.state.plan(&document) {
        Err(Reject::Document { field, problem }) => format!("{field} {problem}"),
        other => panic!("{other:?}"),
    };
    assert_eq!(
        refused(mixed),
        "acts stand beside stages; one proposal changes targets, another one the rules"
    );
    let mut twice = amend(world.next_rules(longer_votes));
    twice.acts.push(twice.acts[0].clone());
    assert_eq!(refused(twice), "acts[1] changes the same a second time");
    let mut many = amend(world.next_rules(longer_votes));
    many.acts = vec![many.acts[0].clone(); 9];
    assert_eq!(refused(many), "acts has 9; from 1 to 8 are allowed");
}

#[test]
fn a07_the_constitution_is_changed_by_no_one_but_a_decision_of_the_strictest_track() {
    let world = World::new(4);
    let document = amend(world.next_rules(longer_votes));
    assert_eq!(world.state.track_of(&document), Track::Constitutional);
    let mut lax = world.clone();
    lax.state.tamper_with_rules(|rules| rules.classification.actions.clear());
    assert_eq!(lax.state.track_of(&document), Track::Constitutional, "whatever the table says");
}
