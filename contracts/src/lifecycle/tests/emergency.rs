//! Emergencies: what guardians may order at once, who has to sign it, how it ends, and what it costs them when nobody stands by it.

mod measures;
mod power;

use super::story::{STAGES, attest, carry_out, claim, executable, judge, queue, report, stage};
use crate::{
    act::Act,
    constitution::{Constitution, Track},
    digest::Digest,
    emergency::{Declaration, EmergencyId, EmergencyStage, Measure},
    event::Event,
    name::MemberId,
    quantity::{DurationMs, TimeMs},
    reject::{Reject, StepRefusal},
    role::Role,
    stage::Stage,
    state::{Applied, Registry},
    testing::{World, amend, deploy, genesis, healthy, line, member, record, target},
    transaction::{AuditVerdict, Call, Choice, ProposalId, ReviewVerdict, StepOutcome},
};

const HOUR: DurationMs = DurationMs::from_hours(1);
const TICK: DurationMs = DurationMs::new(1);

fn pause(at: &str) -> Measure {
    Measure::PauseTarget { target: target(at) }
}

fn isolate(at: &str) -> Measure {
    Measure::IsolateTarget { target: target(at) }
}

const HALT: Measure = Measure::HaltTrack { track: Track::Standard };

fn suspend(executor: &str) -> Measure {
    Measure::SuspendExecutor { member: member(executor) }
}

/// Declares these measures and has them signed by guardians of three organisations.
fn activate(world: &mut World, measures: &[Measure]) -> EmergencyId {
    let id = world.declare("acme/guardian", measures).unwrap();
    world.sign_emergency("birch/guardian", id).unwrap();
    world.sign_emergency("cedar/guardian", id).unwrap();
    assert_eq!(standing(world, id), EmergencyStage::Active);
    id
}

fn standing(world: &World, id: EmergencyId) -> EmergencyStage {
    world.state.emergency(id).unwrap().stage
}

fn judgement(world: &World, id: EmergencyId) -> ProposalId {
    world.state.emergency(id).unwrap().activation.unwrap().proposal
}

fn stand_by(world: &mut World, id: EmergencyId) {
    let proposal = judgement(world, id);
    for voter in ["acme/author", "birch/author", "cedar/author"] {
        world.vote(voter, proposal, Choice::For).unwrap();
    }
}

/// Goes on to the end of the vote over an emergency.
fn pass_judgement(world: &mut World, id: EmergencyId) -> Vec<Event> {
    let deadline = world.state.proposal(judgement(world, id)).unwrap().deadline.unwrap();
    world.pass(deadline.since(world.state.time()))
}

fn code<T: std::fmt::Debug>(refused: Result<T, Reject>) -> &'static str {
    refused.unwrap_err().code()
}

fn declare(world: &mut World, guardian: &str, declaration: Declaration) -> Result<Applied, Reject> {
    world.call(guardian, Role::Guardian, Call::DeclareEmergency { declaration })
}

fn end(world: &mut World, who: &str, role: Role, emergency: EmergencyId) -> Result<Applied, Reject> {
    world.call(who, role, Call::EndEmergency { emergency })
}

fn set_member(who: &str, roles: &[Role]) -> Act {
    Act::SetMember { member: member(who), record: record(&member(who), 0, roles) }
}

#[test]
fn enough_guardians_of_enough_organisations_put_an_emergency_in_force_at_once() {
    let mut world = World::new(4);
    let id = world.declare("acme/guardian", &[pause("acme-north")]).unwrap();
    assert_eq!(world.sign_emergency("acme/guardian", id), Ok(Applied::Same));
    world.sign_emergency("birch/guardian", id).unwrap();
    assert_eq!(standing(&world, id), EmergencyStage::Declared, "two of four are half");
    assert_eq!(world.state.hold_on_target(&target("acme-north")), None);
    let Applied::New(events) = world.sign_emergency("cedar/guardian", id).unwrap() else {
        panic!("a repeat")
    };
    let (proposal, expires) = (judgement(&world, id), world.state.time().after(HOUR));
    assert_eq!(events[0], Event::EmergencySigned { emergency: id, guardian: member("cedar/guardian") });
    assert_eq!(events[1], Event::EmergencyActivated { emergency: id, proposal, expires });
    assert_eq!(world.state.hold_on_target(&target("acme-north")).unwrap().until, expires);
    assert_eq!(code(world.sign_emergency("delta/guardian", id)), "emergency-move");
    assert_eq!(world.sign_emergency("acme/guardian", id), Ok(Applied::Same));
}

