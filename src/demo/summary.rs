//! Owns the one object that `althing dev --demo -o json` prints. Its field names are stable; `docs/demo.md` lists them.

use serde::Serialize;

/// What the story came to.
#[derive(Debug, Default, Serialize)]
pub(super) struct Summary {
    /// Whether everything came out as told.
    pub(super) passed: bool,
    /// The network's identity.
    pub(super) network: String,
    /// From the start to the first final block.
    pub(super) first_block_ms: u64,
    /// Proposal that installed version 1.
    pub(super) installed: ProposalSummary,
    /// Proposal that rolled out version 2.
    pub(super) rolled_out: ProposalSummary,
    /// Proposal whose canary failed.
    pub(super) rolled_back: ProposalSummary,
    /// Proposal that the hard rules refused.
    pub(super) refused: ProposalSummary,
    /// Blocks decided while one validator was away.
    pub(super) blocks_without_one: u64,
    /// Blocks that it caught up with.
    pub(super) blocks_caught_up: u64,
    /// Blocks decided while the mesh was cut in two halves.
    pub(super) blocks_while_cut: u64,
    /// From the end of the cut to the next final block.
    pub(super) heal_ms: u64,
    /// The bundle.
    pub(super) audit: AuditSummary,
    /// The whole story.
    pub(super) total_ms: u64,
}

/// What became of a proposal.
#[derive(Debug, Default, Serialize)]
pub(super) struct ProposalSummary {
    /// Its id.
    pub(super) proposal: String,
    /// Where it ended.
    pub(super) stage: String,
    /// Why, where there is a reason to tell.
    pub(super) reason: String,
    /// Version that the service answered with afterwards.
    pub(super) service_version: String,
    /// From submission to the end.
    pub(super) took_ms: u64,
}

/// What the bundle proved.
#[derive(Debug, Default, Serialize)]
pub(super) struct AuditSummary {
    /// Bytes of the bundle.
    pub(super) bundle_bytes: u64,
    /// Whether a separate process verified it.
    pub(super) verified: bool,
    /// What the verification of the damaged copy said.
    pub(super) damage_found: String,
}
