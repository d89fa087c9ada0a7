//! G7: what failed is not asked for again before its cooldown is over, and each open proposal has the bond that it needs: what
//! an author's proposals hold and what is lost for a time is never more than the account. Counted from the events alone.

use std::collections::{BTreeMap, BTreeSet};

use super::{Found, Trail, ensure};
use crate::{
    attempt::ContentId,
    constitution::Constitution,
    dormancy::is_awakening,
    event::Event,
    invariant::{Invariant, View},
    name::MemberId,
    proposal::Proposal,
    quantity::{BondPoints, DurationMs, TimeMs},
    stage::Stage,
    transaction::ProposalId,
};

const G7: Invariant = Invariant::Budgets;

/// What failed, and what stands for what is open.
#[derive(Debug, Clone, Default)]
pub(super) struct Attempts {
    failed: BTreeMap<ContentId, Failed>,
    held: BTreeMap<MemberId, BTreeMap<ProposalId, BondPoints>>,
    lost: BTreeMap<MemberId, Vec<(TimeMs, BondPoints)>>,
    /// The hard rules refused its last edition.
    ruled_out: BTreeSet<ProposalId>,
    /// How each proposal went last, while its end is not settled.
    moved: BTreeMap<ProposalId, (Stage, Stage)>,
    /// Failures in this block of which the ledger has not said so far how long they keep their content out.
    unsaid: BTreeSet<ProposalId>,
    /// What was submitted in this block.
    submitted: BTreeSet<ProposalId>,
}

#[derive(Debug, Clone, Copy)]
struct Failed {
    times: u8,
    until: TimeMs,
    forgotten: TimeMs,
}

impl Attempts {
    /// Judges one event.
    pub(super) fn check(&self, trail: &Trail, block: &View<'_>, event: &Event) -> Result<(), Found> {
        match event {
            Event::Submitted { proposal, .. } => self.check_submitted(block, *proposal),
            Event::CooldownBegan { proposal, content, failures, until } => {
                self.check_cooldown(trail, block, (*proposal, *content), (*failures, *until))
            }
            Event::BondHeld { proposal, author, points } => {
                self.check_held(trail, block, *proposal, (author, *points))
            }
            Event::BondSettled { proposal, author, points, lost_until } => {
                self.check_settled(trail, block, *proposal, (author, *points, *lost_until))
            }
            _ => Ok(()),
        }
    }

    /// Judges the end of a block: each failure was named, and what is open after it has its bond.
    pub(super) fn check_end(&mut self, trail: &Trail, block: &View<'_>) -> Result<(), Found> {
        if let Some(id) = std::mem::take(&mut self.unsaid).into_iter().next() {
            return ensure(false, G7, id, || "it failed and its content is not kept out".to_owned());
        }
        let submitted = std::mem::take(&mut self.submitted);
        let off = trail.constitution().is_none_or(|rules| rules.bonds.base == BondPoints::ZERO);
        let lacks = |id: &ProposalId| {
            let proposal = block.after.proposal(*id);
            // What changes the rules may be exempt.
            let needs = proposal.is_some_and(|it| it.is_open() && it.document.acts.is_empty());
            needs && !proposal.is_some_and(|it| self.bonds_of(&it.author).any(|(held, _)| held == id))
        };
        let lacking = submitted.into_iter().find(|id| !off && lacks(id));
        lacking.map_or(Ok(()), |id| ensure(false, G7, id, || "it is open without a bond".to_owned()))
    }

    /// Adds an event of a block.
    pub(super) fn push(&mut self, trail: &Trail, block: &View<'_>, event: &Event) {
        match event {
            Event::Submitted { proposal, .. } => {
                self.ruled_out.remove(proposal);
                self.submitted.insert(*proposal);
            }
            Event::RulesBroken { proposal, .. } => drop(self.ruled_out.insert(*proposal)),
            Event::StageChanged { proposal, from, to, .. } => {
                self.moved.insert(*proposal, (*from, *to));
                let is_judgement = block
                    .after
                    .proposal(*proposal)
                    .is_none_or(|it| it.judges().is_some() || is_awakening(&it.document));
                let refused = *to == Stage::Rejected && !self.ruled_out.contains(proposal);
                if !is_judgement
                    && (refused || matches!(to, Stage::Defeated | Stage::Vetoed | Stage::Expired))
                {
                    self.unsaid.insert(*proposal);
                }
            }
            Event::CooldownBegan { proposal, content, failures, until } => {
                self.unsaid.remove(proposal);
                let memory = trail.constitution().map_or(DurationMs::ZERO, |rules| rules.resubmission.memory);
                let forgotten = block.header.time.after(memory).max(*until);
                self.failed.insert(*content, Failed { times: *failures, until: *until, forgotten });
            }
            Event::BondHeld { proposal, author, points } => {
                self.held.entry(author.clone()).or_default().insert(*proposal, *points);
            }
            Event::BondSettled { proposal, author, points, lost_until } => {
                self.held.entry(author.clone()).or_default().remove(proposal);
                let time = block.header.time;
                let lost = self.lost.entry(author.clone()).or_default();
                lost.retain(|(until, _)| *until > time);
                lost.extend(lost_until.map(|until| (until, *points)));
                self.moved.remove(proposal);
            }
            _ => {}
        }
    }