#[test]
fn the_ledger_itself_opens_the_judgement_and_its_vote() {
    let mut world = World::new(4);
    let id = activate(&mut world, &[HALT]);
    let proposal = world.state.proposal(judgement(&world, id)).unwrap();
    assert_eq!((proposal.stage, proposal.track), (Stage::Voting, Track::Emergency));
    assert_eq!(proposal.judges(), Some(id));
    assert_eq!(proposal.deadline, Some(world.state.time().after(DurationMs::from_hours(72))));
    assert_eq!(proposal.document.reason.as_str(), "the site is on fire");
    assert_eq!(world.state.allowed_moves(proposal.id), ["vote"]);
    assert_eq!(world.state.open_count(&member("acme/guardian")), 0, "it is nobody's proposal");
}

#[test]
fn a01_an_emergency_with_any_other_action_is_refused() {
    let mut world = World::new(4);
    let call = Call::DeclareEmergency { declaration: world.declaration(&[HALT]) };
    let bytes = crate::canonical::encode(&call);
    let tag = bytes.iter().position(|byte| *byte == 1).unwrap();
    // The one measure's tag follows its count; no other tag than those of the four measures decodes.
    assert_eq!(bytes[tag..tag + 5], [1, 0, 0, 0, 0]);
    let decodes = |other: u8| {
        let mut changed = bytes.clone();
        changed[tag + 4] = other;
        crate::canonical::decode::<Call>(&changed, usize::MAX).is_ok()
    };
    assert!((4..=u8::MAX).all(|other| !decodes(other)));
    let never = |track| Measure::HaltTrack { track };
    for (measures, problem) in [
        (vec![], "measures has 0; from 1 to 8 are allowed"),
        (vec![never(Track::Constitutional)], "measures[0] halts the constitutional track"),
        (vec![HALT, never(Track::Emergency)], "measures[1] halts the emergency track"),
        (vec![HALT, HALT], "measures[1] is about the same a second time"),
        (vec![pause("acme-north"), isolate("acme-north")], "measures[1] is about the same a second time"),
        (vec![suspend("acme/author")], "measures[0] suspends acme/author, who is no executor"),
        (vec![suspend("acme/guardian")], "measures[0] suspends acme/guardian, who is no executor"),
        (vec![suspend("acme/auditor")], "measures[0] suspends acme/auditor, who is no executor"),
        (vec![pause("nowhere")], "no organisation owns a target nowhere"),
    ] {
        let refused = world.declare("acme/guardian", &measures).unwrap_err().to_string();
        assert!(refused.contains(problem), "{refused}");
    }
    let many: Vec<_> = (0..9).map(|index| pause(&format!("site-{index}"))).collect();
    assert_eq!(code(world.declare("acme/guardian", &many)), "document");
}

#[test]
fn a01_an_act_is_not_carried_out_by_calling_it_an_emergency() {
    let mut world = World::new(4);
    world.pass(TICK);
    let id = activate(&mut world, &[HALT]);
    let mut document = amend(world.next_rules(|rules| rules.vetoes_per_guardian = 9));
    document.acts.push(Act::Ratify { emergency: id });
    let refused = world.submit("acme/author", document).unwrap_err().to_string();
    assert_eq!(refused, "acts[1] judges an emergency; the ledger opens such a proposal itself");
}

