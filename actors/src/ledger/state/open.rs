//! Owns opening: reads the log through, executes the blocks after the starting state, and brings consensus back to
//! where it was, so that this validator never contradicts what it signed.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use althing_contracts::{
    block::Block,
    canonical,
    certificate::Roster,
    digest::Digest,
    event::Event,
    ledger,
    quantity::Height,
    signature::PublicKey,
    state::State,
    transaction::{Equivocation, UnverifiedTransaction, VerifiedTransaction},
};
use bytes::Bytes;

use super::{
    Candidates, ClockWatch, CommittedBlock, Fatal, Filed, Head, History, LedgerOutput, LedgerRole,
    LedgerSettings, LedgerState, Now, Scratch,
    ahead::Ahead,
    candidates::Candidate,
    commit::{decode_decision, number_events},
    heads::Heads,
};
use crate::{
    disk::Disk,
    ledger::{
        consensus::{ConsensusEntry, Driver, DriverConfig, LoggedInput},
        equivocation::EquivocationDetector,
        log::{
            Log,
            record::{Record, RecordKind, RecordPosition},
        },
        mempool::Mempool,
    },
    port::NodeId,
    rosters::Rosters,
    sync::SyncState,
};

/// Largest evidence record.
const EVIDENCE_LEN_MAX: usize = 1_024;

/// A ledger that was opened.
#[derive(Debug)]
pub struct Opened<D> {
    /// The ledger.
    pub ledger: LedgerState<D>,
    /// What has to be done at once.
    pub outputs: Vec<LedgerOutput>,
}

impl<D: Disk> LedgerState<D> {
    /// Opens the ledger in a log, starting from `base`, a state of this ledger's past, or from genesis.
    ///
    /// `replayed` is told of every block after `base` in order.
    ///
    /// # Errors
    /// The log is damaged, the settings do not fit the genesis, or consensus cannot be
    /// brought back.
    pub fn open(
        settings: LedgerSettings,
        log: Log<D>,
        base: Option<State>,
        now: Now,
        replayed: &mut dyn FnMut(&CommittedBlock),
    ) -> Result<Opened<D>, Fatal> {
        let state = match base {
            Some(state) => state,
            None => State::genesis(&settings.genesis)?,
        };
        let mut replay = Replay::new(state, settings.remembered_max);
        for item in log.scan() {
            let (position, record) = item?;
            replay.take(position, record, replayed)?;
        }
        if replay.last < replay.head.state.height() {
            return Err(Fatal::SnapshotAhead { snapshot: replay.head.state.height(), log: replay.last });
        }
        let mut ledger = Self::assemble(settings, log, now, &mut replay);
        ledger.resume(replay)?;
        let outputs = ledger.finish()?;
        Ok(Opened { ledger, outputs })
    }

    fn assemble(settings: LedgerSettings, log: Log<D>, now: Now, replay: &mut Replay) -> Self {
        let LedgerSettings { node, role, timing, verdicts, .. } = settings;
        let head = replay.head.clone();
        let roster = head.state.roster();
        let network = head.state.network();
        let driver = match role {
            LedgerRole::Observer => None,
            LedgerRole::Validator(key) => {
                let (timeouts, verdicts) = (timing.consensus, verdicts.clone());
                let config = DriverConfig { network, key, timeouts, verdicts };
                Some((config.key.public(), Driver::new(config, roster)))
            }
        };
        let (own_key, driver): (Option<PublicKey>, Option<Driver>) = driver.unzip();
        Self {
            node,
            network,
            timing,
            log,
            validators: by_node(roster),
            rosters: replay.rosters.clone(),
            head,
            driver,
            own_key,
            own_proposal: None,
            acts: VecDeque::new(),
            candidates: Candidates::default(),
            ahead: Ahead::default(),
            mempool: Mempool::default(),
            arrivals: super::Arrivals::default(),
            scratch: Scratch::default(),
            local: BTreeSet::new(),
            to_forward: Vec::new(),
            detector: std::mem::take(&mut replay.detector),
            verdicts,
            history: std::mem::replace(&mut replay.history, History::new(0)),
            heads: Heads::begin(now.monotonic_us),
            sync: SyncState::default(),
            replied_us: BTreeMap::new(),
            clock: ClockWatch::default(),
            now,
            outputs: Vec::new(),
            is_bound: false,
            wake_us: None,
            next_status_us: now.monotonic_us,
            next_forward_us: 0,
        }
    }

