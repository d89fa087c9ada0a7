//! Owns reads as load: clients that ask now this node and now that one where a proposal stands, with the highest height
//! that anybody of their circle was shown; and the record of what all clients of the run were told.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use althing_contracts::{quantity::Height, transaction::ProposalId};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng, seq::IndexedRandom as _};
use serde::Serialize;

use crate::{
    checker::status::{CallId, Caller, History, Told},
    process::client::NodeClient,
    run::stop::Stop,
};

/// The circle of everybody who shares heights: clients that read, and those who vote and submit.
const EVERYBODY: usize = 0;
/// Clients that share heights, and clients that share with nobody.
const SHARING: usize = 4;
const ALONE: usize = 2;
/// Time between two reads of one client.
const READ_EVERY: Duration = Duration::from_millis(150);
/// Longest time for an answer: a node waits five seconds for a block before it refuses.
const ANSWER_WITHIN: Duration = Duration::from_secs(7);
/// Proposals of which one is read: the newest move most.
const NEWEST: usize = 4;

/// What all clients were told, in the order of real time: a call is written down before it leaves, an answer once it is
/// here. Clones share one record.
#[derive(Debug, Clone, Default)]
pub struct Record(Arc<Mutex<Kept>>);

/// What a record holds.
#[derive(Debug, Default)]
struct Kept {
    history: History,
    /// The highest answer of each circle.
    circles: BTreeMap<usize, u64>,
    proposals: Vec<ProposalId>,
    counts: ReadCounts,
}

/// What reads did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ReadCounts {
    /// Asked.
    pub asked: usize,
    /// Answered, with the height that was asked for or above it.
    pub answered: usize,
    /// Refused, because the node was behind or had too much to do.
    pub refused: usize,
    /// Never answered.
    pub unanswered: usize,
}

/// A read on its way.
struct Question {
    call: CallId,
    proposal: ProposalId,
    least: u64,
}

impl Record {
    /// A proposal can be asked for from here on.
    pub fn opened(&self, proposal: &str) {
        if let Ok(id) = proposal.parse().map(ProposalId::from_digest) {
            self.lock().proposals.push(id);
        }
    }

    /// Somebody submits something at a node.
    #[must_use]
    pub fn submits(&self, node: usize) -> CallId {
        self.lock().history.asked(Caller { circle: EVERYBODY, node })
    }

    /// It is final, by the node's word.
    pub fn acknowledged(&self, call: CallId, height: u64) {
        self.lock().answered(EVERYBODY, call, height, Told::Done(None));
    }

    /// What was recorded so far; the record begins anew.
    #[must_use]
    pub fn take(&self) -> (History, ReadCounts) {
        let Kept { history, counts, .. } = std::mem::take(&mut *self.lock());
        (history, counts)
    }

    fn ask(&self, circle: usize, node: usize, random: &mut StdRng) -> Option<Question> {
        let mut kept = self.lock();
        let newest = &kept.proposals[kept.proposals.len().saturating_sub(NEWEST)..];
        let proposal = *newest.choose(random)?;
        let least = kept.circles.get(&circle).copied().unwrap_or(0);
        kept.counts.asked += 1;
        Some(Question { call: kept.history.asked(Caller { circle, node }), proposal, least })
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn answered(&mut self, circle: usize, call: CallId, height: u64, told: Told) {
        let highest = self.circles.entry(circle).or_default();
        *highest = height.max(*highest);
        self.history.answered(call, Height::new(height), told);
    }
}

/// Running clients.
#[derive(Debug)]
pub struct Reads {
    clients: Vec<thread::JoinHandle<()>>,
}

impl Reads {
    /// Starts to read at all of these nodes.
    #[must_use]
    pub fn start(nodes: &[NodeClient], seed: u64, record: &Record, stop: &Stop) -> Self {
        let nodes: Vec<_> = nodes.iter().map(|node| node.within(ANSWER_WITHIN)).collect();
        let circles = (0..SHARING).map(|_| EVERYBODY).chain((0..ALONE).map(|client| EVERYBODY + 1 + client));
        let client = |(number, circle): (usize, usize)| {
            let (nodes, record, stop) = (nodes.clone(), record.clone(), stop.clone());
            let random = StdRng::seed_from_u64(seed.wrapping_add(number as u64));
            thread::spawn(move || read(&nodes, circle, random, &record, &stop))
        };
        Self { clients: circles.enumerate().map(client).collect() }
    }

    /// Waits for the end of all, after [`Stop::request`].
    ///
    /// # Panics
    /// A client panicked.
    pub fn join(self) {
        for client in self.clients {
            client.join().expect("a client does not panic");
        }
    }
}

fn read(nodes: &[NodeClient], circle: usize, mut random: StdRng, record: &Record, stop: &Stop) {
    while !stop.wait(READ_EVERY) {
        let node = random.random_range(0..nodes.len());
        let Some(Question { call, proposal, least }) = record.ask(circle, node, &mut random) else {
            continue;
        };
        let answer = nodes[node].status(proposal, least);
        let mut kept = record.lock();
        match answer {
            Ok((height, status)) => {
                kept.counts.answered += 1;
                kept.answered(circle, call, height, Told::Shown(proposal, status));
            }
            Err(error) if error.is_refusal() => kept.counts.refused += 1,
            Err(_) => kept.counts.unanswered += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_told_of_a_block_asks_for_it_everywhere() {
        let record = Record::default();
        let mut random = StdRng::seed_from_u64(1);
        assert!(record.ask(EVERYBODY, 0, &mut random).is_none(), "there is nothing to ask for");
        record.opened(&"7".repeat(64));
        let call = record.submits(2);
        record.acknowledged(call, 9);
        let least = |circle| record.ask(circle, 0, &mut StdRng::seed_from_u64(1)).expect("a question").least;
        assert_eq!((least(EVERYBODY), least(EVERYBODY + 1)), (9, 0));
        let (history, counts) = record.take();
        assert_eq!((history.counts(), counts.asked), ((3, 1), 2));
    }
}