#[test]
fn a_reason_and_an_expiry_within_the_bound_are_mandatory() {
    let mut world = World::new(4);
    world.pass(TICK);
    let (now, most) = (world.state.time(), DurationMs::from_hours(24));
    let until = |expires: TimeMs| Declaration { expires, ..world.declaration(&[HALT]) };
    let unreasoned = Declaration { reason: line("  "), ..world.declaration(&[HALT]) };
    let (past, latest, later) = (until(now), until(now.after(most)), until(now.after(most).after(TICK)));
    for refused in [unreasoned, past, later] {
        assert_eq!(code(declare(&mut world, "acme/guardian", refused)), "document");
    }
    declare(&mut world, "acme/guardian", latest).unwrap();
}

#[test]
fn only_a_guardian_declares_and_two_guardians_of_one_organisation_are_one() {
    let mut genesis = genesis(4);
    for extra in ["acme/second", "acme/third"] {
        genesis.members.insert(member(extra), record(&member(extra), 0, &[Role::Guardian]));
    }
    let mut world = World::with(genesis);
    let declaration = world.declaration(&[HALT]);
    let call = Call::DeclareEmergency { declaration };
    assert_eq!(code(world.call("acme/author", Role::Author, call)), "wrong-role");
    let id = world.declare("acme/guardian", &[HALT]).unwrap();
    for guardian in ["acme/second", "acme/third", "birch/guardian"] {
        world.sign_emergency(guardian, id).unwrap();
    }
    assert_eq!(standing(&world, id), EmergencyStage::Declared, "four of six guardians of two organisations");
    world.sign_emergency("cedar/guardian", id).unwrap();
    assert_eq!(standing(&world, id), EmergencyStage::Active);
}

#[test]
fn the_share_of_guardians_is_of_all_that_the_mesh_has_and_exact_at_its_threshold() {
    let mut genesis = genesis(3);
    for (org, extra) in [("acme", "x"), ("birch", "y"), ("cedar", "z"), ("cedar", "w")] {
        let extra = member(&format!("{org}/{extra}"));
        genesis.members.insert(extra.clone(), record(&extra, 0, &[Role::Guardian]));
    }
    genesis.constitution.emergency.organisations = 2;
    let mut world = World::with(genesis);
    let id = world.declare("acme/guardian", &[HALT]).unwrap();
    for guardian in ["acme/x", "birch/guardian", "birch/y"] {
        world.sign_emergency(guardian, id).unwrap();
    }
    assert_eq!(standing(&world, id), EmergencyStage::Declared, "4 of 7 are below two thirds");
    world.sign_emergency("cedar/z", id).unwrap();
    assert_eq!(standing(&world, id), EmergencyStage::Active, "5 of 7 are above");
}

#[test]
fn a_declaration_that_too_few_sign_in_time_lapses_and_does_nothing() {
    let mut world = World::new(4);
    let id = world.declare("acme/guardian", &[HALT]).unwrap();
    world.sign_emergency("birch/guardian", id).unwrap();
    assert_eq!(world.state.next_deadline(), Some(world.state.time().after(HOUR)));
    assert_eq!(world.pass_to_deadline(), [Event::EmergencyLapsed { emergency: id }]);
    assert_eq!(code(world.sign_emergency("cedar/guardian", id)), "emergency-move");
    assert_eq!(code(end(&mut world, "acme/guardian", Role::Guardian, id)), "emergency-move");
    assert_eq!(world.state.check_power(&member("acme/guardian")), Ok(()), "nothing was used");
    assert_eq!(world.state.next_deadline(), None);
}

