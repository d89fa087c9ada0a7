//! Bonds and cooldowns that a state gets wrong.

use std::sync::Arc;

use super::{
    planted::{Scene, ballots},
    weight::lent,
};
use crate::{invariant::Invariant, quantity::BondPoints, testing::member, transaction::ProposalId};

fn change_bond(scene: &mut Scene, points: Option<u32>) {
    let id: ProposalId = scene.id;
    scene.after.tamper_with_members(|members| {
        let author = Arc::make_mut(members.get_mut(&member("acme/author")).unwrap());
        match points {
            Some(points) => drop(author.bonds.held.insert(id, BondPoints::new(points))),
            None => drop(author.bonds.held.remove(&id)),
        }
    });
}

#[test]
fn g7_notices_more_points_than_an_account_has() {
    ballots().notices(Invariant::Budgets, |scene| change_bond(scene, Some(101)), "101 points");
}

#[test]
fn g7_notices_what_is_opened_without_a_bond_where_bonds_are_asked_for() {
    let takes_it = |scene: &mut Scene| {
        let id = scene.id;
        scene.after.tamper_with_members(|members| {
            let author = Arc::make_mut(members.get_mut(&member("cedar/author")).unwrap());
            author.bonds.held.remove(&id);
        });
    };
    lent().notices(Invariant::Budgets, takes_it, "cedar/author has a proposal open without a bond");
    lent().holds(Invariant::Budgets, |scene| {
        takes_it(scene);
        scene.after.tamper_with_rules(|rules| rules.bonds.base = BondPoints::ZERO);
    });
    // What was open before without one stays so.
    ballots().holds(Invariant::Budgets, |scene| change_bond(scene, None));
}

#[test]
fn g7_asks_nothing_of_an_author_whom_the_ledger_does_not_know() {
    ballots().holds(Invariant::Budgets, |scene| {
        let id = scene.id;
        scene.after.tamper(id, |proposal| proposal.author = member("acme/nobody"));
    });
}

#[test]
fn g7_notices_a_bond_for_what_is_not_open() {
    let plant = |scene: &mut Scene| {
        change_bond(scene, Some(2));
        let id = scene.id;
        scene.after.tamper(id, |proposal| proposal.stage = crate::stage::Stage::Auditing);
        change_bond(scene, Some(2));
    };
    ballots().notices(Invariant::Budgets, plant, "which is not open");
}
