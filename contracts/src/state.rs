//! Owns the state of the ledger and the one door into its rules.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    act::Subject,
    bond::BondAccount,
    certificate::Roster,
    constitution::{Constitution, Track},
    delegation::Delegation,
    digest::Digest,
    document::{Action, ProposalDocument},
    event::Event,
    genesis::{Genesis, GenesisError, ObserverRecord, OrganisationRecord, TargetRecord},
    lifecycle,
    name::{MemberId, Name, OrgId, TargetId},
    plan::Plan,
    proposal::{Order, Proposal},
    quantity::{EventSequence, Height, Sequence, TimeMs, Weight},
    reject::Reject,
    role::Role,
    rules::{self, Finding},
    shared_map::SharedMap,
    signature::PublicKey,
    transaction::{ProposalId, VerifiedTransaction},
};

mod acts;
mod attempts;
mod delegations;
mod door;
mod dormancy;
mod emergencies;
mod expiries;
mod guardians;
mod holds;
mod keys;
mod leaf;
mod planning;
mod precedence;
mod registry;
mod snapshot;
#[cfg(test)]
mod tests;
mod timer;
mod tree;

pub use holds::Hold;
pub(crate) use keys::KeyPlace;
pub use leaf::{LeafKey, ProposalSummary};
pub use registry::{BLOCK_WINDOW, Registry};
pub use snapshot::SNAPSHOT_LEN_MAX;
pub use tree::{STAGE_PROOF_LEN_MAX, StageProof, StageProofError};

/// Everything the rules know: a value; a copy shares structure and costs next to nothing.
#[derive(Debug, Clone)]
pub struct State {
    registry: Registry,
    proposals: SharedMap<ProposalId, Arc<Proposal>>,
    /// On what the ledger acts by itself, in the order in which it falls due.
    deadlines: SharedMap<(TimeMs, timer::Timer), ()>,
    /// Proposals that have not ended.
    open: SharedMap<ProposalId, ()>,
    tree: tree::Tree,
}

/// What asks the state to change.
#[derive(Debug, Clone, Copy)]
pub enum Input<'a> {
    /// A block begins: everything that fell due by its time happens first, in the order (deadline, id).
    Begin {
        /// The block's height.
        height: Height,
        /// The block's time.
        time: TimeMs,
        /// Digest of the block before.
        parent: Digest,
    },
    /// A transaction of the block.
    Transaction(&'a VerifiedTransaction),
}

/// What an accepted input did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Applied {
    /// It took effect.
    New(Vec<Event>),
    /// It had taken effect before.
    Same,
}

/// A registered member; one that left has no key.
#[derive(Debug, Clone, Default, PartialEq, Eq, borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Member {
    /// Voting weight.
    pub weight: Weight,
    /// One key for each role held.
    pub keys: BTreeMap<Role, PublicKey>,
    /// For each key that the member has replaced by itself, or its colleagues have, the one that the mesh gave it.
    pub given: BTreeMap<Role, PublicKey>,
    /// Last sequence used in each role.
    pub sequences: BTreeMap<Role, Sequence>,
    /// Vetoes used.
    pub vetoes: u16,
    /// Who speaks for it on each track, as far as it said so; what is over stays until it says otherwise.
    pub delegations: BTreeMap<Track, Delegation>,
    /// What stands for its open proposals.
    pub bonds: BondAccount,
}

/// A governed target with what the ledger knows is applied to it.
#[derive(Debug, Clone, PartialEq, Eq, borsh::BorshSerialize, borsh::BorshDeserialize)]
pub struct Target {
    /// As registered.
    pub record: TargetRecord,
    /// The last action that took effect on each resource.
    pub applied: BTreeMap<Name, Action>,
    /// The proposal that acts on it.
    pub busy: Option<ProposalId>,
}

impl Member {
    /// Whether nothing is left but what keeps old signatures from counting again.
    #[must_use]
    pub fn has_left(&self) -> bool {
        self.keys.is_empty()
    }
}

impl Target {
    /// One to which nothing was applied.
    pub(crate) fn new(record: &TargetRecord) -> Self {
        Self { record: record.clone(), applied: BTreeMap::new(), busy: None }
    }

    /// How many of its endpoints a deployed service answers on; 0 once the last service is removed.
    #[must_use]
    pub fn serving_endpoints(&self) -> usize {
        let instances = self.applied.values().map(|action| match action {
            Action::Deploy { instances, .. } => usize::from(*instances),
            Action::Configure { .. } | Action::Remove { .. } => 0,
        });
        instances.max().unwrap_or(0).min(self.record.endpoints.len())
    }
}

impl State {
    /// The state at height 0.
    ///
    /// # Errors
    /// Names the first thing in the document that cannot start a mesh.
    pub fn genesis(genesis: &Genesis) -> Result<Self, GenesisError> {
        genesis.check()?;
        Ok(Self::assemble(Registry::genesis(genesis), SharedMap::default()))
    }

