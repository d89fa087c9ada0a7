//! G12 notices rules that nobody can meet or decided, what stays open under others, and parties that change by themselves.

use std::sync::Arc;

use super::planted::{Scene, ballots};
use crate::{
    constitution::Track,
    digest::Digest,
    event::Event,
    invariant::Invariant,
    proposal::Proposal,
    quantity::DurationMs,
    stage::Stage,
    state::State,
    testing::{World, deploy},
    transaction::{Choice, ReviewVerdict},
};

#[test]
fn g12_notices_a_threshold_that_nobody_can_reach() {
    let plant = |scene: &mut Scene| {
        scene.after.tamper_with_rules(|constitution| {
            constitution.member_cap = crate::quantity::Ratio::new(0, 1).unwrap();
        });
    };
    ballots().notices(Invariant::Reachable, plant, "member_cap is 0 %");
}

#[test]
fn g12_notices_rules_that_nobody_decided() {
    let plant = |scene: &mut Scene| scene.after.tamper_with_rules(|rules| rules.version += 1);
    ballots().notices(Invariant::Reachable, plant, "the constitution is 1 versions further by 0 decisions");
}

#[test]
fn g12_notices_rules_that_the_members_cannot_meet() {
    let plant = |scene: &mut Scene| {
        scene.after.tamper_with_rules(|rules| {
            rules.tracks.get_mut(&Track::Constitutional).unwrap().reviewers = 4;
        });
    };
    ballots().notices(Invariant::Reachable, plant, "needs 4 organisations with a reviewer besides");
}

/// A block in which another constitution comes into force and supersedes what is open.
fn amendment() -> Scene {
    let mut world = World::new(4);
    let constitution = world.next_rules(|rules| {
        let standard = rules.tracks.get_mut(&Track::Standard).unwrap();
        standard.voting = DurationMs::from_hours(100);
    });
    let id = world.submit("acme/author", crate::testing::amend(constitution)).unwrap();
    for reviewer in ["birch/author", "cedar/author", "delta/author"] {
        world.review(reviewer, id, ReviewVerdict::Approve).unwrap();
    }
    for voter in ["acme/author", "birch/author", "cedar/author"] {
        world.vote(voter, id, Choice::For).unwrap();
    }
    (0..2).for_each(|_| drop(world.pass_to_deadline()));
    for guardian in ["birch/guardian", "cedar/guardian"] {
        world.cosign(guardian, id).unwrap();
    }
    world.block(DurationMs::new(1), &[]);
    let left = world.state.next_deadline().unwrap().since(world.state.time());
    world.block(left.saturating_sub(DurationMs::new(20)), &[]);
    let open = world.submit("acme/author", deploy("2", &[&["acme-north"]])).unwrap();
    world.block(DurationMs::new(10), &[]);
    Scene::of(&mut world, open, &[])
}

#[test]
fn g12_notices_what_stays_open_under_rules_that_have_changed() {
    let stays = |change: fn(&mut Proposal)| {
        move |scene: &mut Scene| {
            let id = scene.id;
            let before = scene.before.proposal(id).unwrap().clone();
            scene.after.tamper(id, |proposal| {
                *proposal = before;
                change(proposal);
            });
        }
    };
    let message = "it is open under rules that are no longer in force";
    amendment().notices(Invariant::Reachable, stays(|_| {}), message);
    amendment().notices(Invariant::Reachable, stays(|proposal| proposal.stage = Stage::Queued), message);
    // What is judged about an emergency is decided by what was in force when it began.
    let judged = stays(|proposal| proposal.track = Track::Emergency);
    amendment().holds(Invariant::Reachable, judged);
}

#[test]
fn g12_asks_for_the_parameters_of_the_track_that_a_proposal_fell_back_on_and_may_fall_back_on() {
    let stays = |promoted: bool, track: Track, fallback: Option<Track>| {
        move |scene: &mut Scene| {
            let id = scene.id;
            let before = scene.before.proposal(id).unwrap().clone();
            let rules = scene.after.constitution().clone();
            let parameters = |track| Arc::new(rules.parameters_of(track).unwrap());
            scene.after.tamper(id, |proposal| {
                let fallback = fallback.map(parameters);
                *proposal = Proposal { track, fallback, parameters: parameters(track), ..before };
                if promoted {
                    proposal.vote.promoted = true;
                    proposal.parameters = parameters(Track::Standard);
                }
            });
        }
    };
    for sound in [
        stays(false, Track::Standard, None),
        stays(false, Track::Routine, Some(Track::Standard)),
        stays(true, Track::Routine, None),
    ] {
        amendment().holds(Invariant::Reachable, sound);
    }
    let message = "it is open under rules that are no longer in force";
    let other_fallback = stays(false, Track::Routine, Some(Track::High));
    amendment().notices(Invariant::Reachable, other_fallback, message);
}

#[test]
fn g12_lets_parties_change_by_a_decision_and_most_validators_stay() {
    let decided = |scene: &mut Scene| {
        let (proposal, record) = (scene.id, Digest::ZERO);
        let subject = crate::act::Subject::Constitution;
        scene.events.push(Event::Enacted { proposal, subject, record });
    };
    ballots().holds(Invariant::Reachable, decided);
    let replaced = |scene: &mut Scene| {
        decided(scene);
        let registry = scene.after.registry_mut();
        for name in ["acme", "birch"] {
            let key = |what: &str| crate::testing::TestKey::of(&format!("other {what} {name}")).public();
            let record = registry.organisations.get_mut(name).unwrap();
            record.validator.consensus = key("consensus");
        }
        registry.derive();
    };
    ballots().notices(Invariant::Reachable, replaced, "too many validators changed at once");
}

#[test]
fn g12_a_party_that_changes_without_a_decision_is_noticed() {
    let seat = |state: &mut State| {
        let org = crate::name::OrgId::new("echo").unwrap();
        let record = crate::testing::organisation(&org);
        state.registry_mut().organisations.insert(org, record);
    };
    ballots().notices(
        Invariant::Reachable,
        |scene| seat(&mut scene.after),
        "organisations or observers changed without a decision",
    );
}
