//! Submission, review, revision, withdrawal.

use super::story::{STAGES, stage};
use crate::{
    document::ProposalDocument,
    event::Event,
    name::Name,
    quantity::{AmountMilli, DurationMs, Ratio, Revision},
    reject::Reject,
    role::Role,
    stage::Stage,
    state::Applied,
    testing::{World, deploy, genesis, line, member, name, record},
    transaction::{Call, Choice, ProposalId, ReviewVerdict},
};

fn open(document: ProposalDocument) -> (World, ProposalId) {
    let mut world = World::new(4);
    world.pass(DurationMs::new(1));
    let id = world.submit("acme/author", document).unwrap();
    (world, id)
}

fn revise(world: &mut World, by: &str, id: ProposalId, replaces: u32) -> Result<Applied, Reject> {
    let document = deploy("3", &[&["acme-south"]]);
    let plan_hash = world.state.plan(&document).unwrap().hash();
    let call = Call::Revise { proposal: id, replaces: Revision::new(replaces), document, plan_hash };
    world.call(by, Role::Author, call)
}

fn findings(change: impl FnOnce(&mut ProposalDocument)) -> Vec<String> {
    let mut document = deploy("2", STAGES);
    change(&mut document);
    let (world, id) = open(document);
    let proposal = world.state.proposal(id).unwrap();
    assert_eq!(proposal.stage, if proposal.findings.is_empty() { Stage::Review } else { Stage::Rejected });
    proposal.findings.iter().map(|finding| finding.message.to_string()).collect()
}

fn refusal(change: impl FnOnce(&mut ProposalDocument)) -> String {
    let mut document = deploy("2", STAGES);
    change(&mut document);
    World::new(4).state.plan(&document).unwrap_err().to_string()
}

#[test]
fn a_sound_proposal_is_in_review_with_everything_pinned() {
    let (world, id) = open(deploy("2", STAGES));
    let proposal = world.state.proposal(id).unwrap();
    assert_eq!(proposal.stage, Stage::Review);
    assert_eq!(proposal.electorate.weights.len(), 4);
    assert_eq!(*proposal.parameters, world.state.constitution().tracks[&proposal.track]);
}

#[test]
fn data_may_only_be_held_where_its_class_allows() {
    let found = findings(|document| {
        document.data_classes = [name("personal")].into();
        document.stages[2].steps[0].target = crate::testing::target("acme-south");
    });
    assert_eq!(found, ["class `personal` may be held in eu, acme-south is in us"]);
}

#[test]
fn data_of_an_unknown_class_may_be_held_nowhere() {
    let found = findings(|document| document.data_classes = [name("secret")].into());
    assert_eq!(found, ["class `secret` is not known to the constitution and may be held nowhere"]);
}

#[test]
fn the_cost_ceiling_itself_is_allowed_and_one_more_is_not() {
    let cost = |milli| findings(move |document| document.cost.monthly_milli = AmountMilli::new(milli));
    assert!(cost(10_000_000).is_empty());
    assert_eq!(cost(10_000_001), ["costs 10000001 thousandths a month, the ceiling is 10000000"]);
}

#[test]
fn a_change_says_what_it_keeps_how_it_is_judged_and_how_it_is_undone() {
    let found = findings(|document| {
        document.slo = None;
        document.health = None;
        document.rollback = None;
    });
    assert_eq!(
        found,
        [
            "no service level objective is given; add [slo]",
            "no health check is given; add [health]",
            "no rollback is given; add [rollback] with to = \"previous\"",
        ]
    );
}

#[test]
fn a_health_check_that_cannot_notice_a_failure_is_refused() {
    let found = findings(|document| {
        let health = document.health.as_mut().unwrap();
        health.samples = 4;
        health.success = Ratio::ONE_HALF;
        health.within_ms = DurationMs::ZERO;
    });
    assert_eq!(found.len(), 3);
    assert_eq!(found[0], "the health check takes 4 samples, at least 5 are needed");
    assert_eq!(found[1], "the health check asks for 1/2 of the probes, at least 9/10 is needed");
    let mut document = deploy("2", STAGES);
    let health = document.health.as_mut().unwrap();
    (health.samples, health.success) = (5, Ratio::NINE_TENTHS);
    health.within_ms = DurationMs::new(1);
    assert_eq!(World::new(4).state.findings(&document), []);
}

