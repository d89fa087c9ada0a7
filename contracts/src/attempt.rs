//! Owns the memory of attempts: what a proposal would do, whoever asks for it and in whatever words, how often that has failed,
//! and when it may be tried again.

use std::collections::BTreeSet;

use borsh::{BorshDeserialize, BorshSerialize};
use serde::{Deserialize, Serialize};

use crate::{
    act::Act,
    canonical,
    constitution::Constitution,
    digest::{Digest, Purpose},
    document::ProposalDocument,
    dormancy::is_awakening,
    proposal::Proposal,
    quantity::{DurationMs, TimeMs},
    stage::Stage,
};

/// Names what a proposal does: digest of the set of its changes.
///
/// Each step counts by its target and its action, each act by itself; an amendment without its version, which is another
/// after every amendment. Author, number, title, reason, estimates, checks, and how the steps are spread over stages do not
/// count: who changes nothing but those asks for the same again.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    BorshSerialize,
    BorshDeserialize,
    Serialize,
    Deserialize,
)]
#[serde(transparent)]
pub struct ContentId(Digest);

/// How often one content has failed, as far as that is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize)]
pub struct Attempts {
    /// Failures, each within the memory of the one before; counted up to the most that matter.
    pub failures: u8,
    /// Not submitted before this.
    pub until: TimeMs,
    /// From when on nothing is known of it any more; never before `until`.
    pub forgotten: TimeMs,
}

/// How failed attempts are remembered, on every track.
#[derive(Debug, Clone, Copy, PartialEq, Eq, BorshSerialize, BorshDeserialize, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResubmissionRules {
    /// Time from a failure for which it is remembered.
    pub memory: DurationMs,
    /// Failures up to which a cooldown and a bond grow.
    pub failures_max: u8,
}

impl ContentId {
    /// Names what a document asks for.
    #[must_use]
    pub fn of(document: &ProposalDocument) -> Self {
        let steps = document.steps().map(|(_, step)| canonical::encode(&(&step.target, &step.action)));
        let acts = document.acts.iter().map(|act| canonical::encode(&unversioned(act)));
        let changes: BTreeSet<Vec<u8>> = steps.chain(acts).collect();
        Self(Digest::of_object(Purpose::Content, &changes))
    }

    /// The digest.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.0
    }
}

impl std::fmt::Display for ContentId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl Attempts {
    /// What is remembered after one more failure: the n-th in a row keeps the content out for n times the cooldown.
    #[must_use]
    pub fn and_one(
        before: Option<&Self>,
        time: TimeMs,
        cooldown: DurationMs,
        rules: ResubmissionRules,
    ) -> Self {
        let remembered = before.filter(|before| !before.is_forgotten(time));
        let failures = remembered.map_or(0, |before| before.failures).saturating_add(1);
        let failures = failures.min(rules.failures_max);
        let until = time.after(cooldown.times(failures.into()));
        // A failure of a copy never lets the content in earlier.
        let until = remembered.map_or(until, |before| before.until.max(until));
        Self { failures, until, forgotten: time.after(rules.memory).max(until) }
    }

    /// Whether the content may not be submitted at this time.
    #[must_use]
    pub fn is_cooling(&self, time: TimeMs) -> bool {
        time < self.until
    }

    /// Whether nothing is known of it at this time.
    #[must_use]
    pub fn is_forgotten(&self, time: TimeMs) -> bool {
        self.forgotten <= time
    }
}

/// Whether a proposal ended as a failed attempt: others refused it, or let its time run out. What the hard rules refuse took
/// nobody's time, what was withdrawn or overtaken was not decided, and an awakening may be tried until it succeeds.
#[must_use]
pub fn has_failed(proposal: &Proposal) -> bool {
    match proposal.stage {
        _ if is_awakening(&proposal.document) => false,
        Stage::Defeated | Stage::Vetoed | Stage::Expired => true,
        Stage::Rejected => proposal.findings.is_empty(),
        _ => false,
    }
}

fn unversioned(act: &Act) -> Act {
    match act {
        Act::Amend { constitution } => {
            let text = Constitution { version: 0, ..(**constitution).clone() };
            Act::Amend { constitution: Box::new(text) }
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{amend, deploy, line};

    const RULES: ResubmissionRules = ResubmissionRules { memory: DurationMs::new(1_000), failures_max: 3 };
    const COOLDOWN: DurationMs = DurationMs::new(100);

    #[test]
    fn other_words_another_order_and_another_version_are_the_same_content() {
        let asked = deploy("2", &[&["acme-north"], &["birch-north", "cedar-north"]]);
        let mut again = deploy("2", &[&["cedar-north"], &["acme-north"], &["birch-north"]]);
        again.title = line("something else");
        again.rollback = None;
        assert_eq!(ContentId::of(&asked), ContentId::of(&again));
        assert_ne!(ContentId::of(&asked), ContentId::of(&deploy("3", &[&["acme-north"]])));
        let mut rules = Constitution::default_genesis();
        let asked = ContentId::of(&amend(rules.clone()));
        rules.version += 1;
        assert_eq!(ContentId::of(&amend(rules.clone())), asked);
        rules.vetoes_per_guardian += 1;
        assert_ne!(ContentId::of(&amend(rules)), asked);
    }

    #[test]
    fn each_failure_lengthens_the_cooldown_up_to_a_bound_until_it_is_forgotten() {
        let after =
            |before: Option<&Attempts>, time| Attempts::and_one(before, TimeMs::new(time), COOLDOWN, RULES);
        let first = after(None, 0);
        assert_eq!((first.failures, first.until, first.forgotten), (1, TimeMs::new(100), TimeMs::new(1_000)));
        let second = after(Some(&first), 999);
        assert_eq!((second.failures, second.until), (2, TimeMs::new(1_199)));
        let (third, fourth) = (after(Some(&second), 1_200), after(Some(&after(Some(&second), 1_200)), 1_500));
        assert_eq!((third.until, fourth.failures, fourth.until), (TimeMs::new(1_500), 3, TimeMs::new(1_800)));
        assert_eq!(after(Some(&first), 1_000).failures, 1);
        assert!(first.is_cooling(TimeMs::new(99)) && !first.is_cooling(TimeMs::new(100)));
    }
}
