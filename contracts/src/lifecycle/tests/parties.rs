//! Who takes part changes by decisions: members, organisations with their validators, observers and targets.

use super::story::{
    STAGES, audit, cause_of, claim, decide_acts, enact_acts, executable, pass_timelock, propose_acts, sign,
    stage,
};
use crate::{
    act::{Act, Subject},
    constitution::Track,
    event::Event,
    genesis::{ObserverRecord, OrganisationRecord, TargetRecord, Tier},
    name::OrgId,
    quantity::{DurationMs, Sequence, Weight},
    reject::Reject,
    role::Role,
    rules::RuleId,
    stage::Stage,
    state::State,
    testing::{
        World, acts, amend, consensus_key, deploy, line, member, name, node_key, organisation, record, target,
    },
    transaction::{AuditVerdict, Call, Choice, ProposalId, ReviewVerdict},
};

fn org(text: &str) -> OrgId {
    OrgId::new(text).unwrap()
}

fn join(text: &str, weight: u64, roles: &[Role]) -> Act {
    let member = member(text);
    Act::SetMember { record: record(&member, weight, roles), member }
}

fn leave(text: &str) -> Act {
    Act::RemoveMember { member: member(text) }
}

fn seat(text: &str) -> Act {
    Act::SetOrganisation { record: organisation(&org(text)), organisation: org(text) }
}

/// An organisation whose validator signs with another key.
fn rekey(text: &str) -> Act {
    let mut record = organisation(&org(text));
    record.validator.consensus = consensus_key(&format!("new {text}")).public();
    Act::SetOrganisation { record, organisation: org(text) }
}

fn target_record(world: &World, text: &str) -> TargetRecord {
    world.state.target(&target(text)).unwrap().record.clone()
}

fn findings(world: &mut World, document: Vec<Act>) -> Vec<(RuleId, String)> {
    world.pass(DurationMs::new(1));
    let id = world.submit("acme/author", acts(document)).unwrap();
    let proposal = world.state.proposal(id).unwrap();
    let found: Vec<_> =
        proposal.findings.iter().map(|found| (found.rule, found.message.to_string())).collect();
    assert_eq!(proposal.stage == Stage::Rejected, !found.is_empty());
    found
}

fn only(world: &mut World, rule: RuleId, document: Vec<Act>) -> String {
    let found = findings(world, document);
    let [(found, message)] = &found[..] else { panic!("{found:?}") };
    assert_eq!(*found, rule);
    message.clone()
}

fn submit_and_vote(world: &mut World) -> ProposalId {
    world.pass(DurationMs::new(1));
    let id = world.submit("birch/author", deploy("2", STAGES)).unwrap();
    world.review("cedar/author", id, ReviewVerdict::Approve).unwrap();
    id
}

#[test]
fn a01_a_new_voter_counts_in_what_is_submitted_afterwards_and_in_nothing_before() {
    let mut world = World::new(4);
    let id = decide_acts(&mut world, acts(vec![join("acme/voter", 70, &[Role::Voter])]));
    assert_eq!(world.state.proposal(id).unwrap().track, Track::Constitutional);
    sign(&mut world, id);
    let left = world.state.proposal(id).unwrap().eta.unwrap().since(world.state.time());
    world.pass(left.saturating_sub(DurationMs::new(1_000)));
    let before = submit_and_vote(&mut world);
    let events = pass_timelock(&mut world, id);
    let record = world.state.registry().in_force(&Subject::Member(member("acme/voter")));
    assert_eq!(
        events[0],
        Event::Enacted { proposal: id, subject: Subject::Member(member("acme/voter")), record }
    );
    let refused = world.vote("acme/voter", before, Choice::For).unwrap_err();
    assert!(matches!(refused, Reject::NotEligible { .. }), "{refused}");
    let after = submit_and_vote(&mut world);
    world.vote("acme/voter", after, Choice::For).unwrap();
    assert_eq!(world.state.proposal(after).unwrap().count().weight_for, Weight::new(70));
    world.pass(DurationMs::new(1));
    audit(&mut world, id, AuditVerdict::Sound).unwrap();
    assert_eq!(stage(&world, id), Stage::Closed);
}

