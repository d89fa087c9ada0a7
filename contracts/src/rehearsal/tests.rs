//! A rehearsal ends as the life would, and leaves the state as it was.

use super::*;
use crate::{
    genesis::Tier,
    lifecycle::tests::story::{STAGES, claim, executable},
    quantity::AmountMilli,
    testing::{World, amend, deploy, genesis, member, target},
};

fn script() -> Script {
    Script::of(member("acme/author"))
}

fn moves(rehearsal: &Rehearsal) -> Vec<String> {
    let stage = |scene: &Scene| match &scene.event {
        Event::StageChanged { to, .. } => Some(to.to_string()),
        _ => None,
    };
    rehearsal.scenes.iter().filter_map(stage).collect()
}

#[test]
fn a_sound_change_goes_its_way_to_the_end_and_the_state_does_not_know() {
    let mut world = World::new(4);
    let before = world.state.root();
    let rehearsal = world.state.rehearse(&deploy("2", STAGES), &script()).unwrap();
    assert_eq!((rehearsal.stage, rehearsal.ended), (Stage::Closed, Some(Stage::Executed)));
    let told = ["review", "voting", "confirming", "queued", "canary", "rollout 1", "rollout 2", "verifying"];
    assert_eq!(moves(&rehearsal)[..8], told);
    let standard = &world.state.constitution().tracks[&crate::constitution::Track::Standard];
    let decided = [standard.voting, standard.confirm, standard.timelock];
    let decided = decided.into_iter().fold(DurationMs::ZERO, DurationMs::saturating_add);
    let begins = |scene: &&Scene| matches!(scene.event, Event::StageChanged { to: Stage::Canary, .. });
    let begun = rehearsal.scenes.iter().find(begins).unwrap().after;
    assert!(begun >= decided && begun < decided.saturating_add(DurationMs::new(1_000)), "{begun}");
    assert_eq!(world.state.root(), before);
    assert_eq!(world.state.proposals().count(), 0);
}

#[test]
fn a_failing_step_and_a_sick_stage_end_as_the_plan_has_it() {
    let world = World::new(4);
    let ended = |script: Script| world.state.rehearse(&deploy("2", STAGES), &script).unwrap().ended;
    assert_eq!(ended(Script { failing_step: Some(0), ..script() }), Some(Stage::Failed));
    assert_eq!(ended(Script { failing_step: Some(1), ..script() }), Some(Stage::RolledBack));
    for unhealthy in 0..=3 {
        let script = Script { unhealthy_stage: Some(unhealthy), ..script() };
        assert_eq!(ended(script), Some(Stage::RolledBack), "stage {unhealthy}");
    }
}

#[test]
fn ballots_refusals_and_missing_signatures_are_counted_as_they_would_be() {
    let mut genesis = genesis(4);
    genesis.targets.get_mut(&target("acme-north")).unwrap().tier = Tier::High;
    let world = World::with(genesis);
    let high = deploy("2", &[&["acme-north"]]);
    let stage = |script: Script| world.state.rehearse(&high, &script).unwrap().stage;
    assert_eq!(stage(script()), Stage::Closed);
    assert_eq!(stage(Script { unsigned: true, ..script() }), Stage::Expired);
    let ballots = |choice: Option<Choice>, orgs: &[&str]| {
        orgs.iter().map(|org| (member(&format!("{org}/author")), choice)).collect()
    };
    let divided = ballots(Some(Choice::Against), &["birch", "cedar"]);
    assert_eq!(stage(Script { ballots: divided, ..script() }), Stage::Defeated);
    let absent = ballots(None, &["birch", "cedar", "delta"]);
    assert_eq!(stage(Script { ballots: absent, ..script() }), Stage::Defeated);
    let refusing = |orgs: &[&str]| orgs.iter().map(|org| OrgId::new(org).unwrap()).collect();
    assert_eq!(stage(Script { refusing: refusing(&["birch"]), ..script() }), Stage::Closed);
    assert_eq!(
        stage(Script { refusing: refusing(&["birch", "cedar", "delta"]), ..script() }),
        Stage::Rejected
    );
}

#[test]
fn a_change_of_the_rules_and_one_that_breaks_them_are_rehearsed_too() {
    let world = World::new(4);
    let rules = world.next_rules(|rules| rules.vetoes_per_guardian = 9);
    let rehearsal = world.state.rehearse(&amend(rules), &script()).unwrap();
    assert_eq!((rehearsal.stage, rehearsal.ended), (Stage::Closed, Some(Stage::Executed)));
    assert_eq!(world.state.constitution().version, 1);
    let mut dear = deploy("2", STAGES);
    dear.cost.monthly_milli = AmountMilli::new(u64::MAX);
    assert_eq!(world.state.rehearse(&dear, &script()).unwrap().stage, Stage::Rejected);
    let unknown = Script::of(member("acme/nobody"));
    assert_eq!(world.state.rehearse(&deploy("2", STAGES), &unknown).unwrap_err().code(), "not-a-member");
    let voter = Script::of(member("acme/executor"));
    assert_eq!(world.state.rehearse(&deploy("2", STAGES), &voter).unwrap_err().code(), "not-in-role");
}

#[test]
fn a_target_that_another_change_holds_is_waited_for() {
    let (mut world, id) = executable(&[&["acme-north"]]);
    claim(&mut world, id, 0).unwrap();
    let rehearsal = world.state.rehearse(&deploy("3", &[&["acme-north"]]), &script()).unwrap();
    // Nobody carries the other one on in a rehearsal: its time runs out before this one's timelock does.
    assert_eq!(rehearsal.stage, Stage::Closed);
    assert_eq!(world.state.proposal(id).unwrap().stage, Stage::Canary);
}
