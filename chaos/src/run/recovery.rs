//! Owns measuring how long the work of a killed executor lay still: from the start of its node to its next receipt, for
//! every step that it had claimed when it was killed.

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::Value;

use super::{evidence::Story, fault::Fault, report::Trouble};

/// The local clock, in milliseconds since the Unix epoch.
pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Fills in the times of every trouble that killed daemons.
pub(super) fn resumed(
    troubles: &mut [Trouble],
    names: &[String],
    stories: &BTreeMap<String, Story>,
    began_ms: u64,
) {
    let work: Vec<Work> =
        stories.values().flat_map(|story| story.events.iter()).filter_map(Work::of_claim).collect();
    let receipts: Vec<Work> =
        stories.values().flat_map(|story| story.events.iter()).filter_map(Work::of_receipt).collect();
    for trouble in troubles {
        if !trouble.kinds.iter().any(|kind| matches!(kind.fault(), Fault::Kill | Fault::Disk)) {
            continue;
        }
        let (killed_ms, started_ms) = (began_ms + trouble.broken_ms, began_ms + trouble.mended_ms);
        let executors: Vec<_> = trouble
            .nodes
            .iter()
            .filter_map(|node| names.get(*node))
            .map(|name| format!("{name}/exec"))
            .collect();
        let held = work.iter().filter(|work| executors.contains(&work.executor) && work.time_ms <= killed_ms);
        let receipt = |held: &Work| {
            let same = |work: &&Work| work.is_same(held);
            receipts.iter().find(same).map(|receipt| receipt.time_ms).filter(|time_ms| *time_ms > killed_ms)
        };
        trouble.resumed_ms =
            held.filter_map(receipt).map(|time_ms| time_ms.saturating_sub(started_ms)).collect();
    }
}

/// A step under a fence, claimed or reported.
struct Work {
    proposal: String,
    fence: u64,
    step: u64,
    executor: String,
    time_ms: u64,
}

impl Work {
    fn of_claim(event: &Value) -> Option<Self> {
        Self::of(event, "io.althing.step-claimed")
    }

    fn of_receipt(event: &Value) -> Option<Self> {
        Self::of(event, "io.althing.step-reported")
    }

    fn of(event: &Value, kind: &str) -> Option<Self> {
        let data = &event["data"];
        (event["type"] == kind).then_some(())?;
        Some(Self {
            proposal: data["proposal"].as_str()?.to_owned(),
            fence: data["fence"].as_u64()?,
            step: data["step"].as_u64()?,
            executor: data["executor"].as_str()?.to_owned(),
            time_ms: data["time_ms"].as_u64()?,
        })
    }

    fn is_same(&self, other: &Self) -> bool {
        (&self.proposal, self.fence, self.step) == (&other.proposal, other.fence, other.step)
    }
}