#[test]
fn a21_an_emergency_ends_with_its_time_whoever_sleeps() {
    let mut world = World::new(4);
    let id = activate(&mut world, &[HALT, pause("acme-north"), suspend("acme/executor")]);
    let proposal = deploy("2", &[&["birch-north"]]);
    assert_eq!(code(world.submit("acme/author", proposal.clone())), "track-halted");
    assert_eq!(code(end(&mut world, "delta/author", Role::Author, id)), "emergency-runs");
    assert_eq!(world.pass(HOUR), [Event::EmergencyLifted { emergency: id, by: None }]);
    assert_eq!(world.state.emergencies_in_force().count(), 0);
    assert_eq!(world.state.hold_on_target(&target("acme-north")), None);
    assert_eq!(world.state.hold_on_executor(&member("acme/executor")), None);
    world.submit("acme/author", proposal).unwrap();
    assert_eq!(end(&mut world, "delta/author", Role::Author, id), Ok(Applied::Same), "any member may say so");
    assert_eq!(standing(&world, id), EmergencyStage::Active, "and the members still judge it");
}

#[test]
fn a21_a_declaration_works_once() {
    let mut world = World::new(4);
    let declaration = world.declaration(&[HALT]);
    let id = activate(&mut world, &[HALT]);
    assert_eq!(declare(&mut world, "acme/guardian", declaration.clone()), Ok(Applied::Same));
    assert_eq!(code(declare(&mut world, "birch/guardian", declaration.clone())), "emergency-used");
    end(&mut world, "birch/guardian", Role::Guardian, id).unwrap();
    for guardian in ["acme/guardian", "birch/guardian"] {
        assert_eq!(code(declare(&mut world, guardian, declaration.clone())), "emergency-used");
    }
    stand_by(&mut world, id);
    pass_judgement(&mut world, id);
    assert_eq!(standing(&world, id), EmergencyStage::Ratified);
    assert_eq!(code(declare(&mut world, "acme/guardian", declaration)), "emergency-used");
}

#[test]
fn a21_measures_are_not_prolonged_before_the_members_have_spoken() {
    let mut world = World::new(4);
    let id = activate(&mut world, &[pause("acme-north")]);
    assert_eq!(code(world.declare("delta/guardian", &[isolate("acme-north")])), "measure-unjudged");
    world.pass(HOUR);
    assert_eq!(code(world.declare("delta/guardian", &[pause("acme-north"), HALT])), "measure-unjudged");
    world.declare("delta/guardian", &[pause("acme-south")]).unwrap();
    stand_by(&mut world, id);
    pass_judgement(&mut world, id);
    world.declare("delta/guardian", &[pause("acme-north")]).unwrap();
}

#[test]
fn no_more_than_four_emergencies_are_unjudged_at_one_time() {
    let mut world = World::new(4);
    let waiting = world.declare("delta/guardian", &[pause("delta-north")]).unwrap();
    world.sign_emergency("acme/guardian", waiting).unwrap();
    let mut ids = Vec::new();
    for at in ["acme-north", "acme-south", "birch-north", "birch-south"] {
        ids.push(activate(&mut world, &[pause(at)]));
    }
    assert_eq!(code(world.declare("acme/guardian", &[pause("cedar-north")])), "too-many-emergencies");
    assert_eq!(code(world.sign_emergency("birch/guardian", waiting)), "too-many-emergencies");
    for id in &ids {
        stand_by(&mut world, *id);
    }
    pass_judgement(&mut world, ids[0]);
    activate(&mut world, &[pause("cedar-north")]);
}

#[test]
fn a_guardian_declares_one_emergency_at_a_time_and_may_withdraw_it() {
    let mut world = World::new(4);
    let first = world.declare("acme/guardian", &[HALT]).unwrap();
    assert_eq!(code(world.declare("acme/guardian", &[pause("acme-north")])), "declaration-open");
    world.declare("birch/guardian", &[pause("acme-north")]).unwrap();
    assert_eq!(code(end(&mut world, "birch/guardian", Role::Guardian, first)), "emergency-move");
    let withdrawn = end(&mut world, "acme/guardian", Role::Guardian, first);
    assert_eq!(withdrawn, Ok(Applied::New(vec![Event::EmergencyLapsed { emergency: first }])));
    world.declare("acme/guardian", &[pause("acme-south")]).unwrap();
}

