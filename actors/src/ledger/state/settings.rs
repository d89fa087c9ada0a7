//! Owns what a ledger node is configured with.

use althing_contracts::genesis::Genesis;

use crate::{
    ledger::consensus::{ConsensusKey, ConsensusTimeouts, Verdicts},
    port::NodeId,
};

/// What a ledger node needs to know when it opens.
#[derive(Debug, Clone)]
pub struct LedgerSettings {
    /// The beginning of the mesh.
    pub genesis: Genesis,
    /// This node.
    pub node: NodeId,
    /// Whether it validates.
    pub role: LedgerRole,
    /// Time limits.
    pub timing: LedgerTiming,
    /// Most heights whose place in the log is kept in memory; older ones are found through the index.
    pub remembered_max: usize,
    /// Signatures known to be valid; nodes of one process may share them.
    pub verdicts: Verdicts,
}

/// What a node remembers of the log when nothing else is said: a few megabytes.
pub const REMEMBERED_MAX: usize = 100_000;

/// What a node does for the ledger.
#[derive(Debug, Clone)]
pub enum LedgerRole {
    /// Votes with this key, which the roster names.
    Validator(ConsensusKey),
    /// Follows and never votes.
    Observer,
}

/// The ledger's time limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LedgerTiming {
    /// Of consensus steps.
    pub consensus: ConsensusTimeouts,
    /// Interval at which nodes tell each other where they stand.
    pub status_ms: u64,
}

impl Default for LedgerTiming {
    fn default() -> Self {
        Self { consensus: ConsensusTimeouts::default(), status_ms: 15_000 }
    }
}
