//! Owns making a block final: its certificate goes into the log, its state becomes the head, and everyone who
//! waits for it is told.

use std::{collections::VecDeque, sync::Arc};

use althing_contracts::{
    block::Header,
    canonical,
    certificate::Certificate,
    event::{Event, EventRecord},
    quantity::{EventSequence, Height},
};

use super::{
    CommittedBlock, Fatal, Filed, Head, LedgerOutput, LedgerState, Misbehaviour, candidates::Candidate,
    open::by_node,
};
use crate::{
    disk::Disk,
    failpoint,
    ledger::{
        consensus::{ConsensusEntry, EntryLog},
        log::{Log, LogError, record::RecordKind},
        message::CertifiedBlock,
        wire::{LedgerMessage, Message},
    },
    port::NodeId,
};

/// Where the log has the last blocks.
#[derive(Debug)]
pub(super) struct History {
    len_max: usize,
    first: Height,
    filed: VecDeque<Filed>,
}

impl History {
    pub(super) const fn new(len_max: usize) -> Self {
        Self { len_max, first: Height::ZERO, filed: VecDeque::new() }
    }

    pub(super) fn push(&mut self, height: Height, filed: Filed) {
        if self.filed.is_empty() {
            self.first = height;
        }
        self.filed.push_back(filed);
        if self.filed.len() > self.len_max {
            self.filed.pop_front();
            self.first = self.first.next();
        }
    }

    pub(super) fn get(&self, height: Height) -> Option<Filed> {
        let index = height.checked_sub(self.first)?.get();
        self.filed.get(usize::try_from(index).ok()?).copied()
    }
}

impl<D: Disk> LedgerState<D> {
    /// Consensus decided a block of this height.
    pub(super) fn on_decided(&mut self, certificate: Certificate) -> Result<(), Fatal> {
        if certificate.height != self.height().next() {
            return Ok(());
        }
        match self.candidates.take(&certificate.block) {
            Some(candidate) => self.commit(candidate, certificate),
            // The core decides only what was judged valid, and what was judged valid is kept until the height ends.
            None => Err(Fatal::Lost { height: certificate.height, block: certificate.block }),
        }
    }

    /// A peer shows that the running height is decided.
    pub(super) fn on_decided_elsewhere(
        &mut self,
        from: NodeId,
        certificate: Certificate,
    ) -> Result<(), Fatal> {
        self.sync.claim(from, certificate.height);
        if certificate.height != self.height().next() || self.candidates.get(&certificate.block).is_none() {
            return Ok(());
        }
        if certificate.verify(self.network, self.roster()).is_err() {
            self.blame(from, Misbehaviour::InvalidHistory);
            return Ok(());
        }
        if let Some(driver) = &mut self.driver {
            driver.abandon();
        }
        self.acts.clear();
        self.on_decided(certificate)
    }

    /// Makes an executed block final.
    pub(super) fn commit(&mut self, candidate: Candidate, certificate: Certificate) -> Result<(), Fatal> {
        self.observe_certificate(&certificate)?;
        let recovered = self.detector.take_recovered().into_iter();
        self.outputs.extend(recovered.map(|evidence| LedgerOutput::Evidence(Box::new(evidence))));
        failpoint::reach("ledger.decision.log");
        let decision = self.log.append(RecordKind::Decision, &encode_decision(&certificate))?;
        let filed = Filed { block: candidate.position, decision };
        let executed = candidate.executed;
        let before = self.head.state.event_sequence();
        let block = CommittedBlock {
            digest: certificate.block,
            certificate,
            events: Arc::new(number_events(before, &executed.header, executed.events)),
            outcomes: executed.outcomes,
            state: executed.state,
            header: executed.header,
            filed,
        };
        self.advance(&block);
        self.history.push(block.header.height, filed);
        self.outputs.push(LedgerOutput::Committed(Arc::new(block)));
        self.recheck_waiting();
        Ok(())
    }

