//! Owns the snapshot: the whole state as bytes, and the way back with every derived digest recomputed.

use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};

use crate::{
    canonical::{self, DecodeError},
    digest::{Digest, Purpose},
    proposal::Proposal,
    shared_map::SharedMap,
    state::{Registry, State},
    transaction::ProposalId,
};

/// Largest snapshot that is read.
pub const SNAPSHOT_LEN_MAX: usize = 1024 * 1024 * 1024;

/// The variant is the version of the format.
#[derive(BorshSerialize, BorshDeserialize)]
enum Snapshot {
    V1 { registry: Registry, proposals: SharedMap<ProposalId, Arc<Proposal>> },
}

impl State {
    /// The whole state as bytes; compare [`State::root`] of what they decode to with a certified header.
    #[must_use]
    pub fn encode_snapshot(&self) -> Vec<u8> {
        canonical::encode(&Snapshot::V1 {
            registry: self.registry.clone(),
            proposals: self.proposals.clone(),
        })
    }

    /// Reads a snapshot; the root and everything derived is recomputed, nothing derived is believed.
    ///
    /// # Errors
    /// Refuses malformed bytes and a record whose parts contradict each other.
    pub fn decode_snapshot(bytes: &[u8]) -> Result<Self, DecodeError> {
        let Snapshot::V1 { mut registry, proposals } = canonical::decode(bytes, SNAPSHOT_LEN_MAX)?;
        if !proposals.iter().all(|(id, proposal)| proposal.id == *id && is_consistent(proposal)) {
            return Err(contradiction());
        }
        registry.derive();
        Ok(Self::assemble(registry, proposals))
    }
}

fn is_consistent(proposal: &Proposal) -> bool {
    proposal.plan.hash() == proposal.plan_hash
        && proposal.plan.document == Digest::of_object(Purpose::Document, proposal.document.as_ref())
        && proposal.electorate.digest() == proposal.electorate_digest
        && proposal.vote.is_consistent()
}

fn contradiction() -> DecodeError {
    let kind = borsh::io::ErrorKind::InvalidData;
    DecodeError::Malformed(borsh::io::Error::new(kind, "the parts of a proposal contradict each other"))
}
