//! Owns how a vote is shown: every ballot, the count and each test with its figures.

use std::collections::BTreeMap;

use althing_contracts::{
    name::MemberId,
    proposal::Proposal,
    tally::{TallyReport, TallyTest},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The vote on the current revision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VoteView {
    /// Which proposal.
    pub proposal: String,
    /// Which revision.
    pub revision: u32,
    /// When it began; absent before it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub opened_ms: Option<u64>,
    /// When it ends, extensions included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closes_ms: Option<u64>,
    /// Ballots by voter.
    pub ballots: Vec<BallotView>,
    /// The count as it stands; absent before the vote began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tally: Option<TallyView>,
}

/// One ballot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BallotView {
    /// Who.
    pub voter: String,
    /// `for`, `against` or `abstain`.
    pub choice: String,
    /// What it counts for, with what others have entrusted to the voter, under the caps of delegates and members.
    pub weight: u64,
    /// The voters who are heard through it because they cast none of their own.
    pub speaks_for: Vec<String>,
}

/// A count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TallyView {
    /// Whether all tests hold.
    pub passes: bool,
    /// Weight for, after caps.
    pub weight_for: u64,
    /// Weight against, after caps.
    pub weight_against: u64,
    /// Weight of abstentions, after caps.
    pub weight_abstain: u64,
    /// Each test with its figures.
    pub tests: Vec<TestView>,
}

/// One test of a count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TestView {
    /// Which: `turnout`, `approval`, `organisations`, `acknowledgement` or `objection`.
    pub kind: String,
    /// What counted towards it.
    pub part: u64,
    /// Of how much.
    pub whole: u64,
    /// What was asked, for example `at least 2/5` or `more than 1/2`.
    pub threshold: String,
    /// Whether it holds.
    pub holds: bool,
}

impl VoteView {
    /// Shows the vote of a proposal.
    pub fn new(proposal: &Proposal) -> Self {
        let vote = &proposal.vote;
        let begun = vote.closes.get() > 0;
        let electorate = &proposal.electorate;
        let weight_of = |voter| electorate.ballot(voter, vote.entrusted(voter, electorate)).sum().get();
        let mut heard: BTreeMap<&MemberId, Vec<String>> = BTreeMap::new();
        for voter in electorate.delegates.keys() {
            if let Some(speaker) = vote.speaker(voter, electorate).filter(|speaker| *speaker != voter) {
                heard.entry(speaker).or_default().push(voter.to_string());
            }
        }
        let ballots = vote.ballots.iter().map(|(voter, choice)| BallotView {
            voter: voter.to_string(),
            choice: super::kebab(choice),
            weight: weight_of(voter),
            speaks_for: heard.get(voter).cloned().unwrap_or_default(),
        });
        Self {
            proposal: proposal.id.to_string(),
            revision: proposal.revision.get(),
            opened_ms: begun.then(|| vote.opened.get()),
            closes_ms: begun.then(|| vote.closes.get()),
            ballots: ballots.collect(),
            tally: begun.then(|| TallyView::from(&proposal.count())),
        }
    }
}

impl From<&TallyReport> for TallyView {
    fn from(report: &TallyReport) -> Self {
        Self {
            passes: report.passes,
            weight_for: report.weight_for.get(),
            weight_against: report.weight_against.get(),
            weight_abstain: report.weight_abstain.get(),
            tests: report.tests.iter().map(TestView::from).collect(),
        }
    }
}

impl From<&TallyTest> for TestView {
    fn from(test: &TallyTest) -> Self {
        Self {
            kind: super::kebab(&test.kind),
            part: test.part,
            whole: test.whole,
            threshold: test.threshold.to_string(),
            holds: test.holds,
        }
    }
}