    /// Brings the undecided height back.
    fn resume(&mut self, replay: Replay) -> Result<(), Fatal> {
        let Replay { entries, undecided, .. } = replay;
        for (position, bytes, block) in undecided {
            if let Some(executed) = self.execute_known(&block) {
                let (round, proposer) = (executed.header.round, executed.header.proposer);
                let candidate = Candidate { bytes, position, round, proposer, executed };
                self.candidates.insert(block.digest(), candidate);
            }
        }
        let next = self.height().next();
        let entries: Vec<LoggedInput> = entries
            .into_iter()
            .filter(|ConsensusEntry::V1 { height, .. }| *height == next)
            .map(|ConsensusEntry::V1 { input, .. }| input)
            .collect();
        for entry in &entries {
            if let LoggedInput::Proposal(proposal) = entry {
                self.candidates.name(proposal.statement.block);
            }
        }
        if self.driver.is_some() && !entries.is_empty() {
            self.start_height(&entries)?;
            self.progress()?;
        }
        Ok(())
    }

    /// Executes a block from the own log, whose signatures were verified before it was logged.
    fn execute_known(&self, block: &Block) -> Option<ledger::Executed> {
        if block.header().parent != self.head.digest {
            return None;
        }
        let transactions = assume_verified(block, self.network)?;
        ledger::execute(&self.head.state, block.header(), &transactions).ok()
    }
}

/// The consensus key of each validator, by its node.
pub(super) fn by_node(roster: &Roster) -> BTreeMap<NodeId, PublicKey> {
    roster.validators().iter().map(|validator| (validator.node, validator.consensus)).collect()
}

/// What reading the log has yielded so far.
struct Replay {
    head: Head,
    rosters: Rosters,
    /// Height of the last decision that was read.
    last: Height,
    history: History,
    detector: EquivocationDetector,
    entries: Vec<ConsensusEntry>,
    undecided: Vec<(RecordPosition, Bytes, Block)>,
}

impl Replay {
    fn new(state: State, remembered_max: usize) -> Self {
        let rosters = Rosters::after(&state);
        let head =
            Head { state, digest: Digest::ZERO, header: None, certificate: None, committed_us: 0, len: 0 };
        Self {
            head,
            rosters,
            last: Height::ZERO,
            history: History::new(remembered_max),
            detector: EquivocationDetector::default(),
            entries: Vec::new(),
            undecided: Vec::new(),
        }
    }

    fn take(
        &mut self,
        position: RecordPosition,
        record: Record,
        replayed: &mut dyn FnMut(&CommittedBlock),
    ) -> Result<(), Fatal> {
        let number = position.number;
        match record.kind {
            RecordKind::Consensus => {
                let entry = ConsensusEntry::decode(&record.payload);
                let entry = entry.map_err(|source| Fatal::Entry { number, source })?;
                self.witness(&entry);
                self.entries.push(entry);
            }
            RecordKind::Block => {
                let block = Block::decode(&record.payload)
                    .map_err(|error| Fatal::Record { number, problem: error.to_string() })?;
                self.undecided.push((position, Bytes::from(record.payload), block));
            }
            RecordKind::Decision => self.decide(position, &record.payload, replayed)?,
            RecordKind::Evidence => {
                let evidence: Evidence = canonical::decode(&record.payload, EVIDENCE_LEN_MAX)
                    .map_err(|error| Fatal::Record { number, problem: error.to_string() })?;
                let Evidence::V1(evidence) = evidence;
                self.detector.recover(evidence);
            }
        }
        Ok(())
    }

