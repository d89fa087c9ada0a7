//! Owns what was published, heard, asked and answered among honest nodes, and the figures of it.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    rc::Rc,
    time::Duration,
};

use super::{
    SETTLE, begin_of,
    cast::{HONEST, VICTIMS},
};

/// The tally of a run; clones share it.
pub(super) type SharedTally = Rc<RefCell<Tally>>;

/// What happened.
#[derive(Debug, Default)]
pub(super) struct Tally {
    /// When each message was published, by author and number.
    published: BTreeMap<(usize, u64), Duration>,
    /// When each was heard first, by author, number and listener.
    heard: BTreeMap<(usize, u64, usize), Duration>,
    /// When each victim heard an honest node first.
    first: BTreeMap<usize, Duration>,
    asked: u64,
    answered: u64,
    /// Messages that no honest node publishes, which reached an application: by listener and neighbour.
    invalid: BTreeMap<(usize, String), u64>,
    flooded: u64,
    torrent: u64,
    /// Connections that are neither an honest nor an admitted node's.
    strangers: BTreeSet<String>,
    /// Times that an honest node lost an admitted hostile one.
    cut_off: BTreeMap<String, u64>,
}

/// Of honest nodes' messages.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Delivery {
    /// Messages times listeners that were there.
    pub expected: usize,
    /// Of which were heard.
    pub heard: usize,
    /// Share heard, in millionths.
    pub share_ppm: u64,
    /// Milliseconds from publishing to hearing, half of all; what was never heard took for ever.
    pub p50_ms: Option<u64>,
    /// The same, 99 % of all.
    pub p99_ms: Option<u64>,
    /// The slowest that was heard.
    pub max_ms: Option<u64>,
}

impl Tally {
    pub(super) fn publish(&mut self, author: usize, number: u64) {
        self.published.insert((author, number), now());
    }

    pub(super) fn hear(&mut self, listener: usize, author: usize, number: u64) {
        self.heard.entry((author, number, listener)).or_insert_with(now);
        if listener < VICTIMS {
            self.first.entry(listener).or_insert_with(now);
        }
    }

    pub(super) fn ask(&mut self) {
        self.asked += 1;
    }

    pub(super) fn answer(&mut self) {
        self.answered += 1;
    }

    pub(super) fn flood(&mut self) {
        self.flooded += 1;
    }

    pub(super) fn torrent(&mut self) {
        self.torrent += 1;
    }

    pub(super) fn invalid(&mut self, listener: usize, neighbour: &str) {
        *self.invalid.entry((listener, neighbour.to_owned())).or_default() += 1;
    }

    pub(super) fn stranger(&mut self, node: String) {
        self.strangers.insert(node);
    }

    pub(super) fn cut_off(&mut self, peer: &str) {
        *self.cut_off.entry(peer.to_owned()).or_default() += 1;
    }

    /// Delivery to `listeners`, of messages that were published when each of them had been up for [`SETTLE`].
    pub(super) fn delivery(&self, listeners: std::ops::Range<usize>) -> Delivery {
        let mut took = Vec::new();
        let mut expected = 0;
        for ((author, number), at) in &self.published {
            let there = |listener: &usize| listener != author && *at >= begin_of(*listener) + SETTLE;
            for listener in listeners.clone().filter(there) {
                expected += 1;
                took.extend(self.heard.get(&(*author, *number, listener)).map(|heard| millis(*heard - *at)));
            }
        }
        took.sort_unstable();
        let at = |percent: usize| took.get((expected * percent).div_ceil(100).saturating_sub(1)).copied();
        Delivery {
            expected,
            heard: took.len(),
            share_ppm: ppm(took.len() as u64, expected as u64),
            p50_ms: at(50),
            p99_ms: at(99),
            max_ms: took.last().copied(),
        }
    }

    /// Share of honest nodes' requests to each other that were answered, in millionths.
    pub(super) fn answered_ppm(&self) -> u64 {
        ppm(self.answered, self.asked)
    }

    /// Milliseconds from the start of the slowest victim until it heard an honest node; `None` when one never did.
    pub(super) fn victims_joined_ms(&self) -> Option<u64> {
        let joined =
            |victim| self.first.get(&victim).map(|first| millis(first.saturating_sub(begin_of(victim))));
        (0..VICTIMS).map(joined).collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    /// The most invalid messages that reached one application from one neighbour.
    pub(super) fn invalid_max(&self) -> u64 {
        self.invalid.values().max().copied().unwrap_or(0)
    }

    /// Of each hostile peer that was cut off, how often.
    pub(super) fn cut_offs(&self) -> BTreeMap<String, u64> {
        self.cut_off.clone()
    }

    pub(super) fn strangers(&self) -> usize {
        self.strangers.len()
    }

    /// Messages of floods, and direct messages of torrents, that applications saw.
    pub(super) const fn floods(&self) -> (u64, u64) {
        (self.flooded, self.torrent)
    }

    /// Delivery to all.
    pub(super) fn everyone(&self) -> Delivery {
        self.delivery(0..HONEST)
    }
}

fn now() -> Duration {
    turmoil::sim_elapsed().unwrap_or_default()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn ppm(part: u64, whole: u64) -> u64 {
    if whole == 0 { 0 } else { part * 1_000_000 / whole }
}
