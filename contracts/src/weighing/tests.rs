//! Ways to weigh: what each yields, and what nobody gains by.
#![expect(clippy::arithmetic_side_effects, reason = "sums of a few small numbers, which a test may stop at")]

use proptest::prelude::*;

use super::*;
use crate::{parties::WEIGHT_MAX, testing::member};

fn tokens(of: &[(&str, u64)]) -> Tokens {
    of.iter().map(|(voter, weight)| (member(voter), Weight::new(*weight))).collect()
}

fn weights(weighing: Weighing, of: &[(&str, u64)]) -> Vec<u64> {
    weighing.weigh(&tokens(of)).values().map(|weight| weight.get()).collect()
}

const UNEQUAL: [(&str, u64); 4] = [("acme/a", 900), ("acme/b", 100), ("birch/c", 10), ("cedar/d", 90)];

#[test]
fn by_tokens_a_voter_weighs_what_it_is_registered_with() {
    assert_eq!(weights(Weighing::Tokens, &UNEQUAL), [900, 100, 10, 90]);
}

#[test]
fn one_per_organisation_gives_each_the_same_and_its_voters_their_part() {
    let whole = WEIGHT_MAX.get();
    assert_eq!(weights(Weighing::OnePerOrganisation, &UNEQUAL), [whole * 9 / 10, whole / 10, whole, whole]);
}

#[test]
fn quadratic_takes_the_root_of_an_organisation_in_thousandths() {
    assert_eq!(
        weights(Weighing::Quadratic, &[("acme/a", 1), ("birch/b", 4), ("cedar/c", 2)]),
        [1_000, 2_000, 1_414]
    );
    assert_eq!(
        weights(Weighing::Quadratic, &[("acme/a", 300), ("acme/b", 100)]),
        [15_000, 5_000],
        "the root of 400"
    );
}

#[test]
fn the_largest_mesh_stays_inside_the_range() {
    let all =
        (0..100).flat_map(|org| (0..100).map(move |n| (member(&format!("org-{org}/v{n}")), WEIGHT_MAX)));
    let all: Tokens = all.collect();
    for weighing in Weighing::ALL {
        let sum: u128 = weighing.weigh(&all).values().map(|weight| u128::from(weight.get())).sum();
        assert!(sum <= 10_000 * u128::from(WEIGHT_MAX.get()), "{weighing:?}: {sum}");
    }
}

/// Splits what the first organisation's voters are registered with over as many voters as there are parts.
fn split(parts: &[u64]) -> Tokens {
    let parts = parts.iter().enumerate().map(|(n, part)| (member(&format!("acme/v{n}")), Weight::new(*part)));
    parts.chain([(member("birch/b"), Weight::new(500))]).collect()
}

fn sum_of(weights: &BTreeMap<MemberId, Weight>, org: &str) -> u64 {
    weights.iter().filter(|(id, _)| id.org_str() == org).map(|(_, weight)| weight.get()).sum()
}

proptest! {
    #[test]
    fn a23_no_organisation_gains_by_spreading_its_tokens_over_more_members(
        parts in proptest::collection::vec(1_u64..1_000_000, 1..9),
    ) {
        let whole = split(&[parts.iter().sum()]);
        for weighing in Weighing::ALL {
            let (one, more) = (weighing.weigh(&whole), weighing.weigh(&split(&parts)));
            prop_assert!(sum_of(&more, "acme") <= sum_of(&one, "acme"));
            prop_assert!(sum_of(&more, "acme") + 9 > sum_of(&one, "acme"), "rounding takes less than one a voter");
            prop_assert_eq!(sum_of(&more, "birch"), sum_of(&one, "birch"));
        }
    }

    #[test]
    fn more_tokens_never_weigh_less(few in 1_u64..1_000_000, more in 0_u64..1_000_000) {
        for weighing in Weighing::ALL {
            let of = |tokens| sum_of(&weighing.weigh(&split(&[tokens])), "acme");
            prop_assert!(of(few) <= of(few + more));
        }
    }
}
