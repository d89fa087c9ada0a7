//! Owns one simulated node: its ledger while it runs, its disk across crashes, and its clock.

use std::{collections::BTreeMap, sync::Arc};

use althing_actors::{
    auditor::state::AuditorState,
    disk::sim::{Faults, SimDisk},
    journal::{Journal, JournalError},
    ledger::{
        consensus::{ConsensusKey, Verdicts},
        log::Log,
        message::{CertifiedBlock, LedgerView},
        state::{
            Fatal, LedgerInput, LedgerOutput, LedgerRole, LedgerSettings, LedgerState, LedgerTiming, Now,
            REMEMBERED_MAX,
        },
    },
    port::NodeId,
    signer::journal::{KEY_USE_JOURNAL, KeyUseRecord},
};
use althing_contracts::{
    digest::Digest,
    genesis::Genesis,
    name::OrgId,
    quantity::{Height, TimeMs},
    state::State,
    testing::{GENESIS_TIME, consensus_key, node_key},
};

use super::{
    faults::{DiskFault, NodeDisk},
    site::{KEY_USES, Site, SiteError},
    world::Staff,
};

/// How long equal gossip is not carried again, as in the real mesh.
const GOSSIP_MEMORY_US: u64 = 10_000_000;
/// The true time at which a run starts, after genesis.
const START_MS: u64 = 3_600_000;

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    /// Its ledger.
    #[error(transparent)]
    Ledger(#[from] Fatal),
    /// Its other actors.
    #[error(transparent)]
    Site(#[from] SiteError),
}

/// A node of the mesh.
pub(super) struct Node {
    pub(super) id: NodeId,
    settings: LedgerSettings,
    disk: SimDisk,
    /// The disk of its journals.
    journals: SimDisk,
    /// Whose keys it holds.
    pub(super) staff: Staff,
    /// Its other actors, while the node runs.
    pub(super) site: Option<Site>,
    /// Set while the node runs.
    pub(super) ledger: Option<LedgerState<SimDisk>>,
    /// Counts restarts; what was meant for an earlier life does not arrive.
    pub(super) life: u64,
    clock_offset_ms: i64,
    /// How many of its next outputs still leave the node before it stops.
    pub(super) sends_left: Option<usize>,
    is_retired: bool,
    /// The last snapshot, which is durable.
    pub(super) snapshot: Option<Vec<u8>>,
    /// One that becomes durable with the records of its block.
    pub(super) taken: Option<Vec<u8>>,
    /// Gossip that it has had in this life, and when.
    gossiped_us: BTreeMap<Digest, u64>,
}

impl Node {
    /// The validator of an organisation; it has not started. What another node that shares its `verdicts` has verified it does
    /// not verify again.
    pub(super) fn validator(
        genesis: &Genesis,
        org: &OrgId,
        timing: LedgerTiming,
        staff: Staff,
        verdicts: &Verdicts,
        clock_offset_ms: i64,
    ) -> Self {
        let key = ConsensusKey::from_seed(consensus_key(org.as_str()).secret());
        let (genesis, node, role) =
            (genesis.clone(), node_key(org.as_str()).public(), LedgerRole::Validator(key));
        let (remembered_max, verdicts) = (REMEMBERED_MAX, verdicts.clone());
        Self::new(
            LedgerSettings { genesis, node, role, timing, remembered_max, verdicts },
            staff,
            clock_offset_ms,
        )
    }

    /// A node that follows; it has not started.
    pub(super) fn observer(
        genesis: &Genesis,
        number: usize,
        timing: LedgerTiming,
        staff: Staff,
        verdicts: &Verdicts,
    ) -> Self {
        let node = node_key(&format!("observer-{number}")).public();
        let (genesis, role, remembered_max) = (genesis.clone(), LedgerRole::Observer, REMEMBERED_MAX);
        let verdicts = verdicts.clone();
        Self::new(LedgerSettings { genesis, node, role, timing, remembered_max, verdicts }, staff, 0)
    }

    fn new(settings: LedgerSettings, staff: Staff, clock_offset_ms: i64) -> Self {
        let id = settings.node;
        Self {
            id,
            settings,
            disk: SimDisk::new(),
            journals: SimDisk::new(),
            staff,
            site: None,
            ledger: None,
            life: 0,
            clock_offset_ms,
            sends_left: None,
            is_retired: false,
            snapshot: None,
            taken: None,
            gossiped_us: BTreeMap::new(),
        }
    }

    /// Opens the ledger and the other actors from their disks.
    pub(super) fn start(&mut self, now_us: u64) -> Result<Vec<LedgerOutput>, StartError> {
        self.life += 1;
        self.sends_left = None;
        self.gossiped_us.clear();
        self.taken = None;
        let decode = |bytes: &Vec<u8>| State::decode_snapshot(bytes).expect("it was written by this code");
        let base = self.snapshot.as_ref().map(decode);
        let (log, _recovery) =
            Log::open(self.disk.clone(), self.settings.genesis.network()).map_err(Fatal::from)?;
        let now = self.now(now_us);
        let opened = LedgerState::open(self.settings.clone(), log, base, now, &mut |_| ())?;
        self.ledger = Some(opened.ledger);
        let view = Arc::new(self.view().expect("its ledger is open"));
        self.site = Some(Site::open(&self.staff, &self.settings.genesis, &self.journals, view)?);
        Ok(opened.outputs)
    }

    /// What its actors see of the ledger.
    pub(super) fn view(&self) -> Option<LedgerView> {
        self.ledger.as_ref().map(LedgerState::view)
    }

    /// The blocks that its auditor has not applied.
    pub(super) fn unaudited(&self) -> Vec<CertifiedBlock> {
        let from = self.site.as_ref().and_then(|site| site.auditor.as_ref()).map(AuditorState::next_height);
        match (from, &self.ledger) {
            (Some(from), Some(ledger)) => ledger.certified_blocks(from).collect(),
            _ => Vec::new(),
        }
    }

    /// Every final block that it has, from the first.
    pub(super) fn blocks(&self) -> Vec<CertifiedBlock> {
        let first = Height::ZERO.next();
        self.ledger.iter().flat_map(|ledger| ledger.certified_blocks(first)).collect()
    }

    /// The uses of its members' keys, as its journal has them.
    pub(super) fn key_uses(&self) -> Result<Vec<KeyUseRecord>, JournalError> {
        let mut uses = Vec::new();
        let place = (self.journals.clone(), KEY_USES);
        Journal::read(place, KEY_USE_JOURNAL, |record| uses.push(record))?;
        Ok(uses)
    }

    /// Gives the ledger an input.
    pub(super) fn step(
        &mut self,
        now_us: u64,
        input: LedgerInput,
    ) -> Option<Result<Vec<LedgerOutput>, Fatal>> {
        let now = self.now(now_us);
        Some(self.ledger.as_mut()?.step(now, input))
    }

    /// Whether gossip is new to this node; the mesh drops what it carried a moment ago.
    pub(super) fn is_news(&mut self, now_us: u64, message: &[u8]) -> bool {
        let digest = Digest::of_artefact(message);
        let is_news = self.gossiped_us.get(&digest).is_none_or(|had_us| had_us + GOSSIP_MEMORY_US <= now_us);
        if is_news {
            self.gossiped_us.insert(digest, now_us);
        }
        is_news
    }

    /// Makes durable what the outputs of a step did not have to wait for.
    pub(super) fn make_durable(&mut self) -> Result<(), Fatal> {
        self.ledger.as_mut().map_or(Ok(()), LedgerState::make_durable)?;
        if let Some(taken) = self.taken.take() {
            self.snapshot = Some(taken);
        }
        Ok(())
    }

    /// Lets one call to one of its disks meet a fault.
    pub(super) fn set_disk_fault(&self, fault: &DiskFault) {
        self.disk_of(fault.disk).set_faults(fault.faults());
    }

    /// Changes and syncs of a disk so far.
    pub(super) fn operations(&self, disk: NodeDisk) -> u64 {
        self.disk_of(disk).counts().operations
    }

    const fn disk_of(&self, disk: NodeDisk) -> &SimDisk {
        match disk {
            NodeDisk::Log => &self.disk,
            NodeDisk::Journals => &self.journals,
        }
    }

    /// Lets the ledger's disk stop at its next operation but `operations`.
    pub(super) fn stop_disk_after(&mut self, operations: u64) {
        stop_after(&self.disk, operations);
    }

    /// Lets the disk of the journals stop at its next operation but `operations`.
    pub(super) fn stop_journals_after(&mut self, operations: u64) {
        stop_after(&self.journals, operations);
    }

    /// Stops the node; unsynced bytes are lost as the seed says.
    pub(super) fn crash(&mut self, seed: u64) {
        self.end();
        self.disk = self.disk.crash(seed);
        self.journals = self.journals.crash(seed ^ 1);
    }

    /// Stops the process; the kernel keeps every byte.
    pub(super) fn kill(&mut self) {
        self.end();
        self.disk = self.disk.kill();
        self.journals = self.journals.kill();
    }

    /// Takes a faulty node out of the mesh for good.
    pub(super) fn retire(&mut self) {
        self.end();
        self.is_retired = true;
    }

    fn end(&mut self) {
        self.ledger = None;
        self.site = None;
    }

    /// Whether the node is out of the mesh for good.
    pub(super) const fn is_retired(&self) -> bool {
        self.is_retired
    }

    /// The height of its ledger, 0 while it is down.
    pub(super) fn height(&self) -> Height {
        self.ledger.as_ref().map_or(Height::ZERO, LedgerState::height)
    }

    /// The time by its clocks.
    pub(super) fn now(&self, now_us: u64) -> Now {
        let true_ms = GENESIS_TIME.get() + START_MS + now_us / 1_000;
        Now { wall: TimeMs::new(true_ms.saturating_add_signed(self.clock_offset_ms)), monotonic_us: now_us }
    }
}

fn stop_after(disk: &SimDisk, operations: u64) {
    let at = disk.counts().operations + 1 + operations;
    disk.set_faults(Faults { stop_at_operation: Some(at), ..Faults::default() });
}