#[test]
fn a02_weight_that_an_act_gives_in_a_height_counts_from_the_next_one() {
    let weights = |world: &mut World, version: &str| {
        let id = world.submit("birch/author", deploy(version, STAGES)).unwrap();
        let electorate = &world.state.proposal(id).unwrap().electorate;
        (electorate.own(&member("acme/author")), electorate.own(&member("acme/shill")), electorate.total)
    };
    let before = (Weight::new(100), Weight::ZERO, Weight::new(400));
    for is_late in [false, true] {
        let mut world = World::new(4);
        let more = vec![
            join("acme/author", 300, &[Role::Author, Role::Reviewer, Role::Voter]),
            join("acme/shill", 300, &[Role::Voter]),
        ];
        let id = decide_acts(&mut world, acts(more));
        world.cosign("birch/guardian", id).unwrap();
        if is_late {
            pass_timelock(&mut world, id);
            assert_eq!(weights(&mut world, "3"), before);
            world.cosign("cedar/guardian", id).unwrap();
        } else {
            world.cosign("cedar/guardian", id).unwrap();
            pass_timelock(&mut world, id);
        }
        assert_eq!(world.state.member(&member("acme/shill")).unwrap().weight, Weight::new(300));
        assert_eq!(weights(&mut world, "4"), before, "late: {is_late}");
        world.pass(DurationMs::new(1));
        let (author, shill, total) = weights(&mut world, "5");
        assert_eq!((author, shill, total), (Weight::new(300), Weight::new(300), Weight::new(900)));
    }
}

#[test]
fn a02_weight_that_comes_and_goes_in_one_height_counts_nowhere() {
    let mut world = World::new(5);
    let more = vec![join("org-4/author", 500, &[Role::Author, Role::Reviewer, Role::Voter])];
    let come = decide_acts(&mut world, acts(more));
    let go = vec![
        Act::RemoveTarget { target: target("org-4-north") },
        Act::RemoveTarget { target: target("org-4-south") },
        Act::RemoveOrganisation { organisation: org("org-4") },
    ];
    let go = decide_acts(&mut world, acts(go));
    for id in [come, go] {
        world.cosign("birch/guardian", id).unwrap();
        let left = world.state.proposal(id).unwrap().eta.unwrap().since(world.state.time());
        world.pass(left.max(DurationMs::new(1)));
    }
    let raw = |world: &mut World, version: &str| {
        let id = world.submit("birch/author", deploy(version, STAGES)).unwrap();
        world.state.proposal(id).unwrap().electorate.total
    };
    world.cosign("cedar/guardian", come).unwrap();
    assert_eq!(world.state.member(&member("org-4/author")).unwrap().weight, Weight::new(500));
    assert_eq!(raw(&mut world, "3"), Weight::new(500), "five voters of 100, as the last block left them");
    world.cosign("cedar/guardian", go).unwrap();
    assert!(world.state.member(&member("org-4/author")).unwrap().has_left());
    assert_eq!(raw(&mut world, "4"), Weight::new(500));
    world.pass(DurationMs::new(1));
    assert_eq!(raw(&mut world, "5"), Weight::new(400));
}

#[test]
fn a15_whoever_leaves_keeps_the_ballots_cast_before_and_can_do_nothing_more() {
    let mut world = World::new(5);
    let id = decide_acts(&mut world, acts(vec![leave("org-4/author")]));
    sign(&mut world, id);
    let left = world.state.proposal(id).unwrap().eta.unwrap().since(world.state.time());
    world.pass(left.saturating_sub(DurationMs::new(1_000)));
    let [voted, open] = [submit_and_vote(&mut world), submit_and_vote(&mut world)];
    world.vote("org-4/author", voted, Choice::Against).unwrap();
    let counted = world.state.proposal(voted).unwrap().count();
    pass_timelock(&mut world, id);
    assert!(world.state.member(&member("org-4/author")).unwrap().has_left());
    assert_eq!(world.state.proposal(voted).unwrap().count(), counted);
    let refused = world.vote("org-4/author", open, Choice::Against).unwrap_err();
    assert!(matches!(refused, Reject::NotInRole { .. }), "{refused}");
    let refused = world.submit("org-4/author", deploy("9", STAGES)).unwrap_err();
    assert!(matches!(refused, Reject::NotInRole { .. }), "{refused}");
}

