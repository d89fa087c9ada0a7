//! Owns review: sign-offs and refusals by organisations other than the author's.

use std::collections::BTreeSet;

use crate::{
    digest::Digest,
    event::Event,
    expiry::Expiring,
    lifecycle::{Cast, ballot},
    name::{Line, MemberId},
    proposal::Proposal,
    quantity::Revision,
    reject::Reject,
    stage::Stage,
    transaction::ReviewVerdict,
};

/// Opens the review; a track that asks for no sign-off goes on to the vote at once.
pub(super) fn open(cast: &mut Cast<'_>) {
    cast.go(Stage::Review, "the hard rules hold");
    if cast.proposal.parameters.reviewers == 0 {
        ballot::open(cast, "its track needs no sign-off");
        return;
    }
    cast.wait_for(cast.proposal.parameters.review);
    cast.warn_of_deadline(Expiring::Review { proposal: cast.proposal.id });
}

/// Takes one reviewer's verdict.
pub(super) fn review(
    cast: &mut Cast<'_>,
    sender: &MemberId,
    edition: (Revision, Digest),
    verdict: ReviewVerdict,
    reason: &Line,
) -> Result<(), Reject> {
    cast.proposal.check_edition(edition)?;
    cast.check_other_organisation(sender)?;
    if cast.proposal.reviews.contains_key(sender) {
        return Err(Reject::AlreadyDone { member: sender.clone() });
    }
    cast.proposal.reviews.insert(sender.clone(), verdict);
    let (proposal, reviewer) = (cast.proposal.id, sender.clone());
    cast.events.push(Event::Reviewed { proposal, reviewer, verdict, reason: reason.clone() });
    let needed = usize::from(cast.proposal.parameters.reviewers);
    if organisations(cast.proposal, ReviewVerdict::Refuse) >= needed {
        cast.go(Stage::Rejected, &format!("refused by {sender}: {reason}"));
    } else if organisations(cast.proposal, ReviewVerdict::Approve) >= needed {
        ballot::open(cast, "signed off by enough organisations");
    }
    Ok(())
}

/// Nobody signed it off in time.
#[expect(clippy::unnecessary_wraps, reason = "every arm of the table has one shape")]
pub(super) fn expire(cast: &mut Cast<'_>) -> Result<(), Reject> {
    cast.go(Stage::Expired, "it was not signed off within the review period");
    Ok(())
}

/// From how many organisations a verdict was given.
pub(crate) fn organisations(proposal: &Proposal, verdict: ReviewVerdict) -> usize {
    let given = proposal.reviews.iter().filter(|(_, given)| **given == verdict);
    given.map(|(member, _)| member.org_str()).collect::<BTreeSet<_>>().len()
}
