//! Owns how each view is shown to people.

use althing_actors::auditor::bundle::{CertifiedSplit, NodeKeyUses, Report};
use althing_contracts::{
    document::Action,
    quantity::{DurationMs, TimeMs},
};

mod key;
mod mesh;
mod voice;

use super::{
    context::Contexts,
    output::{Render, fields, table},
    policy::Hindsight,
};
use crate::api::view::{
    act::{AcceptedView, BatchView},
    backtest::{BacktestView, RulingView},
    constitution::{ChangeView, ConstitutionView},
    execution::{ExecutionView, HealthView, StepView},
    node::{NodeView, PeerView},
    page::Page,
    plan::{FindingView, PlanReport, PlanView},
    proposal::{ProposalSummary, ProposalView},
    rehearsal::RehearsalView,
    time::{from_now, length, rfc3339},
    vote::{TestView, VoteView},
};

mod assess;
mod calendar;
mod emergency;
mod explain;

pub(super) use explain::figures;

/// The first digits of an id or hash, enough to name it.
pub(super) fn short(id: &str) -> String {
    let digits = id.split_once(':').map_or(id, |(_scheme, digits)| digits);
    digits.chars().take(8).collect()
}

fn at(time_ms: u64, now: TimeMs) -> String {
    let time = TimeMs::new(time_ms);
    format!("{} ({})", rfc3339(time), from_now(time, now))
}

fn near(time_ms: Option<u64>, now: TimeMs) -> String {
    time_ms.map_or_else(|| "-".to_owned(), |time_ms| from_now(TimeMs::new(time_ms), now))
}

fn yes_no(yes: bool) -> String {
    if yes { "yes" } else { "no" }.to_owned()
}

fn action(action: &Action) -> String {
    match action {
        Action::Deploy { service, version, instances, .. } => format!("{service} {version} x{instances}"),
        Action::Configure { file, version, .. } => format!("{file} {version}"),
        Action::Remove { resource } => format!("{resource} removed"),
    }
}

fn stage(summary: &ProposalSummary) -> String {
    match summary.rollout {
        Some(index) => format!("{} {index}", summary.stage),
        None => summary.stage.clone(),
    }
}

impl Render for Page<ProposalSummary> {
    fn table(&self, now: TimeMs) -> String {
        let rows = self.items.iter().map(|proposal| {
            [
                short(&proposal.id),
                stage(proposal),
                near(proposal.deadline_ms, now),
                proposal.track.clone(),
                proposal.author.clone(),
                proposal.title.clone(),
            ]
        });
        table(["id", "stage", "acts", "track", "author", "title"], rows)
    }

    fn names(&self) -> Vec<String> {
        self.items.iter().map(|proposal| proposal.id.clone()).collect()
    }

    fn entries(&self) -> Option<Vec<serde_json::Value>> {
        Some(values(&self.items))
    }
}

fn values<T: serde::Serialize>(items: &[T]) -> Vec<serde_json::Value> {
    items.iter().map(|item| serde_json::to_value(item).expect("views have only string keys")).collect()
}

fn summary(summary: &ProposalSummary, now: TimeMs) -> String {
    fields([
        ("proposal", Some(summary.id.clone())),
        ("title", Some(summary.title.clone())),
        ("author", Some(summary.author.clone())),
        ("track", Some(summary.track.clone())),
        ("revision", Some(summary.revision.to_string())),
        ("stage", Some(format!("{} since {}", stage(summary), at(summary.stage_since_ms, now)))),
        ("acts by", summary.deadline_ms.map(|time_ms| at(time_ms, now))),
        ("timelock", summary.eta_ms.map(|time_ms| at(time_ms, now))),
        ("plan hash", Some(summary.plan_hash.clone())),
    ])
}

fn findings(findings: &[FindingView]) -> String {
    let shown =
        findings.iter().map(|finding| ("refused", Some(format!("{}: {}", finding.rule, finding.message))));
    fields(shown)
}

