//! The powers of guardians: how they end, who gives them back, and what is out of their reach.

use super::*;

#[test]
fn what_is_not_ratified_in_time_is_reverted_and_costs_its_signers_their_power() {
    let mut genesis = genesis(4);
    genesis.constitution.emergency.ratify = DurationMs::new(60_000);
    let mut world = World::with(genesis);
    let id = activate(&mut world, &[HALT]);
    let proposal = judgement(&world, id);
    world.vote("delta/author", proposal, Choice::For).unwrap();
    let events = pass_judgement(&mut world, id);
    let suspended = ["acme/guardian", "birch/guardian", "cedar/guardian"].map(member).to_vec();
    assert_eq!(events.last(), Some(&Event::EmergencyReverted { emergency: id, proposal, suspended }));
    assert_eq!((standing(&world, id), stage(&world, proposal)), (EmergencyStage::Reverted, Stage::Defeated));
    assert_eq!(world.state.hold_on_track(Track::Standard), None, "its measures end with it");
    assert_eq!(world.state.emergency(id).unwrap().lifted, Some(world.state.time()));
    for guardian in ["acme/guardian", "birch/guardian", "cedar/guardian"] {
        assert_eq!(code(world.declare(guardian, &[pause("acme-north")])), "power-suspended");
    }
    let next = world.declare("delta/guardian", &[pause("acme-north")]).unwrap();
    assert_eq!(code(world.sign_emergency("acme/guardian", next)), "power-suspended");
    let queued = queue(&mut world, "2", &[&["birch-north"]]);
    let veto = Call::Veto { proposal: queued, reason: line("unsafe") };
    assert_eq!(code(world.call("birch/guardian", Role::Guardian, veto)), "power-suspended");
}

#[test]
fn the_share_counts_guardians_who_lost_their_power_and_so_the_rest_cannot_act_for_all() {
    let mut genesis = genesis(4);
    genesis.constitution.emergency.ratify = DurationMs::new(60_000);
    genesis.constitution.emergency.organisations = 1;
    let mut world = World::with(genesis);
    let id = activate(&mut world, &[HALT]);
    pass_judgement(&mut world, id);
    let next = world.declare("delta/guardian", &[pause("acme-north")]).unwrap();
    assert_eq!(world.state.emergency(next).unwrap().guardians, 4);
    assert_eq!(standing(&world, next), EmergencyStage::Declared);
}

#[test]
fn a_signature_under_a_second_emergency_is_void_once_the_first_cost_its_signer_the_power() {
    let mut genesis = genesis(4);
    genesis.constitution.emergency.ratify = DurationMs::new(60_000);
    let mut world = World::with(genesis);
    let first = activate(&mut world, &[HALT]);
    let second = world.declare("acme/guardian", &[pause("acme-north")]).unwrap();
    world.sign_emergency("birch/guardian", second).unwrap();
    pass_judgement(&mut world, first);
    world.sign_emergency("delta/guardian", second).unwrap();
    assert_eq!(standing(&world, second), EmergencyStage::Declared, "one of its three signers holds power");
}

/// Brings an act to its end on the constitutional track.
fn decide(world: &mut World, document: crate::document::ProposalDocument) -> ProposalId {
    world.pass(TICK);
    let id = world.submit("acme/author", document).unwrap();
    for reviewer in ["birch/author", "cedar/author", "delta/author"] {
        world.review(reviewer, id, ReviewVerdict::Approve).unwrap();
    }
    for voter in ["acme/author", "birch/author", "cedar/author"] {
        world.vote(voter, id, Choice::For).unwrap();
    }
    while stage(world, id) != Stage::Queued {
        world.pass_to_deadline();
    }
    id
}

fn reinstate(guardian: &str) -> crate::document::ProposalDocument {
    let act = Act::Reinstate { guardian: member(guardian) };
    crate::document::ProposalDocument { acts: vec![act], ..amend(Constitution::default_genesis()) }
}

fn pass_timelock(world: &mut World, id: ProposalId) -> Vec<Event> {
    let eta = world.state.proposal(id).unwrap().eta.unwrap();
    world.pass(eta.since(world.state.time()))
}

