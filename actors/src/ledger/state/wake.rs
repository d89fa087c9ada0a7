//! Owns when this node acts by itself: when the next height starts, and when the next timer is due.

use althing_contracts::{
    block::BLOCK_TRANSACTIONS_MAX,
    certificate::Roster,
    quantity::{Height, TimeMs, Weight},
    signature::PublicKey,
};

use super::{LedgerOutput, LedgerState};
use crate::disk::Disk;
use crate::ledger::{consensus::Driver, wire::Message};

/// Transactions of a block after which the next one is gathered for a while.
const BUSY_BLOCK_LEN: usize = 32;
/// How long, from the busy block on. A height costs every validator some milliseconds whatever its block holds, and who
/// flooded the block before waits for several anyway.
const GATHER_US: u64 = 100_000;

impl<D: Disk> LedgerState<D> {
    /// Whether the next height has to start: somebody waits for a block, a deadline of the state has passed, the
    /// heartbeat is due, or others have started.
    pub(super) fn has_work(&self) -> bool {
        let is_idle = self.driver.as_ref().is_some_and(Driver::is_decided);
        is_idle
            && self.is_seated()
            && (self.scratch.has_ready(&self.mempool) && !self.is_gathering()
                || self.block_due() <= self.now.wall
                || self.others_have_started())
    }

    /// Whether transactions wait for each other, so that a busy mesh makes few full blocks and not many small ones.
    pub(super) fn is_gathering(&self) -> bool {
        self.is_seated() && self.now.monotonic_us < self.gathers_until_us()
    }

    fn gathers_until_us(&self) -> u64 {
        if self.head.len < BUSY_BLOCK_LEN || self.mempool.len() >= BLOCK_TRANSACTIONS_MAX {
            return 0;
        }
        self.head.committed_us.saturating_add(GATHER_US)
    }

    /// When a block is due without a transaction.
    fn block_due(&self) -> TimeMs {
        let state = &self.head.state;
        if state.height() == Height::ZERO {
            return TimeMs::ZERO;
        }
        let heartbeat = state.time().after(state.constitution().heartbeat);
        state.next_deadline().map_or(heartbeat, |deadline| deadline.min(heartbeat))
    }

    /// A proposal, a certificate, or votes of more than a third: one faulty validator cannot start a height.
    fn others_have_started(&self) -> bool {
        let next = self.height().next();
        let mut voters: Vec<PublicKey> = Vec::new();
        for message in self.ahead.of(next) {
            match message {
                Message::Proposal(_) | Message::PolkaCertificate(_) | Message::RoundCertificate(_) => {
                    return true;
                }
                Message::Vote(vote) if !voters.contains(&vote.voter) => voters.push(vote.voter),
                _ => {}
            }
        }
        exceeds_a_third(self.roster(), &voters)
    }

    /// Tells the shell when to come back, if that has changed.
    pub(super) fn set_wake(&mut self) {
        let at_us = self.next_due_us();
        if self.wake_us != Some(at_us) || at_us <= self.now.monotonic_us {
            self.wake_us = Some(at_us);
            self.outputs.push(LedgerOutput::Wake { at_us });
        }
    }

    fn next_due_us(&self) -> u64 {
        let consensus_us =
            match self.driver.as_ref().filter(|driver| self.is_seated() || !driver.is_decided()) {
                Some(driver) if driver.is_decided() => {
                    let gathered_us = self.is_gathering().then(|| self.gathers_until_us());
                    gathered_us.into_iter().chain([self.monotonic_us_at(self.block_due())]).min()
                }
                Some(driver) => driver.next_due_us(),
                None => None,
            };
        let sync_us = self.sync.next_due_us(self.height());
        let forward_us = (!self.local.is_empty()).then_some(self.next_forward_us);
        let due_us = [consensus_us, sync_us, forward_us, self.head_due_us(), Some(self.next_status_us)]
            .into_iter()
            .flatten()
            .min();
        due_us.unwrap_or(u64::MAX)
    }

    fn monotonic_us_at(&self, time: TimeMs) -> u64 {
        let wait_ms = time.since(self.now.wall).get();
        self.now.monotonic_us.saturating_add(wait_ms.saturating_mul(1_000))
    }
}

fn exceeds_a_third(roster: &Roster, voters: &[PublicKey]) -> bool {
    let weights = voters.iter().filter_map(|voter| Some(roster.by_consensus_key(*voter)?.weight));
    let weight = weights.fold(Weight::ZERO, Weight::saturating_add);
    u128::from(weight.get()) * 3 > u128::from(roster.total_weight().get())
}
