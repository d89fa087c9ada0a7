//! Ways to weigh on the ledger: the same ballots decide otherwise, caps hold, and what nobody could pass is refused.

use super::story::stage;
use crate::{
    constitution::{Scheme, Threshold, Track},
    genesis::Genesis,
    quantity::{Ratio, Weight},
    role::Role,
    stage::Stage,
    state::State,
    testing::{World, deploy, genesis, member, record},
    transaction::{Choice, ProposalId, ReviewVerdict},
    weighing::Weighing,
};

fn with(weighing: Weighing, mut genesis: Genesis) -> Genesis {
    for track in [Track::Routine, Track::Standard] {
        genesis.constitution.tracks.get_mut(&track).unwrap().weighing = weighing;
    }
    genesis
}

/// Four organisations, of which the first is registered with 900 and the others with 100 each.
fn unequal() -> Genesis {
    let mut genesis = genesis(4);
    genesis.members.get_mut(&member("acme/author")).unwrap().weight = Weight::new(900);
    genesis.constitution.member_cap = Ratio::new(1, 1).unwrap();
    genesis.constitution.organisation_cap = Ratio::new(1, 1).unwrap();
    genesis
}

/// Has three small organisations vote for what a large one is against.
fn ballots(weighing: Weighing) -> (World, ProposalId) {
    let mut world = World::with(with(weighing, unequal()));
    let id = world.submit("birch/author", deploy("2", &[&["birch-north"]])).unwrap();
    world.review("cedar/author", id, ReviewVerdict::Approve).unwrap();
    for voter in ["birch/author", "cedar/author", "delta/author"] {
        world.vote(voter, id, Choice::For).unwrap();
    }
    world.vote("acme/author", id, Choice::Against).unwrap();
    (world, id)
}

#[test]
fn the_same_ballots_decide_otherwise_by_another_way_to_weigh() {
    for (weighing, end) in [
        (Weighing::Tokens, Stage::Defeated),
        (Weighing::Quadratic, Stage::Defeated),
        (Weighing::OnePerOrganisation, Stage::Confirming),
    ] {
        let (mut world, id) = ballots(weighing);
        world.pass_to_deadline();
        assert_eq!(stage(&world, id), end, "{weighing:?}");
    }
}

#[test]
fn quadratic_takes_a_large_organisation_most_of_its_lead() {
    let (world, id) = ballots(Weighing::Quadratic);
    let tally = world.state.proposal(id).unwrap().count();
    assert_eq!(tally.weight_against, Weight::new(30_000), "the root of 900, in thousandths");
    assert_eq!(tally.weight_for, Weight::new(30_000), "three times the root of 100");
}

#[test]
fn caps_hold_whatever_a_way_to_weigh_yields() {
    for weighing in Weighing::ALL {
        let mut genesis = with(weighing, unequal());
        genesis.constitution.member_cap = Ratio::ONE_THIRD;
        genesis.constitution.organisation_cap = Ratio::new(1, 4).unwrap();
        genesis.constitution.tracks.get_mut(&Track::Constitutional).unwrap().scheme = Scheme::Majority {
            turnout: Threshold::AtLeast(Ratio::new(1, 12).unwrap()),
            approval: Threshold::AtLeast(Ratio::THREE_QUARTERS),
            organisations: Threshold::AtLeast(Ratio::TWO_THIRDS),
        };
        for track in [Track::Standard, Track::High] {
            let parameters = genesis.constitution.tracks.get_mut(&track).unwrap();
            if let Scheme::Majority { turnout, .. } = &mut parameters.scheme {
                *turnout = Threshold::AtLeast(Ratio::new(1, 12).unwrap());
            }
        }
        genesis.constitution.dormancy.floor = Ratio::new(1, 12).unwrap();
        let mut world = World::with(genesis);
        let id = world.submit("birch/author", deploy("2", &[&["birch-north"]])).unwrap();
        world.review("cedar/author", id, ReviewVerdict::Approve).unwrap();
        world.vote("acme/author", id, Choice::For).unwrap();
        let proposal = world.state.proposal(id).unwrap();
        let electorate = &proposal.electorate;
        assert!(electorate.weights.values().all(|weight| *weight <= electorate.caps.member));
        let cap = Ratio::new(1, 4).unwrap().floor_of(electorate.total.get());
        assert!(proposal.count().weight_for.get() <= cap, "{weighing:?}");
    }
}

/// An organisation of four voters and three of one, where a member counts for a seventh at most.
fn narrow() -> Genesis {
    let mut genesis = genesis(4);
    for name in ["acme/ann", "acme/bob", "acme/cid"] {
        genesis.members.insert(member(name), record(&member(name), 100, &[Role::Voter]));
    }
    genesis.constitution.member_cap = Ratio::new(1, 7).unwrap();
    let constitutional = genesis.constitution.tracks.get_mut(&Track::Constitutional).unwrap();
    if let Scheme::Majority { turnout, .. } = &mut constitutional.scheme {
        *turnout = Threshold::AtLeast(Ratio::new(7, 10).unwrap());
    }
    genesis
}

#[test]
fn a29_a_way_to_weigh_by_which_nothing_can_pass_is_refused() {
    assert!(State::genesis(&narrow()).is_ok(), "533 of 700 can take part by tokens");
    let mut genesis = narrow();
    let constitutional = genesis.constitution.tracks.get_mut(&Track::Constitutional).unwrap();
    constitutional.weighing = Weighing::OnePerOrganisation;
    let refused = State::genesis(&genesis).unwrap_err();
    let crate::genesis::GenesisError::Constitution(refused) = refused else { panic!("{refused}") };
    assert!(refused.to_string().starts_with("tracks.constitutional.scheme.turnout"), "{refused}");
}

#[test]
fn another_way_to_weigh_touches_its_own_track_alone() {
    let world = World::new(4);
    let rules = world.next_rules(|rules| {
        rules.tracks.get_mut(&Track::High).unwrap().weighing = Weighing::Quadratic;
    });
    assert_eq!(world.state.constitution().touched_by(&rules), [Track::High].into());
}
