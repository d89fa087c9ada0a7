//! Owns how it is shown to people why a proposal is where it is.

use althing_contracts::quantity::{DurationMs, TimeMs};

use super::{near, summary, yes_no};
use crate::{
    api::view::{
        explain::{ConditionView, ExplainView, OutlookView, PartView, VoterView},
        progress::{Progress, WaitView},
        time::length,
    },
    cli::output::{Render, fields, table},
};

impl Render for ExplainView {
    fn table(&self, now: TimeMs) -> String {
        let parts = [
            summary(&self.proposal, now) + &fields([("because", self.cause.clone())]),
            outlooks(&self.next, now),
            may(&self.parts),
            may_not(&self.parts),
            voters(&self.voters),
        ];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
    }

    fn names(&self) -> Vec<String> {
        self.parts.iter().filter(|part| part.awaited).flat_map(|part| part.may.clone()).collect()
    }
}

impl Render for WaitView {
    fn table(&self, now: TimeMs) -> String {
        let progress = match self.progress {
            Progress::Reached => "reached",
            Progress::Missed => "missed",
            Progress::Pending => "pending",
        };
        let mut text = summary(&self.proposal, now);
        text += &fields([("goal", Some(progress.to_owned())), ("because", self.cause.clone())]);
        if !self.unmet.is_empty() {
            text += "\n";
            let rows = self.unmet.iter().map(|condition| {
                [condition.name.clone(), yes_no(condition.holds), condition.what.clone(), figures(condition)]
            });
            text += &table(["condition", "holds", "what", "figures"], rows);
        }
        text
    }

    fn names(&self) -> Vec<String> {
        vec![self.proposal.id.clone()]
    }
}

/// The figures of a condition in words, for example `300 of 400, needs 160`.
pub(in crate::cli) fn figures(condition: &ConditionView) -> String {
    let figure = |figure: u64| match condition.unit.as_str() {
        "milliseconds" => length(DurationMs::new(figure)),
        _ => figure.to_string(),
    };
    let have = match condition.whole {
        Some(whole) => format!("{} of {}", figure(condition.have), figure(whole)),
        None => figure(condition.have),
    };
    match (condition.unit.as_str(), condition.bound.as_str()) {
        ("fact", _) => "-".to_owned(),
        (_, "below") => format!("{have}, below {}", figure(condition.need)),
        _ => format!("{have}, needs {}", figure(condition.need)),
    }
}

fn outlooks(next: &[OutlookView], now: TimeMs) -> String {
    let rows = next.iter().flat_map(|outlook| {
        let to = match outlook.rollout {
            Some(index) => format!("{} {index}", outlook.stage),
            None => outlook.stage.clone(),
        };
        let [earliest, latest] = [outlook.earliest_ms, outlook.latest_ms].map(|time_ms| near(time_ms, now));
        let mut conditions: Vec<_> = outlook
            .conditions
            .iter()
            .map(|it| [it.name.clone(), yes_no(it.holds), it.what.clone(), figures(it)])
            .collect();
        if conditions.is_empty() {
            conditions.push(["-"; 4].map(str::to_owned));
        }
        conditions.into_iter().map(move |[name, holds, what, figures]| {
            [to.clone(), earliest.clone(), latest.clone(), name, holds, what, figures]
        })
    });
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        return String::new();
    }
    table(["next", "not before", "not after", "condition", "holds", "what", "figures"], rows)
}

fn may(parts: &[PartView]) -> String {
    let open: Vec<_> = parts.iter().filter(|part| !part.may.is_empty()).collect();
    if open.is_empty() {
        return String::new();
    }
    let rows = open
        .into_iter()
        .map(|part| [part.call.clone(), part.role.clone(), yes_no(part.awaited), part.may.join(", ")]);
    table(["may", "role", "awaited", "who"], rows)
}

fn may_not(parts: &[PartView]) -> String {
    let rows: Vec<_> = parts
        .iter()
        .flat_map(|part| part.may_not.iter().map(move |barred| (part, barred)))
        .map(|(part, barred)| {
            [part.call.clone(), part.role.clone(), barred.member.clone(), barred.why.clone()]
        })
        .collect();
    if rows.is_empty() { String::new() } else { table(["may not", "role", "who", "why"], rows) }
}

fn voters(voters: &[VoterView]) -> String {
    let rows = voters.iter().map(|voter| {
        let delegate = voter.delegate.clone().unwrap_or_else(|| "-".to_owned());
        let [weight, ballot] = [voter.weight, voter.ballot].map(|weight| weight.to_string());
        [voter.member.clone(), weight, ballot, delegate, said(voter)]
    });
    table(["voter", "weight", "ballot", "delegate", "says"], rows)
}

fn said(voter: &VoterView) -> String {
    match (&voter.heard_through, &voter.choice) {
        (Some(speaker), Some(choice)) if *speaker == voter.member => format!("has voted {choice}"),
        (Some(speaker), Some(choice)) => format!("heard through {speaker}: {choice}"),
        _ => "-".to_owned(),
    }
}