    fn check_submitted(&self, block: &View<'_>, id: ProposalId) -> Result<(), Found> {
        let Some(proposal) = block.after.proposal(id).filter(|it| it.judges().is_none()) else {
            return Ok(());
        };
        let failed = self.failed.get(&ContentId::of(&proposal.document));
        let cooling = failed.filter(|failed| block.header.time < failed.until);
        ensure(cooling.is_none(), G7, id, || format!("what it asks for is kept out: {cooling:?}"))
    }

    /// A failure counts one more than the one before, as far as that is remembered, and keeps the content out so many times
    /// as long.
    fn check_cooldown(
        &self,
        trail: &Trail,
        block: &View<'_>,
        (id, content): (ProposalId, ContentId),
        (failures, until): (u8, TimeMs),
    ) -> Result<(), Found> {
        let time = block.header.time;
        ensure(self.unsaid.contains(&id), G7, id, || "its content is kept out without a failure".to_owned())?;
        let own = block.after.proposal(id).map(|proposal| ContentId::of(&proposal.document));
        ensure(own == Some(content), G7, id, || "another content than its own is kept out".to_owned())?;
        let before = self.failed.get(&content).filter(|failed| time < failed.forgotten);
        let most = trail.constitution().map_or(0, |rules| rules.resubmission.failures_max);
        let times = before.map_or(0, |failed| failed.times).saturating_add(1).min(most);
        let pinned = trail.proposals().get(&id).and_then(|trail| trail.parameters.as_ref());
        let cooldown = pinned.map(|parameters| parameters.cooldown.times(times.into()));
        let expected = cooldown.map(|cooldown| time.after(cooldown));
        let expected = expected.map(|until| before.map_or(until, |failed| failed.until.max(until)));
        ensure(failures == times && Some(until) == expected, G7, id, || {
            format!(
                "failure {failures} keeps its content out until {until}; it is failure {times}, {expected:?}"
            )
        })
    }

    /// A bond is what the rules ask for, and fits into what is free.
    fn check_held(
        &self,
        trail: &Trail,
        block: &View<'_>,
        id: ProposalId,
        (author, points): (&MemberId, BondPoints),
    ) -> Result<(), Found> {
        let Some((rules, proposal)) = trail.constitution().zip(block.after.proposal(id)) else {
            return ensure(false, G7, id, || "a bond is held for nothing".to_owned());
        };
        ensure(proposal.author == *author, G7, id, || format!("{author} gives a bond for it"))?;
        let others: Vec<BondPoints> =
            self.bonds_of(author).filter(|(held, _)| **held != id).map(|(_, points)| *points).collect();
        let price = self.price(rules, block, proposal, others.len());
        // Of two editions in one block the state shows the last.
        let is_edition =
            |event: &&Event| matches!(event, Event::Submitted { proposal, .. } if *proposal == id);
        let is_edited = block.events.iter().filter(is_edition).count() > 1;
        ensure(points == price || points == BondPoints::ZERO || is_edited, G7, id, || {
            format!("its bond is {points}, the rules ask for {price}")
        })?;
        let lost = self.lost.get(author).into_iter().flatten();
        let lost = lost.filter(|(until, _)| *until > block.header.time).map(|(_, points)| *points);
        let bound = others.into_iter().chain(lost).fold(points, BondPoints::saturating_add);
        ensure(bound <= rules.bonds.account, G7, id, || {
            format!("{bound} points of {author} are bound, of {}", rules.bonds.account)
        })
    }

    fn price(&self, rules: &Constitution, block: &View<'_>, proposal: &Proposal, open: usize) -> BondPoints {
        let failed = self.failed.get(&ContentId::of(&proposal.document));
        let times = failed.filter(|failed| block.header.time < failed.forgotten).map_or(0, |it| it.times);
        let open = u32::try_from(open).unwrap_or(u32::MAX);
        let times = u32::from(times.min(rules.resubmission.failures_max)).saturating_add(open);
        BondPoints::new(rules.bonds.base.get().saturating_mul(times.saturating_add(1)))
    }

    /// A bond is given back when its proposal has ended, later when it was voted down, vetoed, or withdrawn from its vote.
    fn check_settled(
        &self,
        trail: &Trail,
        block: &View<'_>,
        id: ProposalId,
        (author, points, lost_until): (&MemberId, BondPoints, Option<TimeMs>),
    ) -> Result<(), Found> {
        let held = self.bonds_of(author).find(|(held, _)| **held == id).map(|(_, points)| *points);
        ensure(held == Some(points), G7, id, || format!("{points} points are given back of {held:?}"))?;
        let moved = self.moved.get(&id).copied();
        let is_lost = match moved {
            Some((_, Stage::Defeated | Stage::Vetoed)) => true,
            Some((from, Stage::Cancelled)) => matches!(from, Stage::Voting | Stage::Confirming),
            _ => false,
        };
        let lost_for = trail.constitution().map(|rules| rules.bonds.lost_for);
        let expected = lost_for.filter(|_| is_lost).map(|lost_for| block.header.time.after(lost_for));
        ensure(lost_until == expected, G7, id, || {
            format!("after {moved:?} its bond comes back at {lost_until:?}, not at {expected:?}")
        })?;
        let is_over = trail
            .proposals()
            .get(&id)
            .and_then(|trail| trail.stage)
            .is_some_and(|stage| stage.is_terminal() || matches!(stage, Stage::Auditing));
        ensure(is_over, G7, id, || format!("its bond is given back after {moved:?}"))
    }

    fn bonds_of(&self, author: &MemberId) -> impl Iterator<Item = (&ProposalId, &BondPoints)> {
        self.held.get(author).into_iter().flatten()
    }
}