#[test]
fn of_two_declarations_about_the_same_only_one_comes_into_force() {
    let mut world = World::new(4);
    let first = world.declare("acme/guardian", &[HALT]).unwrap();
    let second = world.declare("birch/guardian", &[HALT, pause("acme-north")]).unwrap();
    world.sign_emergency("acme/guardian", second).unwrap();
    for guardian in ["birch/guardian", "cedar/guardian"] {
        world.sign_emergency(guardian, first).unwrap();
    }
    assert_eq!(code(world.sign_emergency("cedar/guardian", second)), "measure-unjudged");
}

#[test]
fn of_two_that_hold_the_same_back_the_one_that_lasts_longer_counts() {
    let mut world = World::new(4);
    let first = activate(&mut world, &[pause("acme-north")]);
    let held = world.state.emergency(first).unwrap().clone();
    let until = |world: &World| world.state.registry().holds.on_steps(&target("acme-north")).unwrap().until;
    assert_eq!(until(&world), held.declaration.expires);
    // Whichever comes first in the order of the names.
    for name in [[0; 32], [0xff; 32]] {
        let mut world = world.clone();
        let mut longer = held.clone();
        longer.id = EmergencyId::from_digest(Digest::from_bytes(name));
        longer.declaration.expires = held.declaration.expires.after(HOUR);
        world.state.registry_mut().keep_emergency(longer.clone());
        assert_eq!(until(&world), longer.declaration.expires);
    }
}

#[test]
fn a_guardian_who_signed_may_take_it_back_and_nobody_else() {
    let mut world = World::new(4);
    let id = activate(&mut world, &[HALT]);
    assert_eq!(code(end(&mut world, "delta/guardian", Role::Guardian, id)), "emergency-runs");
    let taken_back = end(&mut world, "birch/guardian", Role::Guardian, id);
    let taken_at = world.state.time();
    let by = Some(member("birch/guardian"));
    assert_eq!(taken_back, Ok(Applied::New(vec![Event::EmergencyLifted { emergency: id, by }])));
    assert_eq!(world.state.hold_on_track(Track::Standard), None);
    assert_eq!(world.state.proposal(judgement(&world, id)).unwrap().stage, Stage::Voting);
    let events = pass_judgement(&mut world, id);
    assert!(!events.iter().any(|event| matches!(event, Event::EmergencyLifted { .. })), "once is enough");
    let reverted = world.state.emergency(id).unwrap();
    assert_eq!((reverted.stage, reverted.lifted), (EmergencyStage::Reverted, Some(taken_at)));
}

#[test]
fn a_ratified_emergency_stands_and_still_ends_with_its_time() {
    let mut genesis = genesis(4);
    genesis.constitution.emergency.ratify = DurationMs::new(60_000);
    let mut world = World::with(genesis);
    let id = activate(&mut world, &[HALT]);
    stand_by(&mut world, id);
    let events = pass_judgement(&mut world, id);
    let proposal = judgement(&world, id);
    assert!(events.contains(&Event::EmergencyRatified { emergency: id, proposal }), "{events:?}");
    assert_eq!(stage(&world, proposal), Stage::Auditing);
    assert_eq!(standing(&world, id), EmergencyStage::Ratified);
    assert!(world.state.hold_on_track(Track::Standard).is_some());
    world.pass(HOUR);
    assert_eq!(world.state.hold_on_track(Track::Standard), None);
    assert_eq!(world.state.check_power(&member("acme/guardian")), Ok(()));
}

