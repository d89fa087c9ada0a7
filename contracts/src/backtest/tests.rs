//! A backtest says of each decided proposal what other rules would have made of it, and what the rules in force made of it.

use super::*;
use crate::{
    constitution::{Threshold, Track},
    document::ProposalDocument,
    genesis::Tier,
    lifecycle::tests::story::{enact_acts, queue, stage},
    quantity::{AmountMilli, DurationMs, Ratio},
    role::Role,
    tally::TallyTestKind,
    testing::{World, amend, deploy, genesis, target},
    transaction::{Call, Choice},
    weighing::Weighing,
};

const LAST: usize = 100;

/// What the rules make of the one proposal of which the texts differ.
fn differing(world: &World, change: impl FnOnce(&mut Constitution)) -> (Ruling, Ruling) {
    let backtest = world.state.backtest(&world.next_rules(change), LAST).unwrap();
    let [Differing { in_force, proposed, .. }] = &backtest.differing[..] else { panic!("{backtest:?}") };
    (in_force.clone(), proposed.clone())
}

fn ruling(track: Track, outcome: Outcome) -> Ruling {
    Ruling { track, outcome }
}

/// A world in which three of four organisations have voted for a change, of whom one has signed it off.
fn approved() -> World {
    let mut world = World::new(4);
    queue(&mut world, "2", &[&["acme-north"]]);
    world
}

/// What the rules in force make of a proposal.
fn in_force(world: &World, id: ProposalId) -> Outcome {
    Bench::of(world.state.registry()).rule(world.state.proposal(id).unwrap()).unwrap().outcome
}

#[test]
fn a_text_that_decides_the_same_differs_in_nothing() {
    let mut world = approved();
    let before = world.state.root();
    let rules = world.next_rules(|rules| {
        rules.vetoes_per_guardian = 1;
        for track in rules.tracks.values_mut() {
            track.voting = track.voting.saturating_add(DurationMs::from_hours(1));
        }
    });
    let backtest = world.state.backtest(&rules, LAST).unwrap();
    assert_eq!(backtest, Backtest { judged: 1, differing: Vec::new() });
    assert_eq!(world.state.root(), before);
}

#[test]
fn thresholds_caps_sign_offs_and_signatures_are_asked_anew_of_what_people_did() {
    let world = approved();
    let standard = |outcome| ruling(Track::Standard, outcome);
    let (was, now) = differing(&world, |rules| {
        for track in [Track::Standard, Track::High, Track::Constitutional] {
            let crate::constitution::Scheme::Majority { turnout, .. } =
                &mut rules.tracks.get_mut(&track).unwrap().scheme
            else {
                panic!("{track} has a majority")
            };
            *turnout = Threshold::AtLeast(Ratio::NINE_TENTHS);
        }
    });
    assert_eq!(was, standard(Outcome::Approved));
    let Outcome::Defeated(failing) = now.outcome else { panic!("{now:?}") };
    assert_eq!(
        failing.iter().map(|test| (test.kind, test.part, test.whole)).collect::<Vec<_>>(),
        [(TallyTestKind::Turnout, 300, 400)]
    );

    let (_, now) = differing(&world, |rules| {
        for track in Track::ALL {
            let reviewers = &mut rules.tracks.get_mut(&track).unwrap().reviewers;
            *reviewers = 2.max(*reviewers);
        }
    });
    assert_eq!(now, standard(Outcome::Unreviewed(Share { have: 1, need: 2 })));

    let cosign = world.state.constitution().tracks[&Track::High].cosign;
    let (_, now) = differing(&world, |rules| rules.tracks.get_mut(&Track::Standard).unwrap().cosign = cosign);
    let none = Share { have: 0, need: 2 };
    assert_eq!(now, standard(Outcome::Uncosigned { guardians: none, organisations: none }));
}

#[test]
fn hard_rules_and_the_classification_are_asked_anew() {
    let world = approved();
    let (_, now) = differing(&world, |rules| {
        rules.hard_rules.cost_ceiling_monthly_milli = AmountMilli::new(999);
    });
    assert_eq!(now, ruling(Track::Standard, Outcome::Broken(vec![RuleId::CostCeiling])));
    // It would have been a matter of the high track, where one sign-off is not enough.
    let (_, now) = differing(&world, |rules| {
        for by_tier in rules.classification.actions.values_mut() {
            by_tier.insert(Tier::Medium, Track::High);
        }
    });
    assert_eq!(now, ruling(Track::High, Outcome::Unreviewed(Share { have: 1, need: 2 })));
}

#[test]
fn where_voters_would_weigh_otherwise_their_ballots_are_weighed_anew() {
    let mut genesis = genesis(4);
    for (id, member) in &mut genesis.members {
        if id.as_str() == "delta/author" {
            member.weight = crate::quantity::Weight::new(2_500);
        }
    }
    // By tokens delta alone could not be outvoted; by organisation it is one of four.
    for track in genesis.constitution.tracks.values_mut() {
        track.weighing = Weighing::OnePerOrganisation;
    }
    let mut world = World::with(genesis);
    queue(&mut world, "2", &[&["acme-north"]]);
    let rules = world.next_rules(|rules| {
        for track in rules.tracks.values_mut() {
            track.weighing = Weighing::Quadratic;
        }
    });
    let backtest = world.state.backtest(&rules, LAST).unwrap();
    let [Differing { proposed, .. }] = &backtest.differing[..] else { panic!("{backtest:?}") };
    let Outcome::Defeated(failing) = &proposed.outcome else { panic!("{proposed:?}") };
    // Thousandths of square roots: of 100 for each of the three who voted, of 2,500 for the one who did not.
    let turnout = (failing[0].kind, failing[0].part, failing[0].whole);
    assert_eq!(turnout, (TallyTestKind::Turnout, 30_000, 80_000));
}