impl Render for ProposalView {
    fn table(&self, now: TimeMs) -> String {
        let mut text = summary(&self.summary, now);
        text += &findings(&self.findings);
        for review in &self.reviews {
            text += &fields([("review", Some(format!("{} by {}", review.verdict, review.reviewer)))]);
        }
        for guardian in &self.cosigned_by {
            text += &fields([("co-signed", Some(format!("by {guardian}")))]);
        }
        for attestation in &self.attestations {
            let verdict = attestation.finding.as_deref().unwrap_or("sound");
            text += &fields([("audit", Some(format!("{verdict}, by {}", attestation.auditor)))]);
        }
        text += &fields([("possible", Some(self.allowed.join(", ")).filter(|text| !text.is_empty()))]);
        text + "\n" + &steps(&self.execution.steps)
    }

    fn names(&self) -> Vec<String> {
        vec![self.summary.id.clone()]
    }
}

impl Render for AcceptedView {
    fn table(&self, now: TimeMs) -> String {
        let mut text = summary(&self.proposal, now) + &findings(&self.findings);
        let repeated = if self.repeated { ", as it had been before" } else { "" };
        text += &fields([
            ("final at", Some(format!("height {}{repeated}", self.height))),
            ("transaction", Some(self.transaction.clone())),
        ]);
        text
    }

    fn names(&self) -> Vec<String> {
        vec![self.proposal.id.clone()]
    }
}

impl Render for BatchView {
    fn table(&self, now: TimeMs) -> String {
        let repeated = if self.repeated { ", as they had been before" } else { "" };
        let rows = self
            .proposals
            .iter()
            .map(|it| [short(&it.id), it.title.clone(), stage(it), near(it.deadline_ms, now)]);
        fields([
            ("final at", Some(format!("height {}{repeated}", self.height))),
            ("transaction", Some(self.transaction.clone())),
        ]) + "\n"
            + &table(["proposal", "title", "stage", "acts by"], rows)
    }

    fn names(&self) -> Vec<String> {
        self.proposals.iter().map(|it| it.id.clone()).collect()
    }
}

impl Render for ConstitutionView {
    fn table(&self, _: TimeMs) -> String {
        let head = format!("# version {}, digest {}\n", self.version, self.digest);
        head + &toml::to_string(&self.constitution).unwrap_or_default()
    }

    fn names(&self) -> Vec<String> {
        vec![self.digest.clone()]
    }
}

impl Render for Vec<ChangeView> {
    fn table(&self, _: TimeMs) -> String {
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let rows = self.iter().map(|it| [it.parameter.clone(), text(&it.before), text(&it.after)]);
        table(["parameter", "in force", "proposed"], rows)
    }

    fn names(&self) -> Vec<String> {
        self.iter().map(|change| change.parameter.clone()).collect()
    }

    fn entries(&self) -> Option<Vec<serde_json::Value>> {
        Some(values(self))
    }
}

impl Render for Hindsight {
    fn table(&self, now: TimeMs) -> String {
        let BacktestView { judged, differing } = &self.replay;
        let mut text = self.changes.table(now) + "\n";
        if !differing.is_empty() {
            let rows = differing.iter().map(|it| {
                let (before, after) = (ruling(&it.in_force), ruling(&it.proposed));
                [short(&it.proposal), it.stage.clone(), before, after, it.title.clone()]
            });
            text += &(table(["id", "stage", "in force", "proposed", "title"], rows) + "\n");
        }
        text + &fields([("replayed", Some(format!("{judged} proposals, {} differ", differing.len())))])
    }

    fn names(&self) -> Vec<String> {
        self.replay.differing.iter().map(|it| it.proposal.clone()).collect()
    }
}

fn ruling(RulingView { track, outcome, detail }: &RulingView) -> String {
    if detail.is_empty() { format!("{track}: {outcome}") } else { format!("{track}: {outcome}, {detail}") }
}

impl Render for PlanView {
    fn table(&self, now: TimeMs) -> String {
        let rows = self.steps.iter().map(|step| {
            let before = step.before.as_ref().map_or_else(|| "nothing".to_owned(), action);
            [
                step.step.to_string(),
                step.stage_name.clone(),
                step.target.clone(),
                step.owner.clone(),
                before,
                action(&step.after),
                action(&step.undo),
            ]
        });
        let hash = fields([("plan hash", Some(self.plan_hash.clone()))]);
        if self.acts.is_empty() {
            return table(["step", "stage", "target", "owner", "before", "after", "undo"], rows)
                + "\n"
                + &hash;
        }
        self.acts.iter().map(|act| act.changes.table(now) + "\n").collect::<String>() + &hash
    }

