//! Owns the snapshot: the whole state as bytes, and the way back with every derived digest recomputed.

use std::{collections::BTreeMap, sync::Arc};

use borsh::{BorshDeserialize, BorshSerialize};

use crate::{
    canonical::{self, DecodeError},
    digest::Digest,
    electorate::Electorate,
    emergency::{Emergency, EmergencyId},
    proposal::Proposal,
    shared_map::SharedMap,
    state::{Registry, State},
    transaction::ProposalId,
};

/// Largest snapshot that is read.
pub const SNAPSHOT_LEN_MAX: usize = 1024 * 1024 * 1024;

/// The variant is the version of the format; a ledger whose snapshot is of another version is read from its log.
#[derive(BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
enum Snapshot {
    V4 { registry: Registry, electorates: BTreeMap<Digest, Arc<Electorate>>, proposals: Proposals } = 3,
}

type Proposals = SharedMap<ProposalId, Arc<Proposal>>;

impl State {
    /// The whole state as bytes; compare [`State::root`] of what they decode to with a certified header.
    #[must_use]
    pub fn encode_snapshot(&self) -> Vec<u8> {
        let electorates = self.proposals.values();
        let electorates =
            electorates.map(|proposal| (proposal.electorate_digest, Arc::clone(&proposal.electorate)));
        canonical::encode(&Snapshot::V4 {
            registry: self.registry.clone(),
            electorates: electorates.collect(),
            proposals: self.proposals.clone(),
        })
    }

    /// Reads a snapshot; the root and everything derived is recomputed, nothing derived is believed.
    ///
    /// # Errors
    /// Refuses malformed bytes and a record whose parts contradict each other.
    pub fn decode_snapshot(bytes: &[u8]) -> Result<Self, DecodeError> {
        let Snapshot::V4 { mut registry, electorates, proposals } =
            canonical::decode(bytes, SNAPSHOT_LEN_MAX)?;
        if !electorates.iter().all(|(digest, electorate)| electorate.digest() == *digest) {
            return Err(contradiction("an electorate and its digest"));
        }
        let proposals = proposals.iter().map(|(id, proposal)| {
            let electorate = electorates.get(&proposal.electorate_digest);
            let electorate = electorate.ok_or_else(|| contradiction("a proposal and its electorate"))?;
            let mut proposal = Proposal { electorate: Arc::clone(electorate), ..proposal.as_ref().clone() };
            check(*id, &proposal)?;
            proposal.vote.derive(electorate);
            Ok((*id, Arc::new(proposal)))
        });
        let proposals = proposals.collect::<Result<_, DecodeError>>()?;
        let misnamed = |(id, held): (&EmergencyId, &Arc<Emergency>)| {
            held.id != *id || EmergencyId::of(registry.network, &held.declaration) != *id
        };
        if registry.emergencies.iter().any(misnamed) {
            return Err(contradiction("an emergency and its name"));
        }
        registry.derive();
        registry.deciding = Arc::clone(&registry.roster);
        Ok(Self::assemble(registry, proposals))
    }
}

fn check(id: ProposalId, proposal: &Proposal) -> Result<(), DecodeError> {
    let holds = proposal.id == id
        && proposal.plan.hash() == proposal.plan_hash
        && proposal.plan.document == proposal.document.digest()
        && proposal.execution.steps.len() == proposal.plan.steps.len()
        && proposal.vote.is_consistent();
    if holds { Ok(()) } else { Err(contradiction("the parts of a proposal")) }
}

fn contradiction(what: &str) -> DecodeError {
    let problem = format!("{what} contradict each other");
    DecodeError::Malformed(borsh::io::Error::new(borsh::io::ErrorKind::InvalidData, problem))
}
