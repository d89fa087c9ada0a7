//! Owns one simulated node: its ledger while it runs, its disk across crashes, and its clock.

use std::collections::BTreeMap;

use althing_actors::{
    disk::sim::{Faults, SimDisk},
    ledger::{
        consensus::ConsensusKey,
        log::Log,
        state::{
            Fatal, LedgerInput, LedgerOutput, LedgerRole, LedgerSettings, LedgerState, LedgerTiming, Now,
            REMEMBERED_MAX,
        },
    },
    port::NodeId,
};
use althing_contracts::{
    digest::Digest,
    genesis::Genesis,
    name::OrgId,
    quantity::{Height, TimeMs},
    state::State,
    testing::{GENESIS_TIME, consensus_key, node_key},
};

/// How long equal gossip is not carried again, as in the real mesh.
const GOSSIP_MEMORY_US: u64 = 10_000_000;
/// The true time at which a run starts, after genesis.
const START_MS: u64 = 3_600_000;

/// A node of the mesh.
pub(super) struct Node {
    pub(super) id: NodeId,
    settings: LedgerSettings,
    disk: SimDisk,
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
    /// The validator of an organisation; it has not started.
    pub(super) fn validator(
        genesis: &Genesis,
        org: &OrgId,
        timing: LedgerTiming,
        clock_offset_ms: i64,
    ) -> Self {
        let key = ConsensusKey::from_seed(consensus_key(org.as_str()).secret());
        let (genesis, node, role) =
            (genesis.clone(), node_key(org.as_str()).public(), LedgerRole::Validator(key));
        let remembered_max = REMEMBERED_MAX;
        Self::new(LedgerSettings { genesis, node, role, timing, remembered_max }, clock_offset_ms)
    }

    /// A node that follows; it has not started.
    pub(super) fn observer(genesis: &Genesis, number: usize, timing: LedgerTiming) -> Self {
        let node = node_key(&format!("observer-{number}")).public();
        let (genesis, role, remembered_max) = (genesis.clone(), LedgerRole::Observer, REMEMBERED_MAX);
        Self::new(LedgerSettings { genesis, node, role, timing, remembered_max }, 0)
    }

    fn new(settings: LedgerSettings, clock_offset_ms: i64) -> Self {
        let id = settings.node;
        Self {
            id,
            settings,
            disk: SimDisk::new(),
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

    /// Opens the ledger from the disk.
    pub(super) fn start(&mut self, now_us: u64) -> Result<Vec<LedgerOutput>, Fatal> {
        self.life += 1;
        self.sends_left = None;
        self.gossiped_us.clear();
        self.taken = None;
        let decode = |bytes: &Vec<u8>| State::decode_snapshot(bytes).expect("it was written by this code");
        let base = self.snapshot.as_ref().map(decode);
        let (log, _recovery) = Log::open(self.disk.clone(), self.settings.genesis.network())?;
        let now = self.now(now_us);
        let opened = LedgerState::open(self.settings.clone(), log, base, now, &mut |_| ())?;
        self.ledger = Some(opened.ledger);
        Ok(opened.outputs)
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

    /// Lets the disk stop at its next operation but `operations`.
    pub(super) fn stop_disk_after(&mut self, operations: u64) {
        let at = self.disk.counts().operations + 1 + operations;
        self.disk.set_faults(Faults { stop_at_operation: Some(at), ..Faults::default() });
    }

    /// Stops the node; unsynced bytes are lost as the seed says.
    pub(super) fn crash(&mut self, seed: u64) {
        self.ledger = None;
        self.disk = self.disk.crash(seed);
    }

    /// Stops the process; the kernel keeps every byte.
    pub(super) fn kill(&mut self) {
        self.ledger = None;
        self.disk = self.disk.kill();
    }

    /// Takes a faulty node out of the mesh for good.
    pub(super) fn retire(&mut self) {
        self.ledger = None;
        self.is_retired = true;
    }

    /// Whether the node is out of the mesh for good.
    pub(super) const fn is_retired(&self) -> bool {
        self.is_retired
    }

    /// The height of its ledger, 0 while it is down.
    pub(super) fn height(&self) -> Height {
        self.ledger.as_ref().map_or(Height::ZERO, LedgerState::height)
    }

    fn now(&self, now_us: u64) -> Now {
        let true_ms = GENESIS_TIME.get() + START_MS + now_us / 1_000;
        Now { wall: TimeMs::new(true_ms.saturating_add_signed(self.clock_offset_ms)), monotonic_us: now_us }
    }
}
