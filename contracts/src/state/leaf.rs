//! Owns the leaves of the authenticated map: what each commits to, and which changed since the last root.
//!
//! One leaf a proposal, a target and a range of active members; one each for the constitution, the roster, the
//! members and the ledger's own counters. A block updates only the leaves that it touched, so a thousand ballots
//! on one proposal cost one leaf, and their voters' sequences a few.

use std::collections::{BTreeMap, BTreeSet};

use borsh::{BorshDeserialize, BorshSerialize};

use crate::{
    attempt::ContentId,
    canonical,
    constitution::Track,
    digest::{Digest, Purpose},
    emergency::EmergencyId,
    expiry::Expiring,
    name::{MemberId, TargetId},
    proposal::{Ending, Proposal},
    quantity::{Revision, TimeMs, Weight},
    stage::Stage,
    state::registry::Registry,
    transaction::ProposalId,
};

/// Members share so many leaves, by their place in the order of names: a leaf costs as much as hashing hundreds.
const ACTIVITY_LEAVES: usize = 16;

/// Names a leaf.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, BorshSerialize, BorshDeserialize)]
pub enum LeafKey {
    /// A proposal; its value is a [`ProposalSummary`].
    Proposal(ProposalId),
    /// A target; its value is the digest of the record.
    Target(TargetId),
    /// The weights and keys of all members.
    Members,
    /// What changes about the members from this one on, up to the next such leaf: sequences, vetoes, delegations, bonds.
    Activity(MemberId),
    /// The parameters in force, and when those of each track last changed.
    Constitution,
    /// The organisations with their validators, and the observers.
    Roster,
    /// Network, height, time, counters, known blocks, proofs of equivocation, how much the members take part.
    Ledger,
    /// An emergency; its value is the digest of the record.
    Emergency(EmergencyId),
    /// The powers of guardians.
    Mandates,
    /// A warning that is scheduled; its value is the digest of the record.
    Warning(Expiring),
    /// What is remembered of a content that has failed; its value is the digest of the record.
    Content(ContentId),
    /// What colleagues have said about keys that are lost.
    Recoveries,
}

/// What the state root says about a proposal: enough for a person, and a commitment to all the rest.
#[derive(Debug, Clone, PartialEq, Eq, BorshSerialize, BorshDeserialize, serde::Serialize)]
pub struct ProposalSummary {
    /// Which.
    pub id: ProposalId,
    /// Current edition.
    pub revision: Revision,
    /// Its class.
    pub track: Track,
    /// Where it stands.
    pub stage: Stage,
    /// Since when.
    pub stage_since: TimeMs,
    /// How its execution ended, once it did.
    pub ended: Option<Stage>,
    /// Hash of its plan, and so of its document.
    pub plan_hash: Digest,
    /// Ballots cast.
    pub ballots: u32,
    /// Chain over the ballots.
    pub ballots_digest: Digest,
    /// Weight for, against and abstaining at the last count, under the caps.
    pub tally: Option<[Weight; 3]>,
    /// Whether the last count passed.
    pub passes: bool,
    /// Digest of what executors did.
    pub execution: Digest,
    /// Digest of what auditors found.
    pub attestations: Digest,
    /// Digest of the rest of the record: author, pinned parameters, electorate, sign-offs, sums, timers.
    pub record: Digest,
}

impl ProposalSummary {
    /// Summarises a proposal; its cost does not grow with the number of ballots.
    #[must_use]
    pub fn of(proposal: &Proposal) -> Self {
        let vote = &proposal.vote;
        let tally = vote.tally.as_ref();
        Self {
            id: proposal.id,
            revision: proposal.revision,
            track: proposal.track,
            stage: proposal.stage,
            stage_since: proposal.stage_since,
            ended: proposal.ended.map(|Ending { stage, .. }| stage),
            plan_hash: proposal.plan_hash,
            ballots: u32::try_from(vote.ballots.len()).unwrap_or(u32::MAX),
            ballots_digest: vote.ballots_digest,
            tally: tally.map(|tally| [tally.weight_for, tally.weight_against, tally.weight_abstain]),
            passes: tally.is_some_and(|tally| tally.passes),
            execution: Digest::of_object(Purpose::State, &proposal.execution),
            attestations: Digest::of_object(Purpose::State, &proposal.attestations),
            record: record_digest(proposal),
        }
    }
}

fn record_digest(proposal: &Proposal) -> Digest {
    let vote = &proposal.vote;
    let identity =
        (&proposal.author, proposal.submitted_at, proposal.constitution, proposal.electorate_digest);
    let rules = (&proposal.parameters, &proposal.fallback, proposal.organisation_cap);
    let times = (proposal.deadline, proposal.eta, proposal.ended, vote.opened, vote.closes, vote.promoted);
    let rest = (&proposal.findings, &proposal.reviews, &proposal.vetoed_by, &proposal.cosigned_by);
    let counts = (&vote.late_outcome, &vote.by_org, &vote.entrusted_by_org, &vote.tally);
    Digest::of_object(Purpose::State, &(identity, rules, times, rest, counts))
}

