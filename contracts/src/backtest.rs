//! Owns the backtest: what other rules would have made of what people did with the proposals of the past. It judges both
//! texts by the facts of today, so that whatever differs, differs by the rules.
//!
//! What is asked of a proposal is asked in the order of its life, and the first thing that is missing decides: hard rules,
//! sign-offs, count, signatures of guardians. When people acted is not asked, so that periods make no difference.

use std::{borrow::Cow, cmp::Reverse, sync::Arc};

use crate::{
    constitution::{Constitution, ConstitutionError, Track},
    electorate::Electorate,
    lifecycle,
    name::Line,
    proposal::{Proposal, Vote},
    quantity::TimeMs,
    reject::Reject,
    rules::{self, RuleId},
    stage::Stage,
    state::{Registry, State},
    tally::{self, TallyTest},
    transaction::{ProposalId, ReviewVerdict},
};

/// What came of judging the past by two texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backtest {
    /// Proposals that were judged.
    pub judged: usize,
    /// Those of which the texts say something else, the newest first.
    pub differing: Vec<Differing>,
}

/// A proposal that the texts decide differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Differing {
    /// Which.
    pub proposal: ProposalId,
    /// Its title.
    pub title: Line,
    /// Where it stands.
    pub stage: Stage,
    /// By the rules in force.
    pub in_force: Ruling,
    /// By the other ones.
    pub proposed: Ruling,
}

/// What rules make of a proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    /// On which track.
    pub track: Track,
    /// How far it comes.
    pub outcome: Outcome,
}

/// How far a proposal comes by what people did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The hard rules refuse it.
    Broken(Vec<RuleId>),
    /// Reviewers refuse it.
    Refused(Share),
    /// It lacks sign-offs.
    Unreviewed(Share),
    /// It goes on to the vote, which it never came to.
    Votable,
    /// These tests of the count do not hold.
    Defeated(Vec<TallyTest>),
    /// It lacks signatures of guardians.
    Uncosigned {
        /// Guardians.
        guardians: Share,
        /// Their organisations.
        organisations: Share,
    },
    /// It is approved.
    Approved,
}

/// How many there are of how many that it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// There are.
    pub have: usize,
    /// It takes.
    pub need: usize,
}

impl State {
    /// Judges the newest `last` decided proposals by the rules in force and by other ones. What was withdrawn or overtaken was
    /// not decided, and what judges an emergency is not anybody's proposal.
    ///
    /// # Errors
    /// The other rules could not be in force here.
    pub fn backtest(&self, proposed: &Constitution, last: usize) -> Result<Backtest, ConstitutionError> {
        proposed.check()?;
        proposed.check_reach(&self.registry().holders())?;
        let mut decided: Vec<&Proposal> =
            self.proposals().filter(|it| is_decided(it) && it.judges().is_none()).collect();
        decided.sort_unstable_by_key(|proposal| (Reverse(proposal.submitted_at), proposal.id));
        decided.truncate(last);
        let mut bench = [Bench::of(self.registry()), Bench::under(self.registry(), proposed)];
        let mut differing = Vec::new();
        for proposal in &decided {
            // Every track has parameters in rules that can be in force.
            let [Ok(in_force), Ok(proposed)] = bench.each_mut().map(|bench| bench.rule(proposal)) else {
                continue;
            };
            if in_force != proposed {
                let Proposal { id, stage, .. } = **proposal;
                let title = proposal.document.title.clone();
                differing.push(Differing { proposal: id, title, stage, in_force, proposed });
            }
        }
        Ok(Backtest { judged: decided.len(), differing })
    }
}

/// Rules with the facts of today.
struct Bench {
    registry: Registry,
    /// What decided the shares of the electorates that proposals have.
    in_force: Arc<Constitution>,
}

impl Bench {
    fn of(registry: &Registry) -> Self {
        Self { registry: registry.clone(), in_force: Arc::clone(&registry.constitution) }
    }

