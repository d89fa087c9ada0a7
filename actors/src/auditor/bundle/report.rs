//! Owns the answer of a verification that held: the same bytes give the same report.

use std::collections::BTreeMap;

use althing_contracts::{
    digest::Digest,
    event::Event,
    name::{Line, Name},
    quantity::{Height, TimeMs},
    state::State,
};
use serde::Serialize;

use super::{super::replay::Replayed, key_uses::NodeKeyUses, split_view::CertifiedSplit};

/// What a bundle proves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The network: digest of its genesis.
    pub network: Digest,
    /// The mesh's name, for people.
    pub name: Name,
    /// Height of the last block.
    pub height: Height,
    /// Digest of the last block; compare it with what another auditor saw.
    pub head: Digest,
    /// State root after the last block, by own application.
    pub state_root: Digest,
    /// Time of the last block, in milliseconds since the Unix epoch.
    pub time: TimeMs,
    /// Records of the bundle, the trailer included.
    pub records: u64,
    /// Transactions re-applied.
    pub transactions: u64,
    /// Signatures verified: transactions and precommits.
    pub signatures: u64,
    /// Events that they caused.
    pub events: u64,
    /// Proposals by the stage that they ended in.
    pub proposals: BTreeMap<&'static str, u64>,
    /// Receipts of executors, undos included.
    pub receipts: u64,
    /// Health attestations.
    pub health_attestations: u64,
    /// Attestations of auditors.
    pub audits: u64,
    /// Evidence in the bundle that a receipt names by digest.
    pub evidence: u64,
    /// Proofs of where a proposal stands that lead to the last state root.
    pub stage_proofs: u64,
    /// What each node that testified in the bundle did with its keys.
    pub key_uses: Vec<NodeKeyUses>,
    /// Heights at which two blocks are certified: the network broke its promise.
    pub split_views: Vec<CertifiedSplit>,
    /// Invariants that were judged after every block.
    pub invariants: Vec<&'static str>,
    /// Who says to have written the bundle; nothing rests on it.
    pub exporter: Line,
}

/// Counts what blocks did.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) transactions: u64,
    pub(super) signatures: u64,
    pub(super) events: u64,
    pub(super) receipts: u64,
    pub(super) health_attestations: u64,
    pub(super) audits: u64,
    pub(super) evidence: u64,
    pub(super) stage_proofs: u64,
}

impl Counts {
    /// Adds one block.
    pub(super) fn add(&mut self, block: &Replayed, precommits: usize) {
        self.transactions += block.transactions.len() as u64;
        self.signatures += (block.transactions.len() + precommits) as u64;
        self.events += block.events.len() as u64;
        for event in &block.events {
            match event {
                Event::StepReported { .. } => self.receipts += 1,
                Event::HealthAttested { .. } => self.health_attestations += 1,
                Event::Attested { .. } => self.audits += 1,
                _ => {}
            }
        }
    }
}

/// How many proposals stand in each stage.
pub(super) fn proposals_by_stage(state: &State) -> BTreeMap<&'static str, u64> {
    let mut counts = BTreeMap::new();
    for proposal in state.proposals() {
        *counts.entry(proposal.stage.name()).or_insert(0) += 1;
    }
    counts
}