#[test]
fn a13_the_name_of_who_left_stays_taken_so_that_nothing_signed_before_counts_again() {
    let mut world = World::new(5);
    let open = submit_and_vote(&mut world);
    world.vote("org-4/author", open, Choice::Against).unwrap();
    let old = world.sign("org-4/author", Role::Voter, world.vote_call(open, Choice::For));
    world.call("org-4/author", Role::Voter, world.vote_call(open, Choice::For)).unwrap_err();
    enact_acts(&mut world, acts(vec![leave("org-4/author")]));
    assert_eq!(world.state.next_sequence(&member("org-4/author"), Role::Voter), Sequence::new(2));
    let back = join("org-4/author", 100, &[Role::Author, Role::Reviewer, Role::Voter]);
    enact_acts(&mut world, acts(vec![back]));
    assert_eq!(world.state.next_sequence(&member("org-4/author"), Role::Voter), Sequence::new(2));
    let refused = world.state.clone().apply(crate::state::Input::Transaction(&world.verify(&old)));
    assert!(refused.is_err(), "{refused:?}");
}

#[test]
fn an_act_needs_the_track_of_what_it_gives_or_takes() {
    let world = World::new(4);
    let track = |act: Act| world.state.track_of(&acts(vec![act]));
    for role in [Role::Reviewer, Role::Voter, Role::Auditor, Role::Guardian] {
        assert_eq!(track(join("acme/new", 1, &[role])), Track::Constitutional, "{role}");
    }
    for role in [Role::Author, Role::Executor] {
        assert_eq!(track(join("acme/new", 1, &[role])), Track::High, "{role}");
    }
    assert_eq!(
        track(join("acme/author", 1, &[Role::Author])),
        Track::Constitutional,
        "it takes a voter away"
    );
    assert_eq!(track(leave("acme/guardian")), Track::Constitutional);
    assert_eq!(track(leave("acme/executor")), Track::High);
    assert_eq!(track(seat("echo")), Track::Constitutional);
    assert_eq!(track(Act::RemoveOrganisation { organisation: org("delta") }), Track::Constitutional);
    assert_eq!(track(Act::RemoveTarget { target: target("acme-north") }), Track::High);
    assert_eq!(track(Act::RemoveObserver { observer: name("watch") }), Track::High);
}

#[test]
fn keys_and_roles_are_apart_when_they_are_assigned() {
    let mut world = World::new(4);
    let both = join("acme/both", 1, &[Role::Voter, Role::Executor]);
    let found = only(&mut world, RuleId::PartiesSound, vec![both]);
    assert!(found.starts_with("acme/both holds voter and executor"), "{found}");
    let mut shared = record(&member("acme/two"), 1, &[Role::Voter]);
    shared
        .keys
        .insert(Role::Voter, crate::testing::member_key(&member("birch/author"), Role::Voter).public());
    let shared = Act::SetMember { member: member("acme/two"), record: shared };
    let found = only(&mut world, RuleId::PartiesSound, vec![shared]);
    assert_eq!(found, "voter acme/two and voter birch/author share one key; every role needs its own");
    let stranger = join("echo/author", 1, &[Role::Author]);
    let found = only(&mut world, RuleId::PartiesSound, vec![stranger.clone()]);
    assert_eq!(found, "member echo/author names echo, which the mesh does not have");
    assert!(findings(&mut world, vec![stranger, seat("echo")]).is_empty(), "together they hold");
    let same = join("acme/executor", 0, &[Role::Executor]);
    let found = only(&mut world, RuleId::PartiesSound, vec![same]);
    assert_eq!(found, "member acme/executor is as this act would make it");
}

#[test]
fn a29_members_who_are_needed_for_a_track_or_a_target_are_not_removed() {
    let mut world = World::new(4);
    let found = only(&mut world, RuleId::ConstitutionSound, vec![leave("acme/auditor")]);
    assert!(found.contains("needs 1 members with the role auditor"), "{found}");
    let found =
        only(&mut world, RuleId::ConstitutionSound, vec![leave("cedar/guardian"), leave("delta/guardian")]);
    assert!(found.contains("2 guardians of 2 organisations besides"), "{found}");
    let found = only(&mut world, RuleId::PartiesSound, vec![leave("acme/executor")]);
    assert_eq!(found, "target acme-north names executor acme/executor of acme, which the mesh does not have");
    let heavy = join("acme/author", 1_000_000, &[Role::Author, Role::Reviewer, Role::Voter]);
    let found = only(&mut world, RuleId::ConstitutionSound, vec![heavy]);
    assert!(found.ends_with("can never be reached"), "{found}");
}