#[test]
fn the_canary_and_each_stage_keep_their_share() {
    let wide: &[&[&str]] = &[&["acme-north", "birch-north", "cedar-north"], &["delta-north", "delta-south"]];
    let mut world = World::new(4);
    let id = world.submit("acme/author", deploy("2", wide)).unwrap();
    let messages: Vec<_> =
        world.state.proposal(id).unwrap().findings.iter().map(|f| f.message.as_str()).collect();
    assert_eq!(
        messages,
        [
            "the canary touches 3 targets of 8, at most 2 are allowed",
            "stage stage-1 touches 2 of 2 targets of delta, at most 1 are allowed",
        ]
    );
}

#[test]
fn a_target_nobody_owns_is_refused() {
    let mut world = World::new(4);
    let refused = world.submit("acme/author", deploy("2", &[&["nowhere"]])).unwrap_err();
    assert_eq!(refused.to_string(), "no organisation owns a target nowhere");
}

#[test]
fn documents_outside_their_bounds_are_refused_by_field() {
    assert_eq!(refusal(|document| document.schema = 2), "schema is 2, this build reads 1");
    assert_eq!(refusal(|document| document.title = line(" ")), "title is empty");
    assert_eq!(refusal(|document| document.stages.clear()), "stages has 0; from 1 to 8 are allowed");
    assert_eq!(
        refusal(|document| document.stages[1].steps.clear()),
        "stages[1].steps has 0; from 1 to 32 are allowed"
    );
    assert_eq!(
        refusal(|document| document.stages[1] = document.stages[0].clone()),
        "stages[1].steps[0] changes web on acme-north a second time"
    );
    assert_eq!(
        refusal(|document| document.health.as_mut().unwrap().path = line("health")),
        "health.path is `health`; it starts with `/`"
    );
    assert_eq!(
        refusal(|document| document.health.as_mut().unwrap().samples = 1_001),
        "health.samples has 1001; from 1 to 1000 are allowed"
    );
    let classes = |count: usize| (0..count).map(|n| Name::new(&format!("c{n}")).unwrap()).collect();
    assert_eq!(
        refusal(move |document| document.data_classes = classes(17)),
        "data_classes has 17; from 0 to 16 are allowed"
    );
}

#[test]
fn what_is_not_there_cannot_be_removed() {
    let refused = refusal(|document| {
        document.stages[0].steps[0].action = crate::document::Action::Remove { resource: name("web") };
    });
    assert_eq!(refused, "stages[0] removes web, which is not on acme-north");
}

#[test]
fn a_plan_that_the_author_did_not_see_is_refused() {
    let mut world = World::new(4);
    let document = deploy("2", STAGES);
    let other = world.state.plan(&deploy("3", STAGES)).unwrap().hash();
    let refused = world.call("acme/author", Role::Author, Call::Submit { document, plan_hash: other });
    assert!(matches!(refused, Err(Reject::PlanMoved { found, .. }) if found == other));
}

#[test]
fn an_author_has_so_many_proposals_open_and_no_more() {
    let mut world = World::new(4);
    let most = world.state.constitution().open_proposals_per_author_max;
    for version in 0..most {
        world.submit("acme/author", deploy(&format!("v{version}"), STAGES)).unwrap();
    }
    let refused = world.submit("acme/author", deploy("last", STAGES)).unwrap_err();
    assert_eq!(refused.code(), "too-many-open");
    assert!(refused.can_waiting_help());
    world.submit("birch/author", deploy("last", STAGES)).unwrap();
    let first = world.state.proposals().find(|p| p.author == member("acme/author")).unwrap().id;
    world.call("acme/author", Role::Author, Call::Cancel { proposal: first, reason: line("") }).unwrap();
    world.submit("acme/author", deploy("last", STAGES)).unwrap();
}

#[test]
fn a_sign_off_of_another_organisation_opens_the_vote() {
    let (mut world, id) = open(deploy("2", STAGES));
    let own = world.review("acme/author", id, ReviewVerdict::Approve).unwrap_err();
    assert_eq!(own.code(), "own-organisation");
    world.review("birch/author", id, ReviewVerdict::Approve).unwrap();
    assert_eq!(stage(&world, id), Stage::Voting);
}

#[test]
fn a_refusal_by_a_reviewer_rejects() {
    let (mut world, id) = open(deploy("2", STAGES));
    world.review("birch/author", id, ReviewVerdict::Refuse).unwrap();
    assert_eq!(stage(&world, id), Stage::Rejected);
}

