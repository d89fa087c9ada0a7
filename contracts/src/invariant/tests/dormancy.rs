//! Dormancy that a state gets wrong.

use std::sync::Arc;

use super::planted::{Scene, ballots};
use crate::{
    act::Act, digest::Digest, emergency::EmergencyId, event::Event, invariant::Invariant, quantity::TimeMs,
};

#[test]
fn g12_notices_an_end_of_dormancy_without_an_event_and_a_submission_in_it() {
    let falls = |scene: &mut Scene| scene.after.tamper_with_dormancy();
    ballots().notices(Invariant::Reachable, falls, "and no event says why");
    let submits = |scene: &mut Scene| {
        scene.before.tamper_with_dormancy();
        scene.after.tamper_with_dormancy();
        let proposal = scene.after.proposal(scene.id).unwrap();
        let (proposal, author) = (proposal.id, proposal.author.clone());
        let (revision, plan_hash) = (crate::quantity::Revision::new(1), crate::digest::Digest::ZERO);
        scene.events.push(Event::Submitted { proposal, author, revision, plan_hash });
    };
    ballots().notices(Invariant::Reachable, submits, "it is submitted while governance is dormant");
    let judges = |scene: &mut Scene| {
        submits(scene);
        let emergency = EmergencyId::from_digest(Digest::ZERO);
        let id = scene.id;
        scene.after.tamper(id, |proposal| {
            Arc::make_mut(&mut proposal.document).acts = vec![Act::Ratify { emergency }];
        });
    };
    ballots().holds(Invariant::Reachable, judges);
}

#[test]
fn g12_lets_governance_fall_dormant_and_awaken_with_their_events() {
    let fell = |scene: &mut Scene| scene.events.push(Event::Dormant { proposal: scene.id, votes: 3 });
    let awoke = |scene: &mut Scene| scene.events.push(Event::Awake { proposal: scene.id });
    ballots().holds(Invariant::Reachable, |scene| {
        scene.after.tamper_with_dormancy();
        fell(scene);
    });
    ballots().notices(Invariant::Reachable, |scene| scene.before.tamper_with_dormancy(), "no event says why");
    ballots().holds(Invariant::Reachable, |scene| {
        scene.before.tamper_with_dormancy();
        awoke(scene);
    });
    // It awakens and falls dormant again in one block.
    ballots().holds(Invariant::Reachable, |scene| {
        scene.before.tamper_with_dormancy();
        scene.after.registry_mut().dormancy.since = Some(TimeMs::new(2));
        awoke(scene);
        fell(scene);
    });
}