/// The leaves that changed since the last root.
#[derive(Debug, Clone, Default)]
pub struct Touched(BTreeSet<LeafKey>);

impl Touched {
    pub(crate) fn proposal(&mut self, id: ProposalId) {
        self.0.insert(LeafKey::Proposal(id));
    }

    pub(crate) fn target(&mut self, id: &TargetId) {
        self.0.insert(LeafKey::Target(id.clone()));
    }

    /// The leaf that holds the member's activity.
    pub(crate) fn activity(&mut self, ranges: &Ranges, member: &MemberId) {
        let first = ranges.range::<MemberId, _>(..=member).next_back();
        self.0.extend(first.map(|(first, _)| LeafKey::Activity(first.clone())));
    }

    pub(crate) fn ledger(&mut self) {
        self.0.insert(LeafKey::Ledger);
    }

    pub(crate) fn insert(&mut self, key: LeafKey) {
        self.0.insert(key);
    }

    pub(crate) fn take(&mut self) -> BTreeSet<LeafKey> {
        std::mem::take(&mut self.0)
    }
}

/// The last member of each activity leaf, by its first.
pub(crate) type Ranges = BTreeMap<MemberId, MemberId>;

pub(crate) fn ranges<'a>(members: impl ExactSizeIterator<Item = &'a MemberId>) -> Ranges {
    let len = members.len().div_ceil(ACTIVITY_LEAVES).max(1);
    let members: Vec<&MemberId> = members.collect();
    let ends = members.chunks(len).filter_map(|chunk| chunk.first().zip(chunk.last()));
    ends.map(|(first, last)| (MemberId::clone(first), MemberId::clone(last))).collect()
}

/// Every leaf that is not a proposal's.
pub(crate) fn registry_keys(registry: &Registry) -> Vec<LeafKey> {
    let fixed = [
        LeafKey::Constitution,
        LeafKey::Roster,
        LeafKey::Members,
        LeafKey::Ledger,
        LeafKey::Mandates,
        LeafKey::Recoveries,
    ]
    .into_iter();
    let emergencies = registry.emergencies.keys().copied().map(LeafKey::Emergency);
    let targets = registry.targets.keys().cloned().map(LeafKey::Target);
    let members = registry.ranges.keys().cloned().map(LeafKey::Activity);
    let warnings = registry.warnings.keys().cloned().map(LeafKey::Warning);
    let contents = registry.attempts.keys().copied().map(LeafKey::Content);
    fixed.chain(targets).chain(members).chain(emergencies).chain(contents).chain(warnings).collect()
}

/// The bytes that a leaf of the registry holds: a digest of the object.
pub(crate) fn registry_value(registry: &Registry, key: &LeafKey) -> Option<Vec<u8>> {
    let digest = match key {
        LeafKey::Proposal(_) => return None,
        LeafKey::Target(id) => Digest::of_object(Purpose::State, registry.targets.get(id)?),
        LeafKey::Members => members_digest(registry),
        LeafKey::Activity(first) => activity_digest(registry, first)?,
        LeafKey::Constitution => {
            Digest::of_object(Purpose::State, &(&registry.constitution, &registry.amended))
        }
        LeafKey::Roster => Digest::of_object(Purpose::State, &(&registry.organisations, &registry.observers)),
        LeafKey::Ledger => ledger_digest(registry),
        LeafKey::Emergency(id) => Digest::of_object(Purpose::State, registry.emergencies.get(id)?),
        LeafKey::Mandates => Digest::of_object(Purpose::State, &registry.mandates),
        LeafKey::Warning(expiring) => Digest::of_object(Purpose::State, registry.warnings.get(expiring)?),
        LeafKey::Content(id) => Digest::of_object(Purpose::State, registry.attempts.get(id)?),
        LeafKey::Recoveries => Digest::of_object(Purpose::State, &registry.recoveries),
    };
    Some(canonical::encode(&digest))
}

fn members_digest(registry: &Registry) -> Digest {
    let members = registry.members.iter();
    let members: Vec<_> =
        members.map(|(id, member)| (id, member.weight, &member.keys, &member.given)).collect();
    Digest::of_object(Purpose::State, &members)
}

fn activity_digest(registry: &Registry, first: &MemberId) -> Option<Digest> {
    let last = registry.ranges.get(first)?;
    let members = registry.members.range::<_, MemberId>(first..=last);
    let members: Vec<_> = members
        .map(|(id, member)| (id, &member.sequences, member.vetoes, &member.delegations, &member.bonds))
        .collect();
    Some(Digest::of_object(Purpose::State, &members))
}

fn ledger_digest(registry: &Registry) -> Digest {
    let place = (registry.network, registry.height, registry.time, registry.events, registry.fence);
    Digest::of_object(Purpose::State, &(place, &registry.blocks, &registry.equivocations, registry.dormancy))
}
