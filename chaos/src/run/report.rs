//! Owns what a run shows for itself: one value that programs read, and that text and page are made from.

mod page;
mod picture;
mod text;

use serde::Serialize;

use super::{
    fault::{Fault, Kind},
    load::{lives::Life, reads::ReadCounts, trial::WITHDRAWN},
    verdict::Verdict,
};
use crate::host::switch::Counts;

/// Version of the report's form.
pub const REPORT_VERSION: u16 = 2;

/// A whole run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Version of this form.
    pub version: u16,
    /// Whether every promise was kept.
    pub passed: bool,
    /// Whether the run was ended before its time.
    pub interrupted: bool,
    /// What was asked for.
    pub fault: Fault,
    /// What everything was drawn from.
    pub seed: u64,
    /// The command that draws the same again.
    pub repeat: String,
    /// The version of the program.
    pub program: &'static str,
    /// The nodes: validators first.
    pub nodes: Vec<String>,
    /// How many of them decide.
    pub validators: usize,
    /// From the start of the mesh to the last verdict.
    pub took_ms: u64,
    /// Kinds that this machine cannot do, and why.
    pub left_out: Vec<LeftOut>,
    /// What was broken when, and how the mesh took it.
    pub troubles: Vec<Trouble>,
    /// Whole lives of proposals.
    pub lives: Vec<Life>,
    /// The ballots.
    pub ballots: BallotCounts,
    /// The reads of proposals' status.
    pub reads: ReadCounts,
    /// The switch's frames, if there was one.
    pub frames: Option<Counts>,
    /// Each node's height over time: milliseconds from the start, height.
    pub heights: Vec<Vec<(u64, u64)>>,
    /// Was each promise kept?
    pub verdicts: Vec<Verdict>,
    /// What a mesh that stood before keeps of the run; empty for one that was laid for it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub done_to: Vec<String>,
}

/// A kind of fault that was not drawn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LeftOut {
    /// Which kind, or mix of kinds.
    pub mix: String,
    /// What is missing.
    pub why: String,
    /// How to get it.
    pub remedy: String,
}

/// What ballots did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct BallotCounts {
    /// Cast.
    pub cast: usize,
    /// Final, by the node's word.
    pub acknowledged: usize,
    /// Refused because the vote was over.
    pub refused: usize,
    /// Times that a node gave no answer, and was asked again.
    pub unanswered: usize,
}

/// One episode, and how the mesh took it. Times are in milliseconds, from the start of the mesh or from the mend.
#[derive(Debug, Clone, Serialize)]
pub struct Trouble {
    /// Counted from 1.
    pub number: usize,
    /// What it drew from.
    pub kinds: Vec<Kind>,
    /// Each thing that was broken, in words.
    pub broken: Vec<String>,
    /// Who suffered.
    pub nodes: Vec<usize>,
    /// Whether more than two thirds went on, where that does not depend on the dice.
    pub keeps_quorum: Option<bool>,
    /// When it broke.
    pub broken_ms: u64,
    /// When it was mended.
    pub mended_ms: u64,
    /// Blocks while there were not enough to decide, after what was on the way had arrived.
    pub blocks_while_stalled: Option<u64>,
    /// Blocks while it was broken.
    pub blocks: u64,
    /// From the mend to the next final block.
    pub next_block_ms: Option<u64>,
    /// From the mend until every node had it.
    pub caught_up_ms: Option<u64>,
    /// For every step that a killed executor had claimed: from its start to its receipt.
    pub resumed_ms: Vec<u64>,
}

impl Trouble {
    /// What was broken, in one line.
    #[must_use]
    pub fn what(&self) -> String {
        self.broken.join(" + ")
    }
}

impl Report {
    /// Proposals that ended as they should: carried out and audited, or withdrawn where nothing is to be carried out.
    #[must_use]
    pub fn sound_lives(&self) -> usize {
        let end = if self.done_to.is_empty() { "closed" } else { WITHDRAWN };
        self.lives.iter().filter(|life| life.stage == end).count()
    }

    /// Each promise that was broken, by its name, and what was seen.
    #[must_use]
    pub fn broken_promises(&self) -> String {
        let broken = self.verdicts.iter().filter(|verdict| !verdict.holds);
        broken.map(|verdict| format!("{}: {}", verdict.id, verdict.observed)).collect::<Vec<_>>().join("; ")
    }

    /// For people, in a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        text::write(self)
    }

    /// One page that needs nothing else.
    #[must_use]
    pub fn page(&self) -> String {
        page::write(self)
    }

    /// The given percentile of a time after the mend, over all troubles.
    #[must_use]
    pub fn percentile_ms(&self, percent: usize, of: impl Fn(&Trouble) -> Option<u64>) -> Option<u64> {
        let mut times: Vec<u64> = self.troubles.iter().filter_map(of).collect();
        times.sort_unstable();
        let last = times.len().checked_sub(1)?;
        // Nearest rank: of twenty times the nineteenth is the 95th percentile.
        times.get((times.len() * percent).div_ceil(100).saturating_sub(1).min(last)).copied()
    }
}

/// `12.3 s`.
pub(super) fn seconds(ms: u64) -> String {
    format!("{}.{} s", ms / 1000, ms % 1000 / 100)
}

#[cfg(test)]
mod tests;
