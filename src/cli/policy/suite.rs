//! Owns tests of a constitution: given who takes part, when somebody asks for a change and people act so, then it goes so. What
//! is judged is what the rules do, by a rehearsal; nothing here knows a rule.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use althing_contracts::{
    act::Act,
    constitution::{Constitution, Track},
    document::{ProposalDocument, StepDocument},
    genesis::{TargetRecord, Tier},
    name::{OrgId, TargetId},
    quantity::{AmountMilli, TimeMs},
    rehearsal::{Rehearsal, Script},
    role::Role,
    state::State,
    transaction::Choice,
};
use serde::{Deserialize, Serialize};

use super::overlay;
use crate::cli::{
    document,
    failure::{Exit, Failure, Outcome},
    output::{Render, table},
    trial::{self, member, named},
};

/// A file of tests.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Suite {
    /// What differs from the default constitution, beside this file; the default itself when absent.
    rules: Option<PathBuf>,
    given: Given,
    #[serde(rename = "test")]
    tests: Vec<Case>,
}

/// Who takes part.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    /// Organisations with the weight of their voter. Each has an author, a reviewer, a voter, an executor, a guardian and the
    /// target `ORG-site`; the first one has an auditor too.
    organisations: BTreeMap<OrgId, u64>,
    /// How much depends on the targets.
    #[serde(default = "medium")]
    tier: Tier,
}

const fn medium() -> Tier {
    Tier::Medium
}

/// One test.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    when: When,
    then: Then,
}

/// What is asked for, and who does not do as wished.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct When {
    /// The organisation whose author asks.
    author: OrgId,
    /// Organisations on whose targets a service is deployed; the first is the canary.
    #[serde(default)]
    deploy: Vec<OrgId>,
    /// What differs in a constitution that is asked for instead.
    amend: Option<toml::Table>,
    /// Cost a month in thousandths.
    #[serde(default)]
    cost_milli: u64,
    #[serde(default)]
    against: BTreeSet<OrgId>,
    #[serde(default)]
    abstain: BTreeSet<OrgId>,
    #[serde(default)]
    absent: BTreeSet<OrgId>,
    #[serde(default)]
    refuse: BTreeSet<OrgId>,
    #[serde(default)]
    unsigned: bool,
    failing_step: Option<u16>,
    unhealthy_stage: Option<u8>,
}

/// How it has to go; what is not said may be as it is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Then {
    track: Option<Track>,
    /// Where it ends, for example `closed` or `defeated`.
    stage: Option<String>,
    /// How its execution ends, for example `executed` or `rolled-back`.
    ended: Option<String>,
    /// The hard rule that refuses it.
    rule: Option<String>,
    /// Least time from the submission to the end, when everybody acts at once, in hours.
    hours_min: Option<u64>,
    /// Most.
    hours_max: Option<u64>,
}

/// What came of all tests.
#[derive(Debug, Serialize)]
pub(super) struct Results(Vec<Verdict>);

/// What came of one.
#[derive(Debug, Serialize)]
struct Verdict {
    test: String,
    holds: bool,
    /// What is other than it has to be; empty when it holds.
    found: Vec<String>,
}

/// Runs the tests of a file.
///
/// # Errors
/// The file or its rules cannot be used, or a test asks for what the mesh does not have.
pub(super) fn run(file: &Path) -> Outcome<Results> {
    let whose = file.display().to_string();
    let suite: Suite = document::read_as(file, "docs/constitution.md shows a file of tests")?;
    let base = Constitution::default_genesis().fitted_to(suite.given.organisations.len());
    let rules = match &suite.rules {
        Some(rules) => {
            let rules = file.parent().unwrap_or(Path::new("")).join(rules);
            overlay::lay(&base, &overlay::read(&rules)?, &rules.display().to_string())?
        }
        None => base,
    };
    let state = trial::mesh(&whose, rules, &suite.given.organisations, suite.given.targets()?)?;
    let verdicts = suite.tests.iter().map(|case| case.judge(&state, &whose));
    Ok(Results(verdicts.collect::<Outcome<_>>()?))
}

impl Results {
    /// How many do not hold.
    pub(super) fn broken(&self) -> usize {
        self.0.iter().filter(|verdict| !verdict.holds).count()
    }
}

impl Given {
    fn targets(&self) -> Outcome<BTreeMap<TargetId, TargetRecord>> {
        let target = |org: &OrgId| {
            let record = TargetRecord {
                owner: org.clone(),
                provider: named("local")?,
                jurisdiction: named("eu")?,
                tier: self.tier,
                endpoints: Vec::new(),
                executors: BTreeSet::from([member(org, Role::Executor)?]),
            };
            Ok((site(org)?, record))
        };
        self.organisations.keys().map(target).collect()
    }
}