    fn under(registry: &Registry, rules: &Constitution) -> Self {
        let mut bench = Self::of(registry);
        bench.registry.constitution = Arc::new(rules.clone());
        bench.registry.derive();
        bench
    }

    fn rule(&mut self, proposal: &Proposal) -> Result<Ruling, Reject> {
        let track = self.registry.track_of(&proposal.document);
        let outcome = match self.before_vote(proposal, track)? {
            Some(ended) => ended,
            None => self.at_vote(proposal, track)?,
        };
        Ok(Ruling { track, outcome })
    }

    /// What ends it before it comes to the vote.
    fn before_vote(&self, proposal: &Proposal, track: Track) -> Result<Option<Outcome>, Reject> {
        let mut broken: Vec<RuleId> =
            rules::standing_findings(&proposal.document, &self.registry).iter().map(|it| it.rule).collect();
        broken.dedup();
        if !broken.is_empty() {
            return Ok(Some(Outcome::Broken(broken)));
        }
        let need = usize::from(self.registry.parameters(track)?.reviewers);
        let share = |verdict| Share { have: lifecycle::reviewing_organisations(proposal, verdict), need };
        let (refused, approved) = (share(ReviewVerdict::Refuse), share(ReviewVerdict::Approve));
        // Who spoke first is not kept, so that a refusal by as many as it takes goes before.
        Ok(if need > 0 && refused.have >= need {
            Some(Outcome::Refused(refused))
        } else if approved.have < need {
            Some(Outcome::Unreviewed(approved))
        } else if proposal.vote.opened == TimeMs::ZERO {
            Some(Outcome::Votable)
        } else {
            None
        })
    }

    fn at_vote(&mut self, proposal: &Proposal, track: Track) -> Result<Outcome, Reject> {
        let (vote, electorate) = self.vote(proposal, track)?;
        let cap = self.registry.constitution.organisation_cap;
        let mut parameters = self.registry.parameters(track)?;
        let mut count = tally::count(&vote, &electorate, &parameters.scheme, cap);
        if count.is_unseen() {
            parameters = self.registry.parameters(Track::Standard)?;
            count = tally::count(&vote, &electorate, &parameters.scheme, cap);
        }
        if !count.passes {
            let failing = count.tests.into_iter().filter(|test| !test.holds);
            return Ok(Outcome::Defeated(failing.collect()));
        }
        let Some(needed) = parameters.cosign else { return Ok(Outcome::Approved) };
        let guardians = Share { have: proposal.cosigned_by.len(), need: needed.guardians.into() };
        let organisations =
            Share { have: proposal.cosigning_organisations(), need: needed.organisations.into() };
        let is_met = needed.is_met_by(guardians.have, organisations.have);
        Ok(if is_met { Outcome::Approved } else { Outcome::Uncosigned { guardians, organisations } })
    }

    /// The ballots with the weights that they were cast with; where these rules weigh otherwise, with those of today's members.
    fn vote<'a>(
        &mut self,
        proposal: &'a Proposal,
        track: Track,
    ) -> Result<(Cow<'a, Vote>, Arc<Electorate>), Reject> {
        let (then, here) = (&self.in_force, &self.registry.constitution);
        let weighs_as_then = self.registry.parameters(track)?.weighing == proposal.parameters.weighing
            && here.member_cap == then.member_cap
            && here.delegation.cap == then.delegation.cap;
        if weighs_as_then {
            return Ok((Cow::Borrowed(&proposal.vote), Arc::clone(&proposal.electorate)));
        }
        let (electorate, _) = self.registry.electorate(track)?;
        Ok((Cow::Owned(proposal.vote.cast_among(&electorate)), electorate))
    }
}

/// Whether people have had their say about it.
const fn is_decided(proposal: &Proposal) -> bool {
    !matches!(
        proposal.stage,
        Stage::Submitted
            | Stage::Review
            | Stage::Voting
            | Stage::Confirming
            | Stage::Cancelled
            | Stage::Superseded
    )
}

#[cfg(test)]
mod tests;
