//! Duties: who may not do what, however it is signed.

use super::*;

#[test]
fn g8_a_review_by_the_authors_organisation_is_noticed() {
    let own = executed().broken(|events| {
        for event in events {
            if let Event::Reviewed { reviewer, .. } = event {
                *reviewer = MemberId::new("acme/guardian").unwrap();
            }
        }
    });
    assert_eq!(own, [Invariant::Duties]);
}

#[test]
fn g8_an_auditor_who_does_anything_but_attest_is_noticed() {
    let mut life = executed();
    let call = Call::Cancel { proposal: ProposalId::from_digest(Digest::ZERO), reason: line("no") };
    let transaction = life.world.verified("acme/auditor", Role::Auditor, call);
    life.seen.last_mut().unwrap().transactions = vec![transaction];
    let found: Vec<_> = life.judged().into_iter().map(|violation| violation.to_string()).collect();
    assert_eq!(
        found,
        ["G8 does not hold at height 14: acme/auditor acts as auditor on what is not its role's"]
    );
}
