//! G12: governance falls dormant with as many quiet votes in a row as the rules say, takes nothing but the least while it is,
//! and awakens by a decision in which enough took part. Counted from the events alone.

use super::{Found, Trail, ensure};
use crate::{
    constitution::Track,
    dormancy,
    event::Event,
    invariant::{Invariant, View},
    stage::Stage,
    tally::{TallyReport, TallyTestKind},
    transaction::ProposalId,
};

const G12: Invariant = Invariant::Reachable;

/// How much the members took part so far.
#[derive(Debug, Clone, Default)]
pub(super) struct Turnouts {
    quiet: u16,
    is_dormant: bool,
    /// The vote with which governance has to fall dormant in this block.
    due: Option<ProposalId>,
}

impl Turnouts {
    /// Judges one event.
    pub(super) fn check(&self, trail: &Trail, block: &View<'_>, event: &Event) -> Result<(), Found> {
        match event {
            Event::Submitted { proposal, .. } if self.is_dormant => {
                let Some(held) = block.after.proposal(*proposal) else { return Ok(()) };
                let is_least = matches!(held.track, Track::Routine | Track::Emergency);
                ensure(is_least || dormancy::is_awakening(&held.document), G12, *proposal, || {
                    format!("it is submitted to the {} track while governance is dormant", held.track)
                })
            }
            Event::Dormant { proposal, votes } => {
                let is_due = self.due == Some(*proposal) && *votes == self.quiet;
                ensure(is_due, G12, *proposal, || {
                    format!("governance falls dormant after {votes} quiet votes, by {} of them", self.quiet)
                })
            }
            Event::Awake { proposal } => {
                let last = trail.proposals().get(proposal).and_then(|it| it.tally.as_ref());
                let is_there = last.and_then(|tally| is_quiet(trail, tally)) == Some(false);
                ensure(self.is_dormant && is_there, G12, *proposal, || {
                    "governance awakens without a decision in which enough took part".to_owned()
                })
            }
            _ => Ok(()),
        }
    }

    /// Judges the end of a block.
    pub(super) fn check_end(&mut self) -> Result<(), Found> {
        match self.due.take() {
            Some(id) => ensure(false, G12, id, || "governance does not fall dormant with it".to_owned()),
            None => Ok(()),
        }
    }

    /// Adds an event of a block.
    pub(super) fn push(&mut self, trail: &Trail, event: &Event) {
        match event {
            Event::StageChanged {
                proposal,
                from: Stage::Voting,
                to: Stage::Confirming | Stage::Defeated,
                ..
            } => {
                let last = trail.proposals().get(proposal).and_then(|it| it.tally.as_ref());
                match last.and_then(|tally| is_quiet(trail, tally)) {
                    Some(true) => self.quiet = self.quiet.saturating_add(1).min(dormancy::VOTES_MAX),
                    Some(false) => self.quiet = 0,
                    None => return,
                }
                let most = trail.constitution().map_or(u16::MAX, |rules| rules.dormancy.votes);
                if !self.is_dormant && self.quiet >= most {
                    self.due = Some(*proposal);
                }
            }
            Event::Dormant { .. } => (self.is_dormant, self.due) = (true, None),
            Event::Awake { .. } => *self = Self::default(),
            _ => {}
        }
    }
}

/// Whether fewer than the floor took part; `None` when the vote has no test of it.
fn is_quiet(trail: &Trail, tally: &TallyReport) -> Option<bool> {
    let floor = trail.constitution()?.dormancy.floor;
    let turnout = tally.tests.iter().find(|test| test.kind == TallyTestKind::Turnout)?;
    Some(!floor.is_reached_by(turnout.part, turnout.whole))
}
