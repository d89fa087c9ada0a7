//! Owns whether governance is dormant: what each vote says about it, what it refuses, and its end.

use crate::{
    document::ProposalDocument,
    dormancy::{Dormancy, may_be_submitted},
    event::Event,
    proposal::Proposal,
    quantity::TimeMs,
    reject::Reject,
    state::{Registry, State},
    transaction::ProposalId,
};

impl State {
    /// Since when governance is dormant, if it is.
    #[must_use]
    pub const fn dormant_since(&self) -> Option<TimeMs> {
        self.registry.dormancy.since
    }

    /// Votes since the last one in which enough took part.
    #[must_use]
    pub const fn quiet_votes(&self) -> u16 {
        self.registry.dormancy.quiet
    }
}

impl Registry {
    /// Refuses what waits for enough voters to be there again.
    pub(crate) fn check_awake(&self, document: &ProposalDocument) -> Result<(), Reject> {
        match self.dormancy.since {
            Some(since) if !may_be_submitted(document, self.track_of(document)) => {
                Err(Reject::Dormant { since })
            }
            _ => Ok(()),
        }
    }

    /// A vote is over.
    pub(crate) fn note_turnout(&mut self, proposal: &Proposal, events: &mut Vec<Event>) {
        let Some(tally) = &proposal.vote.tally else { return };
        let before = self.dormancy;
        self.dormancy = before.and_vote(tally, self.constitution.dormancy, self.time);
        if before.since.is_none() && self.dormancy.since.is_some() {
            events.push(Event::Dormant { proposal: proposal.id, votes: self.dormancy.quiet });
        }
    }

    /// Enough voters have decided that they are there.
    pub(crate) fn awaken(&mut self, proposal: ProposalId, events: &mut Vec<Event>) {
        self.dormancy = Dormancy::default();
        events.push(Event::Awake { proposal });
    }
}