    fn advance(&mut self, block: &CommittedBlock) {
        self.head = Head {
            state: block.state.clone(),
            digest: block.digest,
            header: Some(block.header.clone()),
            certificate: Some(block.certificate.clone()),
            committed_us: self.now.monotonic_us,
            len: block.outcomes.len(),
        };
        if self.rosters.follow(&block.state) {
            self.validators = by_node(block.state.roster());
            tracing::info!(height = %block.header.height.next(), seated = self.is_seated(), "other validators decide");
        }
        for (id, _) in &block.outcomes {
            self.mempool.remove(id);
            self.scratch.forget(id);
            self.local.remove(id);
            self.arrivals.settle(*id);
        }
        let height = block.header.height;
        self.candidates.clear();
        self.own_proposal = None;
        self.ahead.prune(height);
        self.detector.prune(height);
        self.sync.advanced();
        self.announce();
        self.show_head();
    }

    /// Tells the nodes that do not vote; validators know by their own votes. A node that does not vote itself tells
    /// those that may have no other neighbour, once it is level.
    fn announce(&mut self) {
        if !self.is_seated() && self.sync.highest_seen() > self.height() {
            return;
        }
        let message = LedgerMessage::encode(Message::Status(self.status()));
        let followers = self.sync.peers().filter(|peer| !self.validators.contains_key(*peer));
        let sends = followers.map(|to| LedgerOutput::Send { to: *to, message: message.clone() });
        self.outputs.extend(sends);
    }

    /// Whether it is in memory where the log has a final block.
    #[must_use]
    pub fn remembers(&self, height: Height) -> bool {
        self.history.get(height).is_some()
    }

    /// Reads final blocks in order from the log, as far as it is in memory where they are.
    pub fn certified_blocks(&self, from: Height) -> impl Iterator<Item = CertifiedBlock> + '_ {
        (from.get()..=self.height().get()).map_while(|height| {
            let filed = self.history.get(Height::new(height))?;
            self.read_filed(filed)
                .inspect_err(|error| tracing::error!(%error, "a final block cannot be read"))
                .ok()
        })
    }

    /// Reads a final block from its place in the log.
    ///
    /// # Errors
    /// The disk refused, or the log is damaged there.
    pub fn read_filed(&self, filed: Filed) -> Result<CertifiedBlock, Fatal> {
        let block = self.log.read(filed.block)?.payload;
        let record = self.log.read(filed.decision)?;
        let certificate = decode_decision(filed.decision.number, &record.payload)?;
        Ok(CertifiedBlock { block, certificate })
    }
}

/// A decision as it is logged. The variant is the version of the disk format.
#[derive(Debug, Clone, PartialEq, Eq, borsh::BorshSerialize, borsh::BorshDeserialize)]
pub(super) enum Decision {
    /// Version 1: the block with the certificate's digest, logged before, is final.
    V1(Certificate),
}

/// Largest decision: precommits of the largest roster.
const DECISION_LEN_MAX: usize = 256 + 128 * althing_contracts::genesis::ORGANISATIONS_MAX;

pub(super) fn encode_decision(certificate: &Certificate) -> Vec<u8> {
    canonical::encode(&Decision::V1(certificate.clone()))
}

pub(super) fn decode_decision(number: u64, bytes: &[u8]) -> Result<Certificate, Fatal> {
    let decision = canonical::decode(bytes, DECISION_LEN_MAX);
    let Decision::V1(certificate) =
        decision.map_err(|error| Fatal::Record { number, problem: error.to_string() })?;
    Ok(certificate)
}

/// Numbers a block's events after the ones before it.
pub(super) fn number_events(before: EventSequence, header: &Header, events: Vec<Event>) -> Vec<EventRecord> {
    let mut sequence = before;
    let number = |event| {
        sequence = sequence.next();
        EventRecord { sequence, height: header.height, time: header.time, event }
    };
    events.into_iter().map(number).collect()
}

/// Logs the entries of the consensus core.
impl<D: Disk> EntryLog for Log<D> {
    fn append_entry(&mut self, entry: &ConsensusEntry) -> Result<(), LogError> {
        self.append(RecordKind::Consensus, &entry.encode()).map(|_position| ())
    }
}