#[test]
fn two_sign_offs_come_from_two_organisations_when_two_are_asked() {
    let mut genesis = genesis(4);
    genesis.constitution.tracks.get_mut(&crate::constitution::Track::Standard).unwrap().reviewers = 2;
    let second = member("birch/second");
    genesis.members.insert(second.clone(), record(&second, 0, &[Role::Reviewer]));
    let mut world = World::with(genesis);
    let id = world.submit("acme/author", deploy("2", STAGES)).unwrap();
    world.review("birch/author", id, ReviewVerdict::Approve).unwrap();
    world.review("birch/second", id, ReviewVerdict::Approve).unwrap();
    assert_eq!(stage(&world, id), Stage::Review);
    world.review("cedar/author", id, ReviewVerdict::Approve).unwrap();
    assert_eq!(stage(&world, id), Stage::Voting);
}

#[test]
fn a_review_that_nobody_gives_expires() {
    let (mut world, id) = open(deploy("2", STAGES));
    world.pass_to_deadline();
    assert_eq!(stage(&world, id), Stage::Expired);
}

#[test]
fn a_review_is_given_once_and_for_the_edition_that_was_seen() {
    let (mut world, id) = open(deploy("2", STAGES));
    let old = world.review_call(id, ReviewVerdict::Approve);
    revise(&mut world, "acme/author", id, 1).unwrap();
    let refused = world.call("birch/author", Role::Reviewer, old).unwrap_err();
    assert_eq!(refused.to_string(), "revision 1 is not the current one, which is 2");
}

/// A proposal that asks for two sign-offs and has the first one.
fn reviewed_by_one_of_two() -> (World, ProposalId) {
    let mut genesis = genesis(4);
    genesis.constitution.tracks.get_mut(&crate::constitution::Track::Standard).unwrap().reviewers = 2;
    let mut world = World::with(genesis);
    let id = world.submit("acme/author", deploy("2", STAGES)).unwrap();
    world.review("birch/author", id, ReviewVerdict::Approve).unwrap();
    (world, id)
}

#[test]
fn an_edit_voids_sign_offs_and_is_judged_again() {
    let (mut world, id) = reviewed_by_one_of_two();
    let Applied::New(events) = revise(&mut world, "acme/author", id, 1).unwrap() else { panic!() };
    assert!(
        events.iter().any(|event| matches!(event, Event::Submitted { revision, .. } if revision.get() == 2))
    );
    let proposal = world.state.proposal(id).unwrap();
    assert_eq!((proposal.stage, proposal.revision), (Stage::Review, Revision::new(2)));
    assert!(proposal.reviews.is_empty());
}

#[test]
fn an_edit_is_the_authors_and_of_the_current_edition() {
    let (mut world, id) = open(deploy("2", STAGES));
    assert_eq!(revise(&mut world, "birch/author", id, 1).unwrap_err().code(), "not-the-author");
    assert_eq!(revise(&mut world, "acme/author", id, 2).unwrap_err().code(), "revision");
    revise(&mut world, "acme/author", id, 1).unwrap();
    assert_eq!(revise(&mut world, "acme/author", id, 1), Ok(Applied::Same));
    assert!(revise(&mut world, "birch/author", id, 1).is_err(), "what another one asked for is no repeat");
    let again = revise(&mut world, "acme/author", id, 2);
    assert!(matches!(again, Ok(Applied::New(_))), "the same document of the next edition is an edit");
}

#[test]
fn a_proposal_is_withdrawn_until_it_is_queued() {
    let cancel = |world: &mut World, by: &str, id| {
        world.call(by, Role::Author, Call::Cancel { proposal: id, reason: line("changed my mind") })
    };
    let (mut world, id) = open(deploy("2", STAGES));
    assert_eq!(cancel(&mut world, "birch/author", id).unwrap_err().code(), "not-the-author");
    cancel(&mut world, "acme/author", id).unwrap();
    assert_eq!(stage(&world, id), Stage::Cancelled);
    assert_eq!(cancel(&mut world, "acme/author", id), Ok(Applied::Same));
    let id = super::story::queue(&mut world, "4", STAGES);
    let refused = cancel(&mut world, "acme/author", id).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "cancel is not possible while the proposal is queued; possible now: veto, cosign, claim"
    );
}

#[test]
fn a_withdrawn_vote_keeps_its_ballots() {
    let (mut world, id) = open(deploy("2", STAGES));
    world.review("birch/author", id, ReviewVerdict::Approve).unwrap();
    world.vote("birch/author", id, Choice::For).unwrap();
    world.call("acme/author", Role::Author, Call::Cancel { proposal: id, reason: line("") }).unwrap();
    assert_eq!(world.state.proposal(id).unwrap().vote.ballots.len(), 1);
}

