//! Owns one simulated node: its ledger while it runs, its disk across crashes, and its clock.

use althing_actors::{
    ledger::{
        consensus::ConsensusKey,
        log::{
            Log,
            sim_disk::{Faults, SimDisk},
        },
        state::{
            Fatal, LedgerInput, LedgerOutput, LedgerRole, LedgerSettings, LedgerState, LedgerTiming, Now,
        },
    },
    port::NodeId,
};
use althing_contracts::{
    genesis::Genesis,
    name::OrgId,
    quantity::{Height, TimeMs},
    testing::{GENESIS_TIME, consensus_key, node_key},
};

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
}

impl Node {
    /// A node of an organisation that has not started.
    pub(super) fn new(genesis: &Genesis, org: &OrgId, clock_offset_ms: i64) -> Self {
        let id = node_key(org.as_str()).public();
        let key = ConsensusKey::from_seed(consensus_key(org.as_str()).secret());
        let settings = LedgerSettings {
            genesis: genesis.clone(),
            node: id,
            role: LedgerRole::Validator(key),
            timing: LedgerTiming::default(),
        };
        Self {
            id,
            settings,
            disk: SimDisk::new(),
            ledger: None,
            life: 0,
            clock_offset_ms,
            sends_left: None,
            is_retired: false,
        }
    }

    /// Opens the ledger from the disk.
    pub(super) fn start(&mut self, now_us: u64) -> Result<Vec<LedgerOutput>, Fatal> {
        self.life += 1;
        self.sends_left = None;
        let (log, _recovery) = Log::open(self.disk.clone(), self.settings.genesis.network())?;
        let now = self.now(now_us);
        let opened = LedgerState::open(self.settings.clone(), log, None, now, &mut |_| ())?;
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

    /// Makes durable what the outputs of a step did not have to wait for.
    pub(super) fn make_durable(&mut self) -> Result<(), Fatal> {
        self.ledger.as_mut().map_or(Ok(()), LedgerState::make_durable)
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