#[test]
fn the_members_give_a_suspended_guardian_the_power_back_and_suspended_guardians_may_co_sign_that() {
    let mut world = World::new(4);
    let id = activate(&mut world, &[HALT]);
    pass_judgement(&mut world, id);
    let decided = decide(&mut world, reinstate("birch/guardian"));
    assert_eq!(world.state.proposal(decided).unwrap().track, Track::Constitutional);
    world.cosign("birch/guardian", decided).unwrap();
    world.cosign("cedar/guardian", decided).unwrap();
    let events = pass_timelock(&mut world, decided);
    let until = world.state.time().after(DurationMs::from_hours(365 * 24));
    let guardian = member("birch/guardian");
    assert_eq!(events[0], Event::Reinstated { proposal: decided, guardian: guardian.clone(), until });
    assert_eq!(world.state.check_power(&guardian), Ok(()));
    assert_eq!(code(world.state.check_power(&member("cedar/guardian"))), "power-suspended");
    let refused = world.state.findings(&reinstate("acme/author"));
    assert_eq!(refused[0].message.as_str(), "acme/author is no guardian of this mesh");
}

#[test]
fn a18_a_guardian_whose_term_is_over_has_no_power_until_the_members_renew_it() {
    let mut genesis = genesis(4);
    genesis.constitution.emergency.term = DurationMs::from_hours(24 * 30);
    let mut world = World::with(genesis);
    let queued = queue(&mut world, "2", &[&["birch-north"]]);
    let left = DurationMs::from_hours(24 * 30)
        .saturating_sub(world.state.time().since(crate::testing::GENESIS_TIME));
    world.pass(left.saturating_sub(TICK));
    world.state.check_power(&member("birch/guardian")).unwrap();
    world.pass(TICK);
    assert_eq!(stage(&world, queued), Stage::Expired);
    let queued = queue(&mut world, "3", &[&["birch-north"]]);
    let veto = Call::Veto { proposal: queued, reason: line("unsafe") };
    assert_eq!(code(world.call("birch/guardian", Role::Guardian, veto.clone())), "term-over");
    assert_eq!(code(world.declare("birch/guardian", &[HALT])), "term-over");
    let renewed = decide(&mut world, reinstate("birch/guardian"));
    world.cosign("birch/guardian", renewed).unwrap();
    world.cosign("cedar/guardian", renewed).unwrap();
    pass_timelock(&mut world, renewed);
    world.declare("birch/guardian", &[HALT]).unwrap();
}

#[test]
fn a18_no_guardian_vetoes_a_decision_about_the_powers_of_guardians() {
    let mut world = World::new(4);
    let about_guardians = |rules: &mut Constitution| {
        rules.vetoes_per_guardian = 1;
        rules.emergency.ttl_max = HOUR;
    };
    let about_more = |rules: &mut Constitution| {
        about_guardians(rules);
        rules.open_proposals_per_author_max = 9;
    };
    let veto = |world: &mut World, proposal| {
        let call = Call::Veto { proposal, reason: line("they are ours") };
        world.call("birch/guardian", Role::Guardian, call)
    };
    for document in [amend(world.next_rules(about_guardians)), reinstate("delta/guardian")] {
        let decided = decide(&mut world, document);
        assert_eq!(code(veto(&mut world, decided)), "veto-on-guardians");
        world.pass_to_deadline();
        world.pass_to_deadline();
        assert_eq!(stage(&world, decided), Stage::Expired, "nobody co-signed it");
    }
    let mixed = amend(world.next_rules(about_more));
    let decided = decide(&mut world, mixed);
    veto(&mut world, decided).unwrap();
}

/// Decides acts, has guardians of two organisations sign them, and lets the timelock run out.
fn enact(world: &mut World, acts: Vec<Act>, signers: [&str; 2]) -> Vec<Event> {
    let decided = decide(world, crate::testing::acts(acts));
    for guardian in signers {
        world.cosign(guardian, decided).unwrap();
    }
    pass_timelock(world, decided)
}

#[test]
fn a18_a_guardian_does_not_veto_the_own_removal_and_others_may() {
    let removals = [
        Act::RemoveMember { member: member("birch/guardian") },
        set_member("birch/guardian", &[Role::Executor]),
        Act::RemoveOrganisation { organisation: crate::testing::org(1) },
    ];
    for act in removals {
        let document = crate::testing::acts(vec![act]);
        assert!(Registry::removes(&document, &member("birch/guardian")), "{document:?}");
        assert!(!Registry::removes(&document, &member("cedar/guardian")));
    }
    let kept = crate::testing::acts(vec![set_member("birch/guardian", &[Role::Guardian])]);
    assert!(!Registry::removes(&kept, &member("birch/guardian")));
    let mut world = World::new(4);
    let removal = Act::RemoveMember { member: member("birch/guardian") };
    let decided = decide(&mut world, crate::testing::acts(vec![removal]));
    let veto = Call::Veto { proposal: decided, reason: line("they are ours") };
    assert_eq!(code(world.call("birch/guardian", Role::Guardian, veto.clone())), "veto-on-guardians");
    world.call("cedar/guardian", Role::Guardian, veto).unwrap();
}