#[test]
fn auditors_attest_about_the_use_of_an_emergency_and_one_who_does_not_believe_it_keeps_it_open() {
    let mut genesis = genesis(4);
    let second = member("birch/auditor");
    genesis.members.insert(second.clone(), record(&second, 0, &[Role::Auditor]));
    let mut world = World::with(genesis);
    world.pass(TICK);
    let attest = |world: &mut World, who: &str, emergency, height, verdict| {
        let block = world.state.block_digest(height).unwrap_or(Digest::ZERO);
        world.call(who, Role::Auditor, Call::AttestEmergency { emergency, verdict, height, block })
    };
    let id = world.declare("acme/guardian", &[HALT]).unwrap();
    world.pass(TICK);
    let early = world.state.height();
    world.sign_emergency("birch/guardian", id).unwrap();
    let unused = attest(&mut world, "acme/auditor", id, crate::quantity::Height::new(1), AuditVerdict::Sound);
    assert_eq!(code(unused), "emergency-move");
    world.pass(TICK);
    world.sign_emergency("cedar/guardian", id).unwrap();
    let height = world.state.height();
    assert!(world.state.emergency(id).unwrap().awaits_audit());
    world.pass(TICK);
    assert_eq!(code(attest(&mut world, "acme/auditor", id, early, AuditVerdict::Sound)), "evidence");
    let other = world.state.height();
    assert_eq!(code(attest(&mut world, "acme/auditor", id, other, AuditVerdict::Sound)), "other-history");
    attest(&mut world, "acme/auditor", id, height, AuditVerdict::Sound).unwrap();
    assert_eq!(attest(&mut world, "acme/auditor", id, height, AuditVerdict::Sound), Ok(Applied::Same));
    assert!(!world.state.emergency(id).unwrap().awaits_audit());
    let unsound = AuditVerdict::Unsound { finding: line("G10") };
    assert_eq!(code(attest(&mut world, "acme/auditor", id, height, unsound.clone())), "already-done");
    attest(&mut world, "birch/auditor", id, height, unsound).unwrap();
    assert!(world.state.emergency(id).unwrap().awaits_audit());
    let unknown = EmergencyId::from_digest(Digest::ZERO);
    assert_eq!(
        code(attest(&mut world, "birch/auditor", unknown, height, AuditVerdict::Sound)),
        "unknown-emergency"
    );
    let foreign =
        Call::AttestEmergency { emergency: id, verdict: AuditVerdict::Sound, height, block: Digest::ZERO };
    assert_eq!(code(world.ask("acme/guardian", Role::Guardian, foreign)), "wrong-role");
}

#[test]
fn an_emergency_changes_the_root_at_each_of_its_moves() {
    let mut world = World::new(4);
    let mut roots = vec![world.state.root()];
    let mut note = |world: &mut World| {
        let root = world.state.root();
        assert!(!roots.contains(&root));
        roots.push(root);
    };
    let id = world.declare("acme/guardian", &[HALT]).unwrap();
    note(&mut world);
    world.sign_emergency("birch/guardian", id).unwrap();
    note(&mut world);
    world.sign_emergency("cedar/guardian", id).unwrap();
    note(&mut world);
    end(&mut world, "acme/guardian", Role::Guardian, id).unwrap();
    note(&mut world);
    let before = world.state.mandate(&member("acme/guardian")).copied();
    pass_judgement(&mut world, id);
    assert_ne!(world.state.mandate(&member("acme/guardian")).copied(), before);
    note(&mut world);
    let bytes = world.state.encode_snapshot();
    let mut again = crate::state::State::decode_snapshot(&bytes).unwrap();
    assert_eq!(again.root(), world.state.root());
    assert_eq!(again.emergency(id), world.state.emergency(id));
}

#[test]
fn what_a_guardian_signs_is_bound_to_its_network() {
    let world = World::new(4);
    let declaration = world.declaration(&[HALT]);
    let here = EmergencyId::of(world.network(), &declaration);
    let there = EmergencyId::of(World::new(3).network(), &declaration);
    assert_ne!(here, there);
    let names: std::collections::BTreeSet<MemberId> =
        world.state.members_with(Role::Guardian).cloned().collect();
    assert_eq!(names.len(), 4);
}