#[test]
fn an_amendment_is_judged_with_the_members_that_its_own_proposal_leaves() {
    let mut world = World::new(4);
    let two = world.next_rules(|rules| {
        for track in Track::ALL {
            rules.tracks.get_mut(&track).unwrap().attestations = 2;
        }
    });
    let mut document = amend(two);
    let found = findings(&mut world, document.acts.clone());
    assert_eq!(found.len(), 1, "{found:?}");
    document.acts.push(join("birch/auditor", 0, &[Role::Auditor]));
    assert_eq!(findings(&mut world, document.acts), []);
}

#[test]
fn an_organisation_joins_with_its_validator_and_decides_the_next_block() {
    let mut world = World::new(4);
    let before = world.state.roster().digest();
    let id = decide_acts(&mut world, acts(vec![seat("echo"), join("echo/author", 100, &[Role::Voter])]));
    sign(&mut world, id);
    let eta = world.state.proposal(id).unwrap().eta.unwrap();
    assert_eq!(world.state.roster().digest(), before);
    let (_, executed) = world.block(eta.since(world.state.time()), &[]);
    assert_eq!(stage(&world, id), Stage::Auditing);
    assert_ne!(executed.header.roster, before, "the header names who decides the next block");
    assert_eq!(executed.header.roster, world.state.roster().digest());
    let key = consensus_key("echo").public();
    assert!(world.state.roster().by_consensus_key(key).is_some());
    let later = submit_and_vote(&mut world);
    world.vote("echo/author", later, Choice::For).unwrap();
}

#[test]
fn an_organisation_leaves_with_its_members_observers_and_validator() {
    let mut world = World::new(5);
    let watch = ObserverRecord { org: org("org-4"), node: node_key("watch").public() };
    enact_acts(&mut world, acts(vec![Act::SetObserver { observer: name("watch"), record: watch }]));
    assert_eq!(world.state.observers().count(), 1);
    let gone = || Act::RemoveOrganisation { organisation: org("org-4") };
    let found = only(&mut world, RuleId::PartiesSound, vec![gone()]);
    assert_eq!(found, "target org-4-north names org-4, which the mesh does not have");
    let mut all = vec![gone()];
    all.extend(["org-4-north", "org-4-south"].map(|text| Act::RemoveTarget { target: target(text) }));
    let (id, _) = enact_acts(&mut world, acts(all));
    assert_eq!(stage(&world, id), Stage::Auditing);
    assert_eq!((world.state.organisations().count(), world.state.observers().count()), (4, 0));
    assert_eq!(world.state.roster().validators().len(), 4);
    for left in ["org-4/author", "org-4/executor", "org-4/guardian"] {
        assert!(world.state.member(&member(left)).unwrap().has_left(), "{left}");
    }
    assert!(world.state.target(&target("org-4-north")).is_none());
    let mut decoded = State::decode_snapshot(&world.state.encode_snapshot()).unwrap();
    assert_eq!(decoded.root(), world.state.root(), "the root is that of what is there, not of the way to it");
}

#[test]
fn most_validators_stay_in_every_change_of_the_roster() {
    let mut world = World::new(4);
    assert_eq!(findings(&mut world, vec![rekey("delta")]), []);
    let found = findings(&mut world, vec![rekey("delta"), rekey("cedar"), seat("echo")]);
    assert_eq!(
        found,
        [("2 of 4 of today's"), ("2 of 5 of the new")].map(|part| {
            let stays = format!("validators with {part} roster's weight stay; more than two thirds have to");
            (RuleId::RosterOverlap, stays)
        })
    );
    let heavy = OrganisationRecord { weight: Weight::new(2), ..organisation(&org("echo")) };
    let heavy = Act::SetOrganisation { organisation: org("echo"), record: heavy };
    let found = only(&mut world, RuleId::RosterOverlap, vec![heavy]);
    assert_eq!(found, "validators with 4 of 6 of the new roster's weight stay; more than two thirds have to");
    assert_eq!(findings(&mut world, vec![seat("echo")]), []);
}