    /// The one door into the rules. On [`Reject`] nothing has changed.
    ///
    /// # Errors
    /// The rules refuse the input; every node refuses it in the same words.
    pub fn apply(&mut self, input: Input<'_>) -> Result<Applied, Reject> {
        let applied = match input {
            Input::Begin { height, time, parent } => self.begin(height, time, parent)?,
            Input::Transaction(transaction) => self.enter(transaction)?,
        };
        if let Applied::New(events) = &applied {
            self.registry.count_events(events.len());
        }
        Ok(applied)
    }

    /// The dry run of a document against what is applied where.
    ///
    /// # Errors
    /// The document is outside its bounds or names a target that nobody owns.
    pub fn plan(&self, document: &ProposalDocument) -> Result<Plan, Reject> {
        self.registry.plan(document)
    }

    /// The hard rules that a document breaks.
    #[must_use]
    pub fn findings(&self, document: &ProposalDocument) -> Vec<Finding> {
        rules::findings(document, &self.registry)
    }

    /// The class that a document belongs to.
    #[must_use]
    pub fn track_of(&self, document: &ProposalDocument) -> Track {
        self.registry.track_of(document)
    }

    /// When a block is due without any transaction.
    #[must_use]
    pub fn next_deadline(&self) -> Option<TimeMs> {
        self.deadlines.get_min().map(|((time, _), ())| *time)
    }

    /// Work that is due for executors.
    #[must_use]
    pub fn orders(&self) -> Vec<Order> {
        let open = self.open.keys().filter_map(|id| self.proposals.get(id));
        open.flat_map(|proposal| lifecycle::orders(proposal, &self.registry)).collect()
    }

    /// The authenticated root over everything touched since the last call.
    pub fn root(&mut self) -> Digest {
        let touched = self.registry.touched.take();
        let leaves = touched.into_iter().map(|key| {
            let value = self.leaf_value(&key);
            (key, value)
        });
        let leaves = leaves.collect();
        self.tree.put(leaves)
    }

    /// A proof, under the last root, of where a proposal stands; `None` when the root does not know it.
    #[must_use]
    pub fn prove(&self, proposal: ProposalId) -> Option<StageProof> {
        let summary = ProposalSummary::of(self.proposals.get(&proposal)?);
        let path = self.tree.prove(&LeafKey::Proposal(proposal))?;
        Some(StageProof { summary, path })
    }

    /// The network's identity.
    #[must_use]
    pub const fn network(&self) -> Digest {
        self.registry.network
    }

    /// Height of the last block.
    #[must_use]
    pub const fn height(&self) -> Height {
        self.registry.height
    }

    /// Time of the last block.
    #[must_use]
    pub const fn time(&self) -> TimeMs {
        self.registry.time
    }

    /// Number of the last event.
    #[must_use]
    pub const fn event_sequence(&self) -> EventSequence {
        self.registry.events
    }

    /// The parameters in force.
    #[must_use]
    pub fn constitution(&self) -> &Constitution {
        &self.registry.constitution
    }

    /// The validators of the next block.
    #[must_use]
    pub fn roster(&self) -> &Arc<Roster> {
        &self.registry.roster
    }

    /// Names what is in force about a subject, or that there is nothing.
    #[must_use]
    pub fn in_force(&self, subject: &Subject) -> Digest {
        self.registry.in_force(subject)
    }

    /// One organisation.
    #[must_use]
    pub fn organisation(&self, id: &OrgId) -> Option<&OrganisationRecord> {
        self.registry.organisations.get(id)
    }

    /// One node that reads without deciding.
    #[must_use]
    pub fn observer(&self, name: &Name) -> Option<&ObserverRecord> {
        self.registry.observers.get(name)
    }

    /// Every organisation, by name.
    pub fn organisations(&self) -> impl Iterator<Item = (&OrgId, &OrganisationRecord)> {
        self.registry.organisations.iter()
    }

    /// Every node that reads without deciding, by name.
    pub fn observers(&self) -> impl Iterator<Item = (&Name, &ObserverRecord)> {
        self.registry.observers.iter()
    }

    /// One proposal.
    #[must_use]
    pub fn proposal(&self, id: ProposalId) -> Option<&Proposal> {
        self.proposals.get(&id).map(Arc::as_ref)
    }

    /// Every proposal, in the order of the ids.
    pub fn proposals(&self) -> impl Iterator<Item = &Proposal> {
        self.proposals.values().map(Arc::as_ref)
    }

    /// One member.
    #[must_use]
    pub fn member(&self, id: &MemberId) -> Option<&Member> {
        self.registry.members.get(id).map(Arc::as_ref)
    }

    /// Every member, by name.
    pub fn members(&self) -> impl Iterator<Item = (&MemberId, &Member)> {
        self.registry.members.iter().map(|(id, member)| (id, member.as_ref()))
    }

