//! Dormancy that a state gets wrong.

use super::planted::{Scene, ballots};
use crate::{event::Event, invariant::Invariant};

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
}