    fn names(&self) -> Vec<String> {
        vec![self.plan_hash.clone()]
    }
}

impl Render for PlanReport {
    fn table(&self, now: TimeMs) -> String {
        let track = fields([("track", Some(self.track.clone()))]);
        self.plan.table(now) + &track + &findings(&self.findings)
    }

    fn names(&self) -> Vec<String> {
        self.plan.names()
    }
}

impl Render for RehearsalView {
    fn table(&self, _: TimeMs) -> String {
        let rows = self.scenes.iter().map(|scene| {
            [length(DurationMs::new(scene.after_ms)), scene.event.clone(), scene.detail.clone()]
        });
        let end = fields([("ends", Some(self.ended.as_ref().unwrap_or(&self.stage).clone()))]);
        table(["after", "what", "detail"], rows) + "\n" + &end
    }

    fn names(&self) -> Vec<String> {
        vec![self.ended.as_ref().unwrap_or(&self.stage).clone()]
    }

    fn entries(&self) -> Option<Vec<serde_json::Value>> {
        Some(values(&self.scenes))
    }
}

impl Render for VoteView {
    fn table(&self, now: TimeMs) -> String {
        let ballots = self.ballots.iter();
        let rows = ballots.map(|ballot| {
            let heard = ballot.speaks_for.join(", ");
            [ballot.voter.clone(), ballot.choice.clone(), ballot.weight.to_string(), heard]
        });
        let mut text = table(["voter", "choice", "weight", "speaks for"], rows);
        if let Some(tally) = &self.tally {
            text += "\n";
            text += &table(["test", "figures", "asked", "holds"], tally.tests.iter().map(test));
        }
        text + "\n" + &fields([("closes", self.closes_ms.map(|time_ms| at(time_ms, now)))])
    }

    fn names(&self) -> Vec<String> {
        self.ballots.iter().map(|ballot| ballot.voter.clone()).collect()
    }

    fn entries(&self) -> Option<Vec<serde_json::Value>> {
        Some(values(&self.ballots))
    }
}

fn test(test: &TestView) -> [String; 4] {
    [
        test.kind.clone(),
        format!("{} of {}", test.part, test.whole),
        test.threshold.clone(),
        yes_no(test.holds),
    ]
}

fn health(health: &[HealthView]) -> String {
    let verdict = |health: &HealthView| {
        let figures = format!(
            "{} {}/{} p95 {} ms",
            health.org, health.succeeded, health.samples, health.latency_p95_ms
        );
        if health.healthy { format!("{figures} ok") } else { format!("{figures} bad: {}", health.reason) }
    };
    health.iter().map(verdict).collect::<Vec<_>>().join("; ")
}

fn steps(steps: &[StepView]) -> String {
    let rows = steps.iter().map(|step| {
        let claim = step.claim.as_ref().map(|claim| format!("{} fence {}", claim.executor, claim.fence));
        let state = match &step.failure {
            Some(failure) => format!("{}: {}", step.state, failure.reason),
            None => step.state.clone(),
        };
        [
            step.step.to_string(),
            step.stage_name.clone(),
            step.target.clone(),
            action(&step.action),
            state,
            claim.unwrap_or_default(),
            health(&step.health),
        ]
    });
    table(["step", "stage", "target", "action", "state", "receipt", "health"], rows)
}

impl Render for ExecutionView {
    fn table(&self, now: TimeMs) -> String {
        let head = fields([
            ("proposal", Some(self.proposal.clone())),
            ("title", Some(self.title.clone())),
            ("stage", Some(self.stage.clone())),
            ("acts by", self.deadline_ms.map(|time_ms| at(time_ms, now))),
            ("rolled back", self.rollback_cause.clone()),
        ]);
        head + "\n" + &steps(&self.steps)
    }

    fn names(&self) -> Vec<String> {
        self.steps.iter().map(|step| step.target.clone()).collect()
    }

    fn entries(&self) -> Option<Vec<serde_json::Value>> {
        Some(values(&self.steps))
    }
}

