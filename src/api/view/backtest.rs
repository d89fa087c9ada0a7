//! Owns what a backtest is asked for and how it is told: each proposal that other rules decide differently.

use althing_contracts::{
    backtest::{Backtest, Differing, Outcome, Ruling, Share},
    constitution::Constitution,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::problem::Problem;

/// Most proposals that one request has judged.
pub const LAST_MAX: usize = 1_000;

/// Other rules, and how far back they are tried.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BacktestRequest {
    /// Every parameter, in the form of `[constitution]` of a genesis document.
    #[schema(value_type = Object)]
    pub constitution: Constitution,
    /// How many decided proposals are judged, the newest first; 1 to 1,000.
    #[schema(minimum = 1, maximum = 1_000)]
    pub last: usize,
}

/// What the rules in force and other ones make of past proposals.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BacktestView {
    /// Proposals that were judged.
    pub judged: usize,
    /// Those that are decided differently, the newest first.
    pub differing: Vec<DifferingView>,
}

/// A proposal that is decided differently.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DifferingView {
    /// Which.
    pub proposal: String,
    /// Its title.
    pub title: String,
    /// Where it stands.
    pub stage: String,
    /// By the rules in force.
    pub in_force: RulingView,
    /// By the other ones.
    pub proposed: RulingView,
}

/// What rules make of a proposal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RulingView {
    /// On which track.
    pub track: String,
    /// `broken`, `refused`, `unreviewed`, `votable`, `defeated`, `uncosigned` or `approved`.
    pub outcome: String,
    /// What decides, in words; empty when it is approved.
    pub detail: String,
}

impl BacktestRequest {
    /// How many are judged.
    pub fn last(&self) -> Result<usize, Problem> {
        if (1..=LAST_MAX).contains(&self.last) {
            return Ok(self.last);
        }
        let detail = format!("last is {}; 1 to {LAST_MAX} proposals can be judged", self.last);
        Err(Problem::bad_request("last", detail).at("last"))
    }
}

impl BacktestView {
    /// Tells a backtest.
    pub fn new(backtest: &Backtest) -> Self {
        let differing = backtest.differing.iter().map(|it| {
            let Differing { proposal, title, stage, in_force, proposed } = it;
            DifferingView {
                proposal: proposal.to_string(),
                title: title.to_string(),
                stage: stage.name().to_owned(),
                in_force: RulingView::new(in_force),
                proposed: RulingView::new(proposed),
            }
        });
        Self { judged: backtest.judged, differing: differing.collect() }
    }
}

impl RulingView {
    fn new(ruling: &Ruling) -> Self {
        let (outcome, detail) = match &ruling.outcome {
            Outcome::Broken(rules) => {
                ("broken", rules.iter().map(super::kebab).collect::<Vec<_>>().join(", "))
            }
            Outcome::Refused(Share { have, need }) => {
                ("refused", format!("reviewers of {have} organisations refuse it, {need} are enough"))
            }
            Outcome::Unreviewed(signed) => {
                ("unreviewed", format!("signed off by {}", organisations(*signed)))
            }
            Outcome::Votable => ("votable", "it goes on to a vote, which was never held".to_owned()),
            Outcome::Defeated(tests) => {
                let test = |test: &althing_contracts::tally::TallyTest| {
                    format!("{} {} of {}, needs {}", test.kind, test.part, test.whole, test.need())
                };
                ("defeated", tests.iter().map(test).collect::<Vec<_>>().join("; "))
            }
            Outcome::Uncosigned { guardians, organisations: orgs } => {
                let Share { have, need } = guardians;
                ("uncosigned", format!("{have} guardians of {need} signed, of {}", organisations(*orgs)))
            }
            Outcome::Approved => ("approved", String::new()),
        };
        Self { track: ruling.track.to_string(), outcome: outcome.to_owned(), detail }
    }
}

fn organisations(share: Share) -> String {
    format!("{} organisations of {}", share.have, share.need)
}