#[test]
fn two_changes_of_the_roster_in_one_block_are_judged_as_one() {
    let mut world = World::new(4);
    let first = propose_acts(&mut world, acts(vec![rekey("delta")]));
    let second = world.submit("acme/author", acts(vec![rekey("cedar")])).unwrap();
    for reviewer in ["birch/author", "cedar/author", "delta/author"] {
        world.review(reviewer, second, ReviewVerdict::Approve).unwrap();
    }
    for voter in ["acme/author", "birch/author", "cedar/author"] {
        world.vote(voter, second, Choice::For).unwrap();
    }
    while stage(&world, second) != Stage::Queued {
        world.pass_to_deadline();
    }
    assert_eq!(stage(&world, first), Stage::Queued);
    sign(&mut world, first);
    sign(&mut world, second);
    let events = pass_timelock(&mut world, first);
    let (one, other) =
        if stage(&world, first) == Stage::Auditing { (first, second) } else { (second, first) };
    assert_eq!(stage(&world, one), Stage::Auditing);
    assert!(cause_of(&events, other).starts_with("validators with 2 of 4 of today's roster's"), "{events:?}");
}

#[test]
fn a_target_comes_changes_and_goes_and_nothing_changes_it_under_the_executors_hands() {
    let (mut world, running) = executable(&[&["acme-north"]]);
    let mut moved = target_record(&world, "acme-north");
    moved.tier = Tier::High;
    let new = Act::SetTarget { target: target("acme-west"), record: target_record(&world, "acme-south") };
    let change = Act::SetTarget { target: target("acme-north"), record: moved.clone() };
    claim(&mut world, running, 0).unwrap();
    world.state.tamper(running, |proposal| proposal.deadline = None);
    let (id, _) = enact_acts(&mut world, acts(vec![new, change]));
    assert_eq!(stage(&world, id), Stage::Queued, "an executor holds the target");
    assert_ne!(target_record(&world, "acme-north"), moved);
    assert!(world.state.target(&target("acme-west")).is_none(), "all or nothing");
    world.state.registry_mut().change_target(&target("acme-north"), |target| target.busy = None);
    world.pass_to_deadline();
    assert_eq!(stage(&world, id), Stage::Auditing);
    assert_eq!(target_record(&world, "acme-north"), moved);
    assert!(world.state.target(&target("acme-west")).is_some());
}

#[test]
fn what_was_planned_for_a_target_is_superseded_when_it_goes_or_has_another_owner() {
    let mut world = World::new(4);
    let gone = decide_acts(&mut world, acts(vec![Act::RemoveTarget { target: target("delta-south") }]));
    sign(&mut world, gone);
    let planned = world.submit("delta/author", deploy("2", &[&["delta-south"], &["delta-north"]])).unwrap();
    world.state.tamper(planned, |proposal| proposal.stage = Stage::Queued);
    let events = pass_timelock(&mut world, gone);
    assert_eq!(cause_of(&events, planned), "a target has moved since the plan was made");
}

#[test]
fn an_act_whose_ground_has_moved_is_superseded() {
    let mut world = World::new(4);
    let one = propose_acts(&mut world, acts(vec![join("acme/executor", 5, &[Role::Executor])]));
    let other = propose_acts(&mut world, acts(vec![join("acme/executor", 6, &[Role::Executor])]));
    while stage(&world, other) != Stage::Queued {
        world.pass_to_deadline();
    }
    sign(&mut world, one);
    sign(&mut world, other);
    let events = pass_timelock(&mut world, one);
    assert_eq!(cause_of(&events, other), "what it replaces has changed since the plan was made");
}

#[test]
fn others_withdraw_what_an_author_left_behind_and_only_that() {
    let mut world = World::new(5);
    let id = decide_acts(&mut world, acts(vec![leave("org-4/author")]));
    sign(&mut world, id);
    let left = world.state.proposal(id).unwrap().eta.unwrap().since(world.state.time());
    world.pass(left.saturating_sub(DurationMs::new(1_000)));
    let orphan = world.submit("org-4/author", deploy("2", STAGES)).unwrap();
    let cancel = |id| Call::Cancel { proposal: id, reason: line("nobody stands for it") };
    let refused = world.call("birch/author", Role::Author, cancel(orphan)).unwrap_err();
    assert!(matches!(refused, Reject::NotTheAuthor { .. }), "{refused}");
    pass_timelock(&mut world, id);
    world.call("birch/author", Role::Author, cancel(orphan)).unwrap();
    assert_eq!(stage(&world, orphan), Stage::Cancelled);
}
