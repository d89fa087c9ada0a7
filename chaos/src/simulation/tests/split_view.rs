//! Two histories, each with every certificate that it needs, are shown to two parts of a mesh: how many rounds of gossip it
//! takes until somebody has both.

use althing_actors::{
    auditor::heads::{HeadBook, Observed},
    rosters::Rosters,
};
use althing_contracts::{block::Header, certificate::Certificate, quantity::DurationMs, testing::World};
use rand::{Rng, SeedableRng, rngs::StdRng, seq::IteratorRandom as _};
use serde_json::json;

use crate::figures;

/// Auditors that a node passes a head on to in each round, as a validator's mesh of gossip does.
const NEIGHBOURS: usize = 4;
/// Rounds after which a split view counts as not found.
const ROUNDS_MAX: usize = 10;

/// The certificates of the blocks of two histories that part after a common beginning.
fn histories(random: &mut StdRng) -> (World, [Vec<Certificate>; 2]) {
    let mut world = World::new(random.random_range(4..=7));
    let common = random.random_range(0..4);
    let mut certificates = Vec::new();
    for _ in 0..common {
        let header = next(&mut world, DurationMs::new(5));
        certificates.push(world.certify(&header));
    }
    let sides = [5, 6].map(|later| {
        let mut world = world.clone();
        let mut certificates = certificates.clone();
        for _ in 0..random.random_range(1..3) {
            let header = next(&mut world, DurationMs::new(later));
            certificates.push(world.certify(&header));
        }
        certificates
    });
    (world, sides)
}

fn next(world: &mut World, later: DurationMs) -> Header {
    world.block(later, &[]).0.header().clone()
}

/// The round in which the first auditor has both histories.
fn found_in(seed: u64) -> Option<usize> {
    let mut random = StdRng::seed_from_u64(seed);
    let (world, sides) = histories(&mut random);
    let auditors = random.random_range(6..=12);
    let first_side = random.random_range(1..auditors);
    let rosters = Rosters::after(&world.state);
    let mut books: Vec<HeadBook> = (0..auditors).map(|_| HeadBook::default()).collect();
    let mut shown: Vec<Vec<Certificate>> = Vec::new();
    for (auditor, book) in books.iter_mut().enumerate() {
        let side = &sides[usize::from(auditor >= first_side)];
        for certificate in side {
            assert_eq!(book.settle(certificate), None);
        }
        shown.push(side.last().cloned().into_iter().collect());
    }
    for round in 1..=ROUNDS_MAX {
        let told = shown.clone();
        for (from, heads) in told.iter().enumerate() {
            for to in (0..auditors).filter(|to| *to != from).choose_multiple(&mut random, NEIGHBOURS) {
                for head in heads {
                    let observed = books[to].observe(world.network(), &rosters, head.clone()).unwrap();
                    if matches!(observed, Observed::Split(_)) {
                        return Some(round);
                    }
                    if !shown[to].contains(head) {
                        shown[to].push(head.clone());
                    }
                }
            }
        }
    }
    None
}

#[test]
fn a_split_view_is_found_within_two_rounds_of_gossip_a_thousand_times_of_a_thousand() {
    let rounds: Vec<Option<usize>> = (0..1_000).map(found_in).collect();
    let within = |max| rounds.iter().filter(|round| round.is_some_and(|round| round <= max)).count();
    let figures =
        json!({ "shown": rounds.len(), "found_in_one_round": within(1), "found_in_two": within(2) });
    println!("{figures}");
    figures::keep("split-view", &figures);
    assert_eq!(
        within(2),
        rounds.len(),
        "{:?}",
        rounds.iter().position(|round| round.is_none_or(|it| it > 2))
    );
}
