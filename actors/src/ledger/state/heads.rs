//! Owns heads: shows the mesh this validator's last certificate at a bounded pace, and judges what others show.
//!
//! Every validator shows its own, not only the proposer: one that was led into another history is the one to hear.
//! Refuses heads that prove nothing, and forgets all but a bounded window of those it judged.

use std::collections::BTreeSet;

use althing_contracts::{certificate::Certificate, digest::Digest, quantity::Height};

use super::{LedgerOutput, LedgerState, Misbehaviour};
use crate::{
    disk::Disk,
    ledger::{
        message::ShownHead,
        wire::{LedgerMessage, Message},
    },
    port::{NodeId, Topic, Verdict},
    rosters::Judged,
};

/// Pause between two heads of one validator: heads are for comparing histories, which loses nothing by a second.
pub(super) const SHOW_INTERVAL_US: u64 = 1_000_000;
/// Judged heads remembered: a quarter of an hour of one new height a second.
const JUDGED_MAX: usize = 1_024;

/// Which heads were shown and judged.
#[derive(Debug, Default)]
pub(super) struct Heads {
    shown: Height,
    next_show_us: u64,
    judged: BTreeSet<(Height, Digest)>,
}

impl Heads {
    /// Begins with a pause, in which the mesh connects.
    pub(super) fn begin(now_us: u64) -> Self {
        Self { next_show_us: now_us.saturating_add(SHOW_INTERVAL_US), ..Self::default() }
    }

    /// Whether nothing is known of the head and it is not below everything that is remembered.
    fn is_news(&self, head: (Height, Digest)) -> bool {
        let is_old =
            self.judged.len() >= JUDGED_MAX && self.judged.first().is_some_and(|lowest| head < *lowest);
        !is_old && !self.judged.contains(&head)
    }

    fn remember(&mut self, head: (Height, Digest)) {
        self.judged.insert(head);
        if self.judged.len() > JUDGED_MAX {
            self.judged.pop_first();
        }
    }
}

impl<D: Disk> LedgerState<D> {
    /// Shows the last certificate if it was not shown and the pause is over; a timer comes back for it otherwise.
    pub(super) fn show_head(&mut self) {
        let now_us = self.now.monotonic_us;
        if self.head_due_us().is_none_or(|due_us| now_us < due_us) {
            return;
        }
        let Some(certificate) = self.head.certificate.clone() else { return };
        self.heads.shown = certificate.height;
        self.heads.next_show_us = now_us.saturating_add(SHOW_INTERVAL_US);
        let message = LedgerMessage::encode(Message::Decided(certificate));
        self.outputs.push(LedgerOutput::Publish { topic: Topic::Heads, message });
    }

    /// When the last certificate has to be shown; `None` when it was, or on a node that decides nothing.
    pub(super) fn head_due_us(&self) -> Option<u64> {
        let is_due = self.is_seated()
            && self
                .head
                .certificate
                .as_ref()
                .is_some_and(|certificate| certificate.height > self.heads.shown);
        is_due.then_some(self.heads.next_show_us)
    }

    /// A neighbour passes on a head. It may not be its own, so it claims no more than a block to ask for.
    pub(super) fn on_head(&mut self, from: NodeId, certificate: Certificate) -> Verdict {
        let head = (certificate.height, certificate.block);
        if !self.heads.is_news(head) {
            return Verdict::Ignore;
        }
        match self.rosters.judge(self.network, &certificate) {
            Ok(Judged::Proven) => {}
            Ok(Judged::Unknown) => return Verdict::Ignore,
            Err(_) => {
                self.blame(from, Misbehaviour::InvalidHistory);
                return Verdict::Reject;
            }
        }
        self.heads.remember(head);
        self.sync.claim(from, certificate.height);
        self.outputs.push(LedgerOutput::Head(Box::new(ShownHead { from, certificate })));
        Verdict::Accept
    }
}