    /// The members that hold a role, by name.
    pub fn members_with(&self, role: Role) -> impl Iterator<Item = &MemberId> {
        self.registry.members_with(role)
    }

    /// One target.
    #[must_use]
    pub fn target(&self, id: &TargetId) -> Option<&Target> {
        self.registry.targets.get(id).map(Arc::as_ref)
    }

    /// Every target, by name.
    pub fn targets(&self) -> impl Iterator<Item = (&TargetId, &Target)> {
        self.registry.targets.iter().map(|(id, target)| (id, target.as_ref()))
    }

    /// The sequence that the member's next transaction in this role must carry.
    #[must_use]
    pub fn next_sequence(&self, member: &MemberId, role: Role) -> Sequence {
        self.registry.next_sequence(member, role)
    }

    /// What may be asked of a proposal as it stands.
    #[must_use]
    pub fn allowed_moves(&self, id: ProposalId) -> Vec<&'static str> {
        self.proposal(id).map(lifecycle::possible).unwrap_or_default()
    }

    /// The weight of the ballot that a member may cast.
    ///
    /// # Errors
    /// Says why the member may not vote, or not any more.
    pub fn may_vote(&self, id: ProposalId, member: &MemberId) -> Result<Weight, Reject> {
        let proposal = self.proposal(id).ok_or(Reject::UnknownProposal { proposal: id })?;
        lifecycle::may_vote(proposal, member)
    }

    /// Digest of a past block of the last [`BLOCK_WINDOW`].
    #[must_use]
    pub fn block_digest(&self, height: Height) -> Option<Digest> {
        self.registry.blocks.get(&height).copied()
    }

    /// Breaks a proposal by hand, for tests that want to see it noticed.
    #[cfg(test)]
    pub(crate) fn tamper(&mut self, id: ProposalId, how: impl FnOnce(&mut Proposal)) {
        let tampered = self.with_proposal(id, &mut Vec::new(), |cast| {
            how(cast.proposal);
            Ok(())
        });
        assert_eq!(tampered, Ok(()), "there is such a proposal");
    }

    /// Breaks the rules by hand, for tests that want to see it noticed.
    #[cfg(test)]
    pub(crate) fn tamper_with_rules(&mut self, how: impl FnOnce(&mut Constitution)) {
        how(Arc::make_mut(&mut self.registry.constitution));
        self.registry.touched.insert(LeafKey::Constitution);
    }

    /// Lets governance be dormant by hand, for tests that want to see it noticed.
    #[cfg(test)]
    pub(crate) fn tamper_with_dormancy(&mut self) {
        self.registry.dormancy.since = Some(TimeMs::new(1));
    }

    /// Changes who the members are by hand, for tests of what follows.
    #[cfg(test)]
    pub(crate) fn tamper_with_members(&mut self, how: impl FnOnce(&mut SharedMap<MemberId, Arc<Member>>)) {
        how(&mut self.registry.members);
        self.registry.derive();
        self.registry.settle_floor();
        for key in leaf::registry_keys(&self.registry) {
            self.registry.touched.insert(key);
        }
    }

    /// Puts parts together, derives what is derived, and computes the root.
    fn assemble(mut registry: Registry, proposals: SharedMap<ProposalId, Arc<Proposal>>) -> Self {
        proposals.values().for_each(|proposal| registry.precedence.note(proposal));
        registry.settle_floor();
        let open = proposals.iter().filter(|(_, proposal)| proposal.is_open());
        let due = proposals
            .iter()
            .filter_map(|(id, proposal)| Some(((proposal.deadline?, timer::Timer::Proposal(*id)), ())));
        let emergencies = registry.emergencies.iter();
        let ending = emergencies
            .filter_map(|(id, emergency)| Some(((emergency.deadline()?, timer::Timer::Emergency(*id)), ())));
        let recoveries = registry.recoveries.iter();
        let recovering = recoveries.filter_map(|(place, recovery)| {
            Some(((recovery.agreed?.due, timer::Timer::Recovery(place.clone())), ()))
        });
        let mut state = Self {
            open: open.map(|(id, _)| (*id, ())).collect(),
            deadlines: due.chain(ending).chain(recovering).collect(),
            tree: tree::Tree::default(),
            registry,
            proposals,
        };
        for key in leaf::registry_keys(&state.registry) {
            state.registry.touched.insert(key);
        }
        for id in state.proposals.keys() {
            state.registry.touched.proposal(*id);
        }
        state.root();
        state
    }

    fn leaf_value(&self, key: &LeafKey) -> Option<Vec<u8>> {
        match key {
            LeafKey::Proposal(id) => {
                Some(crate::canonical::encode(&ProposalSummary::of(self.proposals.get(id)?)))
            }
            other => leaf::registry_value(&self.registry, other),
        }
    }
}
