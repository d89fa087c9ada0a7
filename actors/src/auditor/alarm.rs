//! Owns alarms: what an auditor found wrong with the ledger itself, kept with its evidence across restarts.

use std::fmt;

use althing_contracts::{digest::Digest, invariant::Violation, quantity::Height};
use borsh::{BorshDeserialize, BorshSerialize};

use super::{
    heads::SplitView,
    witness::{HistoryRewritten, Witness},
};
use crate::journal::{Journal, JournalError, Kind, Place};

/// Kind of the file.
pub const ALARM_JOURNAL: Kind = *b"alarms  ";
/// Most alarms kept: each is a reason to stop trusting the ledger, so more add nothing.
pub const ALARMS_MAX: usize = 256;
/// Longest text of a finding in bytes.
const TEXT_LEN_MAX: usize = 2_048;

/// Something that may never happen.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub enum Alarm {
    /// A block at a witnessed height is another one than the one seen.
    HistoryRewritten {
        /// What the auditor saw.
        seen: Witness,
        /// What the ledger shows.
        shown: Witness,
    },
    /// The node's ledger ends before heights that the auditor witnessed.
    HistoryShortened {
        /// The highest height witnessed.
        witnessed: Height,
        /// The highest height shown.
        shown: Height,
    },
    /// Two certified blocks at one height: more than a third of the weight signed both.
    SplitView(SplitView),
    /// A block that the node holds final does not follow from the rules.
    Invalid {
        /// Its height.
        height: Height,
        /// What does not hold.
        finding: String,
    },
    /// An invariant does not hold, although the rules allowed every block.
    Violated {
        /// The height at which it shows.
        height: Height,
        /// Which invariant, and how.
        finding: String,
    },
    /// The node's own state differs from the auditor's at one height.
    StateDiffers {
        /// The height.
        height: Height,
        /// By the auditor's own application.
        own: Digest,
        /// In the node's view.
        shown: Digest,
    },
}

impl Alarm {
    /// The alarm's name in metrics, logs and messages.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::HistoryRewritten { .. } => "history_rewritten",
            Self::HistoryShortened { .. } => "history_shortened",
            Self::SplitView(_) => "split_view",
            Self::Invalid { .. } => "invalid_block",
            Self::Violated { .. } => "invariant_violated",
            Self::StateDiffers { .. } => "state_differs",
        }
    }

    /// Every name, so that each counter exists from the start.
    pub const NAMES: [&'static str; 6] = [
        "history_rewritten",
        "history_shortened",
        "split_view",
        "invalid_block",
        "invariant_violated",
        "state_differs",
    ];

    /// A finding about one block; overlong text is cut.
    #[must_use]
    pub fn invalid(height: Height, finding: &impl fmt::Display) -> Self {
        Self::Invalid { height, finding: cut(&finding.to_string(), TEXT_LEN_MAX).to_owned() }
    }

    /// An invariant that a block breaks although the rules allowed it; overlong text is cut.
    #[must_use]
    pub fn violated(height: Height, violation: &Violation) -> Self {
        Self::Violated { height, finding: cut(&violation.to_string(), TEXT_LEN_MAX).to_owned() }
    }
}

impl From<HistoryRewritten> for Alarm {
    fn from(found: HistoryRewritten) -> Self {
        Self::HistoryRewritten { seen: found.seen, shown: found.shown }
    }
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HistoryRewritten { seen, shown } => HistoryRewritten { seen: *seen, shown: *shown }.fmt(f),
            Self::HistoryShortened { witnessed, shown } => write!(
                f,
                "history_shortened: this auditor saw blocks up to {witnessed}, the ledger shows {shown}; it must \
                 grow the same blocks again"
            ),
            Self::SplitView(split) => write!(
                f,
                "split_view: blocks {} and {} are both certified at height {}; {} validators signed both",
                split.first.block,
                split.second.block,
                split.first.height,
                split.signers_of_both().count()
            ),
            Self::Invalid { height, finding } => write!(f, "invalid_block: height {height}: {finding}"),
            Self::Violated { height, finding } => write!(f, "invariant_violated: height {height}: {finding}"),
            Self::StateDiffers { height, own, shown } => write!(
                f,
                "state_differs: after height {height} the state root is {own} by own application and {shown} in \
                 the node's view"
            ),
        }
    }
}

/// An alarm on the disk. The variant is the version of the format.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
enum AlarmRecord {
    /// Version 1.
    V1(Alarm),
}

/// The persistent list of alarms.
#[derive(Debug)]
pub struct AlarmBook {
    journal: Journal<AlarmRecord>,
    alarms: Vec<Alarm>,
}

impl AlarmBook {
    /// Opens or creates the list.
    ///
    /// # Errors
    /// The file cannot be used.
    pub fn open(place: impl Into<Place>) -> Result<Self, JournalError> {
        let mut alarms = Vec::new();
        let (journal, _) = Journal::open(place, ALARM_JOURNAL, |AlarmRecord::V1(alarm)| alarms.push(alarm))?;
        Ok(Self { journal, alarms })
    }

    /// Keeps an alarm; `false` when it is known or the list is full. Returns when it is on the disk.
    ///
    /// # Errors
    /// The disk fails.
    pub fn raise(&mut self, alarm: &Alarm) -> Result<bool, JournalError> {
        if self.alarms.contains(alarm) || self.alarms.len() >= ALARMS_MAX {
            return Ok(false);
        }
        self.journal.append(&AlarmRecord::V1(alarm.clone()))?;
        self.alarms.push(alarm.clone());
        Ok(true)
    }

    /// The alarms in order.
    #[must_use]
    pub fn alarms(&self) -> &[Alarm] {
        &self.alarms
    }
}

/// The longest beginning of at most `len_max` bytes that ends between characters.
fn cut(text: &str, len_max: usize) -> &str {
    let end = (0..=len_max.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_is_kept_once_and_survives_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("alarms");
        let alarm = Alarm::invalid(Height::new(7), &"the state root differs");
        let mut book = AlarmBook::open(&path).unwrap();
        assert!(book.raise(&alarm).unwrap());
        assert!(!book.raise(&alarm).unwrap());
        let book = AlarmBook::open(&path).unwrap();
        assert_eq!(book.alarms(), [alarm]);
        assert_eq!(book.alarms()[0].to_string(), "invalid_block: height 7: the state root differs");
    }

    #[test]
    fn an_overlong_finding_is_cut_between_characters() {
        let Alarm::Invalid { finding, .. } = Alarm::invalid(Height::ZERO, &"é".repeat(TEXT_LEN_MAX)) else {
            panic!("a finding was made");
        };
        assert_eq!(finding.len(), TEXT_LEN_MAX);
    }
}