#[test]
fn by_the_rules_in_force_each_proposal_comes_as_far_as_it_came() {
    let mut genesis = genesis(4);
    genesis.targets.get_mut(&target("acme-north")).unwrap().tier = Tier::High;
    genesis.targets.get_mut(&target("delta-north")).unwrap().tier = Tier::Low;
    let mut world = World::with(genesis);
    world.pass(DurationMs::new(1));
    let submit =
        |world: &mut World, author: &str, document: ProposalDocument| world.submit(author, document).unwrap();
    let broken =
        submit(&mut world, "acme/author", ProposalDocument { slo: None, ..deploy("2", &[&["birch-north"]]) });
    let refused = submit(&mut world, "birch/author", deploy("3", &[&["birch-south"]]));
    world.review("acme/author", refused, ReviewVerdict::Refuse).unwrap();
    let unseen = submit(&mut world, "cedar/author", deploy("4", &[&["cedar-north"]]));
    let defeated = submit(&mut world, "delta/author", deploy("5", &[&["birch-north"]]));
    let uncosigned = submit(&mut world, "acme/author", deploy("6", &[&["acme-north"]]));
    let objected = submit(&mut world, "birch/author", deploy("7", &[&["delta-north"]]));
    let withdrawn = submit(&mut world, "cedar/author", deploy("8", &[&["cedar-south"]]));
    let reason = crate::testing::line("no");
    world.call("cedar/author", Role::Author, Call::Cancel { proposal: withdrawn, reason }).unwrap();
    world.review("cedar/author", defeated, ReviewVerdict::Approve).unwrap();
    for reviewer in ["birch/author", "cedar/author"] {
        world.review(reviewer, uncosigned, ReviewVerdict::Approve).unwrap();
    }
    for voter in ["acme/author", "birch/author", "cedar/author"] {
        world.vote(voter, defeated, Choice::Against).unwrap();
        world.vote(voter, uncosigned, Choice::For).unwrap();
        if stage(&world, objected) == Stage::Voting {
            world.vote(voter, objected, Choice::Against).unwrap();
        }
    }
    while world.state.proposals().any(Proposal::is_open) {
        world.pass_to_deadline();
    }
    let ended = [
        (broken, Stage::Rejected, Outcome::Broken(vec![RuleId::SloPresent])),
        (refused, Stage::Rejected, Outcome::Refused(Share { have: 1, need: 1 })),
        (unseen, Stage::Expired, Outcome::Unreviewed(Share { have: 0, need: 1 })),
    ];
    for (id, at, outcome) in ended {
        assert_eq!((stage(&world, id), in_force(&world, id)), (at, outcome));
    }
    for id in [defeated, objected] {
        assert_eq!(stage(&world, id), Stage::Defeated);
        assert!(matches!(in_force(&world, id), Outcome::Defeated(_)), "{:?}", in_force(&world, id));
    }
    assert_eq!(stage(&world, uncosigned), Stage::Expired);
    assert!(matches!(in_force(&world, uncosigned), Outcome::Uncosigned { .. }));
    let all = world.state.backtest(&world.next_rules(|rules| rules.vetoes_per_guardian = 1), LAST).unwrap();
    assert_eq!(all.judged, 6, "what was withdrawn is not judged");
    let some = world.state.backtest(&world.next_rules(|rules| rules.vetoes_per_guardian = 1), 2).unwrap();
    assert_eq!(some.judged, 2);
}

#[test]
fn a_change_of_the_rules_that_had_its_time_is_not_asked_whether_it_follows_those_in_force() {
    let mut world = World::new(4);
    let amended = world.next_rules(|rules| rules.vetoes_per_guardian = 9);
    enact_acts(&mut world, amend(amended));
    let rules = world.next_rules(|rules| rules.tracks.get_mut(&Track::Constitutional).unwrap().retries = 1);
    let backtest = world.state.backtest(&rules, LAST).unwrap();
    assert_eq!(backtest, Backtest { judged: 1, differing: Vec::new() });
}

#[test]
fn rules_that_could_not_be_in_force_are_refused() {
    let world = approved();
    let unsound = world.next_rules(|rules| rules.tracks.retain(|track, _| *track != Track::High));
    assert!(matches!(
        world.state.backtest(&unsound, LAST),
        Err(ConstitutionError::MissingTrack { track: Track::High })
    ));
    let unreachable = world.next_rules(|rules| {
        rules.tracks.get_mut(&Track::Constitutional).unwrap().reviewers = 16;
    });
    assert!(world.state.backtest(&unreachable, LAST).is_err());
}