impl Case {
    fn judge(&self, state: &State, whose: &str) -> Outcome<Verdict> {
        let refused =
            |error: String| Failure::new(Exit::Usage, format!("{whose}: test `{}`: {error}", self.name));
        let document = self.when.document(state, whose)?;
        let script = self.when.script(state)?;
        let rehearsal = state.rehearse(&document, &script).map_err(|reject| refused(reject.to_string()))?;
        let found = self.then.compare(state, &document, &rehearsal);
        Ok(Verdict { test: self.name.clone(), holds: found.is_empty(), found })
    }
}

impl When {
    fn document(&self, state: &State, whose: &str) -> Outcome<ProposalDocument> {
        let stages = self
            .deploy
            .iter()
            .map(|org| Ok(vec![StepDocument { target: site(org)?, action: trial::deployment()? }]));
        let mut document = trial::change(state, stages.collect::<Outcome<_>>()?)?;
        document.cost.monthly_milli = AmountMilli::new(self.cost_milli);
        if let Some(amend) = &self.amend {
            let mut constitution = overlay::lay(state.constitution(), amend, whose)?;
            constitution.version = state.constitution().version.saturating_add(1);
            let acts = vec![Act::Amend { constitution: Box::new(constitution) }];
            let ProposalDocument { title, reason, cost, .. } = document;
            return Ok(ProposalDocument { cost, ..ProposalDocument::of_acts(title, reason, acts) });
        }
        Ok(document)
    }

    fn script(&self, state: &State) -> Outcome<Script> {
        let author = member(&self.author, Role::Author)?;
        let mut script = Script {
            refusing: self.refuse.clone(),
            unsigned: self.unsigned,
            failing_step: self.failing_step,
            unhealthy_stage: self.unhealthy_stage,
            ..Script::of(author)
        };
        let said = [
            (&self.against, Some(Choice::Against)),
            (&self.abstain, Some(Choice::Abstain)),
            (&self.absent, None),
        ];
        for (orgs, choice) in said {
            for org in orgs {
                let voter = member(org, Role::Voter)?;
                if state.member(&voter).is_none() {
                    let detail = format!("{org} is no organisation of the given mesh");
                    return Err(Failure::new(Exit::Usage, detail));
                }
                script.ballots.insert(voter, choice);
            }
        }
        Ok(script)
    }
}

impl Then {
    fn compare(&self, state: &State, document: &ProposalDocument, rehearsal: &Rehearsal) -> Vec<String> {
        let mut found = Vec::new();
        let mut expect = |what: &str, wanted: Option<String>, is: String| {
            if let Some(wanted) = wanted.filter(|wanted| *wanted != is) {
                found.push(format!("{what} is {is}, not {wanted}"));
            }
        };
        let track = state.track_of(document);
        expect("the track", self.track.map(|track| track.to_string()), track.to_string());
        expect("the end", self.stage.clone(), rehearsal.stage.name().to_owned());
        let ended = rehearsal.ended.map_or_else(|| "none".to_owned(), |stage| stage.name().to_owned());
        expect("the end of its execution", self.ended.clone(), ended);
        let findings = state.findings(document);
        let rules: Vec<String> =
            findings.iter().map(|finding| crate::api::view::kebab(&finding.rule)).collect();
        if let Some(rule) = self.rule.as_ref().filter(|rule| !rules.contains(rule)) {
            found.push(format!("the hard rule {rule} does not refuse it; refused by: {}", rules.join(", ")));
        }
        let took = rehearsal.scenes.last().map(|scene| scene.after.get()).unwrap_or_default();
        let hours = |hours: u64| hours.saturating_mul(3_600_000);
        if let Some(least) = self.hours_min.filter(|least| took < hours(*least)) {
            found.push(format!("it takes {} h, less than {least}", took / 3_600_000));
        }
        if let Some(most) = self.hours_max.filter(|most| took > hours(*most)) {
            found.push(format!("it takes {} h, more than {most}", took / 3_600_000));
        }
        if !found.is_empty() {
            found.extend(findings.iter().map(|finding| finding.message.to_string()));
        }
        found
    }
}

fn site(org: &OrgId) -> Outcome<TargetId> {
    TargetId::new(&format!("{org}-site")).map_err(|error| Failure::new(Exit::EndedBadly, error.to_string()))
}

impl Render for Results {
    fn table(&self, _: TimeMs) -> String {
        let rows = self.0.iter().map(|verdict| {
            let holds = if verdict.holds { "holds" } else { "FAILS" };
            [holds.to_owned(), verdict.test.clone(), verdict.found.join("; ")]
        });
        table(["", "test", "found"], rows)
    }

    fn names(&self) -> Vec<String> {
        self.0.iter().filter(|verdict| !verdict.holds).map(|verdict| verdict.test.clone()).collect()
    }

    fn entries(&self) -> Option<Vec<serde_json::Value>> {
        let value = |verdict| serde_json::to_value(verdict).expect("views have only string keys");
        Some(self.0.iter().map(value).collect())
    }
}