impl Render for NodeView {
    fn table(&self, now: TimeMs) -> String {
        let keys = self.keys.iter().map(|key| [key.member.clone(), key.role.clone()]);
        let head = fields([
            ("node", Some(format!("{} of {}, {}", self.name, self.org, self.role))),
            ("version", Some(self.version.clone())),
            ("network", Some(self.head.network.clone())),
            ("height", Some(format!("{} at {}", self.head.height, at(self.head.time_ms, now)))),
            ("behind", Some(self.highest_seen.saturating_sub(self.head.height).to_string())),
            ("peers", Some(self.peers_connected.to_string())),
            ("started", Some(at(self.started_ms, now))),
            ("writes", Some(yes_no(self.takes_writes))),
            ("dormant", self.dormant_since_ms.map(|since| format!("since {}", at(since, now)))),
        ]);
        if self.keys.is_empty() { head } else { format!("{head}\n{}", table(["member", "key for"], keys)) }
    }

    fn names(&self) -> Vec<String> {
        vec![self.name.clone()]
    }
}

impl Render for Vec<PeerView> {
    fn table(&self, _: TimeMs) -> String {
        let rows = self.iter().map(|peer| {
            [
                peer.name.clone(),
                peer.org.clone(),
                peer.role.clone(),
                yes_no(peer.connected),
                short(&peer.node),
            ]
        });
        table(["name", "org", "role", "connected", "node"], rows)
    }

    fn names(&self) -> Vec<String> {
        self.iter().map(|peer| peer.name.clone()).collect()
    }

    fn entries(&self) -> Option<Vec<serde_json::Value>> {
        Some(values(self))
    }
}

impl Render for Contexts {
    fn table(&self, _: TimeMs) -> String {
        let rows = self.contexts.iter().map(|(name, context)| {
            let current = if self.current.as_ref() == Some(name) { "*" } else { "" };
            let member = context.member.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
            [name.to_string(), current.to_owned(), context.addr.to_string(), member]
        });
        table(["name", "current", "address", "as"], rows)
    }

    fn names(&self) -> Vec<String> {
        self.contexts.keys().map(ToString::to_string).collect()
    }
}

impl Render for Report {
    fn table(&self, now: TimeMs) -> String {
        let stages: Vec<_> = self.proposals.iter().map(|(stage, count)| format!("{count} {stage}")).collect();
        let invariants: Vec<_> = self.invariants.iter().map(ToString::to_string).collect();
        fields([
            ("network", Some(format!("{} {}", self.name, self.network))),
            ("head", Some(format!("height {} {}", self.height, self.head))),
            ("state root", Some(self.state_root.to_string())),
            ("time", Some(at(self.time.get(), now))),
            ("re-applied", Some(format!("{} transactions, {} events", self.transactions, self.events))),
            ("signatures", Some(self.signatures.to_string())),
            ("proposals", Some(stages.join(", ")).filter(|text| !text.is_empty())),
            (
                "execution",
                Some(format!("{} receipts, {} health attestations", self.receipts, self.health_attestations)),
            ),
            ("audits", Some(self.audits.to_string())),
            ("key uses", Some(key_uses(self)).filter(|text| !text.is_empty())),
            ("split views", Some(split_views(self)).filter(|text| !text.is_empty())),
            ("invariants", Some(format!("{} hold after every block", invariants.join(" ")))),
            ("exporter", Some(self.exporter.to_string())),
        ])
    }

    fn names(&self) -> Vec<String> {
        vec![self.head.to_string()]
    }
}

/// What the nodes that testified did with their keys, a line for each, and every use without a decision.
fn key_uses(report: &Report) -> String {
    let node = |by: &NodeKeyUses| {
        let open = by.undecided.iter().map(|used| {
            let transaction = used.transaction.short();
            format!("use {} ({} by {}, transaction {transaction})", used.number, used.purpose, used.member)
        });
        let open: Vec<_> = open.collect();
        let rest = match (by.uses - by.decided, open.is_empty()) {
            (_, true) => "each has its decision".to_owned(),
            (count, false) => format!("{count} without a decision: {}", open.join(", ")),
        };
        format!("{} of {} on a node of {}, {rest}", by.decided, by.uses, by.org)
    };
    report.key_uses.iter().map(node).collect::<Vec<_>>().join("; ")
}

fn split_views(report: &Report) -> String {
    let split = |split: &CertifiedSplit| {
        let (height, first, second) = (split.height, split.first.short(), split.second.short());
        format!("height {height}: {first} and {second}, {} validators signed both", split.signers_of_both)
    };
    report.split_views.iter().map(split).collect::<Vec<_>>().join("; ")
}
