//! Owns what goes wrong in a run and when: crashes, blackouts and partitions, drawn from the seed, and the calm after
//! them.

use std::ops::Range;

use althing_actors::ledger::state::LedgerInput;
use rand::Rng;

use super::{Calm, Mesh, NodeIndex, Violation};
use crate::simulation::{event::Event, report};

/// Mean time between two changes that nobody proposed.
const MEDDLE_EVERY_US: u64 = 6_000_000;
/// After which time a node that fell starts again.
const RESTART_US: Range<u64> = 10_000..2_000_000;
/// After which time it does if it stays away: leases of five seconds run out.
const OUTAGE_US: Range<u64> = 4_000_000..9_000_000;

impl Mesh {
    pub(super) fn schedule_faults(&mut self) {
        for node in 0..self.nodes.len() {
            self.queue.push(50_000 * (node as u64 + 1), Event::People { node });
            self.queue.push(70_000 * (node as u64 + 1), Event::Again { node });
        }
        for client in 0..self.clients.len() {
            let at_us = self.clients.pause_us();
            self.queue.push(at_us, Event::Client { client });
        }
        self.queue.push(self.plan.chaos_us, Event::Calm);
        let chaos_us = self.plan.chaos_us;
        for at_us in self.draw_times(self.plan.crash_every_us, chaos_us) {
            let node = self.random.random_range(0..self.nodes.len());
            self.queue.push(at_us, Event::Crash { node });
        }
        if self.plan.trouble_permille > 0 {
            for at_us in self.draw_times(MEDDLE_EVERY_US, chaos_us) {
                self.queue.push(at_us, Event::Meddle);
            }
        }
        for at_us in self.draw_times(self.plan.blackout_every_us, chaos_us) {
            self.queue.push(at_us, Event::Blackout);
        }
        for at_us in self.draw_times(self.plan.partition_every_us, chaos_us) {
            self.queue.push(at_us, Event::Partition);
            self.queue.push(at_us + self.random.random_range(100_000..3_000_000), Event::Heal);
        }
    }

    fn draw_times(&mut self, every_us: u64, until_us: u64) -> Vec<u64> {
        let mut times = Vec::new();
        let mut at_us = 0;
        if every_us == 0 {
            return times;
        }
        loop {
            at_us += self.random.random_range(1..2 * every_us);
            if at_us >= until_us {
                return times;
            }
            times.push(at_us);
        }
    }

    /// The node stops at one of its next appends and syncs, or at one of its next sends.
    pub(super) fn plan_crash(&mut self, node: NodeIndex) {
        if self.nodes[node].ledger.is_none() {
            return;
        }
        match self.random.random_range(0..3) {
            0 => self.nodes[node].sends_left = Some(self.random.random_range(0..6)),
            1 => {
                let operations = self.random.random_range(0..5);
                self.nodes[node].stop_disk_after(operations);
            }
            _ => {
                let operations = self.random.random_range(0..3);
                self.nodes[node].stop_journals_after(operations);
            }
        }
    }

    /// A disk failed, which ends the process; somebody starts it again.
    pub(super) fn fall(&mut self, node: NodeIndex) -> Result<(), Violation> {
        if self.nodes[node].ledger.is_some() {
            return self.crash(node);
        }
        // It fell while it started.
        self.coverage.count(report::CRASH);
        self.nodes[node].kill();
        self.schedule_restart(node);
        Ok(())
    }

    fn schedule_restart(&mut self, node: NodeIndex) {
        let outage_permille = self.plan.outage_permille;
        let stays_away = outage_permille > 0 && self.random.random_range(0..1_000) < outage_permille;
        let after_us = self.random.random_range(if stays_away { OUTAGE_US } else { RESTART_US });
        self.queue.push(self.now_us + after_us, Event::Restart { node });
    }

    pub(super) fn crash(&mut self, node: NodeIndex) -> Result<(), Violation> {
        if self.nodes[node].ledger.is_none() {
            return Ok(());
        }
        let is_observer = node >= self.plan.validators;
        self.coverage.count(if is_observer { report::OBSERVER_CRASH } else { report::CRASH });
        if self.random.random_range(0..4) == 0 {
            self.nodes[node].kill();
        } else {
            let seed = self.random.random();
            self.nodes[node].crash(seed);
        }
        self.schedule_restart(node);
        let gone = self.nodes[node].id;
        for other in self.others(node) {
            self.step(other, LedgerInput::Disconnected(gone))?;
        }
        Ok(())
    }

    pub(super) fn heal(&mut self) -> Result<(), Violation> {
        self.network.heal();
        for node in 0..self.nodes.len() {
            if self.nodes[node].ledger.is_some() {
                self.connect(node)?;
            }
        }
        Ok(())
    }

    pub(super) fn calm_down(&mut self) {
        self.network.calm();
        self.targets.calm();
        for node in 0..self.nodes.len() {
            self.nodes[node].sends_left = None;
            // A numbered call may come later.
            let is_watched = self.plan.disk_fault.is_some_and(|fault| fault.node == node);
            if self.nodes[node].ledger.is_some() && !is_watched {
                self.nodes[node].stop_disk_after(u64::MAX / 2);
                self.nodes[node].stop_journals_after(u64::MAX / 2);
            }
            self.queue.push(self.now_us, Event::Restart { node });
        }
        self.queue.push(self.now_us, Event::Heal);
        self.calm = Some(Calm { since_us: self.now_us, top: self.checker.top(), healed_after_us: None });
    }
}