    /// Shows the detector what validators said before the restart, so that a contrary vote after it is evidence. What
    /// contradicts itself within the log has its evidence in the log, before the second vote.
    fn witness(&mut self, entry: &ConsensusEntry) {
        let ConsensusEntry::V1 { input, .. } = entry;
        let votes = match input {
            LoggedInput::Vote(vote) => vec![vote.clone()],
            LoggedInput::PolkaCertificate(polka) => polka.votes().collect(),
            LoggedInput::Timeout { .. } | LoggedInput::Proposal(_) | LoggedInput::Judged(_) => Vec::new(),
        };
        for vote in &votes {
            let _known = self.detector.observe(vote);
        }
    }

    fn decide(
        &mut self,
        decision: RecordPosition,
        payload: &[u8],
        replayed: &mut dyn FnMut(&CommittedBlock),
    ) -> Result<(), Fatal> {
        let number = decision.number;
        let problem = |problem: &str| Fatal::Record { number, problem: problem.to_owned() };
        let certificate = decode_decision(number, payload)?;
        let decided = self.undecided.iter().position(|(_, _, block)| block.digest() == certificate.block);
        let index =
            decided.ok_or_else(|| problem("the block that it makes final is not in the log before it"))?;
        let (position, _, block) = self.undecided.swap_remove(index);
        if certificate.height != self.last.next() || block.header().height != certificate.height {
            return Err(problem("its height does not follow the one before"));
        }
        let filed = Filed { block: position, decision };
        self.last = certificate.height;
        self.history.push(certificate.height, filed);
        self.undecided.clear();
        self.entries.retain(|entry| entry.height() > certificate.height);
        self.detector.prune(certificate.height);
        if certificate.height <= self.head.state.height() {
            if certificate.height == self.head.state.height() {
                self.head.digest = certificate.block;
                self.head.header = Some(block.header().clone());
                self.head.certificate = Some(certificate);
            }
            return Ok(());
        }
        let transactions = assume_verified(&block, self.head.state.network())
            .ok_or_else(|| problem("a transaction of its block cannot be read"))?;
        let executed = ledger::execute(&self.head.state, block.header(), &transactions)
            .map_err(|invalid| problem(&format!("its block is not valid: {invalid}")))?;
        let before = self.head.state.event_sequence();
        let events: Vec<Event> = executed.events;
        let block = CommittedBlock {
            digest: certificate.block,
            events: std::sync::Arc::new(number_events(before, &executed.header, events)),
            outcomes: executed.outcomes,
            state: executed.state,
            header: executed.header,
            certificate,
            filed,
        };
        self.rosters.follow(&block.state);
        self.head = Head {
            state: block.state.clone(),
            digest: block.digest,
            header: Some(block.header.clone()),
            certificate: Some(block.certificate.clone()),
            committed_us: 0,
            len: 0,
        };
        replayed(&block);
        Ok(())
    }
}

fn assume_verified(block: &Block, network: Digest) -> Option<Vec<VerifiedTransaction>> {
    let decode = |bytes: &Vec<u8>| UnverifiedTransaction::decode(bytes, network).ok();
    block
        .transactions()
        .iter()
        .map(|bytes| decode(bytes).map(UnverifiedTransaction::assume_verified))
        .collect()
}

/// Evidence as it is logged. The variant is the version of the disk format.
#[derive(Debug, Clone, PartialEq, Eq, borsh::BorshSerialize, borsh::BorshDeserialize)]
enum Evidence {
    /// Version 1.
    V1(Equivocation),
}

pub(super) fn encode_evidence(evidence: &Equivocation) -> Vec<u8> {
    canonical::encode(&Evidence::V1(evidence.clone()))
}