#[test]
fn a_target_that_may_not_hold_a_class_is_named_once_however_many_steps_touch_it() {
    let found = findings(|document| {
        document.data_classes = [name("personal")].into();
        let steps = &mut document.stages[2].steps;
        steps[0].target = crate::testing::target("acme-south");
        let mut second = steps[0].clone();
        if let crate::document::Action::Deploy { service, .. } = &mut second.action {
            *service = name("db");
        }
        steps.push(second);
    });
    assert_eq!(found, ["class `personal` may be held in eu, acme-south is in us"]);
}

#[test]
fn a_service_level_that_promises_nothing_is_refused() {
    let broken = ["the service level objective promises nothing; give success and latency above 0"];
    let found = findings(|document| document.slo.as_mut().unwrap().success = Ratio::new(0, 1).unwrap());
    assert_eq!(found, broken);
    let found = findings(|document| document.slo.as_mut().unwrap().latency_p95_ms = DurationMs::ZERO);
    assert_eq!(found, broken);
}

#[test]
fn a_health_check_that_allows_no_latency_or_no_time_is_refused() {
    let broken = ["the health check can never pass: latency_p95_ms and within_ms must be above 0"];
    let found = findings(|document| document.health.as_mut().unwrap().latency_p95_ms = DurationMs::ZERO);
    assert_eq!(found, broken);
    let found = findings(|document| document.health.as_mut().unwrap().within_ms = DurationMs::ZERO);
    assert_eq!(found, broken);
}

#[test]
fn a_document_without_stages_is_outside_its_bounds_and_breaks_no_hard_rule() {
    let mut document = deploy("2", STAGES);
    document.stages.clear();
    assert_eq!(World::new(4).state.findings(&document), []);
    assert_eq!(refusal(|document| document.stages.clear()), "stages has 0; from 1 to 8 are allowed");
}

#[test]
fn a_reviewer_who_has_spoken_does_not_say_otherwise() {
    let (mut world, id) = reviewed_by_one_of_two();
    assert_eq!(world.review("birch/author", id, ReviewVerdict::Approve), Ok(Applied::Same));
    let refused = world.review("birch/author", id, ReviewVerdict::Refuse).unwrap_err();
    assert_eq!(refused.to_string(), "birch/author has already done this and said otherwise");
    let reviews = &world.state.proposal(id).unwrap().reviews;
    assert_eq!(*reviews, [(member("birch/author"), ReviewVerdict::Approve)].into());
}

#[test]
fn a_verdict_or_a_ballot_on_another_plan_is_refused_and_never_a_repeat() {
    let (mut world, id) = open(deploy("2", STAGES));
    let found = world.state.plan(&deploy("3", STAGES)).unwrap().hash();
    let (revision, current) = {
        let proposal = world.state.proposal(id).unwrap();
        (proposal.revision, proposal.plan_hash)
    };
    let moved = Err(Reject::PlanMoved { found, current });
    let (verdict, reason) = (ReviewVerdict::Approve, line("looked at"));
    let review = Call::Review { proposal: id, revision, plan_hash: found, verdict, reason };
    assert_eq!(world.call("birch/author", Role::Reviewer, review), moved);
    assert_eq!(stage(&world, id), Stage::Review);
    world.review("birch/author", id, verdict).unwrap();
    world.vote("cedar/author", id, Choice::For).unwrap();
    let ballot = Call::Vote { proposal: id, revision, plan_hash: found, choice: Choice::For };
    for voter in ["cedar/author", "delta/author"] {
        assert_eq!(world.call(voter, Role::Voter, ballot.clone()), moved);
    }
}

#[test]
fn another_edit_of_an_edition_that_was_edited_is_refused_and_never_a_repeat() {
    let (mut world, id) = open(deploy("2", STAGES));
    revise(&mut world, "acme/author", id, 1).unwrap();
    let document = deploy("4", &[&["acme-south"]]);
    let plan_hash = world.state.plan(&document).unwrap().hash();
    let call = Call::Revise { proposal: id, replaces: Revision::new(1), document, plan_hash };
    let refused = world.call("acme/author", Role::Author, call).unwrap_err();
    assert_eq!(refused.to_string(), "revision 1 is not the current one, which is 2");
}