#[test]
fn a_new_guardian_has_a_term_of_its_own_and_a_new_key_gives_nobody_a_lost_power_back() {
    let mut world = World::new(4);
    let id = activate(&mut world, &[HALT]);
    pass_judgement(&mut world, id);
    let acts = vec![
        set_member("delta/second", &[Role::Guardian]),
        set_member("birch/guardian", &[Role::Guardian, Role::Reviewer]),
    ];
    enact(&mut world, acts, ["birch/guardian", "cedar/guardian"]);
    let until = world.state.time().after(DurationMs::from_hours(365 * 24));
    assert_eq!(world.state.mandate(&member("delta/second")).unwrap().until, until);
    world.declare("delta/second", &[pause("acme-north")]).unwrap();
    assert_eq!(code(world.declare("birch/guardian", &[pause("acme-north")])), "power-suspended");
}

#[test]
fn who_is_no_guardian_any_more_carries_no_emergency() {
    let mut genesis = genesis(4);
    genesis.constitution.emergency.signing = DurationMs::from_hours(24);
    let mut world = World::with(genesis);
    let removal = Act::RemoveMember { member: member("acme/guardian") };
    let decided = decide(&mut world, crate::testing::acts(vec![removal]));
    world.cosign("birch/guardian", decided).unwrap();
    world.cosign("cedar/guardian", decided).unwrap();
    let left = world.state.proposal(decided).unwrap().eta.unwrap().since(world.state.time());
    world.pass(left.saturating_sub(DurationMs::new(60_000)));
    let id = world.declare("acme/guardian", &[HALT]).unwrap();
    world.sign_emergency("birch/guardian", id).unwrap();
    pass_timelock(&mut world, decided);
    world.sign_emergency("cedar/guardian", id).unwrap();
    assert_eq!(standing(&world, id), EmergencyStage::Declared, "one of its three signers has left");
    world.sign_emergency("delta/guardian", id).unwrap();
    assert_eq!(standing(&world, id), EmergencyStage::Active);
}

#[test]
fn a18_the_judgement_over_guardians_is_out_of_their_reach() {
    let mut genesis = genesis(4);
    let with_author = [Role::Guardian, Role::Author];
    genesis.members.insert(member("acme/guardian"), record(&member("acme/guardian"), 0, &with_author));
    let mut world = World::with(genesis);
    let id = activate(&mut world, &[HALT]);
    let proposal = judgement(&world, id);
    let cancel = Call::Cancel { proposal, reason: line("never mind") };
    let refused = world.call("acme/guardian", Role::Author, cancel).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "cancel is not possible while the proposal is voting; possible now: vote"
    );
    let call = Call::Veto { proposal, reason: line("they are ours") };
    assert_eq!(code(world.call("birch/guardian", Role::Guardian, call)), "illegal-move");
}

#[test]
fn other_rules_for_emergencies_do_not_change_one_that_is_declared_nor_its_judgement() {
    let mut world = World::new(4);
    let other = amend(world.next_rules(|rules| {
        rules.emergency.ratify = HOUR;
        rules.emergency.organisations = 4;
        rules.tracks.get_mut(&Track::Standard).unwrap().voting = DurationMs::from_hours(90);
    }));
    let decided = decide(&mut world, other);
    world.cosign("birch/guardian", decided).unwrap();
    world.cosign("cedar/guardian", decided).unwrap();
    let left = world.state.proposal(decided).unwrap().eta.unwrap().since(world.state.time());
    world.pass(left.saturating_sub(DurationMs::new(60_000)));
    let active = activate(&mut world, &[HALT]);
    let declared = world.declare("acme/guardian", &[pause("acme-north")]).unwrap();
    pass_timelock(&mut world, decided);
    assert_eq!(world.state.constitution().version, 2);
    let proposal = world.state.proposal(judgement(&world, active)).unwrap();
    assert_eq!((proposal.stage, proposal.parameters.voting), (Stage::Voting, DurationMs::from_hours(72)));
    world.sign_emergency("birch/guardian", declared).unwrap();
    world.sign_emergency("cedar/guardian", declared).unwrap();
    assert_eq!(
        standing(&world, declared),
        EmergencyStage::Active,
        "three organisations, as when it was declared"
    );
    let later = world.state.proposal(judgement(&world, declared)).unwrap();
    assert_eq!(later.parameters.voting, HOUR, "its judgement is pinned as it is opened");
}
